// Line charts: drawn on a canvas by uPlot, read by keyboard as a slider, and told in full by a table.
import uPlot from "uplot";
import { dataTable } from "./table.ts";
import { el, replace, style, svg, type Child } from "./dom.ts";

export interface Series {
  label: string;
  // Name of a colour in app.css.
  color: string;
  dash: number[];
  values: (number | null)[];
  // Bars from 0 instead of a line.
  bars?: boolean;
}

export interface ChartOptions {
  title: string;
  xLabel: string;
  names: string[];
  series: Series[];
  format: (value: number | null) => string;
  // Of a tick; `format` where it is left out.
  tick?: (value: number) => string;
  // Rates of a millionth and of a half in one picture: proportional above this size, linear below it.
  linearBelow?: number;
  height?: number;
  onPick?: (index: number) => void;
  start?: number | null;
  hrefOf?: (index: number) => string;
}

const color = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function swatch(series: Series): SVGSVGElement {
  const line = style(
    svg("line", {
      x1: 0,
      x2: 26,
      y1: 7,
      y2: 7,
      "stroke-width": series.bars ? 9 : 2.5,
      "stroke-dasharray": series.dash.join(" ") || null,
    }),
    { stroke: `var(--${series.color})` },
  );
  return style(svg("svg", { viewBox: "0 0 26 14", "aria-hidden": "true" }, line), { width: "26px" });
}

// Ticks at powers of ten, because uPlot's own are crowded around 0 on this scale.
function powers(linearBelow: number, low: number, high: number): number[] {
  const ticks = [0];
  for (let size = linearBelow; size <= 1e12; size *= 10) {
    if (size <= high * 1.0001) ticks.push(size);
    if (-size >= low * 1.0001) ticks.unshift(-size);
  }
  return ticks;
}

function plotOptions(
  options: ChartOptions,
  width: number,
  height: number,
  onCursor: (index: number | null) => void,
  onReady: () => void,
): uPlot.Options {
  const axis = {
    stroke: color("soft"),
    grid: { stroke: color("line"), width: 1 },
    ticks: { stroke: color("line"), width: 1, size: 4 },
    font: "12px Inter, system-ui, sans-serif",
  };
  const tick = options.tick ?? options.format;
  const { linearBelow } = options;
  const whole = options.series.flatMap((series) => series.values).filter((value): value is number => value !== null);
  const high = Math.max(0, ...whole);
  const low = Math.min(0, ...whole);
  const last = options.names.length - 1;
  return {
    width,
    height,
    legend: { show: false },
    padding: [10, 10, 0, 0],
    cursor: {
      y: false,
      drag: { x: false, y: false, setScale: false },
      points: {
        size: 7,
        fill: (u, i) =>
          String(u.series[i]?.stroke instanceof Function ? color(options.series[i - 1]?.color ?? "text") : ""),
      },
    },
    scales: {
      x: { time: false, range: [-0.5, Math.max(0.5, last + 0.5)] },
      y: {
        range: () => (high === low ? [0, linearBelow ?? 1] : [low * 1.08, high * 1.12]),
        ...(linearBelow ? { distr: 4 as const, asinh: linearBelow } : {}),
      },
    },
    axes: [
      {
        ...axis,
        label: options.xLabel,
        labelSize: 22,
        labelFont: "12px Inter, system-ui, sans-serif",
        size: 30,
        grid: { show: false },
        incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
        values: (_, values) =>
          values.map((value) => (Number.isInteger(value) && value >= 0 && value <= last ? String(value) : "")),
      },
      {
        ...axis,
        size: 64,
        values: (_, values) => values.map((value) => tick(value)),
        ...(linearBelow ? { splits: () => powers(linearBelow, low * 1.08, high * 1.12) } : {}),
      },
    ],
    series: [
      {},
      ...options.series.map((series): uPlot.Series => ({
        label: series.label,
        stroke: () => color(series.color),
        width: series.bars ? 0 : 2,
        dash: series.dash,
        spanGaps: false,
        points: { show: !series.bars && options.names.length <= 80, size: 5, fill: () => color("card") },
        ...(series.bars && uPlot.paths.bars
          ? { paths: uPlot.paths.bars({ size: [0.8, 40] }), fill: () => color(series.color) }
          : {}),
      })),
    ],
    hooks: { setCursor: [(u) => onCursor(u.cursor.idx ?? null)], ready: [onReady] },
  };
}

