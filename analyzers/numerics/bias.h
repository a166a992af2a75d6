// How a target holds the bias of one layer. See glossary.h.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/numerics/layer_arithmetic.h"
#include "analyzers/numerics/target.h"

namespace qatgap::numerics {

struct LayerBias {
  std::vector<StoredBias> stored;            // one per output channel, as LayerArithmetic::stored_bias
  std::vector<std::int64_t> in_accumulator;  // what is added to A: `stored`, shifted if s_b is not s_x * s_w[c]
};

// s_b of a product rule, from s_x and s_w[c].
//   kProductFloat: fl(fl(s_x) * fl(s_w)); kProductDoubleToFloat: fl(s_x * s_w); kProductDouble: s_x * s_w.
// kOwnPowerOfTwo has no product; it is kProductDouble here, the scale its bias is shifted to.
double ProductScale(double input_scale, double weight_scale, BiasScale rule);

// The smallest 2^k with max |b| / 2^k <= 2^(bits-1) - 1; 1 when every b is 0.
// The bias that reaches the limit stays inside it after half-to-even rounding: the limit is an integer.
double PowerOfTwoScale(std::span<const double> bias, int bits);

// b / s_b as `division` forms it, held in a double. May be Inf in the binary32 forms.
double DivideBias(double bias, double scale, BiasDivision division);

// `rounded`, an integer of any size, in the rule's width: saturated or modulo 2^bits (kRefuse saturates; the
// caller refuses). 2^31 in 32 bits: 2^31 - 1 saturated, -2^31 wrapped.
std::int64_t StoreInteger(double rounded, const BiasRule& rule);

// `bias` is empty or has one finite real for each of `channels`. For the float modes every stored integer is 0.
// FAILED_PRECONDITION: overflow rule kRefuse, or a quotient b / s_b beyond binary32.
absl::StatusOr<LayerBias> StoreBias(const BiasRule& rule, const MacConstants& constants);

}  // namespace qatgap::numerics
