// One layer under one target: stages and causes, histogram, channels, findings, static facts.
import { api, isStatic } from "../api.ts";
import { histogram, binWords, shareBar, shareLegend, swatch } from "../bars.ts";
import { CAUSES_AND_TOTAL, type CauseOrTotal, type LayerDetail, type Statistics } from "../contract.ts";
import { el, replace, section, type Child } from "../dom.ts";
import { definitions, heading, targetSwitch, trail, type Context, type Page } from "../page.ts";
import { links } from "../router.ts";
import { dataTable } from "../table.ts";
import {
  causeExplanation,
  causeWords,
  count,
  counted,
  decibel,
  displayName,
  lsb,
  nameOf,
  pathWords,
  percent,
  qparamsWords,
  real,
  signed,
  prose,
} from "../words.ts";
import { channelsSection } from "./channels.ts";
import { BIAS, DEPLOYED } from "./layers.ts";
import { findingEntry } from "./overview.ts";
import { layerWhatIfsSection } from "./what_ifs.ts";

const STAGE_BEHIND: Record<CauseOrTotal, string> = {
  float_arithmetic: "fake_quant → real",
  conversion: "real → converted",
  bias_rounding: "converted → bias_rounded",
  bias_saturation: "bias_rounded → bias_stored",
  accumulator: "bias_stored → accumulated",
  requantization: "accumulated → requantized",
  engine_residual: "requantized → engine",
  total: "fake_quant → last stage",
};

// The answer of this page in one sentence, from its integers.
function summary(detail: LayerDetail): string {
  const total = detail.causes.total;
  const biases = [detail.causes.bias_rounding, detail.causes.bias_saturation].filter((one): one is Statistics =>
    Boolean(one),
  );
  if (!total || total.count === 0) return "No sample reached this layer.";
  const all =
    total.changed === 0
      ? `All ${count(total.count)} output codes of this layer are equal.`
      : `This layer changes ${count(total.changed)} of ${count(total.count)} output codes (${percent(total.changed_rate)}), by at most ${lsb(total.max_absolute)}.`;
  const moved = biases.reduce((most, one) => (one.changed > most.changed ? one : most), biases[0] ?? total);
  if (biases.every((one) => one.changed === 0)) return `${all} The bias changes none.`;
  return `${all} The bias changes ${count(moved.changed)} (${percent(moved.changed_rate)}), by at most ${lsb(Math.max(...biases.map((one) => one.max_absolute)))}.`;
}

function causesSection(detail: LayerDetail): HTMLElement {
  const rows = CAUSES_AND_TOTAL.filter((cause) => detail.causes[cause] !== undefined);
  const figure = (cause: CauseOrTotal, cell: (one: Statistics) => Child): Child => {
    const one = detail.causes[cause];
    return one ? cell(one) : el("span", { class: "soft" }, "not run");
  };
  const largest = (cause: CauseOrTotal): number | null => detail.causes[cause]?.changed ?? null;
  return section(
    "Stages and causes",
    {},
    el(
      "p",
      { class: "lead" },
      "The layer is computed stage by stage from the same input codes; the difference of two stages is one cause. ",
      "Counts of causes do not add up, shares do.",
    ),
    shareBar(detail.shares, true),
    detail.shares
      ? shareLegend(detail.shares, (cause) => Boolean(detail.causes[cause]))
      : el("p", null, "Nothing differs: bit exact."),
    el("br"),
    dataTable<CauseOrTotal>({
      caption: "Causes of this layer's difference",
      rows,
      columns: [
        {
          id: "cause",
          label: "Cause",
          width: 15,
          cell: (cause) => [
            el("span", null, cause === "total" ? null : [swatchOf(cause), " "], el("b", null, causeWords(cause))),
            el(
              "span",
              { class: "under" },
              STAGE_BEHIND[cause],
              el("span", { class: "visually-hidden" }, `: ${causeExplanation(cause)}`),
            ),
          ],
        },
        {
          id: "changed",
          label: "Changed codes",
          numeric: true,
          width: 8,
          key: largest,
          cell: (cause) =>
            figure(cause, (one) => [count(one.changed), el("span", { class: "under" }, percent(one.changed_rate))]),
        },
        {
          id: "max",
          label: "Largest",
          numeric: true,
          width: 5.5,
          key: (cause) => detail.causes[cause]?.max_absolute ?? null,
          cell: (cause) => figure(cause, (one) => lsb(one.max_absolute)),
        },
        {
          id: "mean",
          label: "Mean, LSB",
          numeric: true,
          width: 6.5,
          cell: (cause) => figure(cause, (one) => signed(one.mean_lsb, (value) => real(value, 3))),
          describe: "Signed mean: not 0 where the difference leans to one side",
        },
        {
          id: "rms",
          label: "RMS, LSB",
          numeric: true,
          width: 6,
          cell: (cause) => figure(cause, (one) => real(one.rms_lsb, 3)),
        },
        {
          id: "sqnr",
          label: "SQNR",
          numeric: true,
          width: 6,
          cell: (cause) => figure(cause, (one) => decibel(one.sqnr_db, one.bit_exact)),
        },
        {
          id: "share",
          label: "Share",
          numeric: true,
          width: 6,
          key: (cause) => (cause === "total" ? null : (detail.shares?.[cause] ?? null)),
          cell: (cause) =>
            cause === "total" ? (detail.shares ? "100 %" : "–") : figure(cause, () => percent(detail.shares?.[cause])),
        },
      ],
    }).element,
    detail.engine_note ? el("p", { class: "small soft" }, `Real engine: ${displayName(detail.engine_note)}`) : null,
  );
}

