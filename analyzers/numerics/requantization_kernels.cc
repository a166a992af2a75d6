#include "analyzers/numerics/requantization_kernels.h"

#include <cmath>

#include "analyzers/numerics/rounding.h"
#include "analyzers/status/vector_clones.h"

namespace qatgap::numerics {
namespace {

QATGAP_INLINE std::int32_t Sum(std::int32_t accumulator, std::uint32_t addend) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(accumulator) + addend);
}

template <FloatScaling kScaling>
QATGAP_INLINE float Scale(const FloatKernel& k, float reciprocal, float sum) {
  switch (kScaling) {
    case FloatScaling::kMultiply:
      return sum * k.multiplier;
    case FloatScaling::kAddMultiply:
      return (sum + k.bias) * k.multiplier;
    case FloatScaling::kFusedAddMultiply:
      return std::fma(k.bias, k.bias_reciprocal, sum) * k.multiplier;
    case FloatScaling::kSuccessiveDivide:
      return (sum * k.input_scale * k.weight_scale + k.bias) / k.output_scale;
    case FloatScaling::kSuccessiveMultiply:
      return (sum * k.input_scale * k.weight_scale + k.bias) * reciprocal;
    case FloatScaling::kProductDivide:
      return (sum * k.multiplier + k.bias) / k.output_scale;
    case FloatScaling::kProductMultiply:
      return (sum * k.multiplier + k.bias) * reciprocal;
  }
}

// |v| <= 2^21, an integer comes back.
template <Rounding kRounding>
QATGAP_INLINE float RoundSmall(float v) {
  switch (kRounding) {
    case Rounding::kHalfToEven: {
      constexpr float kShifter = 0x1.8p23f;  // leaves no bit below the unit: the addition rounds
      return (v + kShifter) - kShifter;
    }
    case Rounding::kHalfAwayFromZero: {
      const float whole = std::trunc(v);  // v - whole is exact
      return v - whole >= 0.5f ? whole + 1.0f : (v - whole <= -0.5f ? whole - 1.0f : whole);
    }
    case Rounding::kHalfUp: {
      const float below = std::floor(v);
      return v - below >= 0.5f ? below + 1.0f : below;
    }
    case Rounding::kHalfDown: {
      const float above = std::ceil(v);
      return above - v >= 0.5f ? above - 1.0f : above;
    }
    case Rounding::kTowardZero:
      return std::trunc(v);
    case Rounding::kFloor:
      return std::floor(v);
    case Rounding::kCeiling:
      return std::ceil(v);
  }
}

template <FloatScaling kScaling, Rounding kRounding>
QATGAP_INLINE void Loop(const FloatKernel& kernel, const std::int32_t* __restrict accumulators,
                        std::int32_t* __restrict codes, std::size_t count) {
  const FloatKernel k = kernel;  // a copy: no store to `codes` can change it
  const float reciprocal = 1.0f / k.output_scale;
  // cvtps2dq has one answer for all it cannot represent: INT32_MIN, so 2^31 ends at the *lower* limit.
  const float overflow = k.int32_min_pack ? k.low : k.high;
  for (std::size_t i = 0; i < count; ++i) {
    const float v =
        Scale<kScaling>(k, reciprocal, static_cast<float>(Sum(accumulators[i], k.addend))) + k.zero_point_before;
    const float below = v < k.high ? v : (v < 0x1p31f ? k.high : overflow);
    const float bounded = below > k.low ? below : k.low;
    const std::int32_t code = static_cast<std::int32_t>(RoundSmall<kRounding>(bounded)) + k.zero_point_after;
    const std::int32_t limited = code < k.max ? code : k.max;
    codes[i] = limited > k.min ? limited : k.min;
  }
}

template <FloatScaling kScaling>
QATGAP_INLINE void ByRounding(const FloatKernel& kernel, const std::int32_t* accumulators, std::int32_t* codes,
                              std::size_t count) {
  switch (kernel.rounding) {
    case Rounding::kHalfToEven: return Loop<kScaling, Rounding::kHalfToEven>(kernel, accumulators, codes, count);
    case Rounding::kHalfAwayFromZero:
      return Loop<kScaling, Rounding::kHalfAwayFromZero>(kernel, accumulators, codes, count);
    case Rounding::kHalfUp: return Loop<kScaling, Rounding::kHalfUp>(kernel, accumulators, codes, count);
    case Rounding::kHalfDown: return Loop<kScaling, Rounding::kHalfDown>(kernel, accumulators, codes, count);
    case Rounding::kTowardZero: return Loop<kScaling, Rounding::kTowardZero>(kernel, accumulators, codes, count);
    case Rounding::kFloor: return Loop<kScaling, Rounding::kFloor>(kernel, accumulators, codes, count);
    case Rounding::kCeiling: return Loop<kScaling, Rounding::kCeiling>(kernel, accumulators, codes, count);
  }
}

