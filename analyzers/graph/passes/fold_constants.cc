#include "analyzers/graph/passes/fold_constants.h"

#include <algorithm>
#include <map>
#include <optional>

#include "absl/strings/str_cat.h"
#include "analyzers/graph/passes/constant_arithmetic.h"
#include "analyzers/graph/passes/remove_unused.h"
#include "analyzers/numerics/fake_quantize.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::graph {
namespace {

std::size_t Index(std::int32_t id) { return static_cast<std::size_t>(id); }

bool IsOperator(const Node& node, std::string_view name) {
  const auto* call = std::get_if<OperatorAttributes>(&node.attributes);
  return call != nullptr && call->name == name;
}

class Folding {
 public:
  Folding(Graph& graph, const SquareRoots& square_roots)
      : graph_(graph), square_roots_(square_roots), written_(graph.nodes) {}

  absl::Status Run() {
    QATGAP_RETURN_IF_ERROR(Fold(graph_.body));
    RemoveUnused(graph_);
    return absl::OkStatus();
  }

 private:
  // A node as the file has it, before this pass replaced it; nullptr for an input of the graph.
  const Node* Written(ValueId value) const {
    const NodeId id = graph_.values[Index(value)].producer;
    return id < 0 || Index(id) >= written_.size() ? nullptr : &written_[Index(id)];
  }

  const Node& node(NodeId id) const { return graph_.nodes[Index(id)]; }

  absl::Status Fold(Block& block) {
    Block folded;
    folded.outputs = block.outputs;
    for (const NodeId id : block.nodes) {
      if (const auto* branch = std::get_if<IfAttributes>(&node(id).attributes)) {
        IfAttributes copy = *branch;
        QATGAP_RETURN_IF_ERROR(Fold(copy.then_block));
        QATGAP_RETURN_IF_ERROR(Fold(copy.else_block));
        graph_.nodes[Index(id)].attributes = std::move(copy);
      } else if (const absl::Status status = FoldNode(id, folded); !status.ok()) {
        return absl::InvalidArgumentError(absl::StrCat("module '", node(id).module_path, "', ", node(id).source_op, ": ",
                                                       std::string(status.message())));
      }
      folded.nodes.push_back(id);
    }
    block = std::move(folded);
    return absl::OkStatus();
  }

  absl::Status FoldNode(NodeId id, Block& block) {
    const Node& current = node(id);
    if (current.kind == OpKind::kConstant || current.inputs.empty() || current.outputs.size() != 1) return absl::OkStatus();
    if (current.kind == OpKind::kQuantize) return FoldQuantize(id);
    if (FoldAxisOrder(id, block)) return absl::OkStatus();
    std::vector<Tensor> inputs;
    for (const ValueId input : current.inputs) {
      const Node* producer = graph_.producer(input);
      const auto* constant = producer == nullptr ? nullptr : std::get_if<ConstantAttributes>(&producer->attributes);
      if (constant == nullptr || constant->qparams) return absl::OkStatus();
      inputs.push_back(constant->value);
    }
    if (square_roots_ && IsOperator(current, "aten::sqrt") && inputs[0].dtype() == DType::kFloat32) {
      Tensor roots = Tensor::Of<float>(inputs[0].shape(), inputs[0].data<float>());
      square_roots_(roots.mutable_data<float>());
      Replace(id, ConstantAttributes{.value = std::move(roots), .qparams = std::nullopt});
      return absl::OkStatus();
    }
    QATGAP_ASSIGN_OR_RETURN(std::optional<Tensor> value, Evaluate(current, inputs));
    if (value) Replace(id, ConstantAttributes{.value = *std::move(value), .qparams = std::nullopt});
    return absl::OkStatus();
  }

  void Replace(NodeId id, ConstantAttributes constant) {
    Node& replaced = graph_.nodes[Index(id)];
    replaced.kind = OpKind::kConstant;
    replaced.inputs.clear();
    replaced.attributes = std::move(constant);
  }

  // A real constant that is quantized: its codes.
  absl::Status FoldQuantize(NodeId id) {
    const Node& current = node(id);
    const Node* producer = graph_.producer(current.inputs[0]);
    const auto* constant = producer == nullptr ? nullptr : std::get_if<ConstantAttributes>(&producer->attributes);
    if (constant == nullptr || constant->qparams || constant->value.dtype() != DType::kFloat32) return absl::OkStatus();
    const auto& quantize = std::get<QuantizeAttributes>(current.attributes);
    const Shape& shape = constant->value.shape();
    if (quantize.qparams.per_channel()) {
      const auto axis = static_cast<std::size_t>(quantize.qparams.axis);
      if (axis >= shape.size() || shape[axis] != static_cast<std::int64_t>(quantize.qparams.scales.size())) {
        return absl::InvalidArgumentError(absl::StrCat(quantize.qparams.scales.size(), " scales along axis ", axis,
                                                       " of a constant of shape ", ToString(shape)));
      }
    }
    Tensor codes(DType::kInt32, shape);
    const numerics::ChannelExtents e = numerics::ExtentsAlong(shape, quantize.qparams);
    QATGAP_RETURN_IF_ERROR(numerics::QuantizeReals(constant->value.data<float>(), quantize.qparams, e.outer, e.channels,
                                                   e.inner, codes.mutable_data<std::int32_t>(), quantize.rule));
    auto origin = std::make_shared<WeightOrigin>();
    origin->real = constant->value;
    if (quantize.observed) origin->observed = *quantize.observed;
    FindBatchNorm(current.inputs[0], *origin);
    Replace(id, ConstantAttributes{.value = std::move(codes), .qparams = quantize.qparams, .origin = std::move(origin)});
    return absl::OkStatus();
  }

