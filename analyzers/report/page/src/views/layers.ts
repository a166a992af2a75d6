// The layers of one target: ranked in a table, and along the depth of the network in a curve.
import { shareBar, miniBar, sharesInWords } from "../bars.ts";
import { chart } from "../charts.ts";
import { CAUSES, type LayerRow, type Shares } from "../contract.ts";
import { el, replace, type Child } from "../dom.ts";
import { links } from "../router.ts";
import { dataTable, type Column } from "../table.ts";
import { count, counted, decibel, displayName, lsb, percent, signed } from "../words.ts";

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
  const rates = [row.causes.bias_rounding?.changed_rate, row.causes.bias_saturation?.changed_rate].filter(
    (rate): rate is number => rate !== null && rate !== undefined,
  );
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

export function layersTable(
  id: string,
  target: string,
  rows: LayerRow[],
  sort: string,
  onSort: (sort: string, descending: boolean) => void,
) {
  const several = new Set<number>();
  let largest = 1e-12;
  const survey = (all: LayerRow[]) => {
    for (const row of all) {
      largest = Math.max(largest, row.causes.total?.changed_rate ?? 0);
      if (row.input_index > 0) several.add(row.layer_index);
    }
  };
  survey(rows);
  const [id0 = "changed", direction = ""] = sort.split(" ");
  const columns: Column<LayerRow>[] = [
    {
      id: "order",
      label: "Layer",
      describe: "Sorts in the order of execution",
      width: 13,
      key: (row) => row.layer_index * 1000 + row.input_index,
      cell: (row) => [
        el(
          "a",
          {
            href: links.layer(id, row.layer_index, target, row.input_index),
            class: "clip",
            title: displayName(row.name),
            id: `layer-${row.layer_index}-${row.input_index}`,
          },
          layerName(row, several.has(row.layer_index)),
        ),
        el("span", { class: "under" }, `${displayName(row.kind)}, ${counted(row.channels, "channel")}`),
      ],
    },
    {
      id: "changed",
      label: "Changed codes",
      numeric: true,
      width: 7.5,
      key: (row) => row.causes.total?.changed_rate ?? null,
      describe: "Output codes of this layer that differ between the trained and the deployed model, injected",
      cell: (row) => [
        percent(row.causes.total?.changed_rate),
        miniBar((row.causes.total?.changed_rate ?? 0) / largest),
      ],
    },
    {
      id: "max",
      label: "Largest",
      numeric: true,
      width: 5,
      key: (row) => row.causes.total?.max_absolute ?? null,
      cell: (row) => lsb(row.causes.total?.max_absolute),
    },
    {
      id: "cause",
      label: "Causes, by share",
      width: 14,
      key: (row) => sharesInWords(sharesOf(row)),
      cell: (row) => [
        shareBar(sharesOf(row)),
        el("div", { class: "parts", "aria-hidden": "true" }, sharesInWords(sharesOf(row), 2)),
      ],
    },
    {
      id: "bias",
      label: "Changed by bias",
      numeric: true,
      width: 8,
      key: biasRate,
      cell: (row) => percent(biasRate(row)),
      describe: "Codes that storing the bias as an integer changes: rounding or saturation, whichever changes more",
    },
    {
      id: "sqnr",
      label: "SQNR",
      numeric: true,
      width: 6,
      key: (row) => row.causes.total?.sqnr_db ?? null,
      cell: (row) => decibel(row.causes.total?.sqnr_db, row.causes.total?.changed === 0),
    },
    {
      id: "accumulated",
      label: "Accumulated",
      numeric: true,
      width: 7,
      key: (row) => row.accumulated[DEPLOYED]?.changed_rate ?? null,
      describe: "Changed codes when the whole network runs and errors travel",
      cell: (row) => percent(row.accumulated[DEPLOYED]?.changed_rate),
    },
    {
      id: "propagated",
      label: "Propagated",
      numeric: true,
      width: 6.5,
      key: (row) => row.propagated_changed_rate,
      describe: "Accumulated minus injected: what comes from the layers before; negative where they hide the layer's own",
      cell: (row) => signed(row.propagated_changed_rate, percent),
    },
    {
      id: "findings",
      label: "Findings",
      width: 6,
      key: (row) => -(row.findings.error * 1000 + row.findings.warning),
      cell: findingsMark,
    },
  ];
  const table = dataTable<LayerRow>({
    caption: "Layers with their difference and its causes",
    columns,
    rows,
    rowHeight: 54,
    sort: id0,
    id: "layers-table",
    descending: direction ? direction === "down" : id0 !== "order",
    onSort,
  });
  return {
    element: table.element,
    setRows: (all: LayerRow[]) => {
      survey(all);
      table.setRows(all);
    },
  };
}

