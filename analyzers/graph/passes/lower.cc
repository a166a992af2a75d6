#include "analyzers/graph/passes/lower.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "analyzers/graph/operator_names.h"
#include "analyzers/graph/passes/product_lowering.h"
#include "analyzers/graph/passes/remove_unused.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::graph {
namespace {

bool IsAverage(const Node& node) {
  if (const auto* call = std::get_if<OperatorAttributes>(&node.attributes)) return Averages(call->name);
  return node.kind == OpKind::kAvgPool2d || node.kind == OpKind::kAdaptiveAvgPool2d ||
         (node.kind == OpKind::kMean && !std::get<ReduceAttributes>(node.attributes).axes.empty());
}

class Lowering {
 public:
  explicit Lowering(const Graph& qat) : graph_(qat), products_(graph_) {}

  absl::StatusOr<Graph> Run() {
    if (graph_.convert_style == ConvertStyle::kAsIs) return std::move(graph_);
    Block body = std::move(graph_.body);
    QATGAP_RETURN_IF_ERROR(Rewrite(body));
    graph_.body = std::move(body);
    products_.AddNotices();
    RemoveUnused(graph_);  // the weights and the batch norm that were
    QATGAP_RETURN_IF_ERROR(Verify(graph_));
    return std::move(graph_);
  }

 private:
  Node& node(NodeId id) { return graph_.nodes[static_cast<std::size_t>(id)]; }
  bool stores_quantized_tensors() const { return graph_.convert_style != ConvertStyle::kPt2e; }

  absl::Status Rewrite(Block& block) {
    Block rewritten;
    rewritten.outputs = block.outputs;
    for (const NodeId id : block.nodes) {
      if (products_.Absorbed(id)) continue;
      Rename(node(id).inputs);
      if (std::holds_alternative<IfAttributes>(node(id).attributes)) {
        IfAttributes copy = std::get<IfAttributes>(node(id).attributes);
        QATGAP_RETURN_IF_ERROR(Rewrite(copy.then_block));
        QATGAP_RETURN_IF_ERROR(Rewrite(copy.else_block));
        node(id).attributes = std::move(copy);
      } else if (node(id).kind == OpKind::kConvolution || node(id).kind == OpKind::kLinear) {
        QATGAP_RETURN_IF_ERROR(products_.Lower(id, rewritten, renamed_));
      } else if (node(id).kind == OpKind::kQuantize) {
        QATGAP_RETURN_IF_ERROR(LowerQuantize(node(id)));
      }
      rewritten.nodes.push_back(id);
      if (stores_quantized_tensors() && IsAverage(node(id))) RoundBehind(id, rewritten);
    }
    Rename(rewritten.outputs);
    block = std::move(rewritten);
    return absl::OkStatus();
  }

  void Rename(std::vector<ValueId>& values) const {
    for (ValueId& value : values) {
      for (auto it = renamed_.find(value); it != renamed_.end(); it = renamed_.find(value)) value = it->second;
    }
  }

  absl::Status LowerQuantize(Node& quantize) {
    auto& attributes = std::get<QuantizeAttributes>(quantize.attributes);
    numerics::QuantParams& params = attributes.qparams;
    if (attributes.observed) {
      auto observed = ObservedQparams(*attributes.observed, params.axis);
      if (!observed.ok()) {
        return absl::InvalidArgumentError(absl::StrCat("module '", quantize.module_path, "': ", observed.status().message()));
      }
      params = *std::move(observed);
      attributes.observed = nullptr;
    }
    if (stores_quantized_tensors()) params = InEightBits(std::move(params));
    return absl::OkStatus();
  }

  void RoundBehind(NodeId id, Block& block) {
    const Node average = node(id);
    const Node* input = graph_.producer(average.inputs[0]);
    if (input == nullptr || input->kind != OpKind::kDequantize) return;
    const ValueId codes = input->inputs[0];
    const auto like = [&](OpKind kind, std::vector<ValueId> inputs) {
      return graph_.AddNode(block, {.kind = kind,
                                    .inputs = std::move(inputs),
                                    .outputs = {},
                                    .attributes = {},
                                    .module_path = average.module_path,
                                    .source_op = average.source_op});
    };
    const NodeId quantize = like(OpKind::kQuantizeLike, {average.outputs[0], codes});
    const NodeId dequantize = like(OpKind::kDequantize, {node(quantize).outputs[0]});
    renamed_[average.outputs[0]] = node(dequantize).outputs[0];
  }

  Graph graph_;
  std::map<ValueId, ValueId> renamed_;
  ProductLowering products_;
};

}  // namespace

absl::StatusOr<Graph> Lower(const Graph& qat) {
  QATGAP_RETURN_IF_ERROR(Verify(qat));
  return Lowering(qat).Run();
}

}  // namespace qatgap::graph
