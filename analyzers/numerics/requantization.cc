#include "analyzers/numerics/requantization.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "absl/numeric/int128.h"
#include "analyzers/numerics/accumulator.h"
#include "analyzers/numerics/rounding.h"

namespace qatgap::numerics {
namespace {

constexpr std::size_t kBlock = 512;  // stays in the first-level cache

template <typename Sum>
void Affine(std::span<const Sum> sums, double multiplier, double offset, const OutputRange& range,
            std::span<std::int32_t> codes) {
  // Clamping to integers first and then rounding equals rounding and then clamping, and bounds the
  // argument.
  const double low = static_cast<double>(range.min - range.zero_point);
  const double high = static_cast<double>(range.max - range.zero_point);
  const double zero_point = static_cast<double>(range.zero_point);
  const std::size_t size = codes.size();
  const Sum* in = sums.data();
  std::int32_t* out = codes.data();
  for (std::size_t i = 0; i < size; ++i) {
    const double v = ClampReal(static_cast<double>(in[i]) * multiplier + offset, low, high);
    out[i] = static_cast<std::int32_t>(RoundBounded<Rounding::kHalfToEven>(v) + zero_point);
  }
}

bool IsWrapping32(const AccumulatorRule& rule) {
  return rule.bits == 32 && rule.overflow == AccumulatorOverflow::kWrap;
}

// |A + bias_code| < 2^63 and Accumulate fits in 64 bits.
bool FitsInt64(const AccumulatorRule& rule, std::int64_t bias_code) {
  constexpr std::int64_t kLimit = std::int64_t{1} << 61;
  return rule.bits <= 62 && bias_code > -kLimit && bias_code < kLimit;
}

// out[i] = number(Accumulate(A + bias_code) - subtract), where subtract is 0 or bias_code.
template <typename Wide, typename Number>
void AccumulateBlock(std::span<const std::int32_t> in, const AccumulatorRule& rule,
                     std::int64_t bias_code, std::int64_t subtract, std::span<Number> out) {
  const Wide bias{bias_code};
  const Wide less{subtract};
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<Number>(Accumulate<Wide>(rule, Wide{in[i]} + bias) - less);
  }
}

template <typename Number>
void AccumulateAnyWidth(std::span<const std::int32_t> in, const AccumulatorRule& rule,
                        std::int64_t bias_code, std::int64_t subtract, std::span<Number> out) {
  if (FitsInt64(rule, bias_code)) {
    AccumulateBlock<std::int64_t>(in, rule, bias_code, subtract, out);
  } else {
    AccumulateBlock<absl::int128>(in, rule, bias_code, subtract, out);
  }
}

// The low 32 bits of a bias code: all that a wrapping 32-bit accumulator sees of it.
std::int32_t Low32(std::int64_t code) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(code));
}

void AccumulateToFloat(const Float32Requantization& constants, std::span<const std::int32_t> in,
                       std::span<float> out) {
  if (!IsWrapping32(constants.accumulator)) {
    AccumulateAnyWidth<float>(in, constants.accumulator, constants.bias_code, 0, out);
    return;
  }
  const std::int32_t bias = Low32(constants.bias_code);
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<float>(WrappingAdd32(in[i], bias));
}

void Scale(const Float32Requantization& constants, std::span<float> values) {
  const float multiplier = constants.multiplier;
  const float bias = constants.bias;
  switch (constants.mode) {
    case BiasMode::kInteger:
      for (float& v : values) v = v * multiplier;
      return;
    case BiasMode::kFloatBeforeScale:
      for (float& v : values) v = (v + bias) * multiplier;
      return;
    case BiasMode::kFloatAfterScale: {
      const float input_scale = constants.input_scale;
      const float weight_scale = constants.weight_scale;
      for (float& v : values) v = v * input_scale * weight_scale + bias;
      if (constants.rule.multiplier == MultiplierForm::kProductThenDivide) {
        const float output_scale = constants.output_scale;
        for (float& v : values) v = v / output_scale;
      } else {
        const float reciprocal = 1.0F / constants.output_scale;
        for (float& v : values) v = v * reciprocal;
      }
      return;
    }
  }
}

// Rounding happens in binary64, where the conversion from binary32 is exact and the bounded form
// applies.
template <Rounding R>
void FinishClamped(std::span<const float> values, double low, double high, double zero_point,
                   std::span<std::int32_t> codes) {
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const double v = ClampReal(static_cast<double>(values[i]), low, high);
    codes[i] = static_cast<std::int32_t>(RoundBounded<R>(v) + zero_point);
  }
}

