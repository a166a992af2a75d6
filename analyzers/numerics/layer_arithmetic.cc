#include "analyzers/numerics/layer_arithmetic.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/numerics/bias.h"
#include "analyzers/numerics/rounding.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::numerics {
namespace {

constexpr double kLargestFloat = static_cast<double>(std::numeric_limits<float>::max());

absl::Status CheckScales(const QuantParams& params, std::string_view what) {
  QATGAP_RETURN_IF_ERROR(Validate(params, what));
  for (std::size_t c = 0; c < params.scales.size(); ++c) {
    if (params.scales[c] > kLargestFloat) {
      return absl::InvalidArgumentError(absl::StrCat(std::string(what), ": scales[", c, "] is ",
                                                     params.scales[c], ", beyond binary32"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckConstants(const MacConstants& constants) {
  QATGAP_RETURN_IF_ERROR(CheckScales(constants.input, "input qparams"));
  QATGAP_RETURN_IF_ERROR(CheckScales(constants.weight, "weight qparams"));
  QATGAP_RETURN_IF_ERROR(CheckScales(constants.output, "output qparams"));
  if (constants.channels < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("channels is ", constants.channels, ", must be >= 1"));
  }
  const std::size_t channels = static_cast<std::size_t>(constants.channels);
  if (constants.input.per_channel() || constants.output.per_channel()) {
    return absl::InvalidArgumentError(
        absl::StrCat(constants.input.per_channel() ? "input" : "output",
                     " qparams are per channel, must be per tensor"));
  }
  if (constants.weight.per_channel() && constants.weight.scales.size() != channels) {
    return absl::InvalidArgumentError(absl::StrCat("weight qparams have ",
                                                   constants.weight.scales.size(), " scales for ",
                                                   channels, " output channels"));
  }
  if (!constants.bias.empty() && constants.bias.size() != channels) {
    return absl::InvalidArgumentError(absl::StrCat("bias has ", constants.bias.size(),
                                                   " values for ", channels, " output channels"));
  }
  for (std::size_t c = 0; c < constants.bias.size(); ++c) {
    if (!(std::abs(constants.bias[c]) <= kLargestFloat)) {
      return absl::InvalidArgumentError(absl::StrCat("bias[", c, "] is ", constants.bias[c],
                                                     ", must be a finite binary32 number"));
    }
  }
  if (constants.output.quant_min < std::numeric_limits<std::int32_t>::min() ||
      constants.output.quant_max > std::numeric_limits<std::int32_t>::max()) {
    return absl::InvalidArgumentError(absl::StrCat("output codes ", constants.output.quant_min,
                                                   "..", constants.output.quant_max,
                                                   " do not fit in 32 bits"));
  }
  return absl::OkStatus();
}

OutputRange RangeOf(const MacConstants& constants) {
  OutputRange range{.min = constants.output.quant_min,
                    .max = constants.output.quant_max,
                    .zero_point = constants.output.zero_point()};
  if (constants.activation != Activation::kNone)
    range.min = range.zero_point;  // z_y >= quant_min: Validate
  if (constants.activation == Activation::kRelu6) {
    // Capped before the conversion: a scale of 1e-30 puts 6 at 6e30 steps. !(a < b) also takes Inf.
    const float steps = 6.0F * (1.0F / static_cast<float>(constants.output.scale()));
    const double room = static_cast<double>(range.max - range.zero_point);
    if (static_cast<double>(steps) < room) {
      range.max = range.zero_point + static_cast<std::int64_t>(std::nearbyint(steps));
    }
  }
  return range;
}

float MultiplierOf(MultiplierForm form, float input_scale, float weight_scale, float output_scale) {
  const float product = input_scale * weight_scale;
  return form == MultiplierForm::kProductThenDivide ? product / output_scale
                                                    : product * (1.0F / output_scale);
}

}  // namespace

LayerArithmetic::LayerArithmetic(TargetDescription target, MacConstants constants)
    : target_(std::move(target)), constants_(std::move(constants)), range_(RangeOf(constants_)) {}

absl::StatusOr<LayerArithmetic> LayerArithmetic::Create(const TargetDescription& target,
                                                        MacConstants constants) {
  QATGAP_RETURN_IF_ERROR(Validate(target, "target"));
  QATGAP_RETURN_IF_ERROR(CheckConstants(constants));
  if (target.requantization.overflow == RequantOverflow::kX86Int16 &&
      (constants.output.quant_min < -32768 || constants.output.quant_max > 32767)) {
    return absl::FailedPreconditionError(
        absl::StrCat("target ", target.name, " requantizes through int16, output codes ",
                     constants.output.quant_min, "..", constants.output.quant_max,
                     " do not fit; choose a target without x86_int16"));
  }
  LayerArithmetic result(target, std::move(constants));
  const double layer_bias_scale = target.bias.scale == BiasScale::kOwnPowerOfTwo
                                      ? OwnPowerOfTwoScale(result.constants_.bias, target.bias.bits)
                                      : 0;
  const std::size_t channels = static_cast<std::size_t>(result.constants_.channels);
  result.channels_.reserve(channels);
  for (std::size_t c = 0; c < channels; ++c) {
    if (absl::Status status = result.AddChannel(c, layer_bias_scale); !status.ok()) {
      return absl::Status(status.code(),
                          absl::StrCat("output channel ", c, ", target ", target.name, ": ",
                                       std::string(status.message())));
    }
  }
  return result;
}

absl::Status LayerArithmetic::AddChannel(std::size_t channel, double layer_bias_scale) {
  const BiasRule& rule = target_.bias;
  const double input_scale = constants_.input.scale();
  const double weight_scale = constants_.weight.scale(channel);
  const double output_scale = constants_.output.scale();
  const double bias = constants_.bias.empty() ? 0 : constants_.bias[channel];

  Channel result;
  result.multiplier = input_scale * weight_scale / output_scale;
  result.weight_over_output = weight_scale / output_scale;
  result.offset_real = bias / output_scale;
  result.offset_rounded = result.offset_real;
  result.offset_stored = result.offset_real;
  result.bias.real = bias;

  Float32Requantization& requantization = result.requantization;
  requantization.mode = rule.mode;
  requantization.rule = target_.requantization;
  requantization.accumulator = target_.accumulator;
  requantization.range = range_;
  requantization.input_scale = static_cast<float>(input_scale);
  requantization.weight_scale = static_cast<float>(weight_scale);
  requantization.output_scale = static_cast<float>(output_scale);
  requantization.multiplier =
      MultiplierOf(target_.requantization.multiplier, requantization.input_scale,
                   requantization.weight_scale, requantization.output_scale);
  const double float_multiplier = static_cast<double>(requantization.multiplier);
  if (!std::isnormal(requantization.multiplier) || !std::isnormal(result.multiplier)) {
    return absl::FailedPreconditionError(
        absl::StrCat("multiplier s_x * s_w / s_y is ", float_multiplier, " (s_x ", input_scale,
                     ", s_w ", weight_scale, ", s_y ", output_scale,
                     "), must be a normal binary32 number; check the observers of this layer"));
  }

  const bool own_scale = rule.scale == BiasScale::kOwnPowerOfTwo;
  const double bias_scale =
      own_scale ? layer_bias_scale : BiasScaleOf(rule.scale, input_scale, weight_scale);
  if (rule.division == BiasDivision::kMultiplyReciprocal &&
      !std::isfinite(1.0F / static_cast<float>(bias_scale))) {
    return absl::FailedPreconditionError(
        absl::StrCat("bias scale ", bias_scale, " has no reciprocal in binary32"));
  }
  switch (rule.mode) {
    case BiasMode::kFloatBeforeScale:
      requantization.bias = static_cast<float>(BiasQuotient(bias, bias_scale, rule.division));
      break;
    case BiasMode::kFloatAfterScale:
      requantization.bias = static_cast<float>(bias);
      break;
    case BiasMode::kInteger: {
      QATGAP_ASSIGN_OR_RETURN(const QuantizedBias quantized, QuantizeBias(rule, bias, bias_scale));
      result.bias.scale = bias_scale;
      result.bias.rounded = quantized.rounded;
      result.bias.stored = quantized.stored;
      result.bias.saturated = quantized.limited;
      result.bias.accumulator_code = quantized.stored;
      if (own_scale) {
        QATGAP_ASSIGN_OR_RETURN(
            result.bias.accumulator_code,
            AlignToAccumulator(quantized.stored, bias_scale, input_scale * weight_scale));
      }
      requantization.bias_code = result.bias.accumulator_code;
      const double stored_real = static_cast<double>(quantized.stored) * bias_scale;
      result.offset_rounded = quantized.rounded * bias_scale / output_scale;
      result.offset_stored = stored_real / output_scale;
      result.bias.residual_lsb = (stored_real - bias) / output_scale;
      break;
    }
  }
  channels_.push_back(result);
  return absl::OkStatus();
}

void LayerArithmetic::Codes(ArithmeticStage stage, std::int64_t channel,
                            std::span<const std::int32_t> accumulators,
                            std::span<std::int32_t> codes) const {
  const Channel& c = at(channel);
  switch (stage) {
    case ArithmeticStage::kReal:
      return RequantizeReal(accumulators, c.multiplier, c.offset_real, range_, codes);
    case ArithmeticStage::kBiasRounded:
      return RequantizeReal(accumulators, c.multiplier, c.offset_rounded, range_, codes);
    case ArithmeticStage::kBiasStored:
      return RequantizeReal(accumulators, c.multiplier, c.offset_stored, range_, codes);
    case ArithmeticStage::kAccumulated:
      return RequantizeAccumulated(accumulators, target_.accumulator, c.bias.accumulator_code,
                                   c.multiplier, c.offset_stored, range_, codes);
    case ArithmeticStage::kRequantized:
      return RequantizeFloat32(c.requantization, accumulators, codes);
  }
}

void LayerArithmetic::RealCodes(std::int64_t channel, std::span<const double> sums,
                                std::span<std::int32_t> codes) const {
  const Channel& c = at(channel);
  RequantizeReal(sums, c.weight_over_output, c.offset_real, range_, codes);
}

const StoredBias& LayerArithmetic::stored_bias(std::int64_t channel) const {
  return at(channel).bias;
}
double LayerArithmetic::multiplier(std::int64_t channel) const { return at(channel).multiplier; }
const MacConstants& LayerArithmetic::constants() const { return constants_; }
const TargetDescription& LayerArithmetic::target() const { return target_; }

}  // namespace qatgap::numerics
