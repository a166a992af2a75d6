// Stacked bars of shares by cause, and the histogram of differences. Each cause has a colour and a texture.
import { CAUSES, type Cause, type Shares } from "./contract.ts";
import { el, style, svg, uniqueId, type Child } from "./dom.ts";
import { causeExplanation, causeWords, count, percent } from "./words.ts";

// Paths on a tile of 8 x 8; what is filled is a dot.
const TEXTURES: Record<Cause, string> = {
  float_arithmetic: "",
  conversion: "",
  bias_rounding: "M-2 6L6 -2M2 10L10 2",
  bias_saturation: "M-2 2L6 10M2 -2L10 6",
  accumulator: "M0 4H8",
  requantization: "M4 0V8",
  engine_residual: "M0 4H8M4 0V8",
};

function texture(cause: Cause, id: string): Child {
  const path = TEXTURES[cause];
  return svg(
    "pattern",
    { id, width: 8, height: 8, patternUnits: "userSpaceOnUse" },
    svg("rect", { width: 8, height: 8, class: `f-${cause}` }),
    path ? svg("path", { d: path, class: "texture" }) : null,
    cause === "float_arithmetic" ? svg("circle", { cx: 4, cy: 4, r: 1.4, class: "texture-dot" }) : null,
  );
}

const TOLD = 0.0005;

export function sharesInWords(shares: Shares | null, most: number = CAUSES.length): string {
  if (!shares) return "bit exact";
  const parts = CAUSES.map((cause) => [cause, shares[cause] ?? 0] as const)
    .filter(([, share]) => Math.abs(share) >= TOLD)
    .sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  const text = parts
    .slice(0, most)
    .map(([cause, share]) => `${causeWords(cause)} ${share < 0 ? `offsets ${percent(-share)}` : percent(share)}`);
  if (parts.length > most) text.push("…");
  return text.join(", ") || "none above 0.05 %";
}

// The whole width is the sum of the absolute shares, so a cause that offsets others is seen too.
export function shareBar(shares: Shares | null, big = false): SVGSVGElement {
  const height = big ? 26 : 12;
  const bar = svg("svg", {
    class: big ? "bar big" : "bar",
    viewBox: `0 0 1000 ${height}`,
    preserveAspectRatio: "none",
    role: "img",
    "aria-label": `Shares: ${sharesInWords(shares)}`,
  });
  if (!shares) return bar;
  const sum = CAUSES.reduce((total, cause) => total + Math.abs(shares[cause] ?? 0), 0);
  let x = 0;
  for (const cause of CAUSES) {
    const share = Math.abs(shares[cause] ?? 0);
    const width = sum > 0 ? (share / sum) * 1000 : 0;
    if (width < 0.5) continue;
    const id = uniqueId("texture");
    const pattern = texture(cause, id) as SVGPatternElement;
    // The bar is stretched to its column; the texture is squeezed back to its own proportions when its width is known.
    pattern.setAttribute("data-squeeze", "");
    bar.append(pattern, svg("rect", { x, y: 0, width: Math.max(0, width - 2), height, fill: `url(#${id})` }));
    x += width;
  }
  keepProportions(bar);
  return bar;
}

const sizes = new ResizeObserver((entries) => {
  for (const entry of entries) {
    const factor = entry.contentRect.width > 0 ? 1000 / entry.contentRect.width : 1;
    for (const pattern of entry.target.querySelectorAll("[data-squeeze]")) {
      pattern.setAttribute("patternTransform", `scale(${factor.toFixed(3)} 1)`);
    }
  }
});

function keepProportions(bar: SVGSVGElement): void {
  sizes.observe(bar);
}

export function swatch(cause: Cause): SVGSVGElement {
  const id = uniqueId("texture");
  return svg(
    "svg",
    { viewBox: "0 0 14 14", "aria-hidden": "true" },
    texture(cause, id),
    svg("rect", { width: 14, height: 14, fill: `url(#${id})` }),
  );
}

// `measured`: a cause that was not, an engine residual without an engine, is left out.
export function shareLegend(shares: Shares | null, measured: (cause: Cause) => boolean): HTMLElement {
  const known = CAUSES.filter((cause) => shares?.[cause] !== undefined && measured(cause));
  const nothing = known.filter((cause) => shares?.[cause] === 0);
  return el(
    "ul",
    { class: "legend" },
    known
      .filter((cause) => shares?.[cause] !== 0)
      .map((cause) => {
        const share = shares?.[cause] ?? 0;
        return el(
          "li",
          { title: causeExplanation(cause) },
          swatch(cause),
          el(
            "span",
            null,
            causeWords(cause),
            " ",
            el("b", null, share < 0 ? `offsets ${percent(-share)}` : percent(share)),
          ),
        );
      }),
    nothing.length ? el("li", { class: "nothing" }, `nothing by ${nothing.map(causeWords).join(", ")}`) : null,
  );
}

// A thin bar of 0..1 below a figure: the eye finds the large ones.
export function miniBar(part: number): HTMLElement {
  return el(
    "span",
    { class: "mini", "aria-hidden": "true" },
    style(el("i"), { width: `${Math.min(100, Math.max(0, part * 100)).toFixed(2)}%` }),
  );
}

const BINS = 19;
export const binWords = (bin: number): string =>
  bin === 0 ? "≤ −9" : bin === BINS - 1 ? "≥ 9" : String(bin - 9).replace("-", "−");

const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumSignificantDigits: 2 });

const ZERO = 9;
const STEP = 40;

// On a phone the bins that are empty on both sides are left out, so that the figures can be read.
function binsToShow(bins: number[]): number[] {
  let reach = ZERO;
  if (window.innerWidth <= 600) {
    while (reach > 3 && !bins[ZERO - reach] && !bins[ZERO + reach]) reach -= 1;
  }
  return Array.from({ length: 2 * reach + 1 }, (_, i) => ZERO - reach + i);
}

export function histogram(bins: number[], cause: Cause | "total"): SVGSVGElement {
  const largest = Math.max(10, ...bins);
  const shown = binsToShow(bins);
  const top = 26;
  const tall = 150;
  const wide = STEP * shown.length;
  const bars = shown.map((bin, place) => {
    const value = bins[bin] ?? 0;
    const height = value > 0 ? 3 + (Math.log10(value) / Math.log10(largest)) * (tall - 3) : 0;
    const x = place * STEP;
    return [
      value > 0
        ? svg("rect", {
            x: x + 5,
            y: top + tall - height,
            width: STEP - 10,
            height,
            rx: 2,
            class: `f-${cause}`,
            opacity: bin === ZERO ? 0.45 : 1,
          })
        : null,
      value > 0
        ? svg("text", { x: x + STEP / 2, y: top + tall - height - 5, class: "value" }, short.format(value))
        : null,
      svg("text", { x: x + STEP / 2, y: top + tall + 16 }, binWords(bin)),
    ];
  });
  const changed = bins.reduce((sum, value, bin) => sum + (bin === ZERO ? 0 : value), 0);
  return svg(
    "svg",
    {
      class: "histogram",
      viewBox: `0 0 ${wide} ${top + tall + 40}`,
      role: "img",
      "aria-label": `Histogram of differences in LSB, ${causeWords(cause)}: ${count(bins[ZERO] ?? 0)} codes equal, ${count(changed)} differ. The table below has every count.`,
    },
    svg("line", { x1: 0, x2: wide, y1: top + tall + 0.5, y2: top + tall + 0.5, class: "axis" }),
    bars,
    svg("text", { x: wide / 2, y: top + tall + 35 }, "LSB (height: logarithm of the number of codes)"),
  );
}
