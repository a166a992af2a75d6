// The layers of one target: ranked in a table, and along the depth of the network in a curve.
import { shareBar, miniBar, sharesInWords } from "../bars.ts";
import { chart } from "../charts.ts";
import { CAUSES, type LayerRow, type Shares } from "../contract.ts";
import { el, replace, type Child } from "../dom.ts";
import { links } from "../router.ts";
import { dataTable, type Column } from "../table.ts";
import { count, counted, decibel, displayName, lsb, percent } from "../words.ts";

export const DEPLOYED = "fake_quant>target";
export const BIAS = "float_bias>quantized_bias";

export function sharesOf(row: LayerRow): Shares | null {
  const shares: Shares = {};
  let defined = false;
  for (const cause of CAUSES) {
    const share = row.causes[cause]?.share;
    if (share === null || share === undefined) continue;
    shares[cause] = share;
    defined = true;
  }
  return defined ? shares : null;
}

// Rounding and saturation may move the same code, so their counts are not added: the larger of the two.
export function biasRate(row: LayerRow): number | null {
  const rates = [row.causes.bias_rounding?.changed_rate, row.causes.bias_saturation?.changed_rate]
    .filter((rate): rate is number => rate !== null && rate !== undefined);
  return rates.length ? Math.max(...rates) : null;
}

export function layerName(row: { name: string; input_index: number }, severalInputs: boolean): string {
  const name = displayName(row.name) || "(no name)";
  return severalInputs ? `${name}, input ${row.input_index + 1}` : name;
}

function findingsMark(row: LayerRow): Child {
  const { error, warning } = row.findings;
  if (error) return el("span", { class: "tag error" }, counted(error, "error"));
  if (warning) return el("span", { class: "tag warning" }, counted(warning, "warning"));
  return null;
}

export function layersTable(id: string, target: string, rows: LayerRow[], sort: string, onSort: (sort: string, descending: boolean) => void) {
  const several = new Set<number>();
  const largest = Math.max(1e-12, ...rows.map((row) => row.causes.total?.changed_rate ?? 0));
  for (const row of rows) if (row.input_index > 0) several.add(row.layer_index);
  const [id0 = "changed", direction = ""] = sort.split(" ");
  const columns: Column<LayerRow>[] = [
    {
      id: "order", label: "Layer, in execution order", width: 13, key: (row) => row.layer_index * 1000 + row.input_index,
      cell: (row) => [
        el("a", {
          href: links.layer(id, row.layer_index, target, row.input_index), class: "clip", title: displayName(row.name),
          id: `layer-${row.layer_index}-${row.input_index}`,
        }, layerName(row, several.has(row.layer_index))),
        el("span", { class: "under" }, `${displayName(row.kind)}, ${counted(row.channels, "channel")}`)],
    },
    {
      id: "changed", label: "Changed codes", numeric: true, width: 8, key: (row) => row.causes.total?.changed_rate ?? null,
      describe: "Output codes of this layer that differ between the trained and the deployed model, injected",
      cell: (row) => [percent(row.causes.total?.changed_rate), miniBar((row.causes.total?.changed_rate ?? 0) / largest)],
    },
    { id: "max", label: "Largest", numeric: true, width: 5.5, key: (row) => row.causes.total?.max_absolute ?? null, cell: (row) => lsb(row.causes.total?.max_absolute) },
    {
      id: "cause", label: "Causes, by share", width: 16, key: (row) => sharesInWords(sharesOf(row)),
      cell: (row) => [shareBar(sharesOf(row)), el("div", { class: "parts", "aria-hidden": "true" }, sharesInWords(sharesOf(row), 3))],
    },
    { id: "bias", label: "Changed by bias", numeric: true, width: 8, key: biasRate, cell: (row) => percent(biasRate(row)),
      describe: "Codes that storing the bias as an integer changes: rounding or saturation, whichever changes more" },
    { id: "sqnr", label: "SQNR", numeric: true, width: 6, key: (row) => row.causes.total?.sqnr_db ?? null,
      cell: (row) => decibel(row.causes.total?.sqnr_db, row.causes.total?.changed === 0) },
    { id: "accumulated", label: "Accumulated", numeric: true, width: 7.5, key: (row) => row.accumulated[DEPLOYED]?.changed_rate ?? null,
      describe: "Changed codes when the whole network runs and errors travel", cell: (row) => percent(row.accumulated[DEPLOYED]?.changed_rate) },
    { id: "findings", label: "Findings", width: 6.5, key: (row) => -(row.findings.error * 1000 + row.findings.warning), cell: findingsMark },
  ];
  return dataTable<LayerRow>({
    caption: "Layers with their difference and its causes", columns, rows, rowHeight: 54, sort: id0, id: "layers-table",
    descending: direction ? direction === "down" : id0 !== "order", onSort,
  });
}

interface Measure {
  label: string;
  of: (figures: { changed_rate: number | null; max_absolute: number; sqnr_db: number | null } | null | undefined) => number | null;
  format: (value: number | null) => string;
  tick?: (value: number) => string;
  linearBelow?: number;
}

export const percentTick = (rate: number): string => `${Number((100 * rate).toPrecision(2))} %`;

const MEASURES: Record<string, Measure> = {
  changed: { label: "changed codes", of: (figures) => figures?.changed_rate ?? null, format: percent, tick: percentTick, linearBelow: 1e-4 },
  max: { label: "largest difference", of: (figures) => figures?.max_absolute ?? null, format: lsb },
  sqnr: { label: "SQNR", of: (figures) => figures?.sqnr_db ?? null, format: (value) => decibel(value) },
};

export function depthCurve(id: string, target: string, rows: LayerRow[]): HTMLElement {
  const place = el("div");
  const several = rows.some((row) => row.input_index > 0);
  const draw = (measureName: string) => {
    const measure = MEASURES[measureName] ?? MEASURES["changed"];
    if (!measure) return;
    const hasBias = rows.some((row) => row.accumulated[BIAS]);
    replace(place, chart({
      title: `Injected against accumulated, ${measure.label}`, xLabel: "layer, in execution order",
      names: rows.map((row) => layerName(row, several)),
      format: measure.format, ...(measure.tick ? { tick: measure.tick } : {}), ...(measure.linearBelow ? { linearBelow: measure.linearBelow } : {}),
      height: 300,
      series: [
        { label: "injected: this layer alone", color: "accent", dash: [], values: rows.map((row) => measure.of(row.causes.total)) },
        { label: "accumulated: all before it too", color: "bias_saturation", dash: [9, 4], values: rows.map((row) => measure.of(row.accumulated[DEPLOYED])) },
        ...(hasBias ? [{ label: "accumulated, by the bias alone", color: "line-bias", dash: [2, 4], values: rows.map((row) => measure.of(row.accumulated[BIAS])) }] : []),
      ],
      hrefOf: (i) => linkOf(rows[i]), onPick: (i) => { location.hash = linkOf(rows[i]); },
    }));
  };
  const linkOf = (row: LayerRow | undefined): string => row ? links.layer(id, row.layer_index, target, row.input_index) : "#/";
  const select = el("select", { id: "measure", onchange: (event) => draw((event.target as HTMLSelectElement).value) },
    Object.entries(MEASURES).map(([name, measure]) => el("option", { value: name }, measure.label)));
  draw("changed");
  return el("div", null,
    el("div", { class: "controls" }, el("span", null, el("label", { for: "measure" }, "Show"), select),
      el("span", { class: "soft small" }, `${count(rows.length)} rows; arrow keys move along the network, Enter opens the layer`)),
    place);
}
