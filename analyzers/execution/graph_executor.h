// Runs a graph on batches: as the QAT model does it, with the integer arithmetic of a stage, or with a real engine.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "analyzers/execution/layer_kernel.h"
#include "analyzers/graph/graph.h"
#include "analyzers/graph/mac_layers.h"
#include "analyzers/numerics/target.h"

namespace qatgap::execution {

enum class ExecutionMode {
  kFakeQuant,  // every operator in float32, fake-quantized where the graph says so
  kInteger,    // MAC layers from exact accumulators by a callback; other operators dequantize, compute, requantize
  kEngine,     // MAC layers and other quantized operators by LibTorch's engine
};

// One MAC layer that was run.
struct LayerOutput {
  std::size_t layer = 0;                           // index into the MAC layers given to Create
  const numerics::QuantParams* input_grid = nullptr;  // of this batch; nullptr: reals off every grid
  const graph::Tensor& input;                      // float32: what entered the product; see ObserveCodesAlone
  const graph::Tensor& codes;                      // int32, in the layer's own layout; ToChannelMajor turns them
  std::size_t first = 0;                           // of the layer's `size` codes: where these begin
  std::size_t size = 0;
};
using LayerObserver = std::function<absl::Status(const LayerOutput&)>;

// Codes [channels, elements] (int32) of a MAC layer from its exact accumulators of the same shape.
using IntegerLayer = std::function<absl::StatusOr<graph::Tensor>(
    std::size_t layer, const numerics::QuantParams& input, const graph::Tensor& accumulators)>;

// What Rerun computes otherwise.
struct LayerChange {
  std::size_t layer = 0;
  const graph::MacLayer* instead = nullptr;  // its weights, if not those of the layer; must outlive the executor
  IntegerLayer codes;
};

struct ModelOutput {
  graph::Tensor real;                              // float32
  graph::Tensor codes;                             // int32; undefined when off every grid
  const numerics::QuantParams* grid = nullptr;
};

class GraphExecutor {
 public:
  // `graph` must outlive the executor. A MAC layer whose input is off every grid runs in float in every mode.
  static absl::StatusOr<GraphExecutor> Create(const graph::Graph& graph, std::vector<graph::MacLayer> layers,
                                              ExecutionMode mode, numerics::Engine engine = numerics::Engine::kNone);
  GraphExecutor(GraphExecutor&&) noexcept;
  GraphExecutor& operator=(GraphExecutor&&) noexcept;
  ~GraphExecutor();

  // The kernel of a layer for inputs on this grid, instead of one of the executor's own: constants that others prepared.
  void UseKernel(std::size_t layer, const numerics::QuantParams& input, LayerKernel kernel);

  // From now on LayerOutput::input may be undefined: reals that nothing but integer layers would read are not computed. Integer
  // layers and those of engines are run, and observed, a part of the samples at a time, which stays in the cache.
  void ObserveCodesAlone();

  // Runs one batch. `observe` is called for each MAC layer in execution order, `integer` (kInteger only) before it.
  // INVALID_ARGUMENT: number of inputs; inputs that the QAT model's own operators refuse (kFakeQuant).
  // RESOURCE_EXHAUSTED: memory. FAILED_PRECONDITION: NaN or Inf where a value is quantized, a predicate that is
  // not one bool, an engine that refuses; all naming the module.
  absl::StatusOr<std::vector<ModelOutput>> Run(std::span<const graph::Tensor> inputs, const LayerObserver& observe,
                                               const IntegerLayer& integer = nullptr);

  // From now on every Run keeps what it computes until the next one: the memory of all activations of a batch.
  void KeepValues();
  // Runs the batch of the last Run (kInteger) again with one layer changed, and only what depends on that: values that come
  // before it, and those behind layers that give the same codes again, are the kept ones. `integer` is that of the Run.
  // FAILED_PRECONDITION: no values were kept; else the errors of Run.
  absl::StatusOr<std::vector<ModelOutput>> Rerun(const LayerChange& change, const IntegerLayer& integer);

 private:
  struct Impl;
  explicit GraphExecutor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Codes of reals that lie on `grid` (exact), or that are rounded to it. FAILED_PRECONDITION for NaN and Inf.
absl::StatusOr<graph::Tensor> ToCodes(const graph::Tensor& reals, const numerics::QuantParams& grid,
                                      numerics::StepRule rule = numerics::StepRule::kMultiplyReciprocal);

}  // namespace qatgap::execution
