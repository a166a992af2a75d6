// One paired layer in the injected view: every stage gets the QAT path's inputs.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/attribution/ladder.h"
#include "analyzers/attribution/target_ladders.h"
#include "analyzers/attribution/what_if/layer_what_if.h"
#include "analyzers/execution/graph_executor.h"
#include "analyzers/execution/layer_kernel.h"
#include "analyzers/graph/mac_layers.h"
#include "analyzers/numerics/target.h"
#include "analyzers/report/analysis_result.h"

namespace qatgap::attribution {

// Constants of a layer for one reaching input. The QAT model's bias is exact, the deployed one what is shipped.
numerics::MacConstants QatConstants(const graph::MacLayer& layer, const numerics::QuantParams& input);
// Where the model holds its bias as integers, a target that stores biases at s_x * s_w is given them as they are, and
// layer.bias as the real they were rounded from; any other target gets the reals they stand for.
numerics::MacConstants DeployedConstants(const graph::MacLayer& layer, const numerics::QuantParams& input,
                                         const numerics::TargetDescription& target);

// What the QAT model feeds the layer where the deployed one feeds deployed.input_grids[index].
const numerics::QuantParams& QatInput(const graph::MacLayer& qat, const graph::MacLayer& deployed, std::size_t index);

// The ladder for deployed.input_grids[index]; `exact` is LayerLadder::Exact of QatConstants there, `adjusted` the deployed
// layer as the target adjusted its weights, if it did.
absl::StatusOr<LayerLadder> MakeLadder(const numerics::TargetDescription& target, LayerLadder::Arithmetic exact,
                                       const graph::MacLayer& deployed, std::size_t index,
                                       const std::optional<graph::MacLayer>& adjusted);

report::LayerInfo DescribeLayer(const graph::MacLayer& qat, const graph::MacLayer& deployed);

class PathAnalysis;

class LayerAnalysis {
 public:
  // `layer` is its index in the result. Appends one LayerResult per target and reaching input to `results` (one
  // TargetResult per target). The layers must outlive this.
  static absl::StatusOr<LayerAnalysis> Create(std::int64_t layer, const graph::MacLayer& qat,
                                              const graph::MacLayer& deployed,
                                              std::span<const numerics::TargetDescription> targets,
                                              std::vector<report::TargetResult>& results);

  // Also measure what-ifs: to be called before the first batch. Calibrate takes batches as Add does, StartWhatIfs ends
  // calibration and appends one LayerWhatIfs per target and reaching input to `results`.
  absl::Status PrepareWhatIfs();
  absl::Status Calibrate(const execution::LayerOutput& output);
  void StartWhatIfs(std::int64_t layer, std::vector<report::TargetResult>& results);

  // Lets paths use what was prepared here: arithmetic and kernels of the deployed layer, whose index among them is `layer`.
  void ShareWith(PathAnalysis& paths, std::size_t layer) const;

  // Adds one batch as the QAT model ran it. The sums of the ladders are kept until Flush, which is given the same `results`.
  absl::Status Add(const execution::LayerOutput& output, std::vector<report::TargetResult>& results);
  void Flush(std::vector<report::TargetResult>& results);

 private:
  struct Reaching {                          // one reaching input
    std::optional<execution::LayerKernel> qat;  // none: its accumulators are those of `deployed`
    execution::LayerKernel deployed;
    TargetLadders ladders;
    std::vector<std::optional<execution::LayerKernel>> adjusted;  // per target: weights it rounds anew
    std::vector<std::size_t> result_index;   // per target, into TargetResult::layers
    std::vector<LayerWhatIf> what_ifs;       // per target; empty where not asked for
    std::vector<std::size_t> what_if_index;  // per target, into TargetResult::what_ifs; empty before StartWhatIfs
  };
  LayerAnalysis(const graph::MacLayer& qat, const graph::MacLayer& deployed,
                std::span<const numerics::TargetDescription> targets)
      : qat_(&qat), deployed_(&deployed), targets_(targets) {}

  // One batch, computed: the tensors are what the spans of `input` are in.
  struct Computed {
    std::size_t index = 0;  // the reaching input
    graph::Tensor codes, accumulators, qat_rows, fake_quant;
    LadderInput input;
  };
  std::size_t InputIndex(const numerics::QuantParams* grid) const;
  absl::StatusOr<Computed> Compute(const execution::LayerOutput& output) const;
  absl::Status AddWhatIfs(const execution::LayerOutput& output, std::vector<report::TargetResult>& results);
  // Adds samples of the batch, whose input codes are `codes`; `input` lacks their accumulators.
  absl::Status AddSamples(Reaching& reaching, LadderInput input, const graph::Tensor& codes,
                          std::vector<report::TargetResult>& results);
  absl::StatusOr<const graph::Tensor*> EngineRows(Reaching& reaching, std::size_t target, const graph::Tensor& codes,
                                                  std::map<numerics::Engine, absl::StatusOr<graph::Tensor>>& known,
                                                  report::LayerResult& result);

  const graph::MacLayer* qat_;
  const graph::MacLayer* deployed_;
  std::span<const numerics::TargetDescription> targets_;
  std::vector<Reaching> reaching_;
};

}  // namespace qatgap::attribution
