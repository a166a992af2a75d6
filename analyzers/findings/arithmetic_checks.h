// Checks of one layer's constants against a target's arithmetic: no samples, proofs by interval bounds.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "analyzers/findings/findings.h"
#include "analyzers/graph/mac_layers.h"
#include "analyzers/numerics/quant_params.h"
#include "analyzers/numerics/target.h"
#include "analyzers/report/analysis_result.h"

namespace qatgap::findings {

// Smallest and largest accumulator A = sum (x - z_x)(w - z_w) of an output channel over all inputs that `input` can hold.
// Both are reached: by the input that has an end of its range wherever the weight's sign says so.
struct AccumulatorInterval {
  std::int64_t min = 0, max = 0;
};
std::vector<AccumulatorInterval> AccumulatorIntervals(const graph::MacLayer& layer, const numerics::QuantParams& input);

// QG014 accumulator and bias can wrap, QG015 effect of rounding the bias, QG016 tiny weight scale, QG017 scale spread,
// QG018 multiplier becomes 0, QG019 multiplier too coarse, QG021 int16 pairs can saturate.
void CheckArithmetic(const LayerFacts& facts, const numerics::TargetDescription& target,
                     const report::LayerResult& result, std::vector<report::Finding>& findings);

// A layer that LayerArithmetic::Create refused: QG018 multiplier out of range, QG020 scales that are no powers of two, QG022
// any other reason. `status` is not OK.
void CheckRefusal(const LayerFacts& facts, const numerics::TargetDescription& target, const absl::Status& status,
                  std::vector<report::Finding>& findings);

}  // namespace qatgap::findings
