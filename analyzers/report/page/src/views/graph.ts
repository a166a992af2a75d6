// The deployed network, coloured by the difference of its layers.
import { api, isStatic } from "../api.ts";
import type { Graph, GraphNode, LayerRow } from "../contract.ts";
import { el, replace, section, style, svg, type Child } from "../dom.ts";
import { layoutGraph } from "../layout.ts";
import { heading, notice, targetSwitch, trail, type Context, type Page } from "../page.ts";
import { link, links } from "../router.ts";
import { dataTable } from "../table.ts";
import { displayName, nameOf, percent } from "../words.ts";
import { BIAS, DEPLOYED, biasRate } from "./layers.ts";

const NODE_WIDTH = 204;
const NODE_HEIGHT = 46;
const ROW_HEIGHT = 76;
const LONGEST_NAME = 26;
const ZOOMS = [0.4, 0.6, 0.8, 1, 1.3];

const STEPS: { below: number; text: string }[] = [
  { below: 0, text: "none" },
  { below: 0.001, text: "below 0.1 %" },
  { below: 0.01, text: "below 1 %" },
  { below: 0.1, text: "below 10 %" },
  { below: Infinity, text: "10 % and more" },
];

function heatOf(rate: number): number {
  return rate === 0 ? 0 : STEPS.findIndex((step, i) => i > 0 && rate < step.below);
}

const MEASURES: Record<string, { label: string; of: (row: LayerRow) => number | null }> = {
  total: { label: "changed codes, injected", of: (row) => row.causes.total?.changed_rate ?? null },
  bias: { label: "changed by the bias, injected", of: biasRate },
  accumulated: { label: "changed codes, accumulated", of: (row) => row.accumulated[DEPLOYED]?.changed_rate ?? null },
  accumulated_bias: {
    label: "changed by the bias, accumulated",
    of: (row) => row.accumulated[BIAS]?.changed_rate ?? null,
  },
};

// The row with the largest difference stands for a layer that several inputs reach.
function rowsByLayer(rows: LayerRow[], of: (row: LayerRow) => number | null): Map<number, LayerRow> {
  const found = new Map<number, LayerRow>();
  for (const row of rows) {
    const known = found.get(row.layer_index);
    if (!known || (of(row) ?? -1) > (of(known) ?? -1)) found.set(row.layer_index, row);
  }
  return found;
}

function shortened(name: string): string {
  const characters = [...displayName(name)];
  // The end of a module path tells more than its beginning.
  return characters.length <= LONGEST_NAME ? characters.join("") : `…${characters.slice(1 - LONGEST_NAME).join("")}`;
}

function curve(points: { x: number; y: number }[]): string {
  const bent = points.map((point, i) => ({
    x: point.x,
    y: point.y + (i === 0 ? NODE_HEIGHT / 2 : i === points.length - 1 ? -NODE_HEIGHT / 2 - 5 : 0),
  }));
  const [start, ...rest] = bent;
  if (!start) return "";
  let path = `M${start.x.toFixed(1)} ${start.y.toFixed(1)}`;
  let from = start;
  for (const to of rest) {
    const middle = (from.y + to.y) / 2;
    path += `C${from.x.toFixed(1)} ${middle.toFixed(1)} ${to.x.toFixed(1)} ${middle.toFixed(1)} ${to.x.toFixed(1)} ${to.y.toFixed(1)}`;
    from = to;
  }
  return path;
}

interface Drawing {
  id: string;
  target: string;
  nodes: GraphNode[];
  rows: LayerRow[];
}

