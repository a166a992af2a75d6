#include "analyzers/numerics/layer_arithmetic.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "analyzers/numerics/bias.h"
#include "analyzers/numerics/requantization.h"
#include "analyzers/numerics/rounding.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::numerics {
namespace {

constexpr std::size_t kBlock = 512;

absl::Status CheckConstants(const MacConstants& constants) {
  QATGAP_RETURN_IF_ERROR(Validate(constants.input, "input"));
  QATGAP_RETURN_IF_ERROR(Validate(constants.weight, "weight"));
  QATGAP_RETURN_IF_ERROR(Validate(constants.output, "output"));
  if (constants.input.scales.size() != 1 || constants.output.scales.size() != 1) {
    return absl::InvalidArgumentError("input and output of a MAC layer must be quantized per tensor");
  }
  if (constants.channels < 1) {
    return absl::InvalidArgumentError(absl::StrCat("channels is ", constants.channels, ", must be at least 1"));
  }
  const auto channels = static_cast<std::size_t>(constants.channels);
  if (constants.weight.scales.size() != 1 && constants.weight.scales.size() != channels) {
    return absl::InvalidArgumentError(absl::StrCat("weight: ", constants.weight.scales.size(), " scales for ",
                                                   channels, " output channels"));
  }
  if (!constants.bias.empty() && constants.bias.size() != channels) {
    return absl::InvalidArgumentError(
        absl::StrCat("bias: ", constants.bias.size(), " values for ", channels, " output channels"));
  }
  if (!constants.stored_bias.empty() && constants.stored_bias.size() != channels) {
    return absl::InvalidArgumentError(absl::StrCat("integer bias: ", constants.stored_bias.size(), " values for ",
                                                   channels, " output channels"));
  }
  for (std::size_t c = 0; c < constants.bias.size(); ++c) {
    // Not `> max`: NaN must fail too. Beyond binary32 no fake-quant model has a bias.
    if (!(std::abs(constants.bias[c]) <= static_cast<double>(std::numeric_limits<float>::max()))) {
      return absl::InvalidArgumentError(
          absl::StrCat("bias[", c, "] is ", constants.bias[c], ", must be finite in binary32"));
    }
  }
  return absl::OkStatus();
}

// The code of 6.0. kReciprocalHalfToEven is what QuantizeReals gives, so that clamping codes equals clamping reals.
std::int64_t CodeOfSix(const QuantParams& output, ActivationLimit limit) {
  constexpr double kBeyondAnyCode = 0x1p40;
  const auto scale = static_cast<float>(output.scale());
  const float steps = limit == ActivationLimit::kReciprocalHalfToEven ? 6.0f * (1.0f / scale) : 6.0f / scale;
  const std::int64_t zero_point = output.zero_point();
  if (limit == ActivationLimit::kSumHalfToEven) {
    const float sum = steps + static_cast<float>(zero_point);
    return static_cast<std::int64_t>(RoundHalfToEven(std::min(static_cast<double>(sum), kBeyondAnyCode)));
  }
  const Rounding rounding =
      limit == ActivationLimit::kDivideHalfAway ? Rounding::kHalfAwayFromZero : Rounding::kHalfToEven;
  return zero_point + static_cast<std::int64_t>(Round(std::min(static_cast<double>(steps), kBeyondAnyCode), rounding));
}

absl::Status CheckRange(const TargetDescription& target, const OutputRange& range) {
  if (target.requantization.conversion == ConversionOverflow::kInt32MinPack &&
      (range.min < SignedMin(16) || range.max > SignedMax(16))) {
    return absl::FailedPreconditionError(
        absl::StrCat("output codes ", range.min, "..", range.max, " do not fit the int16 that ", target.name,
                     " packs its results through"));
  }
  return absl::OkStatus();
}

absl::Status CheckScales(const TargetDescription& target, const MacConstants& constants) {
  if (target.scales != ScaleRequirement::kPowerOfTwo) return absl::OkStatus();
  const auto check = [&](const QuantParams& params, const char* what) -> absl::Status {
    for (const double scale : params.scales) {
      if (IsPowerOfTwo(scale)) continue;
      return absl::FailedPreconditionError(
          absl::StrFormat("%s needs power-of-two scales, the %s scale is %.9g; train with power-of-two quantizers, or "
                          "ask for a target without this limit",
                          target.name, what, scale));
    }
    return absl::OkStatus();
  };
  QATGAP_RETURN_IF_ERROR(check(constants.input, "input"));
  QATGAP_RETURN_IF_ERROR(check(constants.weight, "weight"));
  return check(constants.output, "output");
}

absl::Status RefuseMultiplier(double multiplier, std::size_t channel, const MacConstants& constants,
                              std::string_view why) {
  return absl::FailedPreconditionError(absl::StrFormat(
      "requantization multiplier of channel %d is %g (scales %g * %g / %g), %s", channel, multiplier,
      constants.input.scale(), constants.weight.scale(channel), constants.output.scale(), why));
}

absl::Status CheckMultiplier(const RequantRule& rule, double multiplier, std::size_t channel,
                             const MacConstants& constants) {
  if (rule.multiplier_min != 0 && !(multiplier >= rule.multiplier_min)) {
    return RefuseMultiplier(multiplier, channel, constants,
                            absl::StrFormat("below the least the target takes, %g", rule.multiplier_min));
  }
  if (rule.multiplier_max != 0 && !(multiplier < rule.multiplier_max)) {
    return RefuseMultiplier(multiplier, channel, constants,
                            absl::StrFormat("not below the target's limit %g", rule.multiplier_max));
  }
  return absl::OkStatus();
}

// What a runtime that keeps 1 / s reads back.
float FloatScale(double scale, bool reciprocal) {
  const auto value = static_cast<float>(scale);
  return reciprocal ? 1.0f / (1.0f / value) : value;
}

void SetFloatBias(const TargetDescription& target, const MacConstants& constants, double real, float aligned,
                  std::size_t channel, RequantConstants* result) {
  if (target.bias.mode == BiasMode::kFloatAfterScale) {
    result->bias = static_cast<float>(real);
  } else if (target.bias.mode == BiasMode::kFloatBeforeScale && real != 0) {
    const bool per_tensor = constants.weight.scales.size() == 1;
    const double scale =
        ProductScale(constants.input.scale(), constants.weight.scale(channel), target.bias.scale, per_tensor);
    if (target.requantization.fused_multiply_add && per_tensor) {
      result->bias = static_cast<float>(real);
      result->bias_reciprocal = static_cast<float>(1.0 / scale);
    } else {
      result->bias = static_cast<float>(DivideBias(real, scale, target.bias.division, per_tensor));
    }
  } else if (HasFloatBias(target.bias)) {
    result->bias = aligned;
  }
}

absl::StatusOr<RequantConstants> MakeRequantConstants(const TargetDescription& target, const MacConstants& constants,
                                                      std::size_t channel) {
  const RequantRule& rule = target.requantization;
  const double input_scale = constants.input.scale();
  const double weight_scale = constants.weight.scale(channel);
  const double output_scale = constants.output.scale();
  RequantConstants result;
  if (rule.mode == RequantMode::kFloat32) {
    const bool after_scale = target.bias.mode == BiasMode::kFloatAfterScale;
    const bool reciprocal = after_scale && rule.reciprocal_scales;
    result.input_scale = FloatScale(input_scale, reciprocal);
    result.weight_scale = FloatScale(weight_scale, reciprocal && constants.traits.linear);
    result.output_scale = FloatScale(output_scale, reciprocal);
    const float multiplier = RequantMultiplier(input_scale, weight_scale, output_scale, rule.multiplier);
    if (!std::isnormal(multiplier)) {
      return RefuseMultiplier(static_cast<double>(multiplier), channel, constants, "not a normal binary32 number");
    }
    QATGAP_RETURN_IF_ERROR(CheckMultiplier(rule, static_cast<double>(multiplier), channel, constants));
    result.multiplier = after_scale ? result.input_scale * result.weight_scale : multiplier;
    return result;
  }
  const bool per_tensor = constants.weight.scales.size() == 1;
  const double real = FixedPointReal(input_scale, weight_scale, output_scale, rule.multiplier,
                                     per_tensor && (constants.traits.linear || constants.traits.unsigned_activations));
  if (!(real > 0) || !std::isfinite(real)) return RefuseMultiplier(real, channel, constants, "not a positive number");
  QATGAP_RETURN_IF_ERROR(CheckMultiplier(rule, real, channel, constants));
  result.multiplier64 = real;
  if (rule.mode == RequantMode::kFloat64) return result;
  if (rule.mode == RequantMode::kPowerOfTwoShift) {
    if (!IsPowerOfTwo(real)) return RefuseMultiplier(real, channel, constants, "not a power of two");
    result.right_shift = -std::ilogb(real);
  } else {
    result.fixed = QuantizeMultiplier(real);
    // The 15-bit shift is 15 - shift, and TFLite asserts that it is positive.
    if (rule.mode == RequantMode::kQ15 && result.fixed.shift > 14) {
      return RefuseMultiplier(real, channel, constants, "2^14 or more");
    }
  }
  return result;
}

}  // namespace

