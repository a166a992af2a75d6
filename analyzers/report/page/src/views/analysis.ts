// One analysis: the headline first, then its figures, layers, depth, outputs, findings, and where it comes from.
import { api, isStatic } from "../api.ts";
import { shareBar, shareLegend } from "../bars.ts";
import { CAUSES, type Analysis, type LayerRow, type Report, type TargetView } from "../contract.ts";
import { announce, el, replace, section, type Child } from "../dom.ts";
import { heading, notice, remedy, targetSwitch, trail, type Context, type Page } from "../page.ts";
import { link, links } from "../router.ts";
import { causeWords, biasModeWords, count, displayName, isRunning, lsb, nameOf, percent, prose } from "../words.ts";
import { progressBar, stateTag } from "./analyses.ts";
import { detailSections } from "./details.ts";
import { BIAS, DEPLOYED, depthCurve, layersTable } from "./layers.ts";
import { accuracySection, findingsSection, outputsSection, provenanceSection, unmeasuredSection } from "./overview.ts";
import { whatIfsSection } from "./what_ifs.ts";

const POLL_MILLISECONDS = 1000;
const PATIENCE_MILLISECONDS = 80;

function unfinished(analysis: Analysis, { signal, refresh }: Context): Child {
  const place = el("div", { class: "card" });
  const draw = (now: Analysis) =>
    replace(
      place,
      el(
        "div",
        { class: "card-top" },
        stateTag(now.state),
        el("span", { class: "soft small" }, now.targets.map(displayName).join(", ")),
      ),
      progressBar(now),
    );
  const poll = async () => {
    try {
      const now = await api.analysis(analysis.id, signal);
      if (signal.aborted) return;
      if (!isRunning(now.state)) {
        announce(`${nameOf(now)}: ${displayName(now.state)}`);
        refresh();
        return;
      }
      draw(now);
    } catch {
      if (signal.aborted) return;
    }
    setTimeout(() => void poll(), POLL_MILLISECONDS);
  };
  if (isRunning(analysis.state)) {
    draw(analysis);
    setTimeout(() => {
      if (!signal.aborted) void poll();
    }, POLL_MILLISECONDS);
    return [place, el("p", { class: "soft" }, "The report appears here by itself when the analysis is done.")];
  }
  const failed = Boolean(analysis.error);
  return notice(
    failed ? "error" : "empty",
    failed ? displayName(analysis.error) : `This analysis is ${displayName(analysis.state)}.`,
    el(
      "p",
      null,
      failed
        ? "The message says what to change; then submit the analysis again."
        : "It has no report. Submit it again to get one.",
    ),
    el("p", null, el("a", { href: links.analyses() }, "All analyses")),
  );
}

function downloads(id: string): Child {
  if (isStatic()) return null;
  return el(
    "nav",
    { class: "row small", "aria-label": "Report as a file" },
    el("span", { class: "soft" }, "Download"),
    [
      ["html", "HTML"],
      ["json", "JSON"],
      ["markdown", "Markdown"],
      ["csv", "CSV"],
    ].map(([format = "", text]) => el("a", { href: api.reportAddress(id, format), download: true }, text)),
  );
}

function figures(report: Report, target: TargetView): HTMLElement {
  const find = (key: string) => target.paths.find((path) => `${path.reference}>${path.path}` === key);
  const bias = find(BIAS);
  const end = find(DEPLOYED);
  const biasShare = target.shares ? (target.shares.bias_rounding ?? 0) + (target.shares.bias_saturation ?? 0) : null;
  const main = CAUSES.filter((cause) => target.shares?.[cause] !== undefined).sort(
    (a, b) => (target.shares?.[b] ?? 0) - (target.shares?.[a] ?? 0),
  )[0];
  const biasLargest = Math.max(
    target.totals.bias_rounding?.max_absolute ?? 0,
    target.totals.bias_saturation?.max_absolute ?? 0,
  );
  const of = (value: number | undefined): Child =>
    value === undefined ? "–" : [count(value), el("span", { class: "beside" }, `of ${count(report.samples)} samples`)];
  const rows: [string, Child][] = [
    [
      "Share of the bias",
      biasShare === null ? "bit exact" : [percent(biasShare), el("span", { class: "beside" }, "of the difference")],
    ],
    ["Largest move by bias", [lsb(biasLargest), el("span", { class: "beside" }, "in any layer, injected")]],
    ["Answers changed by bias", of(bias?.top1_changed)],
    ["Answers changed in all", of(end?.top1_changed)],
    [
      "Largest cause",
      main
        ? [el("span", null, causeWords(main)), el("span", { class: "beside" }, percent(target.shares?.[main]))]
        : "none",
    ],
    [
      "Bias kept as",
      [
        biasModeWords(target.bias_mode),
        el(
          "span",
          { class: "beside" },
          `${displayName(target.evidence.kind.replaceAll("_", " "))}; ${count(target.coverage.analysed)} of ${count(target.coverage.mac_layers)} layers`,
        ),
      ],
    ],
  ];
  return el(
    "dl",
    { class: "figures" },
    rows.map(([term, value]) => el("div", null, el("dt", null, term), el("dd", null, value))),
  );
}

