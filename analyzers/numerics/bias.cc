#include "analyzers/numerics/bias.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "analyzers/numerics/rounding.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::numerics {
namespace {

// TFLite keeps integer biases at or below half of int32's range.
constexpr double kTfliteBiasMax = 2147483647.0 / 2;

bool Fits(double rounded, const BiasRule& rule) {
  const double limit = std::ldexp(1.0, rule.bits - 1);
  const bool symmetric = rule.symmetric_clamp && rule.overflow != BiasOverflow::kWrap;
  return rounded < limit && (symmetric ? rounded > -limit : rounded >= -limit);
}

absl::StatusOr<StoredBias> StoreOne(const BiasRule& rule, double bias, double scale, double output_scale,
                                    std::size_t channel, bool per_tensor) {
  StoredBias result{.real = bias, .scale = scale};
  const double quotient = bias == 0 ? 0.0 : DivideBias(bias, scale, rule.division, per_tensor);
  if (!std::isfinite(quotient)) {
    return absl::FailedPreconditionError(
        absl::StrFormat("bias[%d] = %g divided by its scale %g is beyond binary32; the channel's weight scale is "
                        "probably that of all-zero weights",
                        channel, bias, scale));
  }
  result.rounded = Round(quotient, rule.rounding);
  result.stored = StoreInteger(result.rounded, rule);
  result.saturated = !Fits(result.rounded, rule);
  if (result.saturated && rule.overflow == BiasOverflow::kRefuse) {
    return absl::FailedPreconditionError(
        absl::StrFormat("bias[%d] = %g is %.0f steps of %g, which does not fit %d bits; the target refuses such a "
                        "layer",
                        channel, bias, result.rounded, scale, rule.bits));
  }
  result.residual_lsb = (static_cast<double>(result.stored) * scale - bias) / output_scale;
  return result;
}

// A bias that came as an integer: nothing is rounded, only the width counts. Without a real bias it is the real one.
StoredBias TakeGiven(const BiasRule& rule, const MacConstants& constants, double scale, std::size_t channel) {
  const auto given = static_cast<double>(constants.stored_bias[channel]);
  StoredBias result{.real = constants.bias.empty() ? given * scale : constants.bias[channel], .scale = scale};
  result.rounded = given;
  result.saturated = !Fits(given, rule);
  result.stored = result.saturated ? StoreInteger(given, rule) : constants.stored_bias[channel];
  result.residual_lsb = (static_cast<double>(result.stored) * scale - result.real) / constants.output.scale();
  return result;
}

// s_w[c] where the rule's limit holds, for one channel.
double AdjustedScale(const BiasRule& rule, double bias, double input_scale, double weight_scale, bool per_tensor) {
  const double product = ProductScale(input_scale, weight_scale, rule.scale, per_tensor);
  if (rule.adjustment == WeightAdjustment::kTflite) {
    if (std::abs(bias) / product <= kTfliteBiasMax) return weight_scale;
    return std::abs(bias) / kTfliteBiasMax / input_scale;
  }
  // quantize_static's arithmetic: a channel's bias is a binary32 scalar there, and so are the first two products; of
  // per-tensor weights everything is binary64. The new scale is stored as binary32.
  const double twice = per_tensor ? 1.0001 * (2 * std::abs(bias))
                                  : static_cast<double>(1.0001f * (2.0f * static_cast<float>(std::abs(bias))));
  const double least = twice / 4294967294.0;
  if (product >= least) return weight_scale;
  return static_cast<double>(static_cast<float>(weight_scale * (least / product)));
}

}  // namespace

double ProductScale(double input_scale, double weight_scale, BiasScale rule, bool per_tensor) {
  if (rule == BiasScale::kProductDoubleIfPerTensor) {
    rule = per_tensor ? BiasScale::kProductDouble : BiasScale::kProductFloat;
  }
  switch (rule) {
    case BiasScale::kProductFloat:
      return static_cast<double>(static_cast<float>(input_scale) * static_cast<float>(weight_scale));
    case BiasScale::kProductDoubleToFloat:
      return static_cast<double>(static_cast<float>(input_scale * weight_scale));
    case BiasScale::kProductDouble:
    case BiasScale::kProductDoubleIfPerTensor:
    case BiasScale::kOwnPowerOfTwo:
      break;
  }
  return input_scale * weight_scale;
}

double PowerOfTwoScale(std::span<const double> bias, int bits) {
  double greatest = 0;
  for (const double b : bias) greatest = std::max(greatest, std::abs(b));
  if (greatest == 0) return 1;
  const auto limit = static_cast<double>(SignedMax(bits));
  int exponent = 0;
  std::frexp(greatest / limit, &exponent);  // greatest / limit <= 2^exponent
  // The quotient's own rounding can hide that the next lower power still fits, or that this one does not.
  while (std::ldexp(greatest, -(exponent - 1)) <= limit) --exponent;
  while (std::ldexp(greatest, -exponent) > limit) ++exponent;
  return std::ldexp(1.0, exponent);
}

double DivideBias(double bias, double scale, BiasDivision division, bool per_tensor) {
  const auto bias_float = static_cast<float>(bias);
  const auto scale_float = static_cast<float>(scale);
  if (division == BiasDivision::kReciprocalIfPerTensor) {
    division = per_tensor ? BiasDivision::kMultiplyReciprocal : BiasDivision::kDivideFloat;
  }
  switch (division) {
    case BiasDivision::kReciprocalIfPerTensor:
    case BiasDivision::kDivideFloat:
      return static_cast<double>(bias_float / scale_float);
    case BiasDivision::kMultiplyReciprocal:
      // 1 / scale rounded once: for a binary32 scale that is 1.0f / scale_float, tried for all of a binade.
      return static_cast<double>(bias_float * static_cast<float>(1.0 / scale));
    case BiasDivision::kDivideDouble:
      break;
  }
  return bias / scale;
}

