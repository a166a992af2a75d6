// How a target stores the bias of a MAC layer: its scale s_b, the quotient b / s_b, rounding and
// width. Normative for the rules of BiasRule; which rule a runtime follows is in its target file.
// Thread-safe, no state.
#pragma once

#include <cstdint>
#include <span>

#include "absl/status/statusor.h"
#include "analyzers/numerics/target.h"

namespace qatgap::numerics {

// s_b of one channel from the input and weight scales (real per step), as `form` says.
// kOwnPowerOfTwo needs the whole layer: use OwnPowerOfTwoScale. Results in binary32 forms may be 0
// or Inf when the scales are extreme.
double BiasScaleOf(BiasScale form, double input_scale, double weight_scale);

// The smallest 2^k, k >= -126, with max |bias| / 2^k <= 2^(bits-1) - 1: one scale for the layer.
// All biases 0: 1. With bits = 8: 1.0 -> 2^-6 (code 64; at 2^-7 it would be 128). Nothing saturates
// at this scale.
double OwnPowerOfTwoScale(std::span<const double> bias, int bits);

// b / s_b as `division` forms it; the two float forms round b to binary32 first, as the runtimes
// hold it so. They differ: 0.00075f / 0.0005f = 1.5, a tie that rounds to 2; 0.00075f * (1 /
// 0.0005f) = 1.49999988 rounds to 1.
double BiasQuotient(double bias, double bias_scale, BiasDivision division);

struct QuantizedBias {
  double rounded = 0;       // the integer before any limit
  std::int64_t stored = 0;  // what the target holds
  bool limited = false;     // stored != rounded
};

// rounded = round(quotient); stored = rounded under the width and overflow rule: saturation to
// [-2^(bits-1), 2^(bits-1)-1] (one more at the bottom if symmetric_clamp), or wrap modulo 2^bits.
// A float quotient that overflows binary32 counts as b / s_b in binary64, so `rounded` is always
// finite. FAILED_PRECONDITION: the rule refuses what does not fit.
absl::StatusOr<QuantizedBias> QuantizeBias(const BiasRule& rule, double bias, double bias_scale);

// A bias code in accumulator units: floor(code * bias_scale / accumulator_scale + 1/2), half up, as
// the shift right with rounding of Vitis AI's and NNoM's kernels; exact when the ratio is a power
// of two >= 1 (a shift left). FAILED_PRECONDITION when the result is beyond +-2^62 (no accumulator
// holds it).
absl::StatusOr<std::int64_t> AlignToAccumulator(std::int64_t code, double bias_scale,
                                                double accumulator_scale);

}  // namespace qatgap::numerics
