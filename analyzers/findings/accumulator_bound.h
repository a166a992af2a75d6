// What a layer's accumulator can hold at most, proved from its constants.
#pragma once

#include <cstdint>
#include <vector>

#include "analyzers/graph/mac_layers.h"
#include "analyzers/numerics/layer_arithmetic.h"
#include "analyzers/numerics/quant_params.h"
#include "analyzers/numerics/target.h"

namespace qatgap::findings {

// Smallest and largest accumulator A of an output channel over all inputs that `input` can hold:
//   max A[c] = sum over the weights w of c of max((x_min - z_x) * (w - z_w), (x_max - z_x) * (w - z_w)), min A likewise.
// Not an estimate: an output element reads every one of its inputs once, so the input that has x_max where w > z_w and
// x_min elsewhere is one the layer can be given, and reaches max A. What the layers before it produce is not looked at.
// The bound is the usual one of interval arithmetic for a dot product with one constant factor.
struct AccumulatorInterval {
  std::int64_t min = 0, max = 0;
};
std::vector<AccumulatorInterval> AccumulatorIntervals(const graph::MacLayer& layer, const numerics::QuantParams& input);

// What is added to A in the integer accumulator, in steps of s_x * s_w[c]: the stored bias, shifted by targets that
// store it at a scale of its own; 0 where the bias is a float.
std::int64_t BiasInAccumulator(const numerics::BiasRule& rule, const numerics::StoredBias& bias, double input_scale,
                               double weight_scale);

// Whether A + bias leaves a signed integer of `bits` bits, 2..64, for some A of the interval.
bool CanLeave(const AccumulatorInterval& interval, std::int64_t bias, int bits);

}  // namespace qatgap::findings
