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
  for (std::size_t c = 0; c < constants.bias.size(); ++c) {
    // Not `> max`: NaN must fail too. Beyond binary32 no fake-quant model has a bias.
    if (!(std::abs(constants.bias[c]) <= static_cast<double>(std::numeric_limits<float>::max()))) {
      return absl::InvalidArgumentError(
          absl::StrCat("bias[", c, "] is ", constants.bias[c], ", must be finite in binary32"));
    }
  }
  return absl::OkStatus();
}

OutputRange MakeRange(const QuantParams& output, Activation activation) {
  OutputRange range{.zero_point = output.zero_point(), .min = output.quant_min, .max = output.quant_max};
  if (activation != Activation::kNone) range.min = std::max(range.min, range.zero_point);
  if (activation == Activation::kRelu6) {
    // The code of 6.0 as QuantizeReals gives it, so that clamping codes equals clamping reals.
    const float steps = 6.0f * (1.0f / static_cast<float>(output.scale()));
    const double six = RoundHalfToEven(std::min(static_cast<double>(steps), 0x1p40));
    range.max = std::min(range.max, range.zero_point + static_cast<std::int64_t>(six));
  }
  return range;
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

absl::StatusOr<RequantConstants> MakeRequantConstants(const TargetDescription& target,
                                                      const MacConstants& constants, std::size_t channel) {
  const double input_scale = constants.input.scale();
  const double weight_scale = constants.weight.scale(channel);
  const double output_scale = constants.output.scale();
  RequantConstants result;
  result.input_scale = static_cast<float>(input_scale);
  result.weight_scale = static_cast<float>(weight_scale);
  result.output_scale = static_cast<float>(output_scale);
  result.multiplier =
      RequantMultiplier(input_scale, weight_scale, output_scale, target.requantization.multiplier);
  if (!std::isnormal(result.multiplier)) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "requantization multiplier of channel %d is %g (scales %g * %g / %g), not a normal binary32 number", channel,
        static_cast<double>(result.multiplier), input_scale, weight_scale, output_scale));
  }
  const double bias = constants.bias.empty() ? 0.0 : constants.bias[channel];
  if (target.bias.mode == BiasMode::kFloatAfterScale) {
    result.bias = static_cast<float>(bias);
  } else if (target.bias.mode == BiasMode::kFloatBeforeScale && bias != 0) {
    const double scale = ProductScale(input_scale, weight_scale, target.bias.scale);
    result.bias = static_cast<float>(DivideBias(bias, scale, target.bias.division));
  }
  return result;
}

// code = clamp(RNE(real) + z_y): the reference arithmetic of the stages before kRequantized.
class Reference {
 public:
  explicit Reference(const OutputRange& range)
      : low_(static_cast<double>(range.min - range.zero_point)),
        high_(static_cast<double>(range.max - range.zero_point)),
        zero_point_(static_cast<double>(range.zero_point)) {}

  // The limits are integers: clamping before rounding changes no code and keeps the conversion defined, for NaN too.
  std::int32_t Code(double real) const {
    const double bounded = real > low_ ? (real < high_ ? real : high_) : low_;
    return static_cast<std::int32_t>(RoundHalfToEvenSmall(bounded) + zero_point_);
  }

 private:
  double low_, high_, zero_point_;
};

template <typename T>
void AffineCodes(const Reference& reference, double multiplier, double offset, std::span<const T> values,
                 std::span<std::int32_t> codes) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    codes[i] = reference.Code(static_cast<double>(values[i]) * multiplier + offset);
  }
}

}  // namespace

LayerArithmetic::LayerArithmetic(TargetDescription target, MacConstants constants)
    : target_(std::move(target)),
      constants_(std::move(constants)),
      range_(MakeRange(constants_.output, constants_.activation)) {}

absl::StatusOr<LayerArithmetic> LayerArithmetic::Create(const TargetDescription& target, MacConstants constants) {
  QATGAP_RETURN_IF_ERROR(CheckConstants(constants));
  LayerArithmetic layer(target, std::move(constants));
  QATGAP_RETURN_IF_ERROR(CheckRange(target, layer.range_));
  const MacConstants& c = layer.constants_;
  QATGAP_ASSIGN_OR_RETURN(LayerBias bias, StoreBias(target.bias, c));
  layer.channels_.resize(static_cast<std::size_t>(c.channels));
  for (std::size_t i = 0; i < layer.channels_.size(); ++i) {
    Channel& channel = layer.channels_[i];
    channel.bias = bias.stored[i];
    channel.multiplier = c.input.scale() * c.weight.scale(i) / c.output.scale();
    channel.weight_over_output = c.weight.scale(i) / c.output.scale();
    channel.offset_real = channel.bias.real / c.output.scale();
    // A float bias is neither rounded nor limited: the same offset, not one recomputed, so the stages are equal.
    const bool integer = target.bias.mode == BiasMode::kInteger;
    channel.offset_rounded =
        integer ? channel.bias.rounded * channel.bias.scale / c.output.scale() : channel.offset_real;
    channel.offset_stored =
        integer ? static_cast<double>(channel.bias.stored) * channel.bias.scale / c.output.scale()
                : channel.offset_real;
    QATGAP_ASSIGN_OR_RETURN(channel.requantization, MakeRequantConstants(target, c, i));
    channel.requantization.accumulator_bias = bias.in_accumulator[i];
  }
  return layer;
}

void LayerArithmetic::Codes(ArithmeticStage stage, std::int64_t channel,
                            std::span<const std::int32_t> accumulators, std::span<std::int32_t> codes) const {
  const Channel& c = channels_[static_cast<std::size_t>(channel)];
  const Reference reference(range_);
  switch (stage) {
    case ArithmeticStage::kReal:
      return AffineCodes(reference, c.multiplier, c.offset_real, accumulators, codes);
    case ArithmeticStage::kBiasRounded:
      return AffineCodes(reference, c.multiplier, c.offset_rounded, accumulators, codes);
    case ArithmeticStage::kBiasStored:
      return AffineCodes(reference, c.multiplier, c.offset_stored, accumulators, codes);
    case ArithmeticStage::kAccumulated: {
      const std::int64_t bias = c.requantization.accumulator_bias;
      std::array<std::int64_t, kBlock> block;
      for (std::size_t start = 0; start < accumulators.size(); start += kBlock) {
        const std::size_t count = std::min(kBlock, accumulators.size() - start);
        const auto sums = std::span(block).first(count);
        Accumulate(target_.accumulator, bias, accumulators.subspan(start, count), sums);
        for (std::int64_t& sum : sums) sum = SaturatingSubtract(sum, bias);
        AffineCodes<std::int64_t>(reference, c.multiplier, c.offset_stored, sums, codes.subspan(start, count));
      }
      return;
    }
    case ArithmeticStage::kRequantized:
      return Requantize(target_, c.requantization, range_, accumulators, codes);
  }
}

void LayerArithmetic::RealCodes(std::int64_t channel, std::span<const double> sums,
                                std::span<std::int32_t> codes) const {
  const Channel& c = channels_[static_cast<std::size_t>(channel)];
  AffineCodes(Reference(range_), c.weight_over_output, c.offset_real, sums, codes);
}

const StoredBias& LayerArithmetic::stored_bias(std::int64_t channel) const {
  return channels_[static_cast<std::size_t>(channel)].bias;
}

double LayerArithmetic::multiplier(std::int64_t channel) const {
  return channels_[static_cast<std::size_t>(channel)].multiplier;
}

const MacConstants& LayerArithmetic::constants() const { return constants_; }
const TargetDescription& LayerArithmetic::target() const { return target_; }

}  // namespace qatgap::numerics
