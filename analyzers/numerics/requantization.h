// A target's accumulator and its way from there to output codes, bit exact. See glossary.h.
//
// A' = accumulator(A + q_b), then, by the mode of requantization,
//   kFloat32, by bias mode
//     kInteger            v = fl(fl(A') * M)
//     kFloatBeforeScale   v = fl(fl(fl(A') + bias) * M),   bias = fl(b / s_xw); so too for a bias aligned kExact
//     kFloatAfterScale    d = fl(fl(fl(fl(A') * s_x) * s_w[c]) + b) or fl(fl(fl(A') * fl(s_x * s_w[c])) + b);
//                         v = fl(d / s_y) or fl(d * fl(1 / s_y))
//   kFloat64             v = A' * M in binary64, M in binary64; from 2^31 in size on -2^31 after rounding
//   the fixed-point modes  v = the functions of fixed_point.h, an integer
//   kPowerOfTwoShift       v = round(A' * 2^-n), M = 2^-n, an integer
// and the code is round(v) + z_y or round(fl(v + z_y)) by the zero point's order, clamped to the output's range with the
// activation in it. Mimics FBGEMM's ReQuantizeOutput (AVX2) and QNNPACK's q8gemm (SSE2) where the target says
// kInt32MinPack, XNNPACK's qs8 fp32 requantization where it says kClampFloat.
#pragma once

#include <cstdint>
#include <span>

#include "analyzers/numerics/fixed_point.h"
#include "analyzers/numerics/target.h"

namespace qatgap::numerics {

// Where codes end up: the zero point and the limits with the activation folded in.
struct OutputRange {
  std::int64_t zero_point = 0;
  std::int64_t min = 0;
  std::int64_t max = 255;
  friend bool operator==(const OutputRange&, const OutputRange&) = default;
};

// What is constant over one output channel.
struct RequantConstants {
  std::int64_t accumulator_bias = 0;  // added to A; 0 for float-bias targets
  float bias = 0;                     // the float the target adds, in its own unit
  float bias_reciprocal = 0;          // not 0: what is added is bias * bias_reciprocal, fused: fma(bias, it, fl(A'))
  float multiplier = 0;               // M (kFloat32), or fl(s_x * s_w) for kFloatAfterScale with kProduct
  float input_scale = 0;              // the next three: kFloatAfterScale only
  float weight_scale = 0;
  float output_scale = 0;
  FixedPointMultiplier fixed = {};    // the fixed-point modes
  int right_shift = 0;                // kPowerOfTwoShift: n, M = 2^-n
  double multiplier64 = 0;            // kFloat64: M
  friend bool operator==(const RequantConstants&, const RequantConstants&) = default;
};

// M as `form` computes it in binary32, from scales of which each is first rounded to binary32.
//   kProductThenDivide: fl(fl(s_x * s_w) / s_y); kProductTimesReciprocal: fl(fl(s_w * s_x) * fl(1 / s_y))
// The binary64 forms are rounded to binary32 here.
float RequantMultiplier(double input_scale, double weight_scale, double output_scale, MultiplierForm form);

// M as `form` computes it for the other modes. `float_product`: whether kTflite
// is kFloatProduct for this layer.
double FixedPointReal(double input_scale, double weight_scale, double output_scale, MultiplierForm form,
                      bool float_product);

// A + addend in the target's accumulator: wrapped or saturated to its width. Never undefined.
std::int64_t Accumulate(const AccumulatorRule& rule, std::int64_t accumulator, std::int64_t addend);

// accumulators[i] -> codes[i], sizes equal. The 64-bit form is for layers whose accumulator leaves int32.
void Requantize(const TargetDescription& target, const RequantConstants& channel, const OutputRange& range,
                std::span<const std::int32_t> accumulators, std::span<std::int32_t> codes);
void Requantize(const TargetDescription& target, const RequantConstants& channel, const OutputRange& range,
                std::span<const std::int64_t> accumulators, std::span<std::int32_t> codes);

// One element with all that happens to it on the way: what a person compares with a waveform or a debugger.
struct RequantTrace {
  std::int64_t accumulator = 0;   // A
  std::int64_t sum = 0;           // A' (with the integer bias in it)
  double biased = 0;              // after a float bias was added; fl(A') without one
  double scaled = 0;              // v
  double rounded = 0;             // round(v), before or after z_y by the zero point's order
  std::int64_t unclamped = 0;     // with z_y, before the output's limits
  std::int32_t code = 0;
};

// The same arithmetic written out one step at a time, without vectors: the second implementation that Requantize is
// tested against.
RequantTrace TraceRequantization(const TargetDescription& target, const RequantConstants& channel,
                                 const OutputRange& range, std::int64_t accumulator);

}  // namespace qatgap::numerics
