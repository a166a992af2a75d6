#include "analyzers/numerics/operators.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "analyzers/numerics/fixed_point.h"
#include "analyzers/numerics/rounding.h"

namespace qatgap::numerics {
namespace {

constexpr std::size_t kPytorchAddBlock = 64;

float Scale(const QuantParams& params) { return static_cast<float>(params.scale()); }
float ZeroPoint(const QuantParams& params) { return static_cast<float>(params.zero_point()); }

std::int32_t Clamp(std::int64_t code, const OutputRange& range) {
  return static_cast<std::int32_t>(std::clamp(code, range.min, range.max));
}

// clamp(RNE(v)); v may be any float.
std::int32_t RoundedCode(float v, const OutputRange& range) {
  const double rounded = RoundHalfToEven(static_cast<double>(v));
  return Clamp(static_cast<std::int64_t>(std::clamp(rounded, -0x1p60, 0x1p60)), range);
}

// clamp(RNE(v) + z_y).
std::int32_t RoundedPlusZeroPoint(float v, const OutputRange& range) {
  const double rounded = RoundHalfToEven(static_cast<double>(v));
  return Clamp(static_cast<std::int64_t>(std::clamp(rounded, -0x1p60, 0x1p60)) + range.zero_point, range);
}

float Dequantize(const QuantParams& params, std::int32_t code) {
  return (static_cast<float>(code) - ZeroPoint(params)) * Scale(params);
}
// The same with the products contracted, as vector code does it.
float DequantizeFused(const QuantParams& params, std::int32_t code) {
  return std::fma(Scale(params), static_cast<float>(code), -ZeroPoint(params) * Scale(params));
}

std::int64_t Distance(const QuantParams& params, std::int32_t code) { return code - params.zero_point(); }

std::int32_t Wrap32(std::int64_t v) { return static_cast<std::int32_t>(WrapToBits(v, 32)); }

// Both inputs' s / s_y as integers of a common power of two.
struct CommonMultipliers {
  std::int64_t a = 0, b = 0;
  int shift = 0;
};

CommonMultipliers MakeCommonMultipliers(const BinaryOperands& operands, int bits) {
  const float ratio_a = Scale(operands.a) / Scale(operands.output);
  const float ratio_b = Scale(operands.b) / Scale(operands.output);
  const int shift = bits - std::ilogb(std::max(ratio_a, ratio_b));
  const auto fixed = [&](float ratio) {
    return static_cast<std::int64_t>(RoundHalfToEven(std::ldexp(static_cast<double>(ratio), shift)));
  };
  return {.a = fixed(ratio_a), .b = fixed(ratio_b), .shift = shift};
}

// round(v / 2^shift), half away from zero.
std::int64_t ShiftHalfAway(std::int64_t v, int shift) {
  const std::int64_t mask = (std::int64_t{1} << shift) - 1;
  const std::int64_t remainder = (v & mask) - (v < 0 ? 1 : 0);
  return (v >> shift) + (remainder > (mask >> 1) ? 1 : 0);
}

class TfliteAdd {
 public:
  explicit TfliteAdd(const BinaryOperands& operands) : operands_(operands) {
    left_shift_ = operands.a.quant_max > 255 ? 15 : 20;
    const double a = static_cast<double>(Scale(operands.a)), b = static_cast<double>(Scale(operands.b));
    const double twice = 2 * std::max(a, b);
    input_a_ = QuantizeMultiplier(a / twice);
    input_b_ = QuantizeMultiplier(b / twice);
    output_ = QuantizeMultiplier(twice / (std::ldexp(1.0, left_shift_) * static_cast<double>(Scale(operands.output))));
  }

  std::int32_t Code(std::int32_t a, std::int32_t b) const {
    const auto scaled = [&](const QuantParams& params, std::int32_t code, const FixedPointMultiplier& multiplier) {
      return MultiplyDoubleRounding(Wrap32(Distance(params, code) * (std::int64_t{1} << left_shift_)), multiplier);
    };
    const std::int32_t sum =
        Wrap32(std::int64_t{scaled(operands_.a, a, input_a_)} + scaled(operands_.b, b, input_b_));
    return Clamp(std::int64_t{MultiplyDoubleRounding(sum, output_)} + operands_.range.zero_point, operands_.range);
  }

