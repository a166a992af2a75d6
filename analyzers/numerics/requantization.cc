#include "analyzers/numerics/requantization.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "analyzers/numerics/requantization_kernels.h"
#include "analyzers/numerics/rounding.h"

namespace qatgap::numerics {
namespace {

// The kernels round with 24-bit floats and add the zero point in int32.
constexpr std::int64_t kKernelLimit = std::int64_t{1} << 20;

bool FitsKernel(const OutputRange& range) {
  return range.min >= -kKernelLimit && range.max <= kKernelLimit && range.zero_point >= -kKernelLimit &&
         range.zero_point <= kKernelLimit;
}

// Whether no sum leaves int32: then an accumulator of 32 bits and more neither wraps nor saturates.
bool SumsFitInt32(const AccumulatorRule& rule, std::int64_t addend, std::span<const std::int32_t> accumulators) {
  if (rule.bits < 32 || addend < SignedMin(32) || addend > SignedMax(32)) return false;
  const auto [least, greatest] = LeastAndGreatest(accumulators);
  return least + addend >= SignedMin(32) && greatest + addend <= SignedMax(32);
}

bool MultipliesReciprocal(MultiplierForm form) { return form == MultiplierForm::kProductTimesReciprocal; }

// Limits of v before it is rounded. |low|, |high| < 2^51.
struct ConversionLimits {
  double low = 0, high = 0;
};

ConversionLimits LimitsOf(const RequantRule& rule, const OutputRange& range) {
  if (rule.conversion == ConversionOverflow::kInt32MinPack) {
    // The first pack is to int16; the saturating add and the second pack are the outer clamp, because the
    // output's range is inside int16 (LayerArithmetic::Create refuses others).
    return {static_cast<double>(SignedMin(16)), static_cast<double>(SignedMax(16))};
  }
  // Both limits are integers, which rounding leaves alone: clamping first changes no code.
  const std::int64_t zero_point = rule.zero_point == ZeroPointOrder::kAfterRounding ? range.zero_point : 0;
  return {static_cast<double>(range.min - zero_point), static_cast<double>(range.max - zero_point)};
}

void RequantizeFloat(const TargetDescription& target, const RequantConstants& channel, const OutputRange& range,
                     std::span<const std::int32_t> accumulators, std::span<std::int32_t> codes) {
  const RequantRule& rule = target.requantization;
  const ConversionLimits limits = LimitsOf(rule, range);
  const bool after = rule.zero_point == ZeroPointOrder::kAfterRounding;
  const FloatKernel kernel{
      .scaling = ScalingOf(target, channel),
      .rounding = rule.rounding,
      .int32_min_pack = rule.conversion == ConversionOverflow::kInt32MinPack,
      .addend = static_cast<std::uint32_t>(static_cast<std::uint64_t>(channel.accumulator_bias)),
      .bias = channel.bias,
      .bias_reciprocal = channel.bias_reciprocal,
      .multiplier = channel.multiplier,
      .input_scale = channel.input_scale,
      .weight_scale = channel.weight_scale,
      .output_scale = channel.output_scale,
      .zero_point_before = after ? 0.0f : static_cast<float>(range.zero_point),
      .low = static_cast<float>(limits.low),
      .high = static_cast<float>(limits.high),
      .zero_point_after = after ? static_cast<std::int32_t>(range.zero_point) : 0,
      .min = static_cast<std::int32_t>(range.min),
      .max = static_cast<std::int32_t>(range.max)};
  RunFloatKernel(kernel, accumulators.data(), codes.data(), codes.size());
}

void RequantizeFixedPoint(const TargetDescription& target, const RequantConstants& channel, const OutputRange& range,
                          std::span<const std::int32_t> accumulators, std::span<std::int32_t> codes) {
  const FixedPointKernel kernel{
      .mode = target.requantization.mode,
      .addend = static_cast<std::uint32_t>(static_cast<std::uint64_t>(channel.accumulator_bias)),
      .multiplier = channel.fixed,
      .low = static_cast<std::int32_t>(range.min - range.zero_point),
      .high = static_cast<std::int32_t>(range.max - range.zero_point),
      .zero_point = static_cast<std::int32_t>(range.zero_point)};
  RunFixedPointKernel(kernel, accumulators.data(), codes.data(), codes.size());
}

bool IsQ31(RequantMode mode) {
  return mode == RequantMode::kQ31DoubleRounding || mode == RequantMode::kQ31DoubleRoundingHalfUp ||
         mode == RequantMode::kQ31SingleRounding || mode == RequantMode::kTosa;
}

double ScaleOne(const TargetDescription& target, const RequantConstants& channel, std::int64_t sum, double* biased) {
  const auto value = static_cast<float>(sum);
  const auto finish = [&](float biased_float, float scaled) {
    *biased = static_cast<double>(biased_float);
    return static_cast<double>(scaled);
  };
  const float reciprocal = 1.0f / channel.output_scale;
  switch (ScalingOf(target, channel)) {
    case FloatScaling::kMultiply:
      return finish(value, value * channel.multiplier);
    case FloatScaling::kAddMultiply: {
      const float t = value + channel.bias;
      return finish(t, t * channel.multiplier);
    }
    case FloatScaling::kFusedAddMultiply: {
      const float t = std::fma(channel.bias, channel.bias_reciprocal, value);
      return finish(t, t * channel.multiplier);
    }
    case FloatScaling::kSuccessiveDivide:
    case FloatScaling::kSuccessiveMultiply: {
      const float by_input = value * channel.input_scale;
      const float real = by_input * channel.weight_scale;
      const float d = real + channel.bias;
      return finish(d, MultipliesReciprocal(target.requantization.multiplier) ? d * reciprocal
                                                                              : d / channel.output_scale);
    }
    case FloatScaling::kProductDivide:
    case FloatScaling::kProductMultiply: {
      const float real = value * channel.multiplier;
      const float d = real + channel.bias;
      return finish(d, MultipliesReciprocal(target.requantization.multiplier) ? d * reciprocal
                                                                              : d / channel.output_scale);
    }
  }
  return 0;
}

// A sum of 32 bits goes through the 32-bit functions: a left shift there loses bits, as in the runtimes.
std::int64_t MultiplyFixedPoint(RequantMode mode, std::int64_t sum, const FixedPointMultiplier& m) {
  const bool narrow = sum >= SignedMin(32) && sum <= SignedMax(32);
  const auto x = static_cast<std::int32_t>(narrow ? sum : 0);
  switch (mode) {
    case RequantMode::kQ31DoubleRounding:
      return narrow ? MultiplyDoubleRounding(x, m) : MultiplyDoubleRoundingWide(sum, m);
    case RequantMode::kQ31DoubleRoundingHalfUp:
      return narrow ? MultiplyDoubleRoundingHalfUp(x, m) : MultiplyDoubleRoundingHalfUpWide(sum, m);
    case RequantMode::kQ31SingleRounding:
      return narrow ? MultiplySingleRounding(x, m) : MultiplySingleRoundingWide(sum, m);
    case RequantMode::kTosa:
      return narrow ? MultiplyTosa(x, m) : MultiplyTosaWide(sum, m);
    default:
      return MultiplyQ15(sum, m);
  }
}

// round(sum * 2^-n); a left shift saturates.
std::int64_t ShiftPowerOfTwo(std::int64_t sum, int n, Rounding rounding) {
  if (n <= 0) {
    const double shifted = std::ldexp(static_cast<double>(sum), std::min(-n, 62));
    if (std::abs(shifted) >= 0x1p62) return sum < 0 ? SignedMin(63) : SignedMax(63);
    return sum * (std::int64_t{1} << std::min(-n, 62));
  }
  const int shift = std::min(n, 62);
  const std::int64_t below = sum >> shift;
  const std::int64_t rest = sum - below * (std::int64_t{1} << shift);
  const std::int64_t half = std::int64_t{1} << (shift - 1);
  switch (rounding) {
    case Rounding::kHalfToEven: return below + (rest > half || (rest == half && (below & 1) != 0) ? 1 : 0);
    case Rounding::kHalfAwayFromZero: return below + (rest > half || (rest == half && sum > 0) ? 1 : 0);
    case Rounding::kHalfUp: return below + (rest >= half ? 1 : 0);
    case Rounding::kHalfDown: return below + (rest > half ? 1 : 0);
    case Rounding::kTowardZero: return below + (rest != 0 && sum < 0 ? 1 : 0);
    case Rounding::kFloor: return below;
    case Rounding::kCeiling: return below + (rest != 0 ? 1 : 0);
  }
  return below;
}

template <typename Accumulator>
void RequantizeOneByOne(const TargetDescription& target, const RequantConstants& channel, const OutputRange& range,
                        std::span<const Accumulator> accumulators, std::span<std::int32_t> codes) {
  for (std::size_t i = 0; i < codes.size(); ++i) {
    codes[i] = TraceRequantization(target, channel, range, accumulators[i]).code;
  }
}

}  // namespace

FloatScaling ScalingOf(const TargetDescription& target, const RequantConstants& channel) {
  const RequantRule& rule = target.requantization;
  if (target.bias.mode == BiasMode::kFloatAfterScale) {
    const bool reciprocal = MultipliesReciprocal(rule.multiplier);
    if (rule.dequantization == Dequantization::kProduct) {
      return reciprocal ? FloatScaling::kProductMultiply : FloatScaling::kProductDivide;
    }
    return reciprocal ? FloatScaling::kSuccessiveMultiply : FloatScaling::kSuccessiveDivide;
  }
  if (channel.bias_reciprocal != 0) return FloatScaling::kFusedAddMultiply;
  return HasFloatBias(target.bias) ? FloatScaling::kAddMultiply : FloatScaling::kMultiply;
}

float RequantMultiplier(double input_scale, double weight_scale, double output_scale, MultiplierForm form) {
  const float product = static_cast<float>(input_scale) * static_cast<float>(weight_scale);
  const auto output = static_cast<float>(output_scale);
  switch (form) {
    case MultiplierForm::kProductThenDivide: return product / output;
    case MultiplierForm::kProductTimesReciprocal: return product * (1.0f / output);
    default: return static_cast<float>(FixedPointReal(input_scale, weight_scale, output_scale, form, false));
  }
}

double FixedPointReal(double input_scale, double weight_scale, double output_scale, MultiplierForm form,
                      bool float_product) {
  const auto input = static_cast<float>(input_scale);
  const auto weight = static_cast<float>(weight_scale);
  const auto output = static_cast<double>(static_cast<float>(output_scale));
  if (form == MultiplierForm::kFloatProduct || (form == MultiplierForm::kTflite && float_product)) {
    return static_cast<double>(input * weight) / output;
  }
  return static_cast<double>(input) * static_cast<double>(weight) / output;
}

std::int64_t Accumulate(const AccumulatorRule& rule, std::int64_t accumulator, std::int64_t addend) {
  if (rule.overflow == AccumulatorOverflow::kWrap) return WrapToBits(WrappingAdd(accumulator, addend), rule.bits);
  return std::clamp(SaturatingAdd(accumulator, addend), SignedMin(rule.bits), SignedMax(rule.bits));
}

RequantTrace TraceRequantization(const TargetDescription& target, const RequantConstants& channel,
                                 const OutputRange& range, std::int64_t accumulator) {
  const RequantRule& rule = target.requantization;
  RequantTrace trace{.accumulator = accumulator,
                     .sum = Accumulate(target.accumulator, accumulator, channel.accumulator_bias)};
  trace.biased = static_cast<double>(trace.sum);
  if (rule.mode == RequantMode::kFloat32) {
    trace.scaled = ScaleOne(target, channel, trace.sum, &trace.biased);
    const bool after = rule.zero_point == ZeroPointOrder::kAfterRounding;
    auto v = static_cast<float>(trace.scaled);
    if (!after) v = v + static_cast<float>(range.zero_point);
    if (rule.conversion == ConversionOverflow::kInt32MinPack && !(v < 0x1p31f)) v = -0x1p31f;
    const auto [low, high] = LimitsOf(rule, range);
    trace.rounded = Round(static_cast<double>(v), rule.rounding);
    const double packed = std::clamp(trace.rounded, low, high);
    // Of a rounded value beyond 64 bits any integer outside the range tells as much.
    trace.unclamped = static_cast<std::int64_t>(
                          rule.conversion == ConversionOverflow::kInt32MinPack
                              ? packed
                              : std::clamp(trace.rounded, -0x1p60, 0x1p60)) +
                      (after ? range.zero_point : 0);
  } else if (rule.mode == RequantMode::kFloat64) {
    trace.scaled = trace.biased * channel.multiplier64;
    trace.rounded = Round(trace.scaled, rule.rounding);
    const double converted = std::abs(trace.rounded) < 0x1p31 ? trace.rounded : -0x1p31;
    trace.unclamped = WrapToBits(static_cast<std::int64_t>(converted) + range.zero_point, 32);
  } else {
    const std::int64_t v = rule.mode == RequantMode::kPowerOfTwoShift
                               ? ShiftPowerOfTwo(trace.sum, channel.right_shift, rule.rounding)
                               : MultiplyFixedPoint(rule.mode, trace.sum, channel.fixed);
    trace.scaled = static_cast<double>(trace.sum) *
                   (rule.mode == RequantMode::kPowerOfTwoShift ? std::ldexp(1.0, -channel.right_shift)
                                                               : ToReal(channel.fixed));
    trace.rounded = static_cast<double>(v);
    trace.unclamped = SaturatingAdd(v, range.zero_point);
  }
  trace.code = static_cast<std::int32_t>(std::clamp(trace.unclamped, range.min, range.max));
  return trace;
}

void Requantize(const TargetDescription& target, const RequantConstants& channel, const OutputRange& range,
                std::span<const std::int32_t> accumulators, std::span<std::int32_t> codes) {
  const AccumulatorRule& accumulator = target.accumulator;
  const RequantMode mode = target.requantization.mode;
  const bool wraps_32 = accumulator.bits == 32 && accumulator.overflow == AccumulatorOverflow::kWrap;
  if (FitsKernel(range) && (wraps_32 || SumsFitInt32(accumulator, channel.accumulator_bias, accumulators))) {
    if (mode == RequantMode::kFloat32) return RequantizeFloat(target, channel, range, accumulators, codes);
    if (IsQ31(mode)) return RequantizeFixedPoint(target, channel, range, accumulators, codes);
  }
  RequantizeOneByOne(target, channel, range, accumulators, codes);
}

void Requantize(const TargetDescription& target, const RequantConstants& channel, const OutputRange& range,
                std::span<const std::int64_t> accumulators, std::span<std::int32_t> codes) {
  RequantizeOneByOne(target, channel, range, accumulators, codes);
}

}  // namespace qatgap::numerics
