// The ladder of one MAC layer: its stages computed from the same input codes, and the integer statistics of their
// differences. docs/concepts.md explains stages and causes.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
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

// The same for a run of elements of one channel; all that are not empty have one size.
struct LadderRow {
  std::span<const std::int32_t> fake_quant, qat_accumulators;
  std::span<const double> qat_sums;
  std::span<const std::int32_t> accumulators, adjusted_accumulators, engine;
};
// `engine` is empty or channel-major, as the input.
LadderRow RowOf(const LadderInput& input, std::span<const std::int32_t> engine, std::int64_t channel,
                std::int64_t first, std::int64_t count);

// Codes of stage 1, by the arithmetic of the QAT model's layer: from its accumulators, or its sums where there are none.
void RealCodes(const numerics::LayerArithmetic& qat, const LadderRow& row, std::int64_t channel,
               std::span<std::int32_t> codes);

// One layer, one reaching input, one target. Immutable.
class LayerLadder {
 public:
  // The stages 0 and 1 use `qat`, the others `deployed`, from bias_stored on with the weight scales `adjusted_scales`
  // (empty: none were adjusted). Errors: those of LayerArithmetic::Create.
  static absl::StatusOr<LayerLadder> Create(const numerics::TargetDescription& target,
                                            const numerics::MacConstants& qat,
                                            const numerics::MacConstants& deployed,
                                            const std::vector<double>& adjusted_scales = {});

  // Stage 1 is the same for every target: exact, by a description without rules that could refuse the QAT model's constants.
  using Arithmetic = std::shared_ptr<const numerics::LayerArithmetic>;
  static absl::StatusOr<Arithmetic> Exact(const numerics::MacConstants& qat);
  static absl::StatusOr<LayerLadder> Create(const numerics::TargetDescription& target, Arithmetic qat,
                                            const numerics::MacConstants& deployed,
                                            const std::vector<double>& adjusted_scales);

  // Output codes of every stage for one channel. `engine` may be empty: then the last stage repeats `requantized`,
  // so that its cause is exactly zero.
  using Stages = std::array<std::vector<std::int32_t>, kStageCount>;
  void ComputeStages(const LadderInput& input, std::span<const std::int32_t> engine, std::int64_t channel,
                     Stages& stages) const;
  void ComputeStages(const LadderRow& row, std::int64_t channel, Stages& stages) const;

  // Adds the batch to `result`, whose channels were made by MakeResult. TargetLadders adds the same, for all targets at once.
  void Add(const LadderInput& input, std::span<const std::int32_t> engine, std::int64_t samples,
           report::LayerResult& result) const;
  void AddRow(const LadderRow& row, std::int64_t channel, report::ChannelResult& result) const;

  // A result without samples: stored biases and multipliers per channel.
  report::LayerResult MakeResult(std::int64_t layer, std::int64_t input_index) const;

  const numerics::LayerArithmetic& qat() const { return *qat_; }
  const numerics::LayerArithmetic& deployed() const { return *deployed_; }
  const Arithmetic& shared_deployed() const { return deployed_; }
  // From bias_stored on: `deployed`, with the adjusted weight scales where there are any.
  const numerics::LayerArithmetic& stored() const { return adjusted_ ? *adjusted_ : *deployed_; }
  bool adjusted() const { return adjusted_.has_value(); }
  // What computes a stage from `converted` on, and whether it takes the accumulators of the adjusted weights.
  const numerics::LayerArithmetic& arithmetic(numerics::ArithmeticStage stage) const;
  bool takes_adjusted(numerics::ArithmeticStage stage) const;

 private:
  LayerLadder(Arithmetic qat, Arithmetic deployed)
      : qat_(std::move(qat)), deployed_(std::move(deployed)) {}

  Arithmetic qat_, deployed_;
  std::optional<numerics::LayerArithmetic> adjusted_;
};

}  // namespace qatgap::attribution
