// The ladder of one MAC layer: its stages computed from the same input codes, and the integer statistics of their
// differences. docs/concepts.md explains stages and causes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/numerics/layer_arithmetic.h"
#include "analyzers/report/analysis_result.h"

namespace qatgap::attribution {

// fake_quant, real, converted, bias_rounded, bias_stored, accumulated, requantized, engine.
inline constexpr std::size_t kStageCount = 8;

// One batch of one layer; channel-major rows, [channels][elements]. Exactly one of qat_accumulators and qat_sums is
// set; `engine` is empty where no engine was measured.
struct LadderInput {
  std::int64_t elements = 0;                       // per channel
  std::span<const std::int32_t> fake_quant;        // output codes of the QAT model
  std::span<const std::int32_t> qat_accumulators;  // exact, QAT weights
  std::span<const double> qat_sums;                // for an input off the grid: sum x (w - z_w), QAT weights
  std::span<const std::int32_t> accumulators;      // exact, deployed weights
  // Exact, the deployed weights as the target adjusted them; empty where it adjusts none.
  std::span<const std::int32_t> adjusted_accumulators = {};
};

// One layer, one reaching input, one target. Immutable.
class LayerLadder {
 public:
  // The stages 0 and 1 use `qat`, the others `deployed`, from bias_stored on with the weight scales `adjusted_scales`
  // (empty: none were adjusted). Errors: those of LayerArithmetic::Create.
  static absl::StatusOr<LayerLadder> Create(const numerics::TargetDescription& target,
                                            const numerics::MacConstants& qat,
                                            const numerics::MacConstants& deployed,
                                            const std::vector<double>& adjusted_scales = {});

  // Output codes of every stage for one channel. `engine` may be empty: then the last stage repeats `requantized`,
  // so that its cause is exactly zero.
  using Stages = std::array<std::vector<std::int32_t>, kStageCount>;
  void ComputeStages(const LadderInput& input, std::span<const std::int32_t> engine, std::int64_t channel,
                     Stages& stages) const;

  // Adds the batch to `result`, whose channels were made by MakeResult.
  void Add(const LadderInput& input, std::span<const std::int32_t> engine, std::int64_t samples,
           report::LayerResult& result) const;

  // A result without samples: stored biases and multipliers per channel.
  report::LayerResult MakeResult(std::int64_t layer, std::int64_t input_index) const;

  const numerics::LayerArithmetic& deployed() const { return deployed_; }

 private:
  LayerLadder(numerics::LayerArithmetic qat, numerics::LayerArithmetic deployed)
      : qat_(std::move(qat)), deployed_(std::move(deployed)) {}
  const numerics::LayerArithmetic& stored() const { return adjusted_ ? *adjusted_ : deployed_; }

  numerics::LayerArithmetic qat_, deployed_;
  std::optional<numerics::LayerArithmetic> adjusted_;
};

}  // namespace qatgap::attribution