export async function analysisView(context: Context): Promise<Page> {
  const { route, signal } = context;
  const id = route.segments[1] ?? "";
  const analysis = await api.analysis(id, signal);
  const name = nameOf(analysis);
  const top = [isStatic() ? null : trail(["Analyses", links.analyses()], [name, null])];
  const { report } = analysis;
  if (!report || report.targets.length === 0) {
    return { title: name, content: [top, heading(name), unfinished(analysis, context)] };
  }
  const target = report.targets.find((one) => one.name === route.parameters["target"]) ?? report.targets[0];
  if (!target) throw new Error("The report has no target.");
  const sort = route.parameters["sort"] ?? "changed";

  const layersPlace = el("div", { class: "waiting" });
  const depthPlace = el("div", { class: "waiting" });
  // The order of the table is part of the link, and no new step in the history.
  const onSort = (column: string, descending: boolean) =>
    history.replaceState(
      null,
      "",
      link(["analyses", id], { target: target.name, sort: `${column} ${descending ? "down" : "up"}` }),
    );
  let table: ReturnType<typeof layersTable> | null = null;
  const fill = (rows: LayerRow[]) => {
    if (table) return table.setRows([...rows]);
    table = layersTable(id, target.name, [...rows], sort, onSort);
    layersPlace.className = "";
    return replace(layersPlace, table.element);
  };
  const filled = api
    .layers(id, target.name, fill, signal)
    .then((rows) => {
      if (signal.aborted) return;
      layersPlace.className = depthPlace.className = "";
      if (rows.length === 0) {
        replace(
          layersPlace,
          notice(
            "empty",
            "No layer was analysed.",
            el("p", null, "What was not measured is listed below, with the reason."),
          ),
        );
      } else {
        fill(rows);
        replace(depthPlace, depthCurve(id, target.name, rows));
      }
    })
    .catch((error: unknown) => {
      const { title, advice } = remedy(error);
      replace(layersPlace, notice("error", title, el("p", null, advice)));
    });
  // The headline does not wait for a long table; a short one comes with it.
  await Promise.race([filled, new Promise((done) => setTimeout(done, PATIENCE_MILLISECONDS))]);

  const own = report.findings.filter((finding) => !finding.target || finding.target === target.name);
  return {
    title: name,
    content: [
      top,
      heading(name, downloads(id)),
      targetSwitch(
        report.targets.map((one) => one.name),
        target.name,
        (other) => links.analysis(id, other),
      ),
      el("p", { class: "headline", id: "headline" }, prose(target.headline)),
      figures(report, target),
      section(
        "Why",
        {},
        el(
          "p",
          { class: "lead" },
          `Shares of the causes over all layers under ${displayName(target.title || target.name)}.`,
        ),
        shareBar(target.shares, true),
        target.shares
          ? shareLegend(target.shares, (cause) => (target.totals[cause]?.count ?? 0) > 0)
          : el("p", null, "Nothing differs: the models are bit exact."),
        target.sentences.length
          ? [
              el("h3", null, "In words"),
              el(
                "ul",
                { class: "say" },
                target.sentences.map((sentence) => el("li", null, prose(sentence))),
              ),
            ]
          : null,
      ),
      section(
        "Layers",
        { id: "layers" },
        el(
          "p",
          { class: "lead" },
          "Each layer alone, with the inputs of the trained model. ",
          el("a", { href: links.graph(id, target.name) }, "See them in the network"),
          isStatic()
            ? null
            : [" · ", el("a", { href: links.compare("", id, target.name) }, "Compare with another analysis")],
        ),
        layersPlace,
      ),
      report.layer_count > 0
        ? section(
            "Along the network",
            {},
            el("p", { class: "lead" }, "What each layer adds, and what has gathered up to there."),
            depthPlace,
          )
        : null,
      whatIfsSection(id, target.name, target.what_ifs),
      el("div", { class: "columns" }, outputsSection(report, target), accuracySection(report, target)),
      detailSections(id, target.name, target.details),
      findingsSection(id, target.name, own),
      unmeasuredSection(report.unmeasured),
      provenanceSection(analysis, report),
    ],
  };
}