std::string_view ToString(Activation activation) {
  switch (activation) {
    case Activation::kNone: return "none";
    case Activation::kRelu: return "relu";
    case Activation::kRelu6: return "relu6";
  }
  return "unknown";
}

OutputRange MakeOutputRange(const QuantParams& output, Activation activation, ActivationLimit limit) {
  OutputRange range{.zero_point = output.zero_point(), .min = output.quant_min, .max = output.quant_max};
  if (activation != Activation::kNone) range.min = std::max(range.min, range.zero_point);
  if (activation == Activation::kRelu6) range.max = std::min(range.max, CodeOfSix(output, limit));
  return range;
}

LayerArithmetic::LayerArithmetic(TargetDescription target, MacConstants constants)
    : target_(std::move(target)),
      constants_(std::move(constants)),
      range_(MakeOutputRange(constants_.output, constants_.activation, target_.requantization.activation_limit)) {
  tail_target_ = target_;
  tail_target_.requantization.mode = target_.requantization.tail_mode;
  const int vector = target_.requantization.vector_channels;
  first_tail_channel_ = vector == 0 ? constants_.channels : constants_.channels / vector * vector;
}

const TargetDescription& LayerArithmetic::target(std::int64_t channel) const {
  return channel < first_tail_channel_ ? target_ : tail_target_;
}