export function chart(options: ChartOptions): HTMLElement {
  const { names, series, height = 260 } = options;
  const readout = el("p", { class: "readout" });
  const plot = style(
    el("div", {
      class: "plot",
      role: "slider",
      tabindex: 0,
      "aria-label": `${options.title}: position`,
      "aria-valuemin": 0,
      "aria-valuemax": Math.max(0, names.length - 1),
      "aria-orientation": "horizontal",
    }),
    { "--plot-height": `${height}px` },
  );
  const start = options.start ?? null;
  let at = start ?? 0;
  let view: uPlot | null = null;

  const parts = (index: number): string[] =>
    series.map((one) => `${one.label} ${options.format(one.values[index] ?? null)}`);
  const tell = (index: number) => {
    at = index;
    replace(readout, el("b", null, names[index] ?? ""), ` ${parts(index).join(" · ")}`);
    plot.setAttribute("aria-valuenow", String(index));
    plot.setAttribute("aria-valuetext", `${names[index] ?? ""}: ${parts(index).join(", ")}`);
  };
  const move = (index: number) => {
    tell(Math.min(names.length - 1, Math.max(0, index)));
    view?.setCursor({ left: view.valToPos(at, "x"), top: 10 });
  };
  plot.addEventListener("keydown", (event) => {
    const steps: Record<string, number> = {
      ArrowRight: 1,
      ArrowUp: 1,
      ArrowLeft: -1,
      ArrowDown: -1,
      PageUp: 10,
      PageDown: -10,
      Home: -Infinity,
      End: Infinity,
    };
    const step = steps[event.key];
    if (step !== undefined) {
      event.preventDefault();
      move(at + step);
    } else if (event.key === "Enter" && options.onPick) {
      options.onPick(at);
    }
  });
  plot.addEventListener("click", () => {
    if (view?.cursor.idx !== null && view?.cursor.idx !== undefined) options.onPick?.(view.cursor.idx);
  });
  if (names.length > 0) tell(at);

  const data: uPlot.AlignedData = [names.map((_, i) => i), ...series.map((one) => one.values)];
  const draw = (width: number) => {
    view?.destroy();
    view = new uPlot(
      plotOptions(
        options,
        width,
        height,
        (index) => {
          if (index !== null && index !== at) tell(index);
        },
        () => {
          if (start !== null) requestAnimationFrame(() => move(at));
        },
      ),
      data,
      plot,
    );
  };
  let width = 0;
  new ResizeObserver(([entry]) => {
    const next = Math.floor(entry?.contentRect.width ?? 0);
    if (next === 0 || next === width) return;
    width = next;
    if (view) view.setSize({ width, height });
    else draw(width);
  }).observe(plot);
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const repaint = () => {
    if (!plot.isConnected) scheme.removeEventListener("change", repaint);
    else if (width > 0) draw(width);
  };
  scheme.addEventListener("change", repaint);

  return el(
    "figure",
    null,
    el("figcaption", null, options.title),
    series.length > 1
      ? el(
          "ul",
          { class: "legend" },
          series.map((one) => el("li", null, swatch(one), one.label)),
        )
      : null,
    plot,
    readout,
    numbers(options),
  );
}

// Made when it is opened: a chart of 4,096 channels has as many rows.
function numbers(options: ChartOptions): HTMLElement {
  const details = el("details", null, el("summary", null, "The chart as a table"));
  details.addEventListener("toggle", () => {
    if (!details.open || details.children.length > 1) return;
    const first = {
      id: "name",
      label: options.xLabel,
      width: 12,
      key: (i: number) => i,
      cell: (i: number): Child =>
        options.hrefOf
          ? el("a", { href: options.hrefOf(i), class: "clip" }, options.names[i])
          : el("span", { class: "clip" }, options.names[i]),
    };
    details.append(
      dataTable<number>({
        caption: options.title,
        rows: options.names.map((_, i) => i),
        rowHeight: 36,
        columns: [
          first,
          ...options.series.map((one, s) => ({
            id: String(s),
            label: one.label,
            numeric: true,
            width: 10,
            key: (i: number) => one.values[i] ?? null,
            cell: (i: number): Child => options.format(one.values[i] ?? null),
          })),
        ],
      }).element,
    );
  });
  return details;
}
