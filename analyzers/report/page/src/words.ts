// Words and figures as people read them. The same rounding rules as the server's reports.
import type { CauseOrTotal } from "./contract.ts";

const CAUSE_WORDS: Record<CauseOrTotal, string> = {
  float_arithmetic: "float arithmetic",
  conversion: "conversion",
  bias_rounding: "bias rounding",
  bias_saturation: "bias saturation",
  accumulator: "accumulator",
  requantization: "requantization",
  engine_residual: "engine residual",
  total: "all causes together",
};

const CAUSE_EXPLANATIONS: Record<CauseOrTotal, string> = {
  float_arithmetic: "float32 rounding of the QAT model itself",
  conversion: "constants of the converted model: weights, bias, qparams",
  bias_rounding: "bias rounded to a multiple of its scale",
  bias_saturation: "bias that does not fit its integer width",
  accumulator: "wrap or saturation of the accumulator",
  requantization: "the target's way from accumulator to code",
  engine_residual: "real engine minus the target's description",
  total: "deployed minus trained",
};

const PATH_WORDS: Record<string, string> = {
  fake_quant: "fake-quant",
  float_bias: "float bias",
  quantized_bias: "quantized bias",
  target: "target",
  engine: "real engine",
};

export const causeWords = (cause: CauseOrTotal): string => CAUSE_WORDS[cause];
export const causeExplanation = (cause: CauseOrTotal): string => CAUSE_EXPLANATIONS[cause];
export const pathWords = (path: string): string => PATH_WORDS[path] ?? displayName(path);

export function biasModeWords(mode: string): string {
  if (mode.startsWith("float")) return "float";
  return mode === "integer" ? "integer" : mode.replaceAll("_", " ");
}

export const isRunning = (state: string): boolean => state === "queued" || state === "running";
export const isSucceeded = (state: string): boolean => state === "succeeded";
export const isFailed = (state: string): boolean => state === "failed";

// Control characters, and marks that reorder the text around them, are shown as what they are: not text.
export function displayName(name: string): string {
  return name.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, "\ufffd");
}

// Of sentences: a figure and its unit stay on one line.
export function prose(text: string): string {
  return displayName(text).replace(/(\d) (%|LSB|dB)(?![A-Za-z])/g, "$1\u00a0$2");
}

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : grouped.format(value);
}

export function counted(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

export function percent(fraction: number | null | undefined): string {
  if (fraction === null || fraction === undefined || !Number.isFinite(fraction)) return "–";
  if (fraction < 0) return `−${percent(-fraction)}`;
  const value = 100 * fraction;
  if (value === 0) return "0 %";
  if (value < 0.0001) return "< 0.0001 %";
  if (value === 100) return "100 %";
  let decimals = 1;
  if (value < 1) {
    decimals = 1 - Math.floor(Math.log10(value));
  } else if (value > 99 && value < 100) {
    if (100 - value < 1e-6) return "> 99.999999 %";
    decimals = Math.min(6, Math.max(1, -Math.floor(Math.log10(100 - value))));
  }
  return `${value.toFixed(decimals)} %`;
}

export function lsb(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : `${count(value)} LSB`;
}

export function decibel(value: number | null | undefined, exact = false): string {
  if (value === null || value === undefined) return exact ? "bit exact" : "–";
  return `${value.toFixed(1).replace("-", "−")} dB`;
}

// A real number with up to `digits` significant digits, without the noise of binary fractions.
export function real(value: number | null | undefined, digits = 4): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size >= 1e-4 && size < 1e7 ? String(Number(value.toPrecision(digits))) : value.toExponential(digits - 1);
  return text.replace(/^-/, "−");
}

export function integer(value: number): string {
  return Number.isInteger(value) ? grouped.format(value).replace(/^-/, "−") : real(value);
}

export function signed(value: number | null, format: (value: number) => string): string {
  if (value === null) return "–";
  return value > 0 ? `+${format(value)}` : format(value);
}

export function bytes(value: number): string {
  if (value < 1024) return counted(value, "byte");
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let scaled = value / 1024;
  let unit = 0;
  while (scaled >= 1024 && unit < units.length - 1) {
    scaled /= 1024;
    unit += 1;
  }
  return `${scaled.toFixed(scaled < 10 ? 1 : 0)} ${units[unit]}`;
}

const clock = new Intl.DateTimeFormat("en-GB", {
  year: "numeric",
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
});

export function time(text: string | null): string {
  if (!text) return "–";
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? displayName(text) : clock.format(date);
}

export function duration(start: string | null, end: string | null): string {
  if (!start || !end) return "–";
  const seconds = (Date.parse(end) - Date.parse(start)) / 1000;
  if (!Number.isFinite(seconds) || seconds < 0) return "–";
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes} min ${Math.round(seconds % 60)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function nameOf(analysis: { title: string; id: string }): string {
  return analysis.title ? displayName(analysis.title) : `analysis ${analysis.id.slice(0, 8)}`;
}

export function qparamsWords(
  qparams: { scales: number[]; zero_points: number[]; quant_min: number; quant_max: number } | null,
): string {
  if (!qparams) return "not known";
  const one = qparams.scales.length === 1;
  const scale = one
    ? `scale ${real(qparams.scales[0] ?? 0, 6)}`
    : `${counted(qparams.scales.length, "scale")}, one a channel`;
  const zero = one ? `, zero point ${integer(qparams.zero_points[0] ?? 0)}` : "";
  return `${scale}${zero}, codes ${integer(qparams.quant_min)} … ${integer(qparams.quant_max)}`;
}