function picture({ id, target, nodes, rows }: Drawing, measureName: string): SVGSVGElement {
  const measure = MEASURES[measureName] ?? MEASURES["total"];
  const of = measure?.of ?? (() => null);
  const byLayer = rowsByLayer(rows, of);
  const layout = layoutGraph(nodes, NODE_WIDTH, ROW_HEIGHT);
  const drawn = nodes.map((node): Child => {
    const place = layout.nodes.get(node.id);
    if (!place) return null;
    const row = node.layer_index === null ? undefined : byLayer.get(node.layer_index);
    const rate = row ? of(row) : null;
    const heat = rate === null ? null : heatOf(rate);
    const words = rate === null ? displayName(node.kind) : `${displayName(node.kind)} · ${percent(rate)}`;
    const ink = heat === null ? "" : ` on${heat}`;
    const box = [
      svg(
        "rect",
        {
          x: place.x - NODE_WIDTH / 2,
          y: place.y - NODE_HEIGHT / 2,
          width: NODE_WIDTH,
          height: NODE_HEIGHT,
          rx: 8,
          class: `box ${heat === null ? "plain" : `heat${heat}`}`,
        },
        svg("title", null, `${displayName(node.name)}, ${words}${node.module ? `\n${displayName(node.module)}` : ""}`),
      ),
      svg("text", { x: place.x - NODE_WIDTH / 2 + 12, y: place.y - 4, class: `name${ink}` }, shortened(node.name)),
      svg("text", { x: place.x - NODE_WIDTH / 2 + 12, y: place.y + 13, class: `kind${ink}` }, words),
    ];
    return row
      ? svg("a", { href: links.layer(id, row.layer_index, target, row.input_index) }, box)
      : svg("g", null, box);
  });
  return svg(
    "svg",
    {
      viewBox: `0 0 ${layout.width} ${layout.height}`,
      role: "group",
      "aria-label": `The network, coloured by ${measure?.label ?? ""}`,
      "data-width": layout.width,
      "data-height": layout.height,
    },
    svg(
      "defs",
      null,
      svg(
        "marker",
        { id: "arrow", viewBox: "0 0 8 8", refX: 6, refY: 4, markerWidth: 6, markerHeight: 6, orient: "auto" },
        svg("path", { d: "M0 0L8 4L0 8Z", class: "arrowhead" }),
      ),
    ),
    layout.edges.map((edge) => svg("path", { d: curve(edge.points), class: "edge", "marker-end": "url(#arrow)" })),
    drawn,
  );
}

function legend(): HTMLElement {
  return el(
    "ul",
    { class: "legend", "aria-label": "Colours" },
    STEPS.map((step, i) =>
      el(
        "li",
        null,
        svg(
          "svg",
          { viewBox: "0 0 14 14", "aria-hidden": "true" },
          svg("rect", { width: 14, height: 14, rx: 3, class: `heat${i}` }),
        ),
        step.text,
      ),
    ),
    el(
      "li",
      null,
      svg(
        "svg",
        { viewBox: "0 0 14 14", "aria-hidden": "true" },
        svg("rect", { x: 0.5, y: 0.5, width: 13, height: 13, rx: 3, class: "plain box" }),
      ),
      "not a measured layer",
    ),
  );
}

function nodesTable({ id, target, nodes, rows }: Drawing): HTMLElement {
  const byLayer = rowsByLayer(rows, (row) => row.causes.total?.changed_rate ?? null);
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const rowOf = (node: GraphNode): LayerRow | undefined =>
    node.layer_index === null ? undefined : byLayer.get(node.layer_index);
  const details = el("details", null, el("summary", null, "The network as a table"));
  details.addEventListener("toggle", () => {
    if (!details.open || details.children.length > 1) return;
    details.append(
      dataTable<GraphNode>({
        caption: "Operators in execution order",
        rows: nodes,
        rowHeight: 38,
        columns: [
          {
            id: "name",
            label: "Operator",
            width: 13,
            cell: (node) => {
              const row = rowOf(node);
              const name = displayName(node.name);
              return row
                ? el("a", { href: links.layer(id, row.layer_index, target, row.input_index), class: "clip" }, name)
                : el("span", { class: "clip" }, name);
            },
          },
          { id: "kind", label: "Kind", width: 8, key: (node) => node.kind, cell: (node) => displayName(node.kind) },
          {
            id: "inputs",
            label: "Takes",
            width: 14,
            cell: (node) =>
              el(
                "span",
                { class: "clip" },
                node.inputs.map((input) => displayName(byId.get(input)?.name ?? String(input))).join(", ") || "–",
              ),
          },
          {
            id: "injected",
            label: "Injected",
            numeric: true,
            width: 7,
            key: (node) => rowOf(node)?.causes.total?.changed_rate ?? null,
            cell: (node) => percent(rowOf(node)?.causes.total?.changed_rate),
          },
          {
            id: "accumulated",
            label: "Accumulated",
            numeric: true,
            width: 8,
            key: (node) => rowOf(node)?.accumulated[DEPLOYED]?.changed_rate ?? null,
            cell: (node) => percent(rowOf(node)?.accumulated[DEPLOYED]?.changed_rate),
          },
        ],
      }).element,
    );
  });
  return details;
}

