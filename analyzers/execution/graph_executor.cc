#include "analyzers/execution/graph_executor.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/int_repr.h>
#include <ATen/ops/quantize_per_tensor.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/execution/execution_plan.h"
#include "analyzers/execution/layer_kernel.h"
#include "analyzers/execution/layer_parts.h"
#include "analyzers/execution/model_inputs.h"
#include "analyzers/execution/operators.h"
#include "analyzers/execution/torch_bridge.h"
#include "analyzers/graph/tensor_rows.h"
#include "analyzers/numerics/fake_quantize.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::execution {
namespace {

using graph::NodeId;
using graph::OpKind;
using graph::ValueId;

std::size_t Index(std::int32_t id) { return static_cast<std::size_t>(id); }

// A real tensor and the grid it lies on, or codes (int32) and their qparams.
struct RuntimeValue {
  at::Tensor tensor;
  const numerics::QuantParams* params = nullptr;
  at::Tensor codes = {};  // of reals that were dequantized: `tensor` is undefined where nobody reads more than these
};

}  // namespace

struct GraphExecutor::Impl {
  const graph::Graph& graph;
  std::vector<graph::MacLayer> layers;
  ExecutionMode mode;
  numerics::Engine engine;

  ExecutionPlan plan;
  bool observes_inputs = true;
  struct PreparedKernel {
    const graph::MacLayer* layer;
    numerics::QuantParams input;
    LayerKernel kernel;
  };
  std::vector<PreparedKernel> kernels;  // own ones and those of UseKernel
  std::vector<RuntimeValue> constants;
  std::vector<RuntimeValue> values;

  bool keeps = false;               // values for Rerun
  std::vector<RuntimeValue> kept;   // of the last Run
  const LayerChange* change = nullptr;  // during Rerun
  std::vector<bool> moved;          // by value: whether it is another one than the kept one

  Impl(const graph::Graph& g, std::vector<graph::MacLayer> l, ExecutionMode m, numerics::Engine e)
      : graph(g), layers(std::move(l)), mode(m), engine(e), plan(graph, layers, mode), constants(g.values.size()),
        values(g.values.size()) {}

  const graph::Node& node(NodeId id) const { return graph.nodes[Index(id)]; }
  bool IsConstant(ValueId value) const { return constants[Index(value)].tensor.defined(); }
  const RuntimeValue& value(ValueId id) const {
    return IsConstant(id) ? constants[Index(id)] : values[Index(id)];
  }

  // Runs every live node that depends on constants alone, once: weights are dequantized here and nowhere else.
  absl::Status FoldConstants(const graph::Block& block) {
    for (const NodeId id : block.nodes) {
      if (!plan.live.contains(id)) continue;
      const graph::Node& current = node(id);
      if (const auto* branch = std::get_if<graph::IfAttributes>(&current.attributes)) {
        QATGAP_RETURN_IF_ERROR(FoldConstants(branch->then_block));
        QATGAP_RETURN_IF_ERROR(FoldConstants(branch->else_block));
        continue;
      }
      const std::vector<ValueId> inputs = plan.Dependencies(id);
      if (!std::all_of(inputs.begin(), inputs.end(), [&](ValueId v) { return IsConstant(v); })) continue;
      if (plan.layer_of_quantize.contains(id) || plan.engine_calls.contains(id)) continue;
      if (current.kind == OpKind::kOperator) {
        QATGAP_RETURN_IF_ERROR(RunOperator(current, constants));
        continue;
      }
      RuntimeValue result;
      if (const auto* constant = std::get_if<graph::ConstantAttributes>(&current.attributes)) {
        result = {ToTorch(constant->value), constant->qparams ? &*constant->qparams : nullptr};
      } else {
        QATGAP_ASSIGN_OR_RETURN(result, RunNode(current));
      }
      constants[Index(current.outputs[0])] = result;
    }
    return absl::OkStatus();
  }

  // --- running ---

