#include "analyzers/attribution/what_if/adjusted_weights.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "analyzers/execution/layer_kernel.h"
#include "analyzers/numerics/rounding.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::attribution::what_if {
namespace {

// Beyond what binary32 products and quotients of scales can lose.
constexpr double kSlack = 1 + 0x1p-20;

class AdjustedWeights : public Variant {
 public:
  AdjustedWeights(execution::LayerKernel kernel, numerics::LayerArithmetic arithmetic)
      : kernel_(std::move(kernel)), arithmetic_(std::move(arithmetic)) {}

  absl::Status Begin(const graph::Tensor& codes) override {
    QATGAP_ASSIGN_OR_RETURN(rows_, kernel_.Accumulate(codes));
    return absl::OkStatus();
  }

  void Codes(std::int64_t channel, std::span<const std::int32_t> accumulators, std::span<std::int32_t> codes) override {
    const std::size_t elements = accumulators.size();
    const auto own = rows_.data<std::int32_t>().subspan(static_cast<std::size_t>(channel) * elements, elements);
    arithmetic_.Codes(numerics::ArithmeticStage::kRequantized, channel, own, codes);
  }

 private:
  execution::LayerKernel kernel_;
  numerics::LayerArithmetic arithmetic_;
  graph::Tensor rows_;
};

// s_w per output channel, raised where the bias saturates.
std::vector<double> RaisedScales(const numerics::LayerArithmetic& arithmetic) {
  const numerics::MacConstants& constants = arithmetic.constants();
  const auto limit = static_cast<double>(numerics::SignedMax(arithmetic.target().bias.bits));
  std::vector<double> scales;
  for (std::int64_t c = 0; c < constants.channels; ++c) {
    const numerics::StoredBias& bias = arithmetic.stored_bias(c);
    const double deployed = constants.weight.scale(static_cast<std::size_t>(c));
    scales.push_back(bias.saturated
                         ? std::max(deployed, std::abs(bias.real) / (limit * constants.input.scale()) * kSlack)
                         : deployed);
  }
  if (constants.weight.scales.size() == 1) {
    std::fill(scales.begin(), scales.end(), *std::max_element(scales.begin(), scales.end()));
  }
  return scales;
}

}  // namespace

PreparedRow AdjustedWeightsRow(const Deployment& deployment) {
  constexpr report::WhatIf kRow = report::WhatIf::kAdjustedWeights;
  const numerics::LayerArithmetic& arithmetic = deployment.arithmetic;
  if (arithmetic.target().bias.scale == numerics::BiasScale::kOwnPowerOfTwo) {
    return NotMeasured(kRow, "the target's bias has a scale of its own, which does not follow the weights");
  }
  std::uint64_t saturated = 0;
  for (std::int64_t c = 0; c < arithmetic.constants().channels; ++c)
    saturated += arithmetic.stored_bias(c).saturated ? 1U : 0U;
  if (saturated == 0) return NotMeasured(kRow, "no stored bias saturates");

  const graph::MacLayer layer = graph::WithWeightScales(deployment.layer, RaisedScales(arithmetic));
  numerics::MacConstants constants = arithmetic.constants();
  constants.weight = layer.weight_params;
  constants.stored_bias.clear();  // at the old scales
  absl::StatusOr<numerics::LayerArithmetic> adjusted =
      numerics::LayerArithmetic::Create(arithmetic.target(), constants);
  if (!adjusted.ok()) return NotMeasured(kRow, std::string(adjusted.status().message()));
  absl::StatusOr<execution::LayerKernel> kernel = execution::LayerKernel::Create(layer, constants.input);
  if (!kernel.ok()) return NotMeasured(kRow, std::string(kernel.status().message()));
  std::vector<std::int64_t> stored;
  for (std::int64_t c = 0; c < constants.channels; ++c) stored.push_back(adjusted->stored_bias(c).stored);
  return {.row = {.what_if = kRow,
                  .note = absl::StrCat(saturated, saturated == 1 ? " bias saturated" : " biases saturated"),
                  .measured = true,
                  .is_remedy = true,
                  .stored = std::move(stored)},
          .variant = std::make_unique<AdjustedWeights>(*std::move(kernel), *std::move(adjusted))};
}

}  // namespace qatgap::attribution::what_if