  // An order of axes on dequantized codes is an order of axes of the codes: weights that are transposed stay codes.
  bool FoldAxisOrder(NodeId id, Block& block) {
    const Node& current = node(id);
    const Node* dequantize = graph_.producer(current.inputs[0]);
    if (dequantize == nullptr || dequantize->kind != OpKind::kDequantize) return false;
    const Node* codes = graph_.producer(dequantize->inputs[0]);
    const auto* constant = codes == nullptr ? nullptr : std::get_if<ConstantAttributes>(&codes->attributes);
    if (constant == nullptr || !constant->qparams) return false;
    const auto order = AxisOrder(current, constant->value.shape().size());
    if (!order) return false;
    numerics::QuantParams qparams = *constant->qparams;
    if (qparams.per_channel()) {
      qparams.axis = static_cast<int>(std::find(order->begin(), order->end(), qparams.axis) - order->begin());
    }
    ConstantAttributes permuted{.value = Permuted(constant->value, *order), .qparams = std::move(qparams)};
    if (constant->origin) {
      auto origin = std::make_shared<WeightOrigin>(*constant->origin);
      origin->real = Permuted(origin->real, *order);
      permuted.origin = std::move(origin);
    }
    const NodeId new_codes = graph_.AddNode(block, {.kind = OpKind::kConstant,
                                                    .inputs = {},
                                                    .outputs = {},
                                                    .attributes = std::move(permuted),
                                                    .module_path = current.module_path,
                                                    .source_op = current.source_op});
    Node& replaced = graph_.nodes[Index(id)];
    replaced.kind = OpKind::kDequantize;
    replaced.inputs = {node(new_codes).outputs[0]};
    replaced.attributes = {};
    return true;
  }

  // The constant a value is after folding, one float an element; nullopt when it is none.
  std::optional<std::vector<float>> Floats(ValueId value) const {
    const Node* producer = graph_.producer(value);
    const auto* constant = producer == nullptr ? nullptr : std::get_if<ConstantAttributes>(&producer->attributes);
    if (constant == nullptr || constant->qparams || constant->value.dtype() != DType::kFloat32) return std::nullopt;
    const auto values = constant->value.data<float>();
    return std::vector<float>(values.begin(), values.end());
  }

  // The value behind changes of shape, as the file wrote them.
  ValueId BehindShapes(ValueId value) const {
    const Node* producer = Written(value);
    while (producer != nullptr && (producer->kind == OpKind::kReshape || producer->kind == OpKind::kFlatten ||
                                   IsOperator(*producer, "aten::unsqueeze") || IsOperator(*producer, "aten::squeeze"))) {
      value = producer->inputs[0];
      producer = Written(value);
    }
    return value;
  }

  // Where `weight` was written as w * reshape(gamma / sqrt(variance + epsilon)): w and that batch norm go to `origin`.
  void FindBatchNorm(ValueId weight, WeightOrigin& origin) const {
    const Node* product = Written(weight);
    if (product == nullptr || product->kind != OpKind::kMul) return;
    for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
      const Node* factor = Written(BehindShapes(product->inputs[1 - side]));
      if (factor == nullptr || (factor->kind != OpKind::kDiv && factor->kind != OpKind::kMul)) continue;
      const Node* root = Written(BehindShapes(factor->inputs[1]));
      const std::string_view wanted = factor->kind == OpKind::kDiv ? "aten::sqrt" : "aten::rsqrt";
      if (root == nullptr || !IsOperator(*root, wanted)) continue;
      const Node* sum = Written(root->inputs[0]);
      if (sum == nullptr || sum->kind != OpKind::kAdd) continue;
      const Node* real = graph_.producer(product->inputs[side]);
      const auto* constant = real == nullptr ? nullptr : std::get_if<ConstantAttributes>(&real->attributes);
      const auto gamma = Floats(factor->inputs[0]), variance = Floats(sum->inputs[0]), epsilon = Floats(sum->inputs[1]);
      if (constant == nullptr || !gamma || !variance || !epsilon || epsilon->size() != 1) continue;
      const auto norm = BatchNormOf(factor->inputs[0], sum->inputs[0]);
      if (!norm) continue;
      origin.real = constant->value;
      origin.batch_norm = {.gamma = *gamma, .beta = norm->first, .mean = norm->second, .variance = *variance,
                           .epsilon = epsilon->front()};
      return;
    }
  }

  // Beta and mean of the batch norm with this gamma and variance.
  std::optional<std::pair<std::vector<float>, std::vector<float>>> BatchNormOf(ValueId gamma, ValueId variance) const {
    const auto it = std::find_if(written_.begin(), written_.end(), [&](const Node& candidate) {
      return candidate.kind == OpKind::kBatchNorm && candidate.inputs[1] == gamma && candidate.inputs[4] == variance;
    });
    if (it == written_.end()) return std::nullopt;
    auto beta = Floats(it->inputs[2]), mean = Floats(it->inputs[3]);
    if (!beta || !mean) return std::nullopt;
    return std::make_pair(*std::move(beta), *std::move(mean));
  }

  Graph& graph_;
  const SquareRoots& square_roots_;
  const std::vector<Node> written_;  // shares the tensors
};

}  // namespace

absl::Status FoldConstants(Graph& graph, const SquareRoots& square_roots) { return Folding(graph, square_roots).Run(); }

}  // namespace qatgap::graph