export async function graphView({ route, signal }: Context): Promise<Page> {
  const id = route.segments[1] ?? "";
  const [analysis, graph] = await Promise.all([api.analysis(id, signal), api.graph(id) as Promise<Graph | null>]);
  const target = route.parameters["target"] ?? analysis.report?.targets[0]?.name ?? "";
  const name = nameOf(analysis);
  const nodes = graph?.nodes ?? [];
  const top: Child = [
    trail(
      ...(isStatic() ? [] : [["Analyses", links.analyses()] as [string, string]]),
      [name, links.analysis(id, target)],
      ["Network", null],
    ),
    heading("Network"),
    targetSwitch(
      (analysis.report?.targets ?? []).map((one) => one.name),
      target,
      (other) => links.graph(id, other),
    ),
  ];
  if (nodes.length === 0) {
    return {
      title: `Network · ${name}`,
      content: [
        top,
        notice(
          "empty",
          "This report has no network graph.",
          el("p", null, "It was measured by an older version; analyse the model again to get one."),
        ),
      ],
    };
  }
  const rows = await api.layers(id, target, () => undefined, signal);
  const drawing: Drawing = { id, target, nodes, rows };
  const frame = el("div", { class: "graph", tabindex: 0, role: "region", "aria-label": "Network graph" });
  let measure = route.parameters["by"] ?? "total";
  let zoom = window.innerWidth < 600 ? 0.8 : 1;
  const scale = () => {
    const drawnGraph = frame.querySelector("svg");
    if (!drawnGraph) return;
    style(drawnGraph, {
      width: `${Number(drawnGraph.dataset["width"]) * zoom}px`,
      height: `${Number(drawnGraph.dataset["height"]) * zoom}px`,
    });
  };
  const draw = () => {
    replace(frame, picture(drawing, measure));
    scale();
  };
  const zoomBy = (step: number) => () => {
    zoom = ZOOMS[Math.min(ZOOMS.length - 1, Math.max(0, ZOOMS.findIndex((one) => one >= zoom) + step))] ?? 1;
    scale();
  };
  draw();
  requestAnimationFrame(() => {
    frame.scrollLeft = (frame.scrollWidth - frame.clientWidth) / 2;
  });
  return {
    title: `Network · ${name}`,
    content: [
      top,
      section(
        "The deployed network",
        {},
        el(
          "p",
          { class: "lead" },
          "Quantize and dequantize are part of their operator. A layer is coloured by its difference; its figure stands beside its kind.",
        ),
        el(
          "div",
          { class: "controls" },
          el(
            "span",
            null,
            el("label", { for: "graph-measure" }, "Colour by"),
            el(
              "select",
              {
                id: "graph-measure",
                onchange: (event) => {
                  measure = (event.target as HTMLSelectElement).value;
                  history.replaceState(null, "", link(["analyses", id, "graph"], { target, by: measure }));
                  draw();
                },
              },
              Object.entries(MEASURES).map(([value, one]) =>
                el("option", { value, selected: value === measure }, one.label),
              ),
            ),
          ),
          el(
            "span",
            { role: "group", "aria-label": "Size" },
            el("button", { class: "button", type: "button", onclick: zoomBy(-1), "aria-label": "Smaller" }, "−"),
            el("button", { class: "button", type: "button", onclick: zoomBy(1), "aria-label": "Larger" }, "+"),
          ),
        ),
        legend(),
        el("br"),
        frame,
        nodesTable(drawing),
      ),
    ],
  };
}
