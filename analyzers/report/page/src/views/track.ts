// Tracked models: their list, and one over its analyses.
import { api } from "../api.ts";
import { sharesInWords } from "../bars.ts";
import { chart } from "../charts.ts";
import type { TrackPoint } from "../contract.ts";
import { el, section, type Child } from "../dom.ts";
import { heading, notice, targetSwitch, trail, type Context, type Page } from "../page.ts";
import { links } from "../router.ts";
import { dataTable } from "../table.ts";
import { count, displayName, nameOf, percent, time, prose } from "../words.ts";
import { percentTick } from "./layers.ts";

export async function tracksView({ signal }: Context): Promise<Page> {
  const { tracks } = await api.tracks(signal);
  return {
    title: "Tracked models",
    content: [
      heading("Tracked models"),
      tracks.length === 0
        ? notice(
            "empty",
            "No model is tracked yet.",
            el("p", null, "Give the analyses of one model a name in common:"),
            el("pre", { tabindex: 0, "aria-label": "Command" }, "qatgap analyze --track my-model …"),
          )
        : el(
            "ul",
            { class: "cards" },
            tracks.map((track) =>
              el(
                "li",
                { class: "card" },
                el("h2", null, el("a", { href: links.track(track.name) }, displayName(track.name))),
                el(
                  "p",
                  { class: "soft small facts" },
                  el("span", null, track.analyses === 1 ? "1 analysis" : `${count(track.analyses)} analyses`),
                  track.last ? el("a", { href: links.analysis(track.last) }, "the last one") : null,
                ),
              ),
            ),
          ),
    ],
  };
}

export async function trackView({ route, signal }: Context): Promise<Page> {
  const name = route.segments[1] ?? "";
  const { analyses } = await api.analyses({ track: name }, signal);
  const targets = [...new Set(analyses.flatMap((analysis) => analysis.targets))];
  const target = route.parameters["target"] ?? targets[0] ?? "";
  const { points } = await api.track(name, target, signal);
  const title = displayName(name);
  const top: Child = [
    trail(["Tracked models", links.tracks()], [title, null]),
    heading(title),
    targetSwitch(targets, target, (other) => links.track(name, other)),
  ];
  if (points.length === 0) {
    return {
      title,
      content: [
        top,
        notice(
          "empty",
          "No finished analysis of this model under this target.",
          el("p", null, el("a", { href: links.analyses({ track: name }) }, "All analyses of the track")),
        ),
      ],
    };
  }
  const last = points.length - 1;
  const before = (i: number): string => points[i - 1]?.id ?? "";
  return {
    title,
    content: [
      top,
      el("p", { class: "headline" }, prose(trendWords(points))),
      section(
        "Over its analyses",
        {},
        chart({
          title: "Changed codes, of all layers, and changed answers",
          xLabel: "analysis, oldest first",
          names: points.map((point) => `${nameOf(point)}, ${time(point.create_time)}`),
          format: percent,
          tick: percentTick,
          linearBelow: 1e-4,
          height: 300,
          start: last,
          series: [
            {
              label: "codes changed, all causes",
              color: "accent",
              dash: [],
              values: points.map((point) => point.changed_rate),
            },
            {
              label: "codes changed by the bias",
              color: "line-bias",
              dash: [2, 4],
              values: points.map((point) => point.bias_changed_rate),
            },
            {
              label: "answers changed",
              color: "bias_saturation",
              dash: [9, 4],
              values: points.map((point) => point.top1_changed_rate),
            },
          ],
          hrefOf: (i) => links.analysis(points[i]?.id ?? "", target),
          onPick: (i) => {
            location.hash = links.analysis(points[i]?.id ?? "", target);
          },
        }),
      ),
      section(
        "Analyses",
        {},
        dataTable<number>({
          caption: "Analyses of this model",
          rows: points.map((_, i) => last - i),
          rowHeight: 54,
          id: "trend",
          columns: [
            {
              id: "analysis",
              label: "Analysis",
              width: 13,
              key: (i) => points[i]?.create_time ?? null,
              cell: (i) => row(points[i], target),
            },
            {
              id: "changed",
              label: "Codes changed",
              numeric: true,
              width: 7.5,
              key: (i) => points[i]?.changed_rate ?? null,
              cell: (i) => percent(points[i]?.changed_rate),
            },
            {
              id: "bias",
              label: "By the bias",
              numeric: true,
              width: 7,
              key: (i) => points[i]?.bias_changed_rate ?? null,
              cell: (i) => percent(points[i]?.bias_changed_rate),
            },
            {
              id: "answers",
              label: "Answers",
              numeric: true,
              width: 6,
              key: (i) => points[i]?.top1_changed_rate ?? null,
              cell: (i) => percent(points[i]?.top1_changed_rate),
            },
            {
              id: "shares",
              label: "Causes, by share",
              width: 16,
              cell: (i) => el("span", { class: "clip" }, sharesInWords(points[i]?.shares ?? null, 3)),
            },
            {
              id: "compare",
              label: "Compare",
              width: 9.5,
              cell: (i) =>
                before(i)
                  ? el("a", { href: links.compare(before(i), points[i]?.id ?? "", target) }, "with the one before")
                  : "",
            },
          ],
        }).element,
      ),
    ],
  };
}

function row(point: TrackPoint | undefined, target: string): Child {
  if (!point) return null;
  return [
    el("a", { href: links.analysis(point.id, target), class: "clip" }, nameOf(point)),
    el("span", { class: "under" }, time(point.create_time)),
  ];
}

function trendWords(points: TrackPoint[]): string {
  const last = points[points.length - 1];
  const previous = points[points.length - 2];
  if (!last) return "";
  const now = `${percent(last.changed_rate)} of all codes differ in the last of ${points.length === 1 ? "1 analysis" : `${count(points.length)} analyses`}`;
  if (!previous) return `${now}; the bias changes ${percent(last.bias_changed_rate)}.`;
  const steady = last.changed_rate === previous.changed_rate && last.bias_changed_rate === previous.bias_changed_rate;
  return steady
    ? `${now}, exactly as in the one before; the bias changes ${percent(last.bias_changed_rate)}.`
    : `${now}, ${percent(previous.changed_rate)} in the one before; the bias changes ${percent(last.bias_changed_rate)}, ${percent(previous.bias_changed_rate)} before.`;
}