std::int64_t StoreInteger(double rounded, const BiasRule& rule) {
  const double limit = std::ldexp(1.0, rule.bits - 1);
  const std::int64_t max = SignedMax(rule.bits);
  const std::int64_t min = rule.symmetric_clamp ? -max : -max - 1;
  if (rule.overflow == BiasOverflow::kWrap) {
    // fmod is exact, and the remainder fits: |remainder| < 2^bits <= 2^64, so halve the range before converting.
    double remainder = std::fmod(rounded, 2 * limit);
    if (remainder >= limit) remainder -= 2 * limit;
    if (remainder < -limit) remainder += 2 * limit;
    return static_cast<std::int64_t>(remainder);
  }
  if (rule.overflow == BiasOverflow::kInt32Min && !(rounded < limit && rounded >= -limit)) return SignedMin(rule.bits);
  if (rounded >= limit) return max;
  if (rounded < -limit) return min;
  return std::max(static_cast<std::int64_t>(rounded), min);
}

absl::StatusOr<LayerBias> StoreBias(const BiasRule& rule, const MacConstants& constants) {
  const auto channels = static_cast<std::size_t>(constants.channels);
  LayerBias result;
  result.stored.resize(channels);
  result.in_accumulator.resize(channels, 0);
  result.aligned.resize(channels, 0);
  const bool per_tensor = constants.weight.scales.size() == 1;
  const bool own_scale_rule = rule.mode == BiasMode::kInteger && rule.scale == BiasScale::kOwnPowerOfTwo;
  if (own_scale_rule && !constants.stored_bias.empty() && constants.bias.empty()) {
    return absl::FailedPreconditionError(
        "bias: integers alone do not tell the power-of-two scale they are stored at; give the real bias too");
  }
  const double own_scale = own_scale_rule ? PowerOfTwoScale(constants.bias, rule.bits) : 0;
  for (std::size_t c = 0; c < channels; ++c) {
    const double bias = constants.bias.empty() ? 0.0 : constants.bias[c];
    const double product =
        ProductScale(constants.input.scale(), constants.weight.scale(c), rule.scale, per_tensor);
    if (rule.mode != BiasMode::kInteger) {
      const bool integer_only = constants.bias.empty() && !constants.stored_bias.empty();
      result.stored[c] = StoredBias{
          .real = integer_only ? static_cast<double>(constants.stored_bias[c]) * product : bias};
      continue;
    }
    const double scale = own_scale_rule ? own_scale : product;
    StoredBias& stored = result.stored[c];
    if (constants.stored_bias.empty()) {
      QATGAP_ASSIGN_OR_RETURN(stored, StoreOne(rule, bias, scale, constants.output.scale(), c, per_tensor));
    } else {
      stored = TakeGiven(rule, constants, scale, c);
    }
    if (!own_scale_rule) {
      result.in_accumulator[c] = stored.stored;
    } else if (rule.alignment == BiasAlignment::kExact) {
      result.aligned[c] = static_cast<float>(static_cast<double>(stored.stored) * scale / product);
    } else {
      result.in_accumulator[c] = AlignToAccumulator(stored.stored, scale, product, rule.alignment);
    }
  }
  return result;
}

std::int64_t AlignToAccumulator(std::int64_t stored, double scale, double accumulator_scale, BiasAlignment alignment) {
  constexpr double kBound = 0x1p62;
  const double exact = static_cast<double>(stored) * scale / accumulator_scale;
  const double aligned = alignment == BiasAlignment::kShiftFloor ? RoundFloor(exact) : RoundHalfUp(exact);
  return static_cast<std::int64_t>(std::clamp(aligned, -kBound, kBound));
}

std::vector<double> AdjustedWeightScales(const BiasRule& rule, const MacConstants& constants) {
  if (rule.mode != BiasMode::kInteger || rule.overflow != BiasOverflow::kAdjustWeights || constants.bias.empty()) {
    return {};
  }
  const auto channels = static_cast<std::size_t>(constants.channels);
  std::vector<double> scales(channels);
  bool changed = false;
  for (std::size_t c = 0; c < channels; ++c) {
    scales[c] = AdjustedScale(rule, constants.bias[c], constants.input.scale(), constants.weight.scale(c),
                              constants.weight.scales.size() == 1);
    changed |= scales[c] != constants.weight.scale(c);
  }
  if (!changed) return {};
  // One scale for all channels can only be raised for all.
  if (constants.weight.scales.size() == 1) {
    std::fill(scales.begin(), scales.end(), *std::max_element(scales.begin(), scales.end()));
  }
  return scales;
}

std::int32_t RescaleWeight(std::int32_t code, std::int64_t zero_point, double old_scale, double new_scale,
                           std::int64_t quant_min, std::int64_t quant_max) {
  const double steps = static_cast<double>(code - zero_point) * old_scale / new_scale;
  const double rounded = RoundHalfToEven(steps) + static_cast<double>(zero_point);
  return static_cast<std::int32_t>(
      std::clamp(rounded, static_cast<double>(quant_min), static_cast<double>(quant_max)));
}

}  // namespace qatgap::numerics
