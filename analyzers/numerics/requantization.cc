#include "analyzers/numerics/requantization.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "analyzers/numerics/rounding.h"

namespace qatgap::numerics {
namespace {

// Elements worked on at a time: each step is a plain loop over a block that stays in the first-level cache.
constexpr std::size_t kBlock = 512;

void Scale(BiasMode mode, MultiplierForm form, const RequantConstants& channel,
           std::span<const std::int64_t> sums, std::span<float> scaled) {
  const float bias = channel.bias;
  const float multiplier = channel.multiplier;
  const float input_scale = channel.input_scale;
  const float weight_scale = channel.weight_scale;
  const float output_scale = channel.output_scale;
  switch (mode) {
    case BiasMode::kInteger:
      for (std::size_t i = 0; i < sums.size(); ++i) scaled[i] = static_cast<float>(sums[i]) * multiplier;
      return;
    case BiasMode::kFloatBeforeScale:
      for (std::size_t i = 0; i < sums.size(); ++i) {
        scaled[i] = (static_cast<float>(sums[i]) + bias) * multiplier;
      }
      return;
    case BiasMode::kFloatAfterScale:
      for (std::size_t i = 0; i < sums.size(); ++i) {
        scaled[i] = static_cast<float>(sums[i]) * input_scale * weight_scale + bias;
      }
      if (form == MultiplierForm::kProductThenDivide) {
        for (float& v : scaled) v = v / output_scale;
      } else {
        const float reciprocal = 1.0f / output_scale;
        for (float& v : scaled) v = v * reciprocal;
      }
      return;
  }
}

// code = clamp(round(clamp(v, low, high)) + zero_point, min, max). |low|, |high| < 2^51; NaN becomes low.
struct Conversion {
  double low = 0;
  double high = 0;
  double zero_point = 0;
  double min = 0;
  double max = 0;
};

template <typename RoundFunction>
void Convert(const Conversion& conversion, RoundFunction round, std::span<const float> scaled,
             std::span<std::int32_t> codes) {
  const auto [low, high, zero_point, min, max] = conversion;
  for (std::size_t i = 0; i < scaled.size(); ++i) {
    const auto v = static_cast<double>(scaled[i]);
    const double bounded = v > low ? (v < high ? v : high) : low;
    const double code = round(bounded) + zero_point;
    codes[i] = static_cast<std::int32_t>(code > min ? (code < max ? code : max) : min);
  }
}

void Convert(const Conversion& conversion, Rounding rounding, std::span<const float> scaled,
             std::span<std::int32_t> codes) {
  switch (rounding) {
    case Rounding::kHalfToEven:
      return Convert(conversion, [](double v) { return RoundHalfToEvenSmall(v); }, scaled, codes);
    case Rounding::kHalfAwayFromZero:
      return Convert(conversion, [](double v) { return RoundHalfAwayFromZero(v); }, scaled, codes);
    case Rounding::kHalfUp:
      return Convert(conversion, [](double v) { return RoundHalfUp(v); }, scaled, codes);
    case Rounding::kTowardZero:
      return Convert(conversion, [](double v) { return RoundTowardZero(v); }, scaled, codes);
    case Rounding::kFloor:
      return Convert(conversion, [](double v) { return RoundFloor(v); }, scaled, codes);
  }
}

Conversion MakeConversion(const RequantRule& rule, const OutputRange& range) {
  Conversion conversion;
  conversion.zero_point =
      rule.zero_point == ZeroPointOrder::kAfterRounding ? static_cast<double>(range.zero_point) : 0.0;
  conversion.min = static_cast<double>(range.min);
  conversion.max = static_cast<double>(range.max);
  if (rule.conversion == ConversionOverflow::kInt32MinPack) {
    // The first pack is to int16; the saturating add and the second pack are the outer clamp, because the
    // output's range is inside int16 (LayerArithmetic::Create refuses others).
    conversion.low = static_cast<double>(SignedMin(16));
    conversion.high = static_cast<double>(SignedMax(16));
  } else {
    // Both limits are integers, which rounding leaves alone: clamping first changes no code.
    conversion.low = conversion.min - conversion.zero_point;
    conversion.high = conversion.max - conversion.zero_point;
  }
  return conversion;
}

}  // namespace

float RequantMultiplier(double input_scale, double weight_scale, double output_scale, MultiplierForm form) {
  const float product = static_cast<float>(input_scale) * static_cast<float>(weight_scale);
  const auto output = static_cast<float>(output_scale);
  return form == MultiplierForm::kProductThenDivide ? product / output : product * (1.0f / output);
}

void Accumulate(const AccumulatorRule& rule, std::int64_t addend, std::span<const std::int32_t> accumulators,
                std::span<std::int64_t> sums) {
  const int bits = rule.bits;
  if (rule.overflow == AccumulatorOverflow::kWrap) {
    for (std::size_t i = 0; i < sums.size(); ++i) {
      sums[i] = WrapToBits(WrappingAdd(accumulators[i], addend), bits);
    }
    return;
  }
  const std::int64_t min = SignedMin(bits);
  const std::int64_t max = SignedMax(bits);
  for (std::size_t i = 0; i < sums.size(); ++i) {
    sums[i] = std::clamp(SaturatingAdd(accumulators[i], addend), min, max);
  }
}

void Requantize(const TargetDescription& target, const RequantConstants& channel, const OutputRange& range,
                std::span<const std::int32_t> accumulators, std::span<std::int32_t> codes) {
  const RequantRule& rule = target.requantization;
  const Conversion conversion = MakeConversion(rule, range);
  std::array<std::int64_t, kBlock> sums_block;
  std::array<float, kBlock> scaled_block;
  for (std::size_t start = 0; start < accumulators.size(); start += kBlock) {
    const std::size_t count = std::min(kBlock, accumulators.size() - start);
    const auto sums = std::span(sums_block).first(count);
    const auto scaled = std::span(scaled_block).first(count);
    Accumulate(target.accumulator, channel.accumulator_bias, accumulators.subspan(start, count), sums);
    Scale(target.bias.mode, rule.multiplier, channel, sums, scaled);
    if (rule.zero_point == ZeroPointOrder::kBeforeRounding) {
      const auto zero_point = static_cast<float>(range.zero_point);
      for (float& v : scaled) v = v + zero_point;
    }
    if (rule.conversion == ConversionOverflow::kInt32MinPack) {
      // cvtps2dq has one answer for all it cannot represent, NaN too: INT32_MIN, so 2^31 ends at the *lower* limit.
      for (float& v : scaled) v = v < 0x1p31f ? v : -0x1p31f;
    }
    Convert(conversion, rule.rounding, scaled, codes.subspan(start, count));
  }
}

}  // namespace qatgap::numerics
