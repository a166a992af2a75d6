// A target's accumulator and its way from there to output codes: binary32, bit exact. See glossary.h.
//
// A' = accumulator(A + q_b), then by bias mode
//   kInteger            v = fl(fl(A') * M)
//   kFloatBeforeScale   v = fl(fl(fl(A') + bias) * M),            bias = fl(b / s_xw)
//   kFloatAfterScale    d = fl(fl(fl(fl(A') * s_x) * s_w[c]) + b); v = fl(d / s_y) or fl(d * fl(1 / s_y))
// and the code is round(v) + z_y or round(fl(v + z_y)) by the zero point's order, clamped to the output's range
// with the activation in it. Mimics FBGEMM's ReQuantizeOutput (AVX2) and QNNPACK's q8gemm (SSE2) where the target
// says kInt32MinPack, XNNPACK's qs8 fp32 requantization where it says kClampFloat.
#pragma once

#include <cstdint>
#include <span>

#include "analyzers/numerics/target.h"

namespace qatgap::numerics {

// Where codes end up: the zero point and the limits with the activation folded in.
struct OutputRange {
  std::int64_t zero_point = 0;
  std::int64_t min = 0;
  std::int64_t max = 255;
};

// What is constant over one output channel.
struct RequantConstants {
  std::int64_t accumulator_bias = 0;  // added to A; 0 for float-bias targets
  float bias = 0;                     // the float the target adds, in its own unit
  float multiplier = 0;               // M; unused by kFloatAfterScale
  float input_scale = 0;              // the rest: kFloatAfterScale only
  float weight_scale = 0;
  float output_scale = 0;
};

// M as `form` computes it from scales of which each is first rounded to binary32.
//   kProductThenDivide: fl(fl(s_x * s_w) / s_y); kProductTimesReciprocal: fl(fl(s_w * s_x) * fl(1 / s_y))
float RequantMultiplier(double input_scale, double weight_scale, double output_scale, MultiplierForm form);

// sums[i] = A + addend in the target's accumulator: wrapped or saturated to its width. Never undefined.
void Accumulate(const AccumulatorRule& rule, std::int64_t addend, std::span<const std::int32_t> accumulators,
                std::span<std::int64_t> sums);

// accumulators[i] -> codes[i], sizes equal.
void Requantize(const TargetDescription& target, const RequantConstants& channel, const OutputRange& range,
                std::span<const std::int32_t> accumulators, std::span<std::int32_t> codes);

}  // namespace qatgap::numerics
