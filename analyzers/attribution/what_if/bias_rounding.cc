#include "analyzers/attribution/what_if/bias_rounding.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "absl/numeric/int128.h"
#include "analyzers/numerics/bias.h"
#include "analyzers/numerics/rounding.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::attribution::what_if {
namespace {

using numerics::LayerArithmetic;
using numerics::MacConstants;
using report::WhatIf;

constexpr double kPartsOfAnOutputStep = 8;
constexpr double kLargestStep = 0x1p40;  // a dead channel's s_b is far below any output step

std::int64_t Step(double bias_scale, double output_scale) {
  const double steps = numerics::RoundHalfToEven(output_scale / (kPartsOfAnOutputStep * bias_scale));
  return static_cast<std::int64_t>(std::clamp(steps, 1.0, kLargestStep));
}

absl::StatusOr<LayerArithmetic> WithStored(const Deployment& deployment, const std::vector<std::int64_t>& stored) {
  MacConstants constants = deployment.arithmetic.constants();
  constants.stored_bias = stored;
  return LayerArithmetic::Create(deployment.arithmetic.target(), std::move(constants));
}

std::vector<std::int64_t> SumsOfWeights(const graph::MacLayer& layer) {
  std::vector<std::int64_t> sums(static_cast<std::size_t>(layer.output_channels), 0);
  const std::vector<std::size_t> channels = graph::ChannelOfWeights(layer);
  const auto codes = layer.weight.data<std::int32_t>();
  for (std::size_t i = 0; i < codes.size(); ++i) {
    sums[channels[i]] += codes[i] - layer.weight_params.zero_point(channels[i]);
  }
  return sums;
}

}  // namespace

PreparedRow ZeroPointRow(const Deployment& deployment) {
  constexpr WhatIf kRow = WhatIf::kZeroPointRounding;
  const MacConstants& constants = deployment.arithmetic.constants();
  numerics::TargetDescription rules = deployment.arithmetic.target();
  if (rules.bias.scale == numerics::BiasScale::kOwnPowerOfTwo) {
    return NotMeasured(kRow, "the target's bias has a scale of its own, in which the zero-point term is no integer");
  }
  if (deployment.layer.convolution.transposed) {
    return NotMeasured(kRow, "the zero-point term of a transposed convolution differs by position");
  }
  const std::int64_t zero_point = constants.input.zero_point();
  if (zero_point == 0) return NotMeasured(kRow, "the input's zero point is 0, so there is no zero-point term");
  if (constants.bias.empty() && constants.stored_bias.empty()) return NotMeasured(kRow, "the layer has no bias");
  const bool per_tensor = constants.weight.scales.size() == 1;
  const std::vector<std::int64_t> weights = SumsOfWeights(deployment.layer);
  std::vector<std::int64_t> together, bias;
  for (std::size_t c = 0; c < weights.size(); ++c) {
    const std::int64_t constant = -zero_point * weights[c];
    const double steps =
        !constants.stored_bias.empty()
            ? static_cast<double>(constants.stored_bias[c])
            : numerics::DivideBias(constants.bias[c],
                                   deployment.arithmetic.stored_bias(static_cast<std::int64_t>(c)).scale,
                                   rules.bias.division, per_tensor);
    const double rounded = numerics::Round(steps + static_cast<double>(constant), rules.bias.rounding);
    together.push_back(numerics::StoreInteger(rounded, rules.bias));
    bias.push_back(together.back() - constant);
  }
  MacConstants changed = constants;
  changed.stored_bias = bias;
  rules.bias.bits = 64;  // the width held `together`; what is left of it for the bias may be wider
  return Requantized({.what_if = kRow, .is_remedy = true, .stored = std::move(together)},
                     LayerArithmetic::Create(rules, std::move(changed)));
}

absl::StatusOr<ErrorAwareRounding> ErrorAwareRounding::Create(const Deployment& deployment) {
  const LayerArithmetic& arithmetic = deployment.arithmetic;
  const auto channels = arithmetic.constants().channels;
  const numerics::BiasRule& rule = arithmetic.target().bias;
  const std::int64_t max = numerics::SignedMax(rule.bits);
  const std::int64_t min = rule.symmetric_clamp ? -max : numerics::SignedMin(rule.bits);
  ErrorAwareRounding search;
  for (int distance = 0; distance <= kReach; ++distance) {
    for (const int factor : {-distance, distance}) {
      std::vector<std::int64_t> stored;
      for (std::int64_t c = 0; c < channels; ++c) {
        const numerics::StoredBias& bias = arithmetic.stored_bias(c);
        const std::int64_t offset = factor * Step(bias.scale, arithmetic.constants().output.scale());
        const absl::int128 moved = absl::int128(bias.stored) + offset;
        stored.push_back(static_cast<std::int64_t>(std::clamp(moved, absl::int128(min), absl::int128(max))));
      }
      QATGAP_ASSIGN_OR_RETURN(LayerArithmetic candidate, WithStored(deployment, stored));
      search.candidates_.push_back({.arithmetic = std::move(candidate),
                                    .error = std::vector<std::uint64_t>(static_cast<std::size_t>(channels), 0)});
      if (distance == 0) break;
    }
  }
  return search;
}

void ErrorAwareRounding::Add(std::int64_t channel, std::span<const std::int32_t> accumulators,
                             std::span<const std::int32_t> fake_quant) {
  std::vector<std::int32_t> codes(accumulators.size());
  for (Candidate& candidate : candidates_) {
    candidate.arithmetic.Codes(numerics::ArithmeticStage::kRequantized, channel, accumulators, codes);
    std::uint64_t& error = candidate.error[static_cast<std::size_t>(channel)];
    for (std::size_t i = 0; i < codes.size(); ++i) {
      error += static_cast<std::uint64_t>(std::abs(std::int64_t{codes[i]} - fake_quant[i]));
    }
  }
}

std::vector<std::int64_t> ErrorAwareRounding::Best() const {
  std::vector<std::int64_t> best;
  for (std::size_t c = 0; c < candidates_.front().error.size(); ++c) {
    const auto least =
        std::min_element(candidates_.begin(), candidates_.end(),
                         [&](const Candidate& a, const Candidate& b) { return a.error[c] < b.error[c]; });
    best.push_back(least->arithmetic.stored_bias(static_cast<std::int64_t>(c)).stored);
  }
  return best;
}

PreparedRow StoredRow(const Deployment& deployment, const std::vector<std::int64_t>& stored) {
  return Requantized({.what_if = WhatIf::kErrorAwareRounding,
                      .note = "chosen on the calibration samples, which are among those measured",
                      .is_remedy = true,
                      .stored = stored},
                     WithStored(deployment, stored));
}

}  // namespace qatgap::attribution::what_if
