// The whole network on every path, and the paths held against each other in integer statistics (accumulated view).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/attribution/analysis_options.h"
#include "analyzers/attribution/kept_codes.h"
#include "analyzers/attribution/output_comparison.h"
#include "analyzers/attribution/pairing.h"
#include "analyzers/execution/graph_executor.h"
#include "analyzers/graph/mac_layers.h"
#include "analyzers/numerics/layer_arithmetic.h"
#include "analyzers/numerics/target.h"
#include "analyzers/report/analysis_result.h"

namespace qatgap::attribution {

// One path's batch: outputs, and the output codes of every paired layer that ran, where another path needs them.
struct PathRun {
  ModelOutputs outputs;
  std::map<std::size_t, KeptCodes> layers;  // by pair, in the layers' own layout

  // A part of the codes of a paired layer.
  void Keep(std::size_t pair, const execution::LayerOutput& output);
};

class PathAnalysis {
 public:
  // Runs `deployed`, whose MAC layers are `layers`; `pairs` says which of them are compared. All must outlive this.
  // Appends the comparisons (all zero), and per path accuracies, to each TargetResult; and sensitivities, if asked for.
  static absl::StatusOr<PathAnalysis> Create(const graph::Graph& deployed, const std::vector<graph::MacLayer>& layers,
                                             const std::vector<LayerPair>& pairs,
                                             std::span<const numerics::TargetDescription> targets, bool has_labels,
                                             const AnalysisOptions& options,
                                             std::vector<report::TargetResult>& results);

  // What others prepared for a layer of `layers` at one of its input_grids, to be used instead of an own one.
  void UseKernel(std::size_t layer, const numerics::QuantParams& input, const execution::LayerKernel& kernel);
  void UseArithmetic(std::size_t target, std::size_t layer, std::size_t input_index,
                     std::shared_ptr<const numerics::LayerArithmetic> arithmetic);

  // Runs a batch on every path of every target and adds it to `results`; `fake_quant` is the QAT model's run of it.
  absl::Status Add(std::span<const graph::Tensor> inputs, BatchSamples samples, const PathRun& fake_quant,
                   std::vector<report::TargetResult>& results);

 private:
  // Target, whether with its adjusted weights, layer, input.
  using ArithmeticKey = std::tuple<std::size_t, bool, std::size_t, const numerics::QuantParams*>;

  PathAnalysis(const std::vector<graph::MacLayer>& layers, const std::vector<LayerPair>& pairs,
               std::span<const numerics::TargetDescription> targets, std::size_t outputs,
               execution::GraphExecutor integer, const AnalysisOptions& options)
      : layers_(&layers),
        pairs_(&pairs),
        targets_(targets),
        outputs_(outputs),
        integer_(std::move(integer)),
        options_(options) {}

  // A run is held against others while it goes: only what a later run needs is kept.
  struct Comparison {
    const PathRun* other;
    bool other_is_reference;
    report::PathComparison* sums;
  };
  using Comparisons = std::vector<Comparison>;
  execution::LayerObserver Observer(PathRun& run, const Comparisons& comparisons, bool keep) const;
  absl::StatusOr<PathRun> RunInteger(std::span<const graph::Tensor> inputs, std::size_t target,
                                     numerics::ArithmeticStage stage, const Comparisons& comparisons, bool keep);
  execution::IntegerLayer LayerCodes(std::size_t target, bool adjusted, numerics::ArithmeticStage stage);
  absl::StatusOr<PathRun> RunEngine(std::span<const graph::Tensor> inputs, numerics::Engine engine,
                                    const Comparisons& comparisons, bool keep);

  struct Batch {
    std::span<const graph::Tensor> inputs;
    BatchSamples samples;
    const PathRun& fake_quant;
    std::vector<report::TargetResult>& results;
  };
  absl::Status AddBiasPaths(const Batch& batch);
  absl::Status AddSensitivities(const Batch& batch, const ModelOutputs& float_bias);
  absl::Status AddTargetPaths(const Batch& batch);
  absl::Status AddTargetPath(const Batch& batch, const std::vector<std::size_t>& group, const PathRun* engine);

  report::PathComparison NewComparison(report::Path path, report::Path reference) const;
  std::vector<report::LayerSensitivity> NewSensitivities() const;
  absl::StatusOr<const numerics::LayerArithmetic*> Arithmetic(std::size_t target, bool adjusted, std::size_t layer,
                                                              const numerics::QuantParams& input);
  // Whether the two targets compute the same codes at this stage in every layer.
  bool SameCodes(std::size_t target, std::size_t other, numerics::ArithmeticStage stage);
  void FormGroups(const std::vector<report::TargetResult>& results);

  const std::vector<graph::MacLayer>* layers_;
  const std::vector<LayerPair>* pairs_;
  std::span<const numerics::TargetDescription> targets_;
  std::size_t outputs_;  // of the model
  execution::GraphExecutor integer_;
  AnalysisOptions options_;
  // By target: the network with the weights that the target rounds anew, for its own paths.
  struct Adjusted {
    std::unique_ptr<const std::vector<graph::MacLayer>> layers;
    execution::GraphExecutor integer;
  };
  std::map<std::size_t, Adjusted> adjusted_;
  std::map<numerics::Engine, execution::GraphExecutor> engines_;
  std::map<ArithmeticKey, std::shared_ptr<const numerics::LayerArithmetic>> arithmetic_;
  // Targets whose paths are one and the same: run once.
  std::vector<std::vector<std::size_t>> quantized_bias_groups_, target_groups_;
  std::vector<std::size_t> float_bias_targets_;  // their quantized_bias path is float_bias
};

}  // namespace qatgap::attribution
