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
  std::vector<float> aligned;                // alignment kExact: stored * s_b / (s_x * s_w[c]), added to fl(A)
};

// s_b of a product rule, from s_x and s_w[c].
//   kProductFloat: fl(fl(s_x) * fl(s_w)); kProductDoubleToFloat: fl(s_x * s_w); kProductDouble: s_x * s_w.
// `per_tensor`: the weights have one scale (kProductDoubleIfPerTensor).
// kOwnPowerOfTwo has no product; it is kProductDouble here, the scale its bias is shifted to.
double ProductScale(double input_scale, double weight_scale, BiasScale rule, bool per_tensor = false);

// The smallest 2^k with max |b| / 2^k <= 2^(bits-1) - 1; 1 when every b is 0.
// The bias that reaches the limit stays inside it after half-to-even rounding: the limit is an integer.
double PowerOfTwoScale(std::span<const double> bias, int bits);

// b / s_b as `division` forms it, held in a double. May be Inf in the binary32 forms. `per_tensor`: the weights have one
// scale (kReciprocalIfPerTensor).
double DivideBias(double bias, double scale, BiasDivision division, bool per_tensor = false);

// `rounded`, an integer of any size, in the rule's width: saturated or modulo 2^bits (kRefuse saturates; the
// caller refuses). 2^31 in 32 bits: 2^31 - 1 saturated, -2^31 wrapped.
std::int64_t StoreInteger(double rounded, const BiasRule& rule);

// `bias` is empty or has one finite real for each of `channels`. For the float modes every stored integer is 0.
// Integers given in constants.stored_bias are taken as they are, limited to the rule's width.
// FAILED_PRECONDITION: overflow rule kRefuse, or a quotient b / s_b beyond binary32.
absl::StatusOr<LayerBias> StoreBias(const BiasRule& rule, const MacConstants& constants);

// A bias stored at `scale` in steps of `accumulator_scale`, as a shift gives it: half up, or floor for kShiftFloor. Bounded by
// 2^62 so that it is an integer at all: a dead channel (s_w = eps) asks for a left shift beyond 64 bits.
std::int64_t AlignToAccumulator(std::int64_t stored, double scale, double accumulator_scale, BiasAlignment alignment);

// The weight scales that a target with kAdjustWeights makes of these, per output channel; empty when it changes none (and
// for every other rule). A raised scale needs weights rounded to it, see RescaleWeight.
std::vector<double> AdjustedWeightScales(const BiasRule& rule, const MacConstants& constants);

// A weight code on its new, coarser scale: RNE((code - zero_point) * old_scale / new_scale) + zero_point, clamped to
// [quant_min, quant_max].
std::int32_t RescaleWeight(std::int32_t code, std::int64_t zero_point, double old_scale, double new_scale,
                           std::int64_t quant_min, std::int64_t quant_max);

}  // namespace qatgap::numerics
