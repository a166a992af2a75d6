// Two analyses of one target held against each other.
import { api } from "../api.ts";
import {
  CAUSES_AND_TOTAL,
  type AnalysisSummary,
  type Comparison,
  type Movement,
  type RatesOfLayer,
} from "../contract.ts";
import { el, section, type Child } from "../dom.ts";
import { heading, notice, targetSwitch, trail, type Context, type Page } from "../page.ts";
import { go, links } from "../router.ts";
import { dataTable } from "../table.ts";
import { causeWords, count, displayName, isSucceeded, nameOf, percent, real, signed, time, prose } from "../words.ts";

function metricWords(metric: string): string {
  return displayName(metric)
    .replaceAll("_", " ")
    .replaceAll(".", " · ")
    .replace(/\bsqnr db\b/, "SQNR")
    .replace(/\blsb\b/, "LSB");
}

function figure(metric: string, value: number | null): string {
  if (value === null) return "–";
  if (/rate$|^accuracy|^coverage$/.test(metric)) return percent(value);
  if (/db$/.test(metric)) return `${real(value, 4)} dB`;
  if (/max_absolute$|_lsb$/.test(metric)) return `${real(value)} LSB`;
  return Number.isInteger(value) ? count(value) : real(value);
}

// The difference of two percentages is in percentage points.
const difference = (metric: string, value: number): string => figure(metric, value).replace(/ %$/, " pp");

// An arrow and a sign beside the colour.
function change(metric: string, before: number | null, after: number | null): Child {
  if (before === null || after === null) return before === after ? "–" : before === null ? "new" : "gone";
  const moved = after - before;
  if (moved === 0) return el("span", { class: "soft" }, "equal");
  const better = /sqnr_db$|cosine$|^accuracy\.|^coverage$/.test(metric) ? moved > 0 : moved < 0;
  return el(
    "span",
    { class: better ? "down" : "up" },
    `${moved > 0 ? "▲" : "▼"} ${signed(moved, (value) => difference(metric, value))}`,
  );
}

const sizeOf = (before: number | null | undefined, after: number | null | undefined): number | null =>
  before === null || before === undefined || after === null || after === undefined ? null : Math.abs(after - before);

function movementsSection(comparison: Comparison): HTMLElement {
  return section(
    "What moved",
    {},
    el(
      "p",
      { class: "lead" },
      "Every figure that is not the same in both, the largest movement first. pp: percentage points.",
    ),
    comparison.movements.length === 0
      ? el("p", null, "Nothing: all figures are equal.")
      : dataTable<Movement>({
          caption: "Figures that moved",
          rows: comparison.movements,
          rowHeight: 40,
          id: "movements",
          columns: [
            {
              id: "layer",
              label: "Layer",
              width: 11,
              key: (row) => row.layer,
              cell: (row) =>
                row.layer
                  ? el("span", { class: "clip", title: displayName(row.layer) }, displayName(row.layer))
                  : el("span", { class: "soft" }, "the model"),
            },
            {
              id: "metric",
              label: "Figure",
              width: 27,
              key: (row) => row.metric,
              cell: (row) => el("span", { class: "clip", title: displayName(row.metric) }, metricWords(row.metric)),
            },
            { id: "before", label: "Before", numeric: true, width: 7.5, cell: (row) => figure(row.metric, row.before) },
            { id: "after", label: "After", numeric: true, width: 7.5, cell: (row) => figure(row.metric, row.after) },
            {
              id: "change",
              label: "Change",
              numeric: true,
              width: 9,
              cell: (row) => change(row.metric, row.before, row.after),
            },
          ],
        }).element,
  );
}

type Pair = Comparison["layers"][number];

function layersSection(comparison: Comparison, after: string, target: string): HTMLElement {
  const rates = CAUSES_AND_TOTAL.filter(
    (cause) =>
      cause !== "total" && comparison.layers.some((row) => rateOf(row.before, cause) !== rateOf(row.after, cause)),
  );
  return section(
    "Layers",
    {},
    el(
      "p",
      { class: "lead" },
      "Changed codes of each layer, injected, then the causes that moved. pp: percentage points.",
    ),
    dataTable<Pair>({
      caption: "Layers before and after",
      rows: comparison.layers,
      rowHeight: 40,
      sort: "change",
      descending: true,
      id: "compared-layers",
      columns: [
        {
          id: "name",
          label: "Layer",
          width: 11,
          key: (row) => row.name,
          cell: (row) => el("span", { class: "clip", title: displayName(row.name) }, displayName(row.name)),
        },
        {
          id: "before",
          label: "Before",
          numeric: true,
          width: 6.5,
          key: (row) => rateOf(row.before, "changed_rate"),
          cell: (row) => percent(rateOf(row.before, "changed_rate")),
        },
        {
          id: "after",
          label: "After",
          numeric: true,
          width: 6.5,
          key: (row) => rateOf(row.after, "changed_rate"),
          cell: (row) => percent(rateOf(row.after, "changed_rate")),
        },
        {
          id: "change",
          label: "Change",
          numeric: true,
          width: 8,
          key: (row) => sizeOf(rateOf(row.before, "changed_rate"), rateOf(row.after, "changed_rate")),
          cell: (row) => change("changed_rate", rateOf(row.before, "changed_rate"), rateOf(row.after, "changed_rate")),
        },
        ...rates.map((cause) => ({
          id: cause,
          label: causeWords(cause),
          numeric: true,
          width: 8,
          key: (row: Pair) => sizeOf(rateOf(row.before, cause), rateOf(row.after, cause)),
          cell: (row: Pair) => change("changed_rate", rateOf(row.before, cause), rateOf(row.after, cause)),
        })),
      ],
    }).element,
    el("p", { class: "small" }, el("a", { href: links.analysis(after, target) }, "All layers of the later analysis")),
  );
}

