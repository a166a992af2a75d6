// From accumulators to output codes: the exact real formula, and the targets' own binary32
// arithmetic. Plain loops over spans; choices are made once per call, outside of the loops.
// Thread-safe.
#pragma once

#include <cstdint>
#include <span>

#include "analyzers/numerics/target.h"

namespace qatgap::numerics {

// Output codes lie in [min, max]; both and zero_point fit in int32.
struct OutputRange {
  std::int64_t min = 0;
  std::int64_t max = 255;
  std::int64_t zero_point = 0;
};

// codes[i] = clamp(RNE(sums[i] * multiplier + offset) + zero_point, min, max) in binary64: two
// roundings before the RNE, in LSB. multiplier and offset in LSB per step and LSB. NaN sums give
// min. Sizes equal. Normative.
void RequantizeReal(std::span<const std::int32_t> sums, double multiplier, double offset,
                    const OutputRange& range, std::span<std::int32_t> codes);
void RequantizeReal(std::span<const double> sums, double multiplier, double offset,
                    const OutputRange& range, std::span<std::int32_t> codes);

// As RequantizeReal on Accumulate(rule, A + bias_code) - bias_code, |bias_code| any 64-bit integer.
void RequantizeAccumulated(std::span<const std::int32_t> accumulators, const AccumulatorRule& rule,
                           std::int64_t bias_code, double multiplier, double offset,
                           const OutputRange& range, std::span<std::int32_t> codes);

// Everything the binary32 arithmetic of one output channel needs.
struct Float32Requantization {
  BiasMode mode = BiasMode::kInteger;
  RequantRule rule;
  AccumulatorRule accumulator;
  std::int64_t bias_code = 0;  // kInteger: in accumulator units
  float bias =
      0;  // kFloatBeforeScale: fl(b / s_b), in accumulator steps; kFloatAfterScale: fl(b), real
  float multiplier = 0;   // M
  float input_scale = 0;  // the rest: kFloatAfterScale only
  float weight_scale = 0;
  float output_scale = 0;
  OutputRange range;
};

// With A' = Accumulate(accumulator, A + bias_code), every operation rounded to binary32:
//   kInteger           v = fl(fl(A') * M)
//   kFloatBeforeScale  v = fl(fl(fl(A') + bias) * M)
//   kFloatAfterScale   v = fl(fl(fl(fl(A') * s_x) * s_w) + bias), then fl(v / s_y), or fl(v * fl(1
//   / s_y)) where
//                      the multiplier form is kProductTimesReciprocal
// then, zero point after rounding:
//   kClamp     code = round(clamp(v, min - z_y, max - z_y)) + z_y                      (XNNPACK,
//   ONNX Runtime) kX86Int16  q = cvtps(v): round to int32, INT32_MIN for v >= 2^31; p =
//   sat16(sat16(q) + z_y);
//              code = clamp(p, min, max)                             (FBGEMM and QNNPACK on x86)
// or before it: code = round(clamp(fl(v + z_y), min, max))                             (oneDNN)
void RequantizeFloat32(const Float32Requantization& constants,
                       std::span<const std::int32_t> accumulators, std::span<std::int32_t> codes);

}  // namespace qatgap::numerics
