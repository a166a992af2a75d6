#include "analyzers/attribution/what_if/trained_bias.h"

#include <utility>
#include <vector>

#include "analyzers/status/status_macros.h"

namespace qatgap::attribution::what_if {

using numerics::ArithmeticStage;
using numerics::LayerArithmetic;

absl::StatusOr<TrainedBias> TrainedBias::Create(const Deployment& deployment, const numerics::MacConstants& qat) {
  numerics::MacConstants trained = qat;
  trained.bias.clear();
  for (std::int64_t c = 0; c < qat.channels; ++c) {
    const numerics::StoredBias& bias = deployment.arithmetic.stored_bias(c);
    trained.bias.push_back(static_cast<double>(bias.stored) * bias.scale);
  }
  QATGAP_ASSIGN_OR_RETURN(LayerArithmetic before, LayerArithmetic::Create(numerics::TargetDescription{}, qat));
  QATGAP_ASSIGN_OR_RETURN(LayerArithmetic after, LayerArithmetic::Create(numerics::TargetDescription{}, trained));
  return TrainedBias(deployment.arithmetic, std::move(before), std::move(after));
}

void TrainedBias::MoveReferences(std::int64_t channel, const LadderInput& batch,
                                 std::span<const std::int32_t> accumulators, std::span<std::int32_t> float_bias,
                                 std::span<std::int32_t> fake_quant) const {
  deployed_.Codes(ArithmeticStage::kBiasStored, channel, accumulators, float_bias);
  const LadderRow row = RowOf(batch, {}, channel, 0, static_cast<std::int64_t>(fake_quant.size()));
  const auto real = [&](const LayerArithmetic& arithmetic) {
    std::vector<std::int32_t> codes(fake_quant.size());
    RealCodes(arithmetic, row, channel, codes);
    return codes;
  };
  const std::vector<std::int32_t> before = real(before_), after = real(after_);
  for (std::size_t i = 0; i < fake_quant.size(); ++i) fake_quant[i] += after[i] - before[i];
}

report::WhatIfRow TrainedBiasRow(const Deployment& deployment) {
  bool saturated = false;
  for (std::int64_t c = 0; c < deployment.arithmetic.constants().channels; ++c) {
    saturated |= deployment.arithmetic.stored_bias(c).saturated;
  }
  return {.what_if = report::WhatIf::kFakeQuantizedBias,
          .note = saturated ? "a stored bias saturates: training would have to do without the rest of it"
                            : "needs training; the trained model's own outputs move with the bias",
          .measured = true,
          .is_remedy = !saturated};
}

}  // namespace qatgap::attribution::what_if