template <Rounding R>
void FinishX86Int16(std::span<const float> values, const OutputRange& range,
                    std::span<std::int32_t> codes) {
  const std::int32_t zero_point = static_cast<std::int32_t>(range.zero_point);
  // sat16(q + z_y) clamped to [min, max], where [min, max] is inside int16.
  const std::int32_t low = static_cast<std::int32_t>(std::max<std::int64_t>(range.min, -32768));
  const std::int32_t high = static_cast<std::int32_t>(std::min<std::int64_t>(range.max, 32767));
  for (std::size_t i = 0; i < codes.size(); ++i) {
    double v = static_cast<double>(values[i]);
    // cvtps gives INT32_MIN for what int32 cannot hold, so a large positive value ends at the
    // bottom.
    v = v < 2147483648.0 ? v : -32768.0;
    v = ClampReal(v, -32768.0, 32767.0);
    const std::int32_t p = static_cast<std::int32_t>(RoundBounded<R>(v)) + zero_point;
    codes[i] = std::min(std::max(p, low), high);
  }
}

template <Rounding R>
void Finish(const Float32Requantization& constants, std::span<float> values,
            std::span<std::int32_t> codes) {
  const OutputRange& range = constants.range;
  if (constants.rule.zero_point == ZeroPointOrder::kBeforeRounding) {
    const float zero_point = static_cast<float>(range.zero_point);
    for (float& v : values) v = v + zero_point;
    FinishClamped<R>(values, static_cast<double>(range.min), static_cast<double>(range.max), 0.0,
                     codes);
  } else if (constants.rule.overflow == RequantOverflow::kX86Int16) {
    FinishX86Int16<R>(values, range, codes);
  } else {
    FinishClamped<R>(values, static_cast<double>(range.min - range.zero_point),
                     static_cast<double>(range.max - range.zero_point),
                     static_cast<double>(range.zero_point), codes);
  }
}

}  // namespace

void RequantizeReal(std::span<const std::int32_t> sums, double multiplier, double offset,
                    const OutputRange& range, std::span<std::int32_t> codes) {
  Affine(sums, multiplier, offset, range, codes);
}

void RequantizeReal(std::span<const double> sums, double multiplier, double offset,
                    const OutputRange& range, std::span<std::int32_t> codes) {
  Affine(sums, multiplier, offset, range, codes);
}

void RequantizeAccumulated(std::span<const std::int32_t> accumulators, const AccumulatorRule& rule,
                           std::int64_t bias_code, double multiplier, double offset,
                           const OutputRange& range, std::span<std::int32_t> codes) {
  std::array<double, kBlock> buffer;
  const bool small = bias_code > -(std::int64_t{1} << 52) && bias_code < (std::int64_t{1} << 52);
  for (std::size_t begin = 0; begin < codes.size(); begin += kBlock) {
    const std::size_t size = std::min(kBlock, codes.size() - begin);
    const std::span<const std::int32_t> in = accumulators.subspan(begin, size);
    const std::span<double> sums(buffer.data(), size);
    if (IsWrapping32(rule) && small) {
      // Both terms are integers below 2^53: their difference in binary64 is exact.
      const std::int32_t low_bits = Low32(bias_code);
      const double bias = static_cast<double>(bias_code);
      for (std::size_t i = 0; i < size; ++i) {
        sums[i] = static_cast<double>(WrappingAdd32(in[i], low_bits)) - bias;
      }
    } else {
      AccumulateAnyWidth<double>(in, rule, bias_code, bias_code, sums);
    }
    Affine<double>(sums, multiplier, offset, range, codes.subspan(begin, size));
  }
}

void RequantizeFloat32(const Float32Requantization& constants,
                       std::span<const std::int32_t> accumulators, std::span<std::int32_t> codes) {
  std::array<float, kBlock> buffer;
  for (std::size_t begin = 0; begin < codes.size(); begin += kBlock) {
    const std::size_t size = std::min(kBlock, codes.size() - begin);
    const std::span<float> values(buffer.data(), size);
    const std::span<std::int32_t> out = codes.subspan(begin, size);
    AccumulateToFloat(constants, accumulators.subspan(begin, size), values);
    Scale(constants, values);
    switch (constants.rule.rounding) {
      case Rounding::kHalfToEven:
        Finish<Rounding::kHalfToEven>(constants, values, out);
        break;
      case Rounding::kHalfAwayFromZero:
        Finish<Rounding::kHalfAwayFromZero>(constants, values, out);
        break;
      case Rounding::kHalfUp:
        Finish<Rounding::kHalfUp>(constants, values, out);
        break;
      case Rounding::kTowardZero:
        Finish<Rounding::kTowardZero>(constants, values, out);
        break;
      case Rounding::kFloor:
        Finish<Rounding::kFloor>(constants, values, out);
        break;
    }
  }
}

}  // namespace qatgap::numerics