function swatchOf(cause: Exclude<CauseOrTotal, "total">): Child {
  const mark = swatch(cause);
  mark.setAttribute("width", "12");
  mark.setAttribute("height", "12");
  return mark;
}

function histogramSection(detail: LayerDetail): Child {
  const known = CAUSES_AND_TOTAL.filter((cause) => detail.causes[cause]?.histogram);
  if (known.length === 0) return null;
  const first: CauseOrTotal = known.includes("total") ? "total" : (known[0] ?? "total");
  const place = el("div");
  const draw = (cause: CauseOrTotal) => {
    const bins = detail.causes[cause]?.histogram ?? [];
    replace(
      place,
      histogram(bins, cause),
      el(
        "details",
        null,
        el("summary", null, "The histogram as a table"),
        dataTable<number>({
          caption: `Histogram, ${causeWords(cause)}`,
          rows: bins.map((_, bin) => bin),
          columns: [
            { id: "bin", label: "Difference, LSB", width: 8, cell: binWords },
            { id: "codes", label: "Codes", numeric: true, width: 8, cell: (bin) => count(bins[bin]) },
          ],
        }).element,
      ),
    );
  };
  draw(first);
  return section(
    "Histogram of differences",
    {},
    el(
      "div",
      { class: "controls" },
      el(
        "span",
        null,
        el("label", { for: "histogram-cause" }, "Of"),
        el(
          "select",
          {
            id: "histogram-cause",
            onchange: (event) => draw((event.target as HTMLSelectElement).value as CauseOrTotal),
          },
          known.map((cause) =>
            el(
              "option",
              { value: cause, selected: cause === first },
              `${causeWords(cause)}${detail.causes[cause]?.changed === 0 ? " (bit exact)" : ""}`,
            ),
          ),
        ),
      ),
    ),
    place,
  );
}

function accumulatedSection(detail: LayerDetail): HTMLElement {
  const keys = Object.keys(detail.accumulated).filter((key) => detail.accumulated[key]);
  const words = (key: string): string => {
    const [reference = "", path = ""] = key.split(">");
    return `${pathWords(path)} against ${pathWords(reference)}`;
  };
  return section(
    "When the whole network runs",
    {},
    el(
      "p",
      { class: "lead" },
      "Accumulated: the difference at this layer with all that came from the layers before it.",
    ),
    keys.length === 0
      ? el("p", null, "Not measured.")
      : dataTable<string>({
          caption: "Accumulated differences at this layer",
          rows: [...keys].sort((a, b) => Number(b === DEPLOYED || b === BIAS) - Number(a === DEPLOYED || a === BIAS)),
          columns: [
            { id: "paths", label: "Path, against", width: 12, cell: words },
            {
              id: "changed",
              label: "Changed",
              numeric: true,
              width: 6,
              cell: (key) => percent(detail.accumulated[key]?.changed_rate),
            },
            {
              id: "max",
              label: "Largest",
              numeric: true,
              width: 5.5,
              cell: (key) => lsb(detail.accumulated[key]?.max_absolute),
            },
            {
              id: "sqnr",
              label: "SQNR",
              numeric: true,
              width: 6,
              cell: (key) => decibel(detail.accumulated[key]?.sqnr_db, detail.accumulated[key]?.bit_exact),
            },
          ],
        }).element,
  );
}