 private:
  const BinaryOperands& operands_;
  int left_shift_ = 20;
  FixedPointMultiplier input_a_, input_b_, output_;
};

std::int32_t AddPytorch(const BinaryOperands& operands, bool body, std::int32_t a, std::int32_t b) {
  const float reciprocal = 1.0f / Scale(operands.output);
  if (body) {
    const float v = DequantizeFused(operands.a, a) + DequantizeFused(operands.b, b);
    return RoundedPlusZeroPoint(v * reciprocal, operands.range);
  }
  const float v = Dequantize(operands.a, a) + Dequantize(operands.b, b);
  return RoundedCode(v * reciprocal + ZeroPoint(operands.output), operands.range);
}

std::int32_t AddOnnxRuntime(const BinaryOperands& operands, std::int32_t a, std::int32_t b) {
  const float ratio_a = Scale(operands.a) / Scale(operands.output);
  const float ratio_b = Scale(operands.b) / Scale(operands.output);
  const float fixed = ZeroPoint(operands.output) - std::fma(ratio_a, ZeroPoint(operands.a), ratio_b * ZeroPoint(operands.b));
  return RoundedCode(std::fma(static_cast<float>(a), ratio_a, std::fma(static_cast<float>(b), ratio_b, fixed)),
                     operands.range);
}

template <typename CodeOf>
void ForEach(std::span<const std::int32_t> a, std::span<const std::int32_t> b, std::span<std::int32_t> codes,
             const CodeOf& code_of) {
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = code_of(a[i], b[i]);
}

std::int64_t WindowSum(const PoolWindow& window) {
  std::int64_t sum = 0;
  for (const std::int32_t code : window.codes) sum += code;
  return sum;
}

float SumInOrder(const PoolWindow& window, const QuantParams& input) {
  float sum = 0;
  for (const std::int32_t code : window.codes) sum = sum + Dequantize(input, code);
  return sum;
}

std::int32_t AveragePoolPytorch(const UnaryOperands& operands, KernelPosition position, const PoolWindow& window,
                                std::int64_t distance) {
  const auto sum = static_cast<float>(distance);
  const float zero_point = ZeroPoint(operands.input);
  if (window.adaptive && !position.channels_last) {
    const auto raw = static_cast<float>(distance + window.count * operands.input.zero_point());
    return RoundedCode(raw * (1.0f / static_cast<float>(window.height) / static_cast<float>(window.width)),
                       operands.range);
  }
  const float m = 1.0f / static_cast<float>(window.count);
  const float twice_inverted = 1.0f / (1.0f / m);
  if (window.adaptive) return RoundedCode(std::fma(sum, twice_inverted, zero_point), operands.range);
  if (!position.channels_last) return RoundedCode(sum * m + zero_point, operands.range);
  if (position.vector_body) return RoundedPlusZeroPoint(sum * m, operands.range);
  return RoundedCode(sum * twice_inverted + zero_point, operands.range);
}

std::int32_t MeanTflite(const UnaryOperands& operands, const ReducedElements& elements) {
  const double ratio = static_cast<double>(Scale(operands.input)) / static_cast<double>(Scale(operands.output));
  FixedPointMultiplier m = QuantizeMultiplier(ratio);
  const int log2 = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(elements.count))) - 1;
  const int shift = std::max(0, std::min({log2, 32, 31 + m.shift}));
  m.mantissa = static_cast<std::int32_t>((static_cast<std::int64_t>(m.mantissa) << shift) / elements.count);
  m.shift -= shift;
  const std::int64_t distance = elements.sum - operands.input.zero_point() * elements.count;
  return Clamp(std::int64_t{MultiplyDoubleRounding(Wrap32(distance), m)} + operands.range.zero_point, operands.range);
}

std::int32_t MeanTfliteVector(const UnaryOperands& operands, KernelPosition position, const ReducedElements& elements) {
  if (!elements.spatial || operands.input.quant_max > 255) return MeanTflite(operands, elements);
  const float s_x = Scale(operands.input), s_y = Scale(operands.output);
  float t = ZeroPoint(operands.input) * s_x / s_y;
  t = t > 0 ? t + 0.5f : t - 0.5f;
  const std::int64_t offset = operands.range.zero_point - static_cast<std::int64_t>(t);
  const FixedPointMultiplier m =
      QuantizeMultiplier(static_cast<double>(s_x / (static_cast<float>(elements.count) * s_y)));
  const bool half_up = operands.input.quant_min < 0 && position.vector_body;
  const std::int32_t sum = Wrap32(elements.sum);
  const std::int32_t mean = half_up ? MultiplyDoubleRoundingHalfUp(sum, m) : MultiplyDoubleRounding(sum, m);
  return Clamp(mean + offset, operands.range);
}