// The low 32 bits of v >> shift for |v| < 2^62: made non-negative by a multiple of 2^shift first, because AVX2 shifts 64
// bits only logically. 0 < shift <= 62.
QATGAP_INLINE std::int32_t ShiftToInt32(std::int64_t v, int shift, std::uint32_t offset) {
  constexpr std::uint64_t kLift = std::uint64_t{1} << 62;
  return static_cast<std::int32_t>(static_cast<std::uint32_t>((static_cast<std::uint64_t>(v) + kLift) >> shift) -
                                   offset);
}

// The high product after a left shift of 32 bits, rounded half up. The mantissa is not negative, so the one saturating case
// of SaturatingRoundingDoublingHighMul cannot occur.
QATGAP_INLINE std::int32_t HighProduct(std::int32_t sum, int left, std::int64_t mantissa) {
  constexpr std::int64_t kHalf = std::int64_t{1} << 30;
  constexpr auto kOffset = std::uint32_t{1} << 31;  // 2^62 >> 31
  return ShiftToInt32(static_cast<std::int64_t>(WrappingLeftShift(sum, left)) * mantissa + kHalf, 31, kOffset);
}

QATGAP_INLINE std::int32_t Finish(const FixedPointKernel& k, std::int32_t v) {
  const std::int32_t limited = v < k.high ? v : k.high;
  return (limited > k.low ? limited : k.low) + k.zero_point;
}

template <typename T>
QATGAP_INLINE void Affine(const AffineKernel& kernel, const T* __restrict values, std::int32_t* __restrict codes,
                          std::size_t count) {
  const AffineKernel k = kernel;
  for (std::size_t i = 0; i < count; ++i) {
    const double real = static_cast<double>(values[i]) * k.multiplier + k.offset;
    const double bounded = real > k.low ? (real < k.high ? real : k.high) : k.low;
    codes[i] = static_cast<std::int32_t>(RoundHalfToEvenSmall(bounded) + k.zero_point);
  }
}

}  // namespace

QATGAP_CLONES void RunAffineKernel(const AffineKernel& kernel, const std::int32_t* values, std::int32_t* codes,
                                   std::size_t count) {
  Affine(kernel, values, codes, count);
}

QATGAP_CLONES void RunAffineKernel(const AffineKernel& kernel, const std::int64_t* values, std::int32_t* codes,
                                   std::size_t count) {
  Affine(kernel, values, codes, count);
}

QATGAP_CLONES void RunAffineKernel(const AffineKernel& kernel, const double* values, std::int32_t* codes,
                                   std::size_t count) {
  Affine(kernel, values, codes, count);
}

QATGAP_CLONES void RunLineKernel(const LineKernel& kernel, const std::int32_t* __restrict accumulators,
                                 const std::int32_t* __restrict expected, std::int16_t* __restrict codes,
                                 std::uint8_t* __restrict doubts, std::size_t count) {
  const LineKernel k = kernel;
  constexpr float kShifter = 0x1.8p23f;
  const float below_all = k.low - 1.0f, above_all = k.high + 1.0f;  // what is beyond them is beyond doubt
  for (std::size_t i = 0; i < count; ++i) {
    const float v = static_cast<float>(accumulators[i]) * k.multiplier + k.offset;
    const float below = v < above_all ? v : above_all;
    const float bounded = below > below_all ? below : below_all;
    const float whole = (bounded + kShifter) - kShifter;
    const float distance = std::abs(bounded - whole);
    const float limited = whole < k.high ? whole : k.high;
    const std::int32_t code = static_cast<std::int32_t>(limited > k.low ? limited : k.low) + k.zero_point;
    codes[i] = static_cast<std::int16_t>(code);
    const int unsure = distance >= k.sure ? 1 : 0, other = code != expected[i] ? 1 : 0;
    doubts[i] = static_cast<std::uint8_t>(unsure | other);
  }
}