type Figures = { changed_rate: number | null; max_absolute: number; sqnr_db: number | null };

interface Measure {
  label: string;
  of: (figures: Figures | null | undefined) => number | null;
  worst: (values: number[]) => number;
  format: (value: number | null) => string;
  tick?: (value: number) => string;
  linearBelow?: number;
}

export const percentTick = (rate: number): string => `${Number((100 * rate).toPrecision(2))} %`;

const MEASURES: Record<string, Measure> = {
  changed: {
    label: "changed codes",
    of: (figures) => figures?.changed_rate ?? null,
    worst: (values) => Math.max(...values),
    format: percent,
    tick: percentTick,
    linearBelow: 1e-4,
  },
  max: {
    label: "largest difference",
    of: (figures) => figures?.max_absolute ?? null,
    worst: (values) => Math.max(...values),
    format: lsb,
  },
  sqnr: {
    label: "SQNR",
    of: (figures) => figures?.sqnr_db ?? null,
    worst: (values) => Math.min(...values),
    format: (value) => decibel(value),
  },
};

// More points than a screen can show are drawn in groups of neighbours.
const MOST_POINTS = 250;

// The layer with the largest injected difference stands for its group.
function grouped(rows: LayerRow[]): LayerRow[][] {
  const size = Math.ceil(rows.length / MOST_POINTS);
  const groups: LayerRow[][] = [];
  for (let i = 0; i < rows.length; i += size) {
    groups.push(
      rows.slice(i, i + size).sort((a, b) => (b.causes.total?.changed_rate ?? 0) - (a.causes.total?.changed_rate ?? 0)),
    );
  }
  return groups;
}

export function depthCurve(id: string, target: string, rows: LayerRow[]): HTMLElement {
  const place = el("div");
  const several = rows.some((row) => row.input_index > 0);
  const hasBias = rows.some((row) => row.accumulated[BIAS]);
  const groups = grouped(rows);
  const size = groups[0]?.length ?? 1;
  const linkOf = (group: LayerRow[] | undefined): string => {
    const row = group?.[0];
    return row ? links.layer(id, row.layer_index, target, row.input_index) : "#/";
  };
  const draw = (measureName: string) => {
    const measure = MEASURES[measureName] ?? MEASURES["changed"];
    if (!measure) return;
    const line = (of: (row: LayerRow) => Figures | null | undefined): (number | null)[] =>
      groups.map((group) => {
        const values = group.map((row) => measure.of(of(row))).filter((value): value is number => value !== null);
        return values.length === 0 ? null : measure.worst(values);
      });
    replace(
      place,
      chart({
        title: `Injected against accumulated, ${measure.label}${size > 1 ? `; each point is the worst of ${size} neighbouring layers` : ""}`,
        xLabel: size > 1 ? `groups of ${size} layers, in execution order` : "layer, in execution order",
        names: groups.map((group) => (group[0] ? layerName(group[0], several) : "")),
        format: measure.format,
        ...(measure.tick ? { tick: measure.tick } : {}),
        ...(measure.linearBelow ? { linearBelow: measure.linearBelow } : {}),
        height: 300,
        series: [
          { label: "injected: this layer alone", color: "accent", dash: [], values: line((row) => row.causes.total) },
          {
            label: "accumulated: all before it too",
            color: "bias_saturation",
            dash: [9, 4],
            values: line((row) => row.accumulated[DEPLOYED]),
          },
          ...(hasBias
            ? [
                {
                  label: "accumulated, by the bias alone",
                  color: "line-bias",
                  dash: [2, 4],
                  values: line((row) => row.accumulated[BIAS]),
                },
              ]
            : []),
        ],
        hrefOf: (i) => linkOf(groups[i]),
        onPick: (i) => {
          location.hash = linkOf(groups[i]);
        },
      }),
    );
  };
  const select = el(
    "select",
    { id: "measure", onchange: (event) => draw((event.target as HTMLSelectElement).value) },
    Object.entries(MEASURES).map(([name, measure]) => el("option", { value: name }, measure.label)),
  );
  draw("changed");
  return el(
    "div",
    null,
    el(
      "div",
      { class: "controls" },
      el("span", null, el("label", { for: "measure" }, "Show"), select),
      el(
        "span",
        { class: "soft small" },
        `${count(rows.length)} rows; arrow keys move along the network, Enter opens the layer`,
      ),
    ),
    place,
  );
}