std::int32_t MeanXnnpack(const UnaryOperands& operands, const ReducedElements& elements) {
  const auto n = static_cast<float>(elements.count);
  const float m = Scale(operands.input) / Scale(operands.output) * (1.0f / n);
  const auto count_zero_point = static_cast<float>(elements.count * operands.input.zero_point());
  const float offset = ZeroPoint(operands.output) - count_zero_point * m;
  return RoundedCode(static_cast<float>(elements.sum) * m + offset, operands.range);
}

}  // namespace

void AddCodes(AddRule rule, const BinaryOperands& operands, std::span<const std::int32_t> a,
              std::span<const std::int32_t> b, std::span<std::int32_t> codes) {
  const OutputRange& range = operands.range;
  switch (rule) {
    case AddRule::kFloat:
      return ForEach(a, b, codes, [&](std::int32_t x, std::int32_t y) {
        return RoundedPlusZeroPoint((Dequantize(operands.a, x) + Dequantize(operands.b, y)) *
                                        (1.0f / Scale(operands.output)), range);
      });
    case AddRule::kPytorch: {
      const std::size_t body = codes.size() / kPytorchAddBlock * kPytorchAddBlock;
      for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = AddPytorch(operands, i < body, a[i], b[i]);
      return;
    }
    case AddRule::kQnnpack: {
      const CommonMultipliers m = MakeCommonMultipliers(operands, 21);
      return ForEach(a, b, codes, [&](std::int32_t x, std::int32_t y) {
        const std::int64_t sum = Distance(operands.a, x) * m.a + Distance(operands.b, y) * m.b;
        return Clamp(ShiftHalfAway(sum, m.shift) + range.zero_point, range);
      });
    }
    case AddRule::kTflite: {
      const TfliteAdd add(operands);
      return ForEach(a, b, codes, [&](std::int32_t x, std::int32_t y) { return add.Code(x, y); });
    }
    case AddRule::kXnnpack: {
      const CommonMultipliers m = MakeCommonMultipliers(operands, 20);
      return ForEach(a, b, codes, [&](std::int32_t x, std::int32_t y) {
        const std::int64_t sum = Distance(operands.a, x) * m.a + Distance(operands.b, y) * m.b;
        return Clamp((Wrap32(sum + (std::int64_t{1} << (m.shift - 1))) >> m.shift) + range.zero_point, range);
      });
    }
    case AddRule::kOnnxRuntime:
      return ForEach(a, b, codes,
                     [&](std::int32_t x, std::int32_t y) { return AddOnnxRuntime(operands, x, y); });
  }
}

void MulCodes(MulRule rule, const BinaryOperands& operands, std::span<const std::int32_t> a,
              std::span<const std::int32_t> b, std::span<std::int32_t> codes) {
  const OutputRange& range = operands.range;
  const float product_scale = Scale(operands.a) * Scale(operands.b);
  const float m = product_scale / Scale(operands.output);
  const auto product = [&](std::int32_t x, std::int32_t y) {
    return Distance(operands.a, x) * Distance(operands.b, y);
  };
  switch (rule) {
    case MulRule::kFloat:
      return ForEach(a, b, codes, [&](std::int32_t x, std::int32_t y) {
        return RoundedPlusZeroPoint(Dequantize(operands.a, x) * Dequantize(operands.b, y) *
                                        (1.0f / Scale(operands.output)), range);
      });
    case MulRule::kPytorch: {
      const float by_reciprocal = product_scale * (1.0f / Scale(operands.output));
      return ForEach(a, b, codes, [&](std::int32_t x, std::int32_t y) {
        return RoundedPlusZeroPoint(static_cast<float>(product(x, y)) * by_reciprocal, range);
      });
    }
    case MulRule::kTflite:
    case MulRule::kTfliteMicro: {
      const double in_doubles = static_cast<double>(Scale(operands.a)) * static_cast<double>(Scale(operands.b)) /
                                static_cast<double>(Scale(operands.output));
      const FixedPointMultiplier fixed =
          QuantizeMultiplier(rule == MulRule::kTflite ? static_cast<double>(m) : in_doubles);
      return ForEach(a, b, codes, [&](std::int32_t x, std::int32_t y) {
        return Clamp(std::int64_t{MultiplyDoubleRounding(Wrap32(product(x, y)), fixed)} + range.zero_point, range);
      });
    }
    case MulRule::kXnnpack:
      return ForEach(a, b, codes, [&](std::int32_t x, std::int32_t y) {
        return RoundedPlusZeroPoint(static_cast<float>(product(x, y)) * m, range);
      });
    case MulRule::kOnnxRuntime:
      return ForEach(a, b, codes, [&](std::int32_t x, std::int32_t y) {
        return RoundedCode(static_cast<float>(product(x, y)) * m + ZeroPoint(operands.output), range);
      });
  }
}

