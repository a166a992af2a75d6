#include "analyzers/attribution/what_if/explicit_add.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "analyzers/numerics/operator_limits.h"
#include "analyzers/numerics/operators.h"
#include "analyzers/numerics/rounding.h"

namespace qatgap::attribution::what_if {
namespace {

using numerics::QuantParams;

constexpr double kLeastScale = 0x1p-23;  // FLT_EPSILON, PyTorch's observers' too
// PyTorch's vector kernel rounds blocks of so many otherwise than the elements behind them. Where those stand depends
// on the batch; here every element is in a block, so that no order of samples matters.
constexpr std::size_t kAddBlock = 64;

class ExplicitAdd : public Variant {
 public:
  ExplicitAdd(numerics::LayerArithmetic without_bias, numerics::AddRule rule, numerics::BinaryOperands operands,
              std::vector<std::int32_t> bias)
      : without_bias_(std::move(without_bias)), rule_(rule), operands_(std::move(operands)), bias_(std::move(bias)) {}

  void Codes(std::int64_t channel, std::span<const std::int32_t> accumulators, std::span<std::int32_t> codes) override {
    const std::size_t padded = (codes.size() + kAddBlock - 1) / kAddBlock * kAddBlock;
    product_.assign(padded, static_cast<std::int32_t>(operands_.a.zero_point()));
    sum_.resize(padded);
    addend_.assign(padded, bias_[static_cast<std::size_t>(channel)]);
    without_bias_.Codes(numerics::ArithmeticStage::kRequantized, channel, accumulators,
                        std::span(product_).first(codes.size()));
    numerics::AddCodes(rule_, operands_, product_, addend_, sum_);
    std::copy_n(sum_.begin(), codes.size(), codes.begin());
  }

 private:
  numerics::LayerArithmetic without_bias_;
  numerics::AddRule rule_;
  numerics::BinaryOperands operands_;
  std::vector<std::int32_t> bias_;
  std::vector<std::int32_t> product_, addend_, sum_;  // of one channel
};

}  // namespace

void AccumulatorRange::Add(std::int64_t channel, std::span<const std::int32_t> accumulators) {
  if (accumulators.empty()) return;
  const auto [least, greatest] = std::minmax_element(accumulators.begin(), accumulators.end());
  Channel& seen = channels_[static_cast<std::size_t>(channel)];
  seen = {.min = seen.seen ? std::min(seen.min, *least) : *least,
          .max = seen.seen ? std::max(seen.max, *greatest) : *greatest,
          .seen = true};
}

bool AccumulatorRange::empty() const {
  return std::none_of(channels_.begin(), channels_.end(), [](const Channel& channel) { return channel.seen; });
}

QuantParams AccumulatorRange::Observe(const numerics::LayerArithmetic& arithmetic) const {
  const numerics::MacConstants& constants = arithmetic.constants();
  double min = 0, max = 0;
  for (std::size_t c = 0; c < channels_.size(); ++c) {
    const double step = constants.input.scale() * constants.weight.scale(c);
    min = std::min(min, channels_[c].min * step);
    max = std::max(max, channels_[c].max * step);
  }
  return ObserverParams(min, max, constants.output, arithmetic.target().scales);
}

QuantParams ObserverParams(double min, double max, const QuantParams& like, numerics::ScaleRequirement scales) {
  const double low = std::min(min, 0.0), high = std::max(max, 0.0);
  double scale = std::max((high - low) / static_cast<double>(like.quant_max - like.quant_min), kLeastScale);
  if (scales == numerics::ScaleRequirement::kPowerOfTwo && !numerics::IsPowerOfTwo(scale)) {
    scale = std::ldexp(1.0, std::ilogb(scale) + 1);
  }
  const double zero_point = static_cast<double>(like.quant_min) - numerics::RoundHalfToEven(low / scale);
  return {.scales = {scale},
          .zero_points = {std::clamp(static_cast<std::int64_t>(zero_point), like.quant_min, like.quant_max)},
          .quant_min = like.quant_min,
          .quant_max = like.quant_max};
}

PreparedRow ExplicitAddRow(const Deployment& deployment, const AccumulatorRange& range) {
  constexpr report::WhatIf kRow = report::WhatIf::kExplicitAdd;
  const numerics::MacConstants& constants = deployment.arithmetic.constants();
  const numerics::TargetDescription& rules = deployment.arithmetic.target();
  if (constants.bias.empty() && constants.stored_bias.empty()) return NotMeasured(kRow, "the layer has no bias");
  if (range.empty()) return NotMeasured(kRow, "no calibration sample took this input, so there is no observed range");
  std::vector<double> bias;
  for (std::int64_t c = 0; c < constants.channels; ++c) bias.push_back(deployment.arithmetic.stored_bias(c).real);
  const auto [least, greatest] = std::minmax_element(bias.begin(), bias.end());

  const numerics::BinaryOperands operands{.a = range.Observe(deployment.arithmetic),
                                          .b = ObserverParams(*least, *greatest, constants.output, rules.scales),
                                          .output = constants.output,
                                          .range = numerics::MakeOutputRange(constants.output, constants.activation,
                                                                             rules.requantization.activation_limit)};
  if (const absl::Status added = numerics::CheckAdd(deployment.operators.add, operands); !added.ok()) {
    return NotMeasured(kRow, absl::StrCat("the target's add: ", std::string(added.message())));
  }
  std::vector<std::int32_t> codes;
  for (const double b : bias) {
    const double code =
        numerics::RoundHalfToEven(b / operands.b.scale()) + static_cast<double>(operands.b.zero_point());
    codes.push_back(static_cast<std::int32_t>(
        std::clamp(code, static_cast<double>(operands.b.quant_min), static_cast<double>(operands.b.quant_max))));
  }
  numerics::MacConstants without_bias = constants;
  without_bias.bias.clear();
  without_bias.stored_bias.clear();
  without_bias.activation = numerics::Activation::kNone;
  without_bias.output = operands.a;
  absl::StatusOr<numerics::LayerArithmetic> arithmetic =
      numerics::LayerArithmetic::Create(rules, std::move(without_bias));
  if (!arithmetic.ok()) return NotMeasured(kRow, std::string(arithmetic.status().message()));
  return {.row = {.what_if = kRow, .measured = true, .is_remedy = true},
          .variant = std::make_unique<ExplicitAdd>(*std::move(arithmetic), deployment.operators.add, operands,
                                                   std::move(codes))};
}

}  // namespace qatgap::attribution::what_if
