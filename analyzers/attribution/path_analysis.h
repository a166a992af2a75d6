// The whole network on every path, and the paths held against each other in integer statistics (accumulated view).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/attribution/pairing.h"
#include "analyzers/execution/graph_executor.h"
#include "analyzers/graph/mac_layers.h"
#include "analyzers/numerics/layer_arithmetic.h"
#include "analyzers/numerics/target.h"
#include "analyzers/report/analysis_result.h"

namespace qatgap::attribution {

// One path's batch: outputs, and the output codes of every paired layer that ran.
struct PathRun {
  std::vector<execution::ModelOutput> outputs;
  std::map<std::size_t, graph::Tensor> layers;  // by pair: [channels, elements] codes
};

class PathAnalysis {
 public:
  // Runs `deployed`, whose MAC layers are `layers`; `pairs` says which of them are compared. All must outlive this.
  // Appends the comparisons (all zero) and, per path, accuracies to each TargetResult.
  static absl::StatusOr<PathAnalysis> Create(const graph::Graph& deployed, const std::vector<graph::MacLayer>& layers,
                                             const std::vector<LayerPair>& pairs,
                                             std::span<const numerics::TargetDescription> targets, bool has_labels,
                                             std::vector<report::TargetResult>& results);

  // Runs a batch on every path of every target and adds it to `results`; `fake_quant` is the QAT model's run of it.
  absl::Status Add(std::span<const graph::Tensor> inputs, std::span<const std::int64_t> labels,
                   const PathRun& fake_quant, std::vector<report::TargetResult>& results);

 private:
  // Target, whether with its adjusted weights, layer, input.
  using ArithmeticKey = std::tuple<std::size_t, bool, std::size_t, const numerics::QuantParams*>;

  PathAnalysis(const std::vector<graph::MacLayer>& layers, const std::vector<LayerPair>& pairs,
               std::span<const numerics::TargetDescription> targets, execution::GraphExecutor integer)
      : layers_(&layers), pairs_(&pairs), targets_(targets), integer_(std::move(integer)) {}

  absl::StatusOr<PathRun> RunInteger(std::span<const graph::Tensor> inputs, std::size_t target,
                                     numerics::ArithmeticStage stage);
  absl::StatusOr<PathRun> RunEngine(std::span<const graph::Tensor> inputs, numerics::Engine engine);
  absl::StatusOr<const numerics::LayerArithmetic*> Arithmetic(std::size_t target, bool adjusted, std::size_t layer,
                                                              const numerics::QuantParams& input);
  execution::LayerObserver Keep(PathRun& run) const;

  const std::vector<graph::MacLayer>* layers_;
  const std::vector<LayerPair>* pairs_;
  std::span<const numerics::TargetDescription> targets_;
  execution::GraphExecutor integer_;
  // By target: the network with the weights that the target rounds anew, for its own paths.
  struct Adjusted {
    std::unique_ptr<const std::vector<graph::MacLayer>> layers;
    execution::GraphExecutor integer;
  };
  std::map<std::size_t, Adjusted> adjusted_;
  std::map<numerics::Engine, execution::GraphExecutor> engines_;
  std::map<ArithmeticKey, numerics::LayerArithmetic> arithmetic_;
};

}  // namespace qatgap::attribution