absl::StatusOr<LayerArithmetic> LayerArithmetic::Create(const TargetDescription& target, MacConstants constants) {
  QATGAP_RETURN_IF_ERROR(CheckConstants(constants));
  QATGAP_ASSIGN_OR_RETURN(TargetDescription resolved, ResolveTarget(target, constants.traits));
  LayerArithmetic layer(std::move(resolved), std::move(constants));
  const TargetDescription& rules = layer.target_;
  const MacConstants& c = layer.constants_;
  QATGAP_RETURN_IF_ERROR(CheckRange(rules, layer.range_));
  QATGAP_RETURN_IF_ERROR(CheckScales(rules, c));
  QATGAP_ASSIGN_OR_RETURN(LayerBias bias, StoreBias(rules.bias, c));
  layer.channels_.resize(static_cast<std::size_t>(c.channels));
  for (std::size_t i = 0; i < layer.channels_.size(); ++i) {
    Channel& channel = layer.channels_[i];
    channel.bias = bias.stored[i];
    channel.multiplier = c.input.scale() * c.weight.scale(i) / c.output.scale();
    channel.weight_over_output = c.weight.scale(i) / c.output.scale();
    channel.offset_real = channel.bias.real / c.output.scale();
    // A float bias is neither rounded nor limited: the same offset, not one recomputed, so the stages are equal.
    const bool integer = rules.bias.mode == BiasMode::kInteger;
    channel.offset_rounded =
        integer ? channel.bias.rounded * channel.bias.scale / c.output.scale() : channel.offset_real;
    channel.offset_stored =
        integer ? static_cast<double>(channel.bias.stored) * channel.bias.scale / c.output.scale()
                : channel.offset_real;
    QATGAP_ASSIGN_OR_RETURN(channel.requantization, MakeRequantConstants(rules, c, i));
    channel.requantization.accumulator_bias = bias.in_accumulator[i];
    SetFloatBias(rules, c, channel.bias.real, bias.aligned[i], i, &channel.requantization);
  }
  return layer;
}

AffineKernel LayerArithmetic::Affine(ArithmeticStage stage, std::int64_t channel) const {
  const Channel& c = channels_[static_cast<std::size_t>(channel)];
  return {.multiplier = c.multiplier,
          .offset = stage == ArithmeticStage::kReal          ? c.offset_real
                    : stage == ArithmeticStage::kBiasRounded ? c.offset_rounded
                                                             : c.offset_stored,
          .low = static_cast<double>(range_.min - range_.zero_point),
          .high = static_cast<double>(range_.max - range_.zero_point),
          .zero_point = static_cast<double>(range_.zero_point)};
}

