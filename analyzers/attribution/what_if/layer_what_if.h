// All what-ifs of one layer, reaching input and target: calibrated first, then measured batch by batch.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/attribution/ladder.h"
#include "analyzers/attribution/what_if/bias_rounding.h"
#include "analyzers/attribution/what_if/explicit_add.h"
#include "analyzers/attribution/what_if/trained_bias.h"
#include "analyzers/attribution/what_if/variant.h"
#include "analyzers/report/what_if_result.h"

namespace qatgap::attribution {

class LayerWhatIf {
 public:
  // `adjusted` is the deployed layer as the target adjusted its weights, if it did.
  static absl::StatusOr<LayerWhatIf> Create(const numerics::TargetDescription& target, const graph::MacLayer& qat,
                                            const graph::MacLayer& deployed, std::size_t index,
                                            const std::optional<graph::MacLayer>& adjusted);

  // A batch that ranges and roundings are chosen from. Not after Start.
  void Calibrate(const LadderInput& batch, std::int64_t samples);
  // Ends calibration. The rows, without samples.
  report::LayerWhatIfs Start(std::int64_t layer, std::int64_t input_index);
  // `codes` are the layer's input codes, `result` what Start made.
  absl::Status Add(const LadderInput& batch, const graph::Tensor& codes, report::LayerWhatIfs& result);

 private:
  LayerWhatIf(what_if::Deployment deployment, numerics::LayerArithmetic converted)
      : deployment_(std::move(deployment)),
        converted_(std::move(converted)),
        range_(deployment_.arithmetic.constants().channels) {}

  what_if::Deployment deployment_;
  numerics::LayerArithmetic converted_;  // stage `converted`: weights as the model has them
  what_if::AccumulatorRange range_;
  std::optional<what_if::ErrorAwareRounding> rounding_;  // during calibration, of targets that store integers
  std::optional<what_if::TrainedBias> trained_bias_;     // the same targets
  std::uint64_t calibration_samples_ = 0;
  std::vector<std::unique_ptr<what_if::Variant>> variants_;  // of the rows; null: not measured, or moved references
};

}  // namespace qatgap::attribution