std::int32_t ConcatCode(ConcatRule rule, const UnaryOperands& operands, KernelPosition position, std::int32_t code) {
  const QuantParams& input = operands.input;
  const OutputRange& range = operands.range;
  const float reciprocal = 1.0f / Scale(operands.output);
  const bool same = input.scales == operands.output.scales && input.zero_points == operands.output.zero_points;
  switch (rule) {
    case ConcatRule::kFloat:
      return RoundedPlusZeroPoint(Dequantize(input, code) * reciprocal, range);
    case ConcatRule::kCopy:
      return Clamp(code, range);
    case ConcatRule::kPytorch:
      if (!position.channels_last) {
        return RoundedCode(std::fma(Dequantize(input, code), reciprocal, ZeroPoint(operands.output)), range);
      }
      if (position.vector_body) return RoundedPlusZeroPoint(DequantizeFused(input, code) * reciprocal, range);
      return RoundedCode(Dequantize(input, code) * reciprocal + ZeroPoint(operands.output), range);
    case ConcatRule::kTflite: {
      if (same) return Clamp(code, range);
      const float scale = Scale(input) * reciprocal;
      const float v = static_cast<float>(code) * scale + -ZeroPoint(input) * scale;
      return Clamp(static_cast<std::int64_t>(RoundHalfAwayFromZero(static_cast<double>(v))) + range.zero_point, range);
    }
    case ConcatRule::kOnnxRuntime:
      if (same) return Clamp(code, range);
      return RoundedPlusZeroPoint(Dequantize(input, code) / Scale(operands.output), range);
  }
  return 0;
}

std::int32_t AveragePoolCode(AveragePoolRule rule, const UnaryOperands& operands, KernelPosition position,
                             const PoolWindow& window) {
  const OutputRange& range = operands.range;
  const std::int64_t sum = WindowSum(window);
  const std::int64_t distance =
      sum - operands.input.zero_point() * static_cast<std::int64_t>(window.codes.size());
  const float s_x = Scale(operands.input), s_y = Scale(operands.output);
  switch (rule) {
    case AveragePoolRule::kFloat: {
      const float mean = static_cast<float>(distance) * s_x / static_cast<float>(window.count);
      return RoundedPlusZeroPoint(mean * (1.0f / s_y), range);
    }
    case AveragePoolRule::kPytorch:
      return AveragePoolPytorch(operands, position, window, distance);
    case AveragePoolRule::kQnnpack: {
      const auto whole = static_cast<float>(window.height * window.width);
      return RoundedPlusZeroPoint(static_cast<float>(distance) * (s_x / (s_x * whole)), range);
    }
    case AveragePoolRule::kTflite: {
      const auto n = static_cast<std::int64_t>(window.codes.size());
      if (n == 0) return Clamp(0, range);
      return Clamp((sum > 0 ? sum + n / 2 : sum - n / 2) / n, range);
    }
    case AveragePoolRule::kOnnxRuntime: {
      const float mean = SumInOrder(window, operands.input) / static_cast<float>(window.count);
      return RoundedCode(mean / s_y + ZeroPoint(operands.output), range);
    }
  }
  return 0;
}

std::int32_t MeanCode(MeanRule rule, const UnaryOperands& operands, KernelPosition position,
                      const ReducedElements& elements) {
  const OutputRange& range = operands.range;
  const auto distance = static_cast<float>(elements.sum - operands.input.zero_point() * elements.count);
  const auto n = static_cast<float>(elements.count);
  const float s_x = Scale(operands.input), s_y = Scale(operands.output);
  switch (rule) {
    case MeanRule::kFloat:
      return RoundedPlusZeroPoint(distance * s_x / n * (1.0f / s_y), range);
    case MeanRule::kPytorch:
      return RoundedCode(distance * (1.0f / n) + ZeroPoint(operands.input), range);
    case MeanRule::kQnnpack:
      return RoundedPlusZeroPoint(distance * (s_x / (s_x * n)), range);
    case MeanRule::kTflite:
      return MeanTflite(operands, elements);
    case MeanRule::kTfliteVector:
      return MeanTfliteVector(operands, position, elements);
    case MeanRule::kXnnpack:
      return MeanXnnpack(operands, elements);
    case MeanRule::kOnnxRuntime:
      return RoundedPlusZeroPoint(distance * (s_x / (s_y * n)), range);
  }
  return 0;
}

}  // namespace qatgap::numerics