bool LayerArithmetic::SumsFit(std::int64_t channel, std::int32_t least, std::int32_t greatest) const {
  const std::int64_t bias = channels_[static_cast<std::size_t>(channel)].requantization.accumulator_bias;
  return SaturatingAdd(least, bias) >= SignedMin(target_.accumulator.bits) &&
         SaturatingAdd(greatest, bias) <= SignedMax(target_.accumulator.bits);
}

template <typename Accumulator>
void LayerArithmetic::ComputeCodes(ArithmeticStage stage, std::int64_t channel,
                                   std::span<const Accumulator> accumulators, std::span<std::int32_t> codes) const {
  if (stage == ArithmeticStage::kRequantized) {
    const Channel& c = channels_[static_cast<std::size_t>(channel)];
    return Requantize(target(channel), c.requantization, range_, accumulators, codes);
  }
  const AffineKernel kernel = Affine(stage, channel);
  if (stage != ArithmeticStage::kAccumulated) {
    return RunAffineKernel(kernel, accumulators.data(), codes.data(), codes.size());
  }
  const std::int64_t bias = channels_[static_cast<std::size_t>(channel)].requantization.accumulator_bias;
  std::array<std::int64_t, kBlock> sums;
  for (std::size_t start = 0; start < accumulators.size(); start += kBlock) {
    const std::size_t count = std::min(kBlock, accumulators.size() - start);
    for (std::size_t i = 0; i < count; ++i) {
      const std::int64_t sum = Accumulate(target_.accumulator, accumulators[start + i], bias);
      sums[i] = SaturatingSubtract(sum, bias);
    }
    RunAffineKernel(kernel, sums.data(), codes.data() + start, count);
  }
}

void LayerArithmetic::Codes(ArithmeticStage stage, std::int64_t channel, std::span<const std::int32_t> accumulators,
                            std::span<std::int32_t> codes) const {
  ComputeCodes(stage, channel, accumulators, codes);
}

void LayerArithmetic::Codes(ArithmeticStage stage, std::int64_t channel, std::span<const std::int64_t> accumulators,
                            std::span<std::int32_t> codes) const {
  ComputeCodes(stage, channel, accumulators, codes);
}

void LayerArithmetic::RealCodes(std::int64_t channel, std::span<const double> sums,
                                std::span<std::int32_t> codes) const {
  AffineKernel kernel = Affine(ArithmeticStage::kReal, channel);
  kernel.multiplier = channels_[static_cast<std::size_t>(channel)].weight_over_output;
  RunAffineKernel(kernel, sums.data(), codes.data(), codes.size());
}

const StoredBias& LayerArithmetic::stored_bias(std::int64_t channel) const {
  return channels_[static_cast<std::size_t>(channel)].bias;
}

double LayerArithmetic::multiplier(std::int64_t channel) const {
  return channels_[static_cast<std::size_t>(channel)].multiplier;
}

const RequantConstants& LayerArithmetic::requant_constants(std::int64_t channel) const {
  return channels_[static_cast<std::size_t>(channel)].requantization;
}

const MacConstants& LayerArithmetic::constants() const { return constants_; }
const TargetDescription& LayerArithmetic::target() const { return target_; }

namespace {

// What Requantize looks at; the rest of the rule is in the constants.
bool SameRequantization(const RequantRule& a, const RequantRule& b) {
  return a.mode == b.mode && a.multiplier == b.multiplier && a.rounding == b.rounding && a.zero_point == b.zero_point &&
         a.conversion == b.conversion && a.dequantization == b.dequantization;
}

}  // namespace

bool SameCodes(ArithmeticStage stage, std::int64_t channel, const LayerArithmetic& a, const LayerArithmetic& b) {
  const TargetDescription &first = a.target(channel), &second = b.target(channel);
  const bool same_sums = first.accumulator.bits == second.accumulator.bits &&
                         first.accumulator.overflow == second.accumulator.overflow &&
                         a.requant_constants(channel).accumulator_bias == b.requant_constants(channel).accumulator_bias;
  if (stage != ArithmeticStage::kRequantized) {
    return a.Affine(stage, channel) == b.Affine(stage, channel) && (stage != ArithmeticStage::kAccumulated || same_sums);
  }
  return same_sums && a.output_range() == b.output_range() && SameRequantization(first.requantization, second.requantization) &&
         first.bias.mode == second.bias.mode && HasFloatBias(first.bias) == HasFloatBias(second.bias) &&
         a.requant_constants(channel) == b.requant_constants(channel);
}

}  // namespace qatgap::numerics
