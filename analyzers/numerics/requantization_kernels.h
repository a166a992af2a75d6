// The loops behind LayerArithmetic and Requantize, the latter for int32 accumulators that wrap: vectorized by the compiler,
// for AVX2 and AVX-512 too. Internal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "analyzers/numerics/fixed_point.h"
#include "analyzers/numerics/requantization.h"
#include "analyzers/numerics/target.h"

namespace qatgap::numerics {

// The reference arithmetic: clamp(RNE(value * multiplier + offset)) + zero point, all in binary64. The limits are integers:
// clamping before rounding changes no code and keeps the conversion defined, for NaN too.
struct AffineKernel {
  double multiplier = 0, offset = 0;
  double low = 0, high = 0, zero_point = 0;  // limits before the zero point is added
  friend bool operator==(const AffineKernel&, const AffineKernel&) = default;
};
void RunAffineKernel(const AffineKernel& kernel, const std::int32_t* values, std::int32_t* codes, std::size_t count);
void RunAffineKernel(const AffineKernel& kernel, const std::int64_t* values, std::int32_t* codes, std::size_t count);
void RunAffineKernel(const AffineKernel& kernel, const double* values, std::int32_t* codes, std::size_t count);

// A line in binary32, with the elements that are in doubt: those whose value is no nearer than `sure` to an integer, and
// those whose code is not the expected one. All others have this code in every computation that strays from the line by less
// than 0.5 - sure, less what binary32 does here: 2^-20 * (|A| * multiplier + |offset|). Codes fit 16 bits.
struct LineKernel {
  float multiplier = 0, offset = 0;
  float low = 0, high = 0;          // integers, limits before the zero point is added
  float sure = 0;                   // 0 to 0.5
  std::int32_t zero_point = 0;
};
void RunLineKernel(const LineKernel& kernel, const std::int32_t* accumulators, const std::int32_t* expected,
                   std::int16_t* codes, std::uint8_t* doubts, std::size_t count);
// Doubts what has another code than the expected one, too.
void DoubtOthers(const std::int32_t* expected, const std::int16_t* codes, std::uint8_t* doubts, std::size_t count);

// v from the sum, in binary32.
enum class FloatScaling {
  kMultiply,            // fl(fl(A') * multiplier)
  kAddMultiply,         // fl(fl(fl(A') + bias) * multiplier)
  kFusedAddMultiply,    // fl(fma(bias, bias_reciprocal, fl(A')) * multiplier)
  kSuccessiveDivide,    // d = fl(fl(fl(fl(A') * input_scale) * weight_scale) + bias); fl(d / output_scale)
  kSuccessiveMultiply,  // d as above; fl(d * fl(1 / output_scale))
  kProductDivide,       // d = fl(fl(fl(A') * multiplier) + bias); fl(d / output_scale)
  kProductMultiply,     // d as above; fl(d * fl(1 / output_scale))
};

FloatScaling ScalingOf(const TargetDescription& target, const RequantConstants& channel);

struct FloatKernel {
  FloatScaling scaling = FloatScaling::kMultiply;
  Rounding rounding = Rounding::kHalfToEven;
  bool int32_min_pack = false;
  std::uint32_t addend = 0;          // modulo 2^32
  float bias = 0, bias_reciprocal = 0, multiplier = 0, input_scale = 0, weight_scale = 0, output_scale = 0;
  float zero_point_before = 0;       // added to v before it is rounded; 0 with the other order
  float low = 0, high = 0;           // v is clamped to these, both integers, |.| <= 2^21
  std::int32_t zero_point_after = 0;
  std::int32_t min = 0, max = 0;
};
void RunFloatKernel(const FloatKernel& kernel, const std::int32_t* accumulators, std::int32_t* codes,
                    std::size_t count);

struct FixedPointKernel {
  RequantMode mode = RequantMode::kQ31DoubleRounding;  // one of the Q31 modes or kTosa
  std::uint32_t addend = 0;
  FixedPointMultiplier multiplier = {};
  std::int32_t low = 0, high = 0;    // limits before the zero point is added
  std::int32_t zero_point = 0;
};
void RunFixedPointKernel(const FixedPointKernel& kernel, const std::int32_t* accumulators, std::int32_t* codes,
                         std::size_t count);

// {0, 0} for no values.
std::pair<std::int32_t, std::int32_t> LeastAndGreatest(std::span<const std::int32_t> values);

}  // namespace qatgap::numerics