function rateOf(rates: RatesOfLayer | null, name: string): number | null {
  return rates?.[name] ?? null;
}

function picker(analyses: AnalysisSummary[], role: "before" | "after", chosen: string, other: string): HTMLElement {
  const href = (id: string) => (role === "before" ? links.compare(id, other) : links.compare(other, id));
  const known = analyses.some((analysis) => analysis.id === chosen);
  return el(
    "span",
    null,
    el("label", { for: role }, role === "before" ? "Before" : "After"),
    el(
      "select",
      { id: role, onchange: (event) => go(href((event.target as HTMLSelectElement).value)) },
      el("option", { value: "", selected: !chosen }, "choose …"),
      chosen && !known ? el("option", { value: chosen, selected: true }, chosen.slice(0, 8)) : null,
      analyses
        .filter((analysis) => analysis.id !== other)
        .map((analysis) =>
          el(
            "option",
            { value: analysis.id, selected: analysis.id === chosen },
            `${nameOf(analysis)} (${time(analysis.create_time)})`,
          ),
        ),
    ),
  );
}

export async function compareView({ route, signal }: Context): Promise<Page> {
  const { before = "", after = "" } = route.parameters;
  const { analyses } = await api.analyses({}, signal);
  const succeeded = analyses.filter((analysis) => isSucceeded(analysis.state));
  const top = [
    trail(["Analyses", links.analyses()], ["Comparison", null]),
    heading(
      "Comparison",
      before && after
        ? el(
            "a",
            { class: "button", href: links.compare(after, before, route.parameters["target"]), id: "swap" },
            "Swap",
          )
        : null,
    ),
    el(
      "div",
      { class: "controls" },
      picker(succeeded, "before", before, after),
      picker(succeeded, "after", after, before),
    ),
  ];
  if (!before || !after) {
    return {
      title: "Comparison",
      content: [
        top,
        notice(
          "empty",
          "Choose two analyses.",
          el("p", null, "The later one is held against the earlier one, figure by figure."),
        ),
      ],
    };
  }
  const [old, recent] = await Promise.all([api.analysis(before, signal), api.analysis(after, signal)]);
  const names = recent.targets.filter((name) => old.targets.includes(name));
  const wanted = route.parameters["target"] ?? "";
  const target = names.includes(wanted) ? wanted : names[0];
  if (!target) {
    return {
      title: "Comparison",
      content: [
        top,
        notice(
          "empty",
          "They have no target in common.",
          el(
            "p",
            null,
            `Before: ${old.targets.map(displayName).join(", ")}. After: ${recent.targets.map(displayName).join(", ")}.`,
          ),
        ),
      ],
    };
  }
  const comparison = await api.compare(before, after, target);
  const headline = (one: AnalysisSummary, role: string): Child =>
    el(
      "section",
      { "aria-label": role },
      el("p", { class: "soft small" }, role),
      el("h2", null, el("a", { href: links.analysis(one.id, target) }, nameOf(one))),
      el("p", { class: "soft small" }, time(one.create_time)),
      el("p", null, prose(one.verdicts.find((verdict) => verdict.target === target)?.headline ?? "")),
    );
  return {
    title: `${nameOf(old)} and ${nameOf(recent)}`,
    content: [
      top,
      targetSwitch(names, target, (name) => links.compare(before, after, name)),
      comparison.differences.length
        ? notice(
            "note",
            "Read with care: the two differ in more than their figures.",
            el(
              "ul",
              { class: "say" },
              comparison.differences.map((text) => el("li", null, displayName(text))),
            ),
          )
        : null,
      el("div", { class: "columns" }, headline(old, "Before"), headline(recent, "After")),
      movementsSection(comparison),
      layersSection(comparison, after, target),
    ],
  };
}