  absl::StatusOr<LayerKernel> Kernel(const graph::MacLayer& layer, const numerics::QuantParams& input) {
    for (const PreparedKernel& prepared : kernels) {
      if (prepared.layer == &layer && prepared.input == input) return prepared.kernel;
    }
    QATGAP_ASSIGN_OR_RETURN(LayerKernel kernel, LayerKernel::Create(layer, input));
    kernels.push_back({&layer, input, kernel});
    return kernel;
  }

  absl::StatusOr<RuntimeValue> Quantize(const at::Tensor& reals, const numerics::QuantParams& params,
                                        numerics::StepRule rule = numerics::StepRule::kMultiplyReciprocal) {
    if (mode == ExecutionMode::kEngine && !params.per_channel() && params.quant_min >= 0 && params.quant_max <= 255) {
      const at::Tensor quantized = at::quantize_per_tensor(reals, params.scale(), params.zero_point(), at::kQUInt8);
      return RuntimeValue{at::int_repr(quantized).to(at::kInt), &params};
    }
    QATGAP_ASSIGN_OR_RETURN(const graph::Tensor contiguous, FromTorch(reals));
    QATGAP_ASSIGN_OR_RETURN(const graph::Tensor codes, ToCodes(contiguous, params, rule));
    return RuntimeValue{ToTorch(codes), &params};
  }

  static absl::StatusOr<RuntimeValue> Dequantize(const RuntimeValue& codes) {
    QATGAP_ASSIGN_OR_RETURN(const graph::Tensor contiguous, FromTorch(codes.tensor));
    graph::Tensor reals = graph::Uninitialized(graph::DType::kFloat32, contiguous.shape());
    const numerics::ChannelExtents e = numerics::ExtentsAlong(contiguous.shape(), *codes.params);
    numerics::DequantizeCodes(contiguous.data<std::int32_t>(), *codes.params, e.outer, e.channels, e.inner,
                              reals.mutable_data<float>());
    return RuntimeValue{ToTorch(reals), codes.params};
  }

  // A node that is neither a whole layer nor an If.
  absl::StatusOr<RuntimeValue> RunNode(const graph::Node& current) {
    switch (current.kind) {
      case OpKind::kQuantize: {
        const auto& quantize = std::get<graph::QuantizeAttributes>(current.attributes);
        return Quantize(value(current.inputs[0]).tensor, quantize.qparams, quantize.rule);
      }
      case OpKind::kQuantizeLike:
        return Quantize(value(current.inputs[0]).tensor, *value(current.inputs[1]).params);
      case OpKind::kDequantize: {
        const RuntimeValue& codes = value(current.inputs[0]);
        const bool skip = !observes_inputs && mode != ExecutionMode::kFakeQuant && codes.params != nullptr &&
                          !IsConstant(current.inputs[0]) && plan.read_as_codes.contains(current.outputs[0]);
        if (skip) return RuntimeValue{{}, codes.params, codes.tensor};
        QATGAP_ASSIGN_OR_RETURN(RuntimeValue reals, Dequantize(codes));
        if (mode != ExecutionMode::kFakeQuant) reals.codes = codes.tensor;  // for layers to read
        return reals;
      }
      default: {
        std::vector<at::Tensor> inputs;
        for (const ValueId input : current.inputs) inputs.push_back(value(input).tensor);
        RuntimeValue result{RunFloatOperator(current, inputs), nullptr};
        if (KeepsGrid(current)) result.params = value(current.inputs[0]).params;
        return result;
      }
    }
  }