function factsSection(detail: LayerDetail): HTMLElement {
  const { layer } = detail;
  const rows: [string, Child][] = [
    ["Kind", displayName(layer.kind)],
    [
      "Source line",
      layer.source_line
        ? el("code", null, displayName(layer.source_line))
        : el("span", { class: "soft" }, "the model's file does not tell"),
    ],
    ["Module", layer.module_stack ? displayName(layer.module_stack) : "–"],
    ["Weights", `${count(layer.weights)} (${layer.weight_shape.join(" × ")})`],
    [
      "Weight codes changed by the conversion",
      layer.weight_codes_changed === null ? "–" : count(layer.weight_codes_changed),
    ],
    ["Activation", displayName(layer.activation)],
    [
      "Input",
      [
        qparamsWords(detail.input),
        layer.input_off_grid
          ? el("span", { class: "under" }, "the QAT model feeds it reals that were not fake-quantized")
          : null,
      ],
    ],
    ["Output", qparamsWords(layer.output)],
    ["Samples", count(detail.samples)],
    ["Real engine", detail.engine_measured ? "measured" : "not measured"],
  ];
  return section("Facts", {}, definitions(rows));
}

// A report file leaves out the channels of layers with little difference.
function leftOut(error: unknown): null {
  if (isStatic()) return null;
  throw error;
}

export async function layerView({ route, signal }: Context): Promise<Page> {
  const id = route.segments[1] ?? "";
  const index = Number(route.segments[3]);
  const input = Number(route.parameters["input"] ?? 0) || 0;
  const analysisSoon = api.analysis(id, signal);
  let target = route.parameters["target"] ?? "";
  if (!target) target = (await analysisSoon).report?.targets[0]?.name ?? "";
  const [analysis, detail, channels] = await Promise.all([
    analysisSoon,
    api.layer(id, index, target, input),
    api.channels(id, index, target, input).catch(leftOut),
  ]);
  const name = displayName(detail.layer.name) || "(no name)";
  const channel = route.parameters["channel"];
  const layers = analysis.report?.layer_count ?? 0;
  const step = (to: number, text: string): Child =>
    to >= 0 && to < layers
      ? el("a", { class: "button", href: links.layer(id, to, target, 0), rel: to < index ? "prev" : "next" }, text)
      : null;
  return {
    title: `${name} · ${nameOf(analysis)}`,
    content: [
      trail(
        ...(isStatic() ? [] : [["Analyses", links.analyses()] as [string, string]]),
        [nameOf(analysis), links.analysis(id, target)],
        [name, null],
      ),
      heading(
        name,
        el(
          "nav",
          { class: "row", "aria-label": "Layers" },
          step(index - 1, "← Layer before"),
          step(index + 1, "Layer after →"),
        ),
      ),
      el(
        "p",
        { class: "soft facts" },
        el("span", null, `${displayName(detail.layer.kind)}, ${counted(detail.channel_count, "channel")}`),
        detail.layer.source_line ? el("code", null, displayName(detail.layer.source_line)) : null,
        detail.layer.module_stack ? el("span", null, displayName(detail.layer.module_stack)) : null,
      ),
      targetSwitch(detail.targets, target, (other) =>
        links.layer(id, index, other, input, channel ? Number(channel) : null),
      ),
      detail.inputs > 1
        ? el(
            "nav",
            { class: "switch", "aria-label": "Input grid" },
            el("span", { class: "switch-label" }, "Input"),
            el(
              "ul",
              null,
              Array.from({ length: detail.inputs }, (_, i) =>
                el(
                  "li",
                  null,
                  el(
                    "a",
                    {
                      href: links.layer(id, index, target, i),
                      id: `input-${i}`,
                      "aria-current": i === detail.input_index ? "true" : null,
                    },
                    `${i + 1} of ${detail.inputs}`,
                  ),
                ),
              ),
            ),
          )
        : null,
      el("p", { class: "headline" }, prose(summary(detail))),
      detail.findings.length
        ? section(
            "Findings",
            { id: "findings" },
            detail.findings.map((finding) => findingEntry(finding, null)),
          )
        : null,
      causesSection(detail),
      histogramSection(detail),
      channels === null
        ? section(
            "Channels",
            { id: "channels" },
            el("p", null, "Left out, so that this file stays small: the JSON report has them."),
          )
        : channelsSection(
            { id, index, target, input, channel: channel === undefined ? null : Number(channel) },
            channels,
            detail,
          ),
      layerWhatIfsSection(detail.what_ifs),
      el("div", { class: "columns" }, accumulatedSection(detail), factsSection(detail)),
    ],
  };
}