QATGAP_CLONES void DoubtOthers(const std::int32_t* __restrict expected, const std::int16_t* __restrict codes,
                               std::uint8_t* __restrict doubts, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    doubts[i] = static_cast<std::uint8_t>(doubts[i] | (codes[i] != expected[i] ? 1 : 0));
  }
}

QATGAP_CLONES void RunFloatKernel(const FloatKernel& kernel, const std::int32_t* accumulators, std::int32_t* codes,
                                  std::size_t count) {
  switch (kernel.scaling) {
    case FloatScaling::kMultiply: return ByRounding<FloatScaling::kMultiply>(kernel, accumulators, codes, count);
    case FloatScaling::kAddMultiply: return ByRounding<FloatScaling::kAddMultiply>(kernel, accumulators, codes, count);
    case FloatScaling::kFusedAddMultiply:
      return ByRounding<FloatScaling::kFusedAddMultiply>(kernel, accumulators, codes, count);
    case FloatScaling::kSuccessiveDivide:
      return ByRounding<FloatScaling::kSuccessiveDivide>(kernel, accumulators, codes, count);
    case FloatScaling::kSuccessiveMultiply:
      return ByRounding<FloatScaling::kSuccessiveMultiply>(kernel, accumulators, codes, count);
    case FloatScaling::kProductDivide:
      return ByRounding<FloatScaling::kProductDivide>(kernel, accumulators, codes, count);
    case FloatScaling::kProductMultiply:
      return ByRounding<FloatScaling::kProductMultiply>(kernel, accumulators, codes, count);
  }
}

QATGAP_CLONES void RunFixedPointKernel(const FixedPointKernel& kernel, const std::int32_t* __restrict accumulators,
                                       std::int32_t* __restrict codes, std::size_t count) {
  const FixedPointKernel k = kernel;
  const int total = 31 - k.multiplier.shift;  // 1..62
  const std::int64_t mantissa = k.multiplier.mantissa;
  const std::int64_t half = std::int64_t{1} << (total - 1);
  const auto offset = static_cast<std::uint32_t>((std::uint64_t{1} << 62) >> total);
  const int left = k.multiplier.shift > 0 ? k.multiplier.shift : 0;
  const int right = k.multiplier.shift > 0 ? 0 : -k.multiplier.shift;
  switch (k.mode) {
    case RequantMode::kQ31SingleRounding:
      for (std::size_t i = 0; i < count; ++i) {
        const std::int64_t product = static_cast<std::int64_t>(Sum(accumulators[i], k.addend)) * mantissa;
        codes[i] = Finish(k, ShiftToInt32(product + half, total, offset));
      }
      return;
    case RequantMode::kTosa: {
      const std::int64_t nudge = total > 31 ? std::int64_t{1} << 30 : 0;
      for (std::size_t i = 0; i < count; ++i) {
        const std::int32_t x = Sum(accumulators[i], k.addend);
        const std::int64_t round = half + (x < 0 ? -nudge : nudge);
        codes[i] = Finish(k, ShiftToInt32(static_cast<std::int64_t>(x) * mantissa + round, total, offset));
      }
      return;
    }
    case RequantMode::kQ31DoubleRoundingHalfUp:
      for (std::size_t i = 0; i < count; ++i) {
        const std::int32_t high = HighProduct(Sum(accumulators[i], k.addend), left, mantissa);
        codes[i] = Finish(k, RoundingShiftHalfUp(high, right));
      }
      return;
    default:  // kQ31DoubleRounding
      for (std::size_t i = 0; i < count; ++i) {
        const std::int32_t high = HighProduct(Sum(accumulators[i], k.addend), left, mantissa);
        codes[i] = Finish(k, RoundingDivideByPowerOfTwo(high, right));
      }
      return;
  }
}

QATGAP_CLONES std::pair<std::int32_t, std::int32_t> LeastAndGreatest(std::span<const std::int32_t> values) {
  if (values.empty()) return {0, 0};
  std::int32_t least = values[0], greatest = values[0];
  for (const std::int32_t value : values) {
    least = value < least ? value : least;
    greatest = value > greatest ? value : greatest;
  }
  return {least, greatest};
}

}  // namespace qatgap::numerics
