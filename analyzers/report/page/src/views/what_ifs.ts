// Other ways of keeping the bias, measured beside the plain one: of a target, and of one layer.
import type { LayerWhatIfs, Recommendation, RecommendedLayer, Statistics, WhatIfWay, WhatIfs } from "../contract.ts";
import { el, section, type Child } from "../dom.ts";
import { links } from "../router.ts";
import { dataTable } from "../table.ts";
import { count, counted, displayName, lsb, percent } from "../words.ts";

const DEPLOYED_WAY = "plain";
const WHERE = "Injected view: each layer alone, with the inputs of the trained model, against its outputs.";

// "sentence case" of words that the server made.
function title(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function savings({ count: of, changed_before: before, changed_after: after }: Recommendation): string {
  const rates = `${percent(after / of)} instead of ${percent(before / of)}`;
  return `${count(after)} of ${count(of)} outputs change instead of ${count(before)} (${rates})`;
}

function layersWords(row: WhatIfWay): string {
  if (row.what_if === DEPLOYED_WAY) return counted(row.layers, "layer");
  if (row.better === 0 && row.worse === 0) return "as many in every layer";
  return `better in ${count(row.better)}, worse in ${count(row.worse)} of ${count(row.layers)}`;
}

function waysTable(ways: WhatIfWay[]): HTMLElement {
  return dataTable<WhatIfWay>({
    caption: "Ways of keeping the bias, over all layers that have the row",
    rows: ways,
    columns: [
      { id: "way", label: "The bias", width: 16, cell: (row) => el("b", null, title(row.words)) },
      {
        id: "changed",
        label: "Outputs changed",
        numeric: true,
        width: 8,
        key: (row) => row.changed_rate,
        cell: (row) => [count(row.changed_after), el("span", { class: "under" }, percent(row.changed_rate))],
      },
      {
        id: "deployed",
        label: "As deployed",
        numeric: true,
        width: 8,
        key: (row) => row.changed_before,
        cell: (row) => [
          count(row.changed_before),
          el("span", { class: "under" }, row.count ? percent(row.changed_before / row.count) : "–"),
        ],
      },
      {
        id: "layers",
        label: "Layers",
        width: 17,
        key: (row) => row.better - row.worse,
        cell: layersWords,
      },
    ],
  }).element;
}

export function whatIfsSection(id: string, target: string, whatIfs: WhatIfs | null): Child {
  if (!whatIfs) return null;
  const { ways, recommended } = whatIfs;
  return section(
    "What would help",
    { id: "what-ifs" },
    el("p", { class: "lead" }, WHERE),
    waysTable(ways),
    el("h3", null, "Recommended"),
    recommended.length === 0
      ? el("p", null, "Nothing: no way saves one changed output in 10,000 in any layer.")
      : dataTable<RecommendedLayer>({
          caption: "Layers that something helps",
          rows: recommended,
          rowHeight: 44,
          columns: [
            {
              id: "layer",
              label: "Layer",
              width: 11,
              cell: (row) =>
                el("a", { href: links.layer(id, row.layer_index, target, row.input_index) }, displayName(row.title)),
            },
            { id: "advice", label: "Advice", width: 25, key: (row) => row.advice, cell: (row) => title(row.advice) },
            {
              id: "saved",
              label: "Saved",
              numeric: true,
              width: 7,
              describe: "Changed outputs that it saves",
              key: (row) => row.gain_rate,
              cell: (row) => percent(row.gain_rate),
            },
            {
              id: "from",
              label: "From, to",
              numeric: true,
              width: 10,
              cell: (row) => `${percent(row.changed_before / row.count)} → ${percent(row.changed_after / row.count)}`,
            },
          ],
        }).element,
  );
}

function changed(statistics: Statistics | null): Child {
  if (!statistics) return el("span", { class: "soft" }, "not measured");
  return [count(statistics.changed), el("span", { class: "under" }, percent(statistics.changed_rate))];
}

export function layerWhatIfsSection(whatIfs: LayerWhatIfs | null): Child {
  if (!whatIfs) return null;
  type Row = LayerWhatIfs["rows"][number];
  const { recommendation } = whatIfs;
  return section(
    "What would help",
    { id: "what-ifs" },
    el(
      "p",
      { class: "lead" },
      `${WHERE} Ranges and roundings come from ${counted(whatIfs.calibration_samples, "sample")}.`,
    ),
    el(
      "p",
      null,
      recommendation
        ? [el("b", null, `${title(recommendation.advice)}: `), `${savings(recommendation)}.`]
        : "Nothing is recommended: no way saves one changed output in 10,000.",
    ),
    dataTable<Row>({
      caption: "Ways of keeping this layer's bias",
      rows: whatIfs.rows,
      columns: [
        {
          id: "way",
          label: "The bias",
          width: 17,
          cell: (row) => [
            el("b", null, title(row.words)),
            row.note ? el("span", { class: "under" }, displayName(row.note)) : null,
          ],
        },
        {
          id: "changed",
          label: "Changed, against trained",
          numeric: true,
          width: 9,
          key: (row) => row.against_fake_quant?.changed ?? null,
          cell: (row) => changed(row.against_fake_quant),
        },
        {
          id: "max",
          label: "Largest",
          numeric: true,
          width: 6,
          key: (row) => row.against_fake_quant?.max_absolute ?? null,
          cell: (row) => (row.against_fake_quant ? lsb(row.against_fake_quant.max_absolute) : "–"),
        },
        {
          id: "bias",
          label: "Changed, against float bias",
          numeric: true,
          width: 9,
          key: (row) => row.against_float_bias?.changed ?? null,
          cell: (row) => changed(row.against_float_bias),
        },
      ],
    }).element,
  );
}
