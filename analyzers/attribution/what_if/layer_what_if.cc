#include "analyzers/attribution/what_if/layer_what_if.h"

#include <utility>

#include "analyzers/attribution/layer_analysis.h"
#include "analyzers/attribution/what_if/adjusted_weights.h"
#include "analyzers/attribution/what_if/storage_width.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::attribution {
namespace {

using numerics::ArithmeticStage;
using numerics::LayerArithmetic;
using report::WhatIf;

std::span<const std::int32_t> Row(std::span<const std::int32_t> rows, std::int64_t channel, std::int64_t elements) {
  return rows.subspan(static_cast<std::size_t>(channel * elements), static_cast<std::size_t>(elements));
}

// The accumulators that the target requantizes.
std::span<const std::int32_t> Deployed(const LadderInput& batch) {
  return batch.adjusted_accumulators.empty() ? batch.accumulators : batch.adjusted_accumulators;
}

}  // namespace

absl::StatusOr<LayerWhatIf> LayerWhatIf::Create(const numerics::TargetDescription& target, const graph::MacLayer& qat,
                                                const graph::MacLayer& deployed, std::size_t index,
                                                const std::optional<graph::MacLayer>& adjusted) {
  const numerics::QuantParams& input = deployed.input_grids[index];
  numerics::MacConstants constants = DeployedConstants(deployed, input, target);
  QATGAP_ASSIGN_OR_RETURN(LayerArithmetic converted, LayerArithmetic::Create(target, constants));
  if (adjusted) constants.weight = adjusted->weight_params;
  QATGAP_ASSIGN_OR_RETURN(LayerArithmetic arithmetic, LayerArithmetic::Create(target, std::move(constants)));
  LayerWhatIf layer(
      {.layer = adjusted ? *adjusted : deployed, .arithmetic = std::move(arithmetic), .operators = target.operators},
      std::move(converted));
  const numerics::MacConstants& own = layer.deployment_.arithmetic.constants();
  const bool has_bias = !own.bias.empty() || !own.stored_bias.empty();
  if (layer.deployment_.arithmetic.target().bias.mode == numerics::BiasMode::kInteger && has_bias) {
    QATGAP_ASSIGN_OR_RETURN(layer.rounding_, what_if::ErrorAwareRounding::Create(layer.deployment_));
    QATGAP_ASSIGN_OR_RETURN(
        layer.trained_bias_,
        what_if::TrainedBias::Create(layer.deployment_, QatConstants(qat, QatInput(qat, deployed, index))));
  }
  return layer;
}

void LayerWhatIf::Calibrate(const LadderInput& batch, std::int64_t samples) {
  calibration_samples_ += static_cast<std::uint64_t>(samples);
  for (std::int64_t channel = 0; channel < deployment_.arithmetic.constants().channels; ++channel) {
    const std::span<const std::int32_t> accumulators = Row(Deployed(batch), channel, batch.elements);
    range_.Add(channel, accumulators);
    if (rounding_) rounding_->Add(channel, accumulators, Row(batch.fake_quant, channel, batch.elements));
  }
}

report::LayerWhatIfs LayerWhatIf::Start(std::int64_t layer, std::int64_t input_index) {
  report::LayerWhatIfs result{
      .layer = layer, .input_index = input_index, .calibration_samples = calibration_samples_, .rows = {}};
  const auto add = [&](what_if::PreparedRow row) {
    result.rows.push_back(std::move(row.row));
    variants_.push_back(std::move(row.variant));
  };
  add(what_if::Requantized({.what_if = WhatIf::kPlain}, deployment_.arithmetic));
  if (rounding_) {
    for (what_if::PreparedRow& row : what_if::StorageRows(deployment_)) add(std::move(row));
    add(calibration_samples_ > 0
            ? what_if::StoredRow(deployment_, rounding_->Best())
            : what_if::NotMeasured(WhatIf::kErrorAwareRounding, "no calibration sample took this input"));
    add(what_if::ZeroPointRow(deployment_));
    // The plain row's codes, against other references.
    what_if::PreparedRow trained = what_if::Requantized(what_if::TrainedBiasRow(deployment_), deployment_.arithmetic);
    add(std::move(trained));
    add(what_if::AdjustedWeightsRow(deployment_));
  }
  add(what_if::ExplicitAddRow(deployment_, range_));
  rounding_.reset();
  return result;
}

absl::Status LayerWhatIf::Add(const LadderInput& batch, const graph::Tensor& codes, report::LayerWhatIfs& result) {
  for (const auto& variant : variants_) {
    if (variant != nullptr) QATGAP_RETURN_IF_ERROR(variant->Begin(codes));
  }
  std::vector<std::int32_t> value(static_cast<std::size_t>(batch.elements)), float_bias(value.size());
  for (std::int64_t channel = 0; channel < deployment_.arithmetic.constants().channels; ++channel) {
    const std::span<const std::int32_t> accumulators = Row(Deployed(batch), channel, batch.elements);
    const std::span<const std::int32_t> fake_quant = Row(batch.fake_quant, channel, batch.elements);
    converted_.Codes(ArithmeticStage::kReal, channel, Row(batch.accumulators, channel, batch.elements), float_bias);
    for (std::size_t i = 0; i < result.rows.size(); ++i) {
      report::WhatIfRow& row = result.rows[i];
      if (variants_[i] == nullptr) continue;
      variants_[i]->Codes(channel, accumulators, value);
      if (row.what_if == WhatIf::kFakeQuantizedBias) {
        std::vector<std::int32_t> moved_float_bias(value.size()), moved(fake_quant.begin(), fake_quant.end());
        trained_bias_->MoveReferences(channel, batch, accumulators, moved_float_bias, moved);
        row.against_float_bias.Add(moved_float_bias, value);
        row.against_fake_quant.Add(moved, value);
        continue;
      }
      row.against_float_bias.Add(float_bias, value);
      row.against_fake_quant.Add(fake_quant, value);
    }
  }
  return absl::OkStatus();
}

}  // namespace qatgap::attribution