  // An operator by name: it may have several outputs, which go to `results`.
  absl::Status RunOperator(const graph::Node& current, std::vector<RuntimeValue>& results) {
    std::vector<at::Tensor> inputs;
    for (const ValueId input : current.inputs) inputs.push_back(value(input).tensor);
    std::vector<at::Tensor> outputs;
    try {
      outputs = RunOperatorNode(current, inputs);
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const std::exception& error) {  // goes on with its name, to where all of LibTorch's end
      throw std::runtime_error(absl::StrCat(current.source_op, " in module '", current.module_path, "': ", error.what()));
    }
    const numerics::QuantParams* params =
        KeepsGrid(current) && !current.inputs.empty() ? value(current.inputs[0]).params : nullptr;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      results[Index(current.outputs[i])] = {outputs[i], outputs[i].is_floating_point() ? params : nullptr};
    }
    return absl::OkStatus();
  }

  absl::StatusOr<RuntimeValue> RunEngineNode(const graph::Node& current, const EngineCall& call) {
    std::vector<QuantizedOperand> operands;
    for (const ValueId input : call.inputs) operands.push_back({value(input).tensor, value(input).params});
    std::vector<at::Tensor> reals;
    for (const ValueId input : call.reals) reals.push_back(value(input).tensor);
    const numerics::QuantParams* params = current.kind == OpKind::kQuantizeLike
                                              ? value(current.inputs[1]).params
                                              : &std::get<graph::QuantizeAttributes>(current.attributes).qparams;
    const EngineScope scope(engine);
    return RuntimeValue{RunEngineCall(call, operands, reals, *params), params};
  }

  absl::StatusOr<RuntimeValue> RunLayer(std::size_t index, const LayerObserver& observe, const IntegerLayer& integer) {
    const bool changed = change != nullptr && change->layer == index;
    const graph::MacLayer& layer = changed && change->instead != nullptr ? *change->instead : layers[index];
    const RuntimeValue& input = value(layer.input);
    if (input.params == nullptr) {
      return absl::InternalError(absl::StrCat("layer '", layer.name, "' got reals that are off every grid"));
    }
    QATGAP_ASSIGN_OR_RETURN(const LayerKernel kernel, Kernel(layer, *input.params));
    graph::Tensor reals, codes;
    if (input.tensor.defined()) {
      QATGAP_ASSIGN_OR_RETURN(reals, FromTorch(input.tensor));
    }
    if (input.codes.defined()) {
      QATGAP_ASSIGN_OR_RETURN(codes, FromTorch(input.codes));
    } else {
      QATGAP_ASSIGN_OR_RETURN(codes, ToCodes(reals, *input.params));
    }
    const auto compute = [&](const graph::Tensor& part) -> absl::StatusOr<graph::Tensor> {
      if (mode == ExecutionMode::kEngine) return kernel.RunEngine(engine, part);
      QATGAP_ASSIGN_OR_RETURN(const graph::Tensor accumulators, kernel.Accumulate(part));
      return (changed ? change->codes : integer)(index, *input.params, accumulators);
    };
    const auto done = [&](const LayerPart& part) -> absl::Status {
      if (!observe) return absl::OkStatus();
      return observe({.layer = index,
                      .input_grid = input.params,
                      .input = reals,
                      .codes = part.codes,
                      .first = part.first,
                      .size = part.size});
    };
    QATGAP_ASSIGN_OR_RETURN(const graph::Tensor codes_out, RunInParts(layer, codes, !observes_inputs, compute, done));
    const at::Tensor output = ToTorch(codes_out);
    // Layers turn their inputs themselves; the engine's other operators round by the layout they get.
    const bool turn = mode == ExecutionMode::kEngine &&
                      !plan.read_by_layers_alone.contains(node(layer.quantize_node).outputs[0]);
    return RuntimeValue{turn ? InEngineLayout(output) : output, &layers[index].output};
  }

  absl::Status Observe(std::size_t index, const RuntimeValue& output, const LayerObserver& observe) const {
    if (!observe) return absl::OkStatus();
    const RuntimeValue& input = value(layers[index].input);
    QATGAP_ASSIGN_OR_RETURN(const graph::Tensor reals, FromTorch(input.tensor));
    QATGAP_ASSIGN_OR_RETURN(const graph::Tensor codes, FromTorch(output.tensor));
    return observe({.layer = index,
                    .input_grid = input.params,
                    .input = reals,
                    .codes = codes,
                    .size = static_cast<std::size_t>(codes.elements())});
  }

  absl::Status RunIf(const graph::Node& current, const graph::IfAttributes& branch, const LayerObserver& observe,
                     const IntegerLayer& integer) {
    const at::Tensor& predicate = value(current.inputs[0]).tensor;
    if (predicate.numel() != 1) {
      return absl::FailedPreconditionError(
          absl::StrCat("the condition in module '", current.module_path, "' has ", predicate.numel(),
                       " elements; data-dependent control flow needs one: use a batch of one sample"));
    }
    const graph::Block& taken = predicate.item<bool>() ? branch.then_block : branch.else_block;
    QATGAP_RETURN_IF_ERROR(RunBlock(taken, observe, integer));
    for (std::size_t i = 0; i < current.outputs.size(); ++i) {
      values[Index(current.outputs[i])] = value(taken.outputs[i]);
      if (change == nullptr) continue;
      moved[Index(current.outputs[i])] = moved[Index(current.inputs[0])] || moved[Index(taken.outputs[i])];
    }
    return absl::OkStatus();
  }

  // --- running a part once more ---

  bool MustRerun(NodeId id) const {
    const graph::Node& current = node(id);
    if (std::holds_alternative<graph::IfAttributes>(current.attributes)) return true;  // its nodes are asked one by one
    const auto layer = plan.layer_of_quantize.find(id);
    if (layer != plan.layer_of_quantize.end() && layer->second == change->layer) return true;
    for (const ValueId output : current.outputs) {
      const RuntimeValue& known = value(output);
      if (!known.tensor.defined() && !known.codes.defined()) return true;  // of a branch that was not taken
    }
    const std::vector<ValueId> inputs = plan.Dependencies(id);
    return std::any_of(inputs.begin(), inputs.end(), [&](ValueId input) { return moved[Index(input)]; });
  }

  // Layers that give the same codes again end it: what depends on them alone is not run.
  void MarkMoved(NodeId id) {
    const graph::Node& current = node(id);
    if (std::holds_alternative<graph::IfAttributes>(current.attributes)) return;  // RunIf knows
    for (const ValueId output : current.outputs) {
      const RuntimeValue& now = values[Index(output)];
      const RuntimeValue& before = kept[Index(output)];
      const bool same = plan.layer_of_quantize.contains(id) && before.tensor.defined() && now.params == before.params &&
                        at::equal(now.tensor, before.tensor);
      moved[Index(output)] = !same;
    }
  }

  absl::StatusOr<std::vector<ModelOutput>> Rerun(const LayerChange& what, const IntegerLayer& integer) {
    values = kept;
    moved.assign(values.size(), false);
    change = &what;
    const absl::Status ran = RunBlock(graph.body, nullptr, integer);
    change = nullptr;
    QATGAP_RETURN_IF_ERROR(ran);
    return Outputs();
  }

  // And forgets the values.
  absl::StatusOr<std::vector<ModelOutput>> Outputs() {
    std::vector<ModelOutput> outputs;
    for (const ValueId output : graph.body.outputs) {
      QATGAP_ASSIGN_OR_RETURN(ModelOutput result, Output(output));
      outputs.push_back(std::move(result));
    }
    std::fill(values.begin(), values.end(), RuntimeValue{});
    return outputs;
  }

  absl::Status RunBlock(const graph::Block& block, const LayerObserver& observe, const IntegerLayer& integer) {
    for (const NodeId id : block.nodes) {
      if (!plan.live.contains(id)) continue;
      const graph::Node& current = node(id);
      if (change != nullptr && !MustRerun(id)) continue;
      if (const auto* branch = std::get_if<graph::IfAttributes>(&current.attributes)) {
        QATGAP_RETURN_IF_ERROR(RunIf(current, *branch, observe, integer));
      } else if (current.kind == OpKind::kOperator) {
        if (!IsConstant(current.outputs[0])) QATGAP_RETURN_IF_ERROR(RunOperator(current, values));
      } else if (!IsConstant(current.outputs[0])) {
        absl::StatusOr<RuntimeValue> result = RunOne(id, current, observe, integer);
        if (!result.ok()) {
          return absl::Status(result.status().code(),
                              absl::StrCat("in module '", current.module_path, "': ", result.status().message()));
        }
        values[Index(current.outputs[0])] = *std::move(result);
      }
      if (change != nullptr) MarkMoved(id);
      if (keeps || change != nullptr) continue;
      if (const auto it = plan.released_after.find(id); it != plan.released_after.end()) {
        for (const ValueId released : it->second) values[Index(released)] = {};
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<RuntimeValue> RunOne(NodeId id, const graph::Node& current, const LayerObserver& observe,
                                      const IntegerLayer& integer) {
    if (const auto it = plan.layer_of_quantize.find(id); it != plan.layer_of_quantize.end()) {
      return RunLayer(it->second, observe, integer);
    }
    if (const auto it = plan.engine_calls.find(id); it != plan.engine_calls.end()) return RunEngineNode(current, it->second);
    QATGAP_ASSIGN_OR_RETURN(RuntimeValue result, RunNode(current));
    if (const auto it = plan.observed.find(id); it != plan.observed.end()) {
      QATGAP_RETURN_IF_ERROR(Observe(it->second, result, observe));
    }
    return result;
  }

  absl::StatusOr<ModelOutput> Output(ValueId id) const {
    const RuntimeValue& result = value(id);
    ModelOutput output;
    RuntimeValue real = result;
    if (result.tensor.scalar_type() == at::kInt && result.params != nullptr) {
      QATGAP_ASSIGN_OR_RETURN(real, Dequantize(result));
    }
    QATGAP_ASSIGN_OR_RETURN(output.real, FromTorch(real.tensor));
    output.grid = result.params;
    if (output.grid != nullptr && output.real.dtype() == graph::DType::kFloat32) {
      QATGAP_ASSIGN_OR_RETURN(output.codes, ToCodes(output.real, *output.grid));
    }
    return output;
  }
};

GraphExecutor::GraphExecutor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GraphExecutor::GraphExecutor(GraphExecutor&&) noexcept = default;
GraphExecutor& GraphExecutor::operator=(GraphExecutor&&) noexcept = default;
GraphExecutor::~GraphExecutor() = default;

absl::StatusOr<GraphExecutor> GraphExecutor::Create(const graph::Graph& graph, std::vector<graph::MacLayer> layers,
                                                    ExecutionMode mode, numerics::Engine engine) {
  auto impl = std::make_unique<Impl>(graph, std::move(layers), mode, engine);
  try {
    const at::NoGradGuard no_grad;
    QATGAP_RETURN_IF_ERROR(impl->FoldConstants(graph.body));
  } catch (const std::exception& error) {
    return TorchError(error, "preparing the graph");
  }
  return GraphExecutor(std::move(impl));
}

void GraphExecutor::KeepValues() { impl_->keeps = true; }

absl::StatusOr<std::vector<ModelOutput>> GraphExecutor::Rerun(const LayerChange& change, const IntegerLayer& integer) {
  if (impl_->kept.empty()) return absl::FailedPreconditionError("there is no run whose values were kept");
  try {
    const at::NoGradGuard no_grad;
    return impl_->Rerun(change, integer);
  } catch (const std::exception& error) {
    impl_->change = nullptr;
    return TorchError(error, "running the model");
  }
}

void GraphExecutor::UseKernel(std::size_t layer, const numerics::QuantParams& input, LayerKernel kernel) {
  impl_->kernels.push_back({&impl_->layers[layer], input, std::move(kernel)});
}

void GraphExecutor::ObserveCodesAlone() { impl_->observes_inputs = false; }

absl::StatusOr<std::vector<ModelOutput>> GraphExecutor::Run(std::span<const graph::Tensor> inputs,
                                                            const LayerObserver& observe, const IntegerLayer& integer) {
  const graph::Graph& graph = impl_->graph;
  QATGAP_RETURN_IF_ERROR(CheckInputs(graph, inputs));
  impl_->kept.clear();
  try {
    const at::NoGradGuard no_grad;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      impl_->values[Index(graph.inputs[i])] = {ToTorch(inputs[i]), nullptr};
    }
    QATGAP_RETURN_IF_ERROR(impl_->RunBlock(graph.body, observe, integer));
    if (impl_->keeps) impl_->kept = impl_->values;
    return impl_->Outputs();
  } catch (const std::exception& error) {
    const absl::Status status = TorchError(error, "running the model");
    const bool of_model = absl::IsInternal(status) && impl_->mode == ExecutionMode::kFakeQuant && !inputs.empty();
    return of_model ? NotTaken(inputs, status) : status;
  }
}

}  // namespace qatgap::execution
