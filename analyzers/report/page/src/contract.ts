// The answers of api/v1. Figures that are not defined are null; strings come from models and may be hostile.
export const CAUSES = [
  "float_arithmetic",
  "conversion",
  "bias_rounding",
  "bias_saturation",
  "accumulator",
  "requantization",
  "engine_residual",
] as const;
export type Cause = (typeof CAUSES)[number];
export type CauseOrTotal = Cause | "total";
export const CAUSES_AND_TOTAL: readonly CauseOrTotal[] = [...CAUSES, "total"];

export type Shares = Partial<Record<Cause, number>>;

export interface Statistics {
  count: number;
  changed: number;
  sum: number;
  sum_absolute: number;
  sum_squares: number;
  max_absolute: number;
  histogram?: number[];
  bit_exact: boolean;
  changed_rate: number | null;
  mean_lsb: number | null;
  mean_absolute_lsb: number | null;
  rms_lsb: number | null;
  sqnr_db: number | null;
  cosine: number | null;
}

export interface Qparams {
  scales: number[];
  zero_points: number[];
  quant_min: number;
  quant_max: number;
  axis?: number;
}

export interface AnalysisSummary {
  id: string;
  title: string;
  track: string;
  state: string;
  create_time: string | null;
  start_time: string | null;
  end_time: string | null;
  progress: { samples_done: number; samples_total: number } | null;
  error: string;
  qat_model: string;
  converted_model: string;
  targets: string[];
  verdicts: { target: string; headline: string }[];
  gate: unknown;
}

export interface AnalysisList {
  analyses: AnalysisSummary[];
  next_page_token: string;
}

export interface InputFile {
  name: string;
  sha256: string;
  bytes: number;
  input_name?: string;
}

export interface Finding {
  id: string;
  severity: string;
  title: string;
  layer: string;
  layer_index: number | null;
  target: string;
  channels: number[];
  detail: string;
  advice: string;
}

export interface Unmeasured {
  name: string;
  what: string;
  reason: string;
  is_mac_layer: boolean;
}

export interface PathView {
  path: string;
  reference: string;
  top1_changed: number;
  lost: number;
  gained: number;
  accuracy_difference: { value: number; low: number; high: number; p_value: number } | null;
  outputs: Statistics[];
}

// Cells are words already; a row of a layer has its index.
export interface DetailTable {
  title: string;
  caption: string;
  columns: { title: string; kind: "text" | "number" | "name" }[];
  rows: { layer_index: number | null; cells: string[] }[];
}

export interface Recommendation {
  what_if: string;
  advice: string;
  count: number;
  changed_before: number;
  changed_after: number;
  gain_rate: number;
}

export interface WhatIfWay {
  what_if: string;
  words: string;
  layers: number;
  better: number;
  worse: number;
  count: number;
  changed_before: number;
  changed_after: number;
  changed_rate: number | null;
}

export interface RecommendedLayer extends Recommendation {
  layer_index: number;
  input_index: number;
  title: string;
}

export interface WhatIfs {
  ways: WhatIfWay[];
  recommended: RecommendedLayer[];
}

export interface LayerWhatIfs {
  calibration_samples: number;
  rows: {
    what_if: string;
    words: string;
    note: string;
    against_fake_quant: Statistics | null;
    against_float_bias: Statistics | null;
  }[];
  recommendation: Recommendation | null;
}

export interface TargetView {
  name: string;
  title: string;
  bias_mode: string;
  engine: string;
  evidence: { kind: string; detail: string };
  coverage: { analysed: number; mac_layers: number };
  shares: Shares | null;
  headline: string;
  sentences: string[];
  totals: Partial<Record<CauseOrTotal, CauseTotals | null>>;
  paths: PathView[];
  accuracies: { path: string; correct: number; rate: number | null }[];
  details: DetailTable[];
  what_ifs: WhatIfs | null;
}

export interface CauseTotals {
  count: number;
  changed: number;
  max_absolute: number;
  changed_rate: number | null;
}

export interface Report {
  environment: {
    tool_version?: string;
    libtorch_version?: string;
    cpu_features?: string[];
    engines?: string[];
    batch_size?: number;
    threads?: number;
  };
  inputs: {
    qat_model: InputFile | null;
    converted_model: InputFile | null;
    samples: InputFile | null;
    labels: InputFile | null;
    held_out: InputFile | null;
    held_out_labels: InputFile | null;
    sample_inputs?: InputFile[];
    normalizations?: string[];
  };
  notes: string[];
  samples: number;
  labelled: number;
  mac_layers: number;
  qat_format: string;
  converted_format: string;
  converted_given: boolean;
  layer_count: number;
  outputs: (Qparams | null)[];
  targets: TargetView[];
  findings: Finding[];
  unmeasured: Unmeasured[];
}

export interface Analysis extends AnalysisSummary {
  report?: Report;
}

export interface CauseFigures extends CauseTotals {
  sqnr_db: number | null;
  share: number | null;
}

export interface AccumulatedFigures {
  changed_rate: number | null;
  max_absolute: number;
  sqnr_db: number | null;
}

export interface LayerRow {
  layer_index: number;
  input_index: number;
  name: string;
  kind: string;
  channels: number;
  samples: number;
  source_line: string;
  module_stack: string;
  engine_measured: boolean;
  engine_note: string;
  findings: { error: number; warning: number; info: number };
  causes: Partial<Record<CauseOrTotal, CauseFigures | null>>;
  accumulated: Record<string, AccumulatedFigures | null>;
  propagated_changed_rate: number | null;
}

export interface LayerPage {
  layers: LayerRow[];
  next_page_token: string;
}

export interface LayerFacts {
  name: string;
  kind: string;
  channels: number;
  weight_shape: number[];
  activation: string;
  output: Qparams | null;
  inputs: (Qparams | null)[];
  input_off_grid: boolean;
  weights: number;
  weight_codes_changed: number | null;
  source_line: string;
  module_stack: string;
}

export interface LayerDetail {
  layer: LayerFacts;
  input_index: number;
  input: Qparams | null;
  samples: number;
  engine_measured: boolean;
  engine_note: string;
  causes: Partial<Record<CauseOrTotal, Statistics | null>>;
  shares: Shares | null;
  accumulated: Record<string, Statistics | null>;
  findings: Finding[];
  what_ifs: LayerWhatIfs | null;
  channel_count: number;
  targets: string[];
  inputs: number;
}

export interface CauseColumns {
  changed: number[];
  max_absolute: number[];
  sum: number[];
}

export interface Channels {
  bias_real: number[];
  bias_scale: number[];
  bias_rounded: number[];
  bias_stored: number[];
  bias_saturated: boolean[];
  bias_residual_lsb: number[];
  multiplier: number[];
  count: number[];
  causes: Partial<Record<CauseOrTotal, CauseColumns | null>>;
}

export interface GraphNode {
  id: number;
  name: string;
  kind: string;
  layer_index: number | null;
  module: string;
  inputs: number[];
}

export interface Graph {
  nodes: GraphNode[] | null;
}

export interface Movement {
  layer: string;
  metric: string;
  before: number | null;
  after: number | null;
}

export type RatesOfLayer = Record<string, number | null>;

export interface Comparison {
  differences: string[];
  movements: Movement[];
  layers: { name: string; before: RatesOfLayer | null; after: RatesOfLayer | null }[];
}

export interface TrackList {
  tracks: { name: string; analyses: number; last: string }[];
}

export interface TrackPoint {
  id: string;
  title: string;
  create_time: string | null;
  changed_rate: number | null;
  bias_changed_rate: number | null;
  top1_changed_rate: number | null;
  shares: Shares | null;
}
