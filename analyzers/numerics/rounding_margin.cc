#include "analyzers/numerics/rounding_margin.h"

#include <algorithm>
#include <cmath>

#include "analyzers/numerics/requantization.h"
#include "analyzers/numerics/requantization_kernels.h"
#include "analyzers/numerics/rounding.h"

namespace qatgap::numerics {
namespace {

constexpr double kBinary32 = 0x1p-20, kBinary64 = 0x1p-49;  // 16 roundings, relative to the sum of what is added up
constexpr double kLargestValue = 0x1p30;                    // in LSB: no conversion overflows below it

// v = A * multiplier + offset, but for `relative` * (|A| * multiplier + magnitude) + `rounding`.
struct Line {
  double multiplier = 0, offset = 0;
  double magnitude = 0;  // sum of the sizes of what makes up the offset
  double relative = kBinary64;
  double rounding = 0;   // of what is rounded before the last rounding
  double largest = 0x1p31;
};

bool ToNearest(Rounding rounding) {
  return rounding != Rounding::kTowardZero && rounding != Rounding::kFloor && rounding != Rounding::kCeiling;
}

// A magnitude whose products with others of its kind binary32 holds with all their bits.
bool IsOrdinary(float scale) { return scale > 0x1p-60f && scale < 0x1p60f; }

std::optional<Line> FloatLine(const TargetDescription& target, const RequantConstants& c) {
  if (!ToNearest(target.requantization.rounding)) return std::nullopt;
  const auto bias = static_cast<double>(c.bias), multiplier = static_cast<double>(c.multiplier);
  const auto addend = static_cast<double>(c.accumulator_bias);
  Line line{.relative = kBinary32};
  const auto before_scale = [&](double added) {
    line.multiplier = multiplier;
    line.offset = (addend + added) * multiplier;
    line.magnitude = (std::abs(addend) + std::abs(added)) * multiplier;
  };
  const auto after_scale = [&](double scale) {
    line.multiplier = scale / static_cast<double>(c.output_scale);
    const double added = bias / static_cast<double>(c.output_scale);
    line.offset = addend * line.multiplier + added;
    line.magnitude = std::abs(addend) * line.multiplier + std::abs(added);
  };
  switch (ScalingOf(target, c)) {
    case FloatScaling::kMultiply: before_scale(0); break;
    case FloatScaling::kAddMultiply: before_scale(bias); break;
    case FloatScaling::kFusedAddMultiply: before_scale(bias * static_cast<double>(c.bias_reciprocal)); break;
    case FloatScaling::kSuccessiveDivide:
    case FloatScaling::kSuccessiveMultiply:
      if (!IsOrdinary(c.input_scale) || !IsOrdinary(c.weight_scale) || !IsOrdinary(c.output_scale)) return std::nullopt;
      after_scale(static_cast<double>(c.input_scale) * static_cast<double>(c.weight_scale));
      break;
    case FloatScaling::kProductDivide:
    case FloatScaling::kProductMultiply:
      if (!IsOrdinary(c.multiplier) || !IsOrdinary(c.output_scale)) return std::nullopt;
      after_scale(multiplier);
      break;
  }
  return line;
}

std::optional<Line> FixedPointLine(RequantMode mode, const RequantConstants& c) {
  const auto addend = static_cast<double>(c.accumulator_bias);
  const int left = std::max(c.fixed.shift, 0), right = std::max(-c.fixed.shift, 0);
  Line line{.multiplier = ToReal(c.fixed)};
  line.offset = addend * line.multiplier;
  line.magnitude = std::abs(line.offset);
  if (mode == RequantMode::kQ31DoubleRounding || mode == RequantMode::kQ31DoubleRoundingHalfUp) {
    line.rounding = right > 0 ? std::ldexp(0.5, -right) : 0;  // of the high product, before the shift
    line.largest = std::ldexp(1, 31 - left) - 1;
  } else if (mode == RequantMode::kTosa) {
    line.rounding = right > 0 ? std::ldexp(0.5, -right) : 0;  // 2^30 of 2^(31 + right)
  } else if (mode != RequantMode::kQ31SingleRounding) {
    return std::nullopt;
  }
  return line;
}

std::optional<Line> RequantizationLine(const TargetDescription& target, const RequantConstants& c) {
  const RequantRule& rule = target.requantization;
  if (rule.mode == RequantMode::kFloat32) return FloatLine(target, c);
  if (rule.mode != RequantMode::kFloat64 && rule.mode != RequantMode::kPowerOfTwoShift) return FixedPointLine(rule.mode, c);
  if (!ToNearest(rule.rounding) || std::abs(c.right_shift) > 60) return std::nullopt;
  Line line{.multiplier = rule.mode == RequantMode::kFloat64 ? c.multiplier64 : std::ldexp(1, -c.right_shift)};
  line.offset = static_cast<double>(c.accumulator_bias) * line.multiplier;
  line.magnitude = std::abs(line.offset);
  return line;
}

}  // namespace

void RoundingMargin::Widen(const RoundingMargin& other) {
  constant = std::max(constant, other.constant);
  per_accumulator = std::max(per_accumulator, other.per_accumulator);
  largest = std::min(largest, other.largest);
}

std::optional<RoundingMargin> MarginOf(const LayerArithmetic& arithmetic, ArithmeticStage stage, std::int64_t channel,
                                       const AffineKernel& reference) {
  const AffineKernel affine = arithmetic.Affine(stage, channel);
  if (affine.low != reference.low || affine.high != reference.high || affine.zero_point != reference.zero_point) {
    return std::nullopt;
  }
  std::optional<Line> line = Line{
      .multiplier = affine.multiplier, .offset = affine.offset, .magnitude = std::abs(affine.offset)};
  const TargetDescription& target = arithmetic.target(channel);
  const RequantConstants& constants = arithmetic.requant_constants(channel);
  if (stage == ArithmeticStage::kRequantized) line = RequantizationLine(target, constants);
  if (!line) return std::nullopt;
  if (stage == ArithmeticStage::kAccumulated || stage == ArithmeticStage::kRequantized) {
    // A + addend neither wraps nor saturates.
    const double limit = std::ldexp(1, std::min(target.accumulator.bits, 32) - 1) - 1;
    line->largest = std::min(line->largest, limit) - std::abs(static_cast<double>(constants.accumulator_bias));
  }
  if (line->multiplier > 0) line->largest = std::min(line->largest, (kLargestValue - line->magnitude) / line->multiplier);
  const double zero_point = line->relative * std::abs(reference.zero_point);  // which may be added before the rounding
  return RoundingMargin{
      .constant = std::abs(line->offset - reference.offset) + line->relative * line->magnitude + zero_point + line->rounding,
      .per_accumulator = std::abs(line->multiplier - reference.multiplier) + line->relative * line->multiplier,
      .largest = line->largest};
}

}  // namespace qatgap::numerics
