#include "analyzers/execution/graph_executor.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/int_repr.h>
#include <ATen/ops/quantize_per_tensor.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "analyzers/execution/layer_kernel.h"
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

  std::map<NodeId, std::size_t> layer_of_quantize;  // MAC layers that are run whole at their quantize node
  std::map<NodeId, std::size_t> observed;           // fake-quant mode: layers that are looked at there
  std::map<NodeId, EngineCall> engine_calls;
  std::set<ValueId> read_as_codes;                  // reals that only whole layers read
  bool observes_inputs = true;
  std::map<std::pair<std::size_t, const numerics::QuantParams*>, LayerKernel> kernels;
  std::set<NodeId> live;
  std::map<NodeId, std::vector<ValueId>> released_after;
  std::vector<RuntimeValue> constants;
  std::vector<RuntimeValue> values;

  Impl(const graph::Graph& g, std::vector<graph::MacLayer> l, ExecutionMode m, numerics::Engine e)
      : graph(g), layers(std::move(l)), mode(m), engine(e), constants(g.values.size()), values(g.values.size()) {}

  const graph::Node& node(NodeId id) const { return graph.nodes[Index(id)]; }
  bool IsConstant(ValueId value) const { return constants[Index(value)].tensor.defined(); }
  const RuntimeValue& value(ValueId id) const {
    return IsConstant(id) ? constants[Index(id)] : values[Index(id)];
  }

  // --- planning ---

  absl::Status Plan() {
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const bool whole = mode != ExecutionMode::kFakeQuant && !layers[i].input_grids.empty();
      (whole ? layer_of_quantize : observed)[layers[i].quantize_node] = i;
    }
    if (mode == ExecutionMode::kEngine) {
      for (std::size_t id = 0; id < graph.nodes.size(); ++id) {
        const auto node_id = static_cast<NodeId>(id);
        if (layer_of_quantize.contains(node_id) || observed.contains(node_id)) continue;
        if (auto call = FindEngineCall(graph, graph.nodes[id])) engine_calls.emplace(node_id, *std::move(call));
      }
    }
    std::set<ValueId> needed;
    MarkLive(graph.body, needed);
    QATGAP_RETURN_IF_ERROR(FoldConstants(graph.body));
    PlanReleases(graph.body);
    std::set<ValueId> read_as_reals;
    CollectReaders(graph.body, read_as_reals);
    for (const ValueId value : read_as_reals) read_as_codes.erase(value);
    return absl::OkStatus();
  }

  void CollectReaders(const graph::Block& block, std::set<ValueId>& as_reals) {
    as_reals.insert(block.outputs.begin(), block.outputs.end());
    for (const NodeId id : block.nodes) {
      if (!live.contains(id)) continue;
      const std::vector<ValueId> inputs = Dependencies(id);
      if (layer_of_quantize.contains(id)) {
        read_as_codes.insert(inputs.begin(), inputs.end());
      } else {
        as_reals.insert(inputs.begin(), inputs.end());
      }
      if (const auto* branch = std::get_if<graph::IfAttributes>(&node(id).attributes)) {
        CollectReaders(branch->then_block, as_reals);
        CollectReaders(branch->else_block, as_reals);
      }
    }
  }

  // What running the node reads.
  std::vector<ValueId> Dependencies(NodeId id) const {
    if (const auto it = layer_of_quantize.find(id); it != layer_of_quantize.end()) {
      return {layers[it->second].input};
    }
    if (const auto it = engine_calls.find(id); it != engine_calls.end()) {
      std::vector<ValueId> inputs = it->second.inputs;
      inputs.insert(inputs.end(), it->second.reals.begin(), it->second.reals.end());
      if (node(id).kind == OpKind::kQuantizeLike) inputs.push_back(node(id).inputs[1]);
      return inputs;
    }
    std::vector<ValueId> inputs = node(id).inputs;
    if (const auto it = observed.find(id); it != observed.end()) inputs.push_back(layers[it->second].input);
    return inputs;
  }

  void MarkLive(const graph::Block& block, std::set<ValueId>& needed) {
    needed.insert(block.outputs.begin(), block.outputs.end());
    for (auto it = block.nodes.rbegin(); it != block.nodes.rend(); ++it) {
      const graph::Node& current = node(*it);
      if (std::none_of(current.outputs.begin(), current.outputs.end(),
                       [&](ValueId output) { return needed.contains(output); })) {
        continue;
      }
      live.insert(*it);
      if (const auto* branch = std::get_if<graph::IfAttributes>(&current.attributes)) {
        MarkLive(branch->then_block, needed);
        MarkLive(branch->else_block, needed);
      }
      for (const ValueId input : Dependencies(*it)) needed.insert(input);
    }
  }

  // Runs every live node that depends on constants alone, once: weights are dequantized here and nowhere else.
  absl::Status FoldConstants(const graph::Block& block) {
    for (const NodeId id : block.nodes) {
      if (!live.contains(id)) continue;
      const graph::Node& current = node(id);
      if (const auto* branch = std::get_if<graph::IfAttributes>(&current.attributes)) {
        QATGAP_RETURN_IF_ERROR(FoldConstants(branch->then_block));
        QATGAP_RETURN_IF_ERROR(FoldConstants(branch->else_block));
        continue;
      }
      const std::vector<ValueId> inputs = Dependencies(id);
      if (!std::all_of(inputs.begin(), inputs.end(), [&](ValueId v) { return IsConstant(v); })) continue;
      if (layer_of_quantize.contains(id) || engine_calls.contains(id)) continue;
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

  void CollectUses(const graph::Block& block, NodeId at, std::map<ValueId, NodeId>& last_use) const {
    for (const NodeId id : block.nodes) {
      if (!live.contains(id)) continue;
      const NodeId where = at < 0 ? id : at;
      for (const ValueId input : Dependencies(id)) last_use[input] = where;
      for (const ValueId output : node(id).outputs) last_use.try_emplace(output, where);
      if (const auto* branch = std::get_if<graph::IfAttributes>(&node(id).attributes)) {
        CollectUses(branch->then_block, where, last_use);
        CollectUses(branch->else_block, where, last_use);
        for (const ValueId output : branch->then_block.outputs) last_use[output] = where;
        for (const ValueId output : branch->else_block.outputs) last_use[output] = where;
      }
    }
  }

  // Values inside a branch live until the branch node ends: branches are short.
  void PlanReleases(const graph::Block& block) {
    std::map<ValueId, NodeId> last_use;
    CollectUses(block, -1, last_use);
    for (const ValueId output : block.outputs) last_use.erase(output);
    for (const auto& [value_id, id] : last_use) released_after[id].push_back(value_id);
  }

  // --- running ---

  absl::StatusOr<LayerKernel*> Kernel(std::size_t layer, const numerics::QuantParams* input) {
    const auto key = std::make_pair(layer, input);
    auto it = kernels.find(key);
    if (it == kernels.end()) {
      QATGAP_ASSIGN_OR_RETURN(LayerKernel kernel, LayerKernel::Create(layers[layer], *input));
      it = kernels.emplace(key, std::move(kernel)).first;
    }
    return &it->second;
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
    return RuntimeValue{ToTorch(reals), codes.params, codes.tensor};
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
                          !IsConstant(current.inputs[0]) && read_as_codes.contains(current.outputs[0]);
        return skip ? RuntimeValue{{}, codes.params, codes.tensor} : Dequantize(codes);
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
    const graph::MacLayer& layer = layers[index];
    const RuntimeValue& input = value(layer.input);
    if (input.params == nullptr) {
      return absl::InternalError(absl::StrCat("layer '", layer.name, "' got reals that are off every grid"));
    }
    QATGAP_ASSIGN_OR_RETURN(LayerKernel * kernel, Kernel(index, input.params));
    graph::Tensor reals, codes;
    if (input.tensor.defined()) {
      QATGAP_ASSIGN_OR_RETURN(reals, FromTorch(input.tensor));
    }
    if (input.codes.defined()) {
      QATGAP_ASSIGN_OR_RETURN(codes, FromTorch(input.codes));
    } else {
      QATGAP_ASSIGN_OR_RETURN(codes, ToCodes(reals, *input.params));
    }
    graph::Tensor rows;
    if (mode == ExecutionMode::kEngine) {
      QATGAP_ASSIGN_OR_RETURN(rows, kernel->RunEngine(engine, codes));
    } else {
      QATGAP_ASSIGN_OR_RETURN(const graph::Tensor accumulators, kernel->Accumulate(codes));
      QATGAP_ASSIGN_OR_RETURN(rows, integer(index, *input.params, accumulators));
    }
    if (observe) {
      QATGAP_RETURN_IF_ERROR(
          observe({.layer = index, .input_grid = input.params, .input = reals, .codes = rows}));
    }
    QATGAP_ASSIGN_OR_RETURN(const graph::Shape shape, OutputShape(layer, codes.shape()));
    const at::Tensor output = ToTorch(FromChannelMajor(layer, rows, shape));
    return RuntimeValue{mode == ExecutionMode::kEngine ? InEngineLayout(output) : output, &layer.output};
  }

  absl::Status Observe(std::size_t index, const RuntimeValue& output, const LayerObserver& observe) const {
    if (!observe) return absl::OkStatus();
    const RuntimeValue& input = value(layers[index].input);
    QATGAP_ASSIGN_OR_RETURN(const graph::Tensor reals, FromTorch(input.tensor));
    QATGAP_ASSIGN_OR_RETURN(const graph::Tensor codes, FromTorch(output.tensor));
    const graph::Tensor rows = ToChannelMajor(layers[index], codes);
    return observe({.layer = index, .input_grid = input.params, .input = reals, .codes = rows});
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
    }
    return absl::OkStatus();
  }

  absl::Status RunBlock(const graph::Block& block, const LayerObserver& observe, const IntegerLayer& integer) {
    for (const NodeId id : block.nodes) {
      if (!live.contains(id)) continue;
      const graph::Node& current = node(id);
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
      if (const auto it = released_after.find(id); it != released_after.end()) {
        for (const ValueId released : it->second) values[Index(released)] = {};
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<RuntimeValue> RunOne(NodeId id, const graph::Node& current, const LayerObserver& observe,
                                      const IntegerLayer& integer) {
    if (const auto it = layer_of_quantize.find(id); it != layer_of_quantize.end()) {
      return RunLayer(it->second, observe, integer);
    }
    if (const auto it = engine_calls.find(id); it != engine_calls.end()) return RunEngineNode(current, it->second);
    QATGAP_ASSIGN_OR_RETURN(RuntimeValue result, RunNode(current));
    if (const auto it = observed.find(id); it != observed.end()) {
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
    QATGAP_RETURN_IF_ERROR(impl->Plan());
  } catch (const std::exception& error) {
    return TorchError(error, "preparing the graph");
  }
  return GraphExecutor(std::move(impl));
}

void GraphExecutor::ObserveCodesAlone() { impl_->observes_inputs = false; }

absl::StatusOr<std::vector<ModelOutput>> GraphExecutor::Run(std::span<const graph::Tensor> inputs,
                                                            const LayerObserver& observe, const IntegerLayer& integer) {
  const graph::Graph& graph = impl_->graph;
  if (inputs.size() != graph.inputs.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the model has ", graph.inputs.size(), " inputs, ", inputs.size(), " were given"));
  }
  for (std::size_t i = 0; i < inputs.size() && i < graph.assumed_ranks.size(); ++i) {
    if (graph.assumed_ranks[i] == 0 || graph.assumed_ranks[i] == inputs[i].shape().size()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("input '", graph.input_name(i), "' of shape ", graph::ToString(inputs[i].shape()), " was given; the model "
                     "was read as one that takes ", graph.assumed_ranks[i], " axes there, since the file does not say"));
  }
  std::vector<ModelOutput> outputs;
  try {
    const at::NoGradGuard no_grad;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      impl_->values[Index(graph.inputs[i])] = {ToTorch(inputs[i]), nullptr};
    }
    QATGAP_RETURN_IF_ERROR(impl_->RunBlock(graph.body, observe, integer));
    for (const ValueId output : graph.body.outputs) {
      QATGAP_ASSIGN_OR_RETURN(ModelOutput result, impl_->Output(output));
      outputs.push_back(std::move(result));
    }
    std::fill(impl_->values.begin(), impl_->values.end(), RuntimeValue{});
  } catch (const std::exception& error) {
    const absl::Status status = TorchError(error, "running the model");
    // The model's own operators take what the model was made for: the input is something else.
    if (!absl::IsInternal(status) || impl_->mode != ExecutionMode::kFakeQuant || inputs.empty()) return status;
    const std::string shapes = absl::StrJoin(inputs, ", ", [](std::string* out, const graph::Tensor& input) {
      absl::StrAppend(out, graph::ToString(input.shape()));
    });
    const char* what = inputs.size() == 1 ? "an input of shape " : "inputs of shapes ";
    return absl::InvalidArgumentError(absl::StrCat("the QAT model does not take ", what, shapes, " (",
                                                   std::string(status.message()),
                                                   "); give samples as the model's forward() takes them"));
  }
  return outputs;
}

}  // namespace qatgap::execution
