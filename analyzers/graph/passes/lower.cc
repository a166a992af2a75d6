#include "analyzers/graph/passes/lower.h"

#include <map>

#include "analyzers/status/status_macros.h"

namespace qatgap::graph {
namespace {

bool Averages(const Node& node) {
  return node.kind == OpKind::kAvgPool2d || node.kind == OpKind::kAdaptiveAvgPool2d ||
         (node.kind == OpKind::kMean && !std::get<ReduceAttributes>(node.attributes).axes.empty());
}

class Lowering {
 public:
  explicit Lowering(const Graph& qat) : graph_(qat) {}

  absl::StatusOr<Graph> Run() {
    Block body = std::move(graph_.body);
    Rewrite(body);
    graph_.body = std::move(body);
    QATGAP_RETURN_IF_ERROR(Verify(graph_));
    return std::move(graph_);
  }

 private:
  void Rewrite(Block& block) {
    Block rewritten;
    rewritten.outputs = block.outputs;
    for (const NodeId id : block.nodes) {
      Rename(graph_.nodes[static_cast<std::size_t>(id)].inputs);
      rewritten.nodes.push_back(id);
      if (auto* branch = std::get_if<IfAttributes>(&graph_.nodes[static_cast<std::size_t>(id)].attributes)) {
        IfAttributes copy = *branch;
        Rewrite(copy.then_block);
        Rewrite(copy.else_block);
        graph_.nodes[static_cast<std::size_t>(id)].attributes = std::move(copy);
        continue;
      }
      WidenRange(graph_.nodes[static_cast<std::size_t>(id)]);
      if (Averages(graph_.nodes[static_cast<std::size_t>(id)])) RoundBehind(id, rewritten);
    }
    Rename(rewritten.outputs);
    block = std::move(rewritten);
  }

  void Rename(std::vector<ValueId>& values) const {
    for (ValueId& value : values) {
      if (const auto it = renamed_.find(value); it != renamed_.end()) value = it->second;
    }
  }

  static void WidenRange(Node& node) {
    auto* quantize = std::get_if<QuantizeAttributes>(&node.attributes);
    if (quantize == nullptr || quantize->qparams.quant_min < 0 || quantize->qparams.quant_max > 255) return;
    quantize->qparams.quant_min = 0;
    quantize->qparams.quant_max = 255;
  }

  void RoundBehind(NodeId id, Block& block) {
    const Node average = graph_.nodes[static_cast<std::size_t>(id)];
    const Node* input = graph_.producer(average.inputs[0]);
    if (input == nullptr || input->kind != OpKind::kDequantize) return;
    const ValueId codes = input->inputs[0];
    const NodeId quantize = graph_.AddNode(block, {.kind = OpKind::kQuantizeLike,
                                                   .inputs = {average.outputs[0], codes},
                                                   .outputs = {},
                                                   .attributes = {},
                                                   .module_path = average.module_path,
                                                   .source_op = average.source_op});
    const NodeId dequantize =
        graph_.AddNode(block, {.kind = OpKind::kDequantize,
                               .inputs = {graph_.nodes[static_cast<std::size_t>(quantize)].outputs[0]},
                               .outputs = {},
                               .attributes = {},
                               .module_path = average.module_path,
                               .source_op = average.source_op});
    renamed_[average.outputs[0]] = graph_.nodes[static_cast<std::size_t>(dequantize)].outputs[0];
  }

  Graph graph_;
  std::map<ValueId, ValueId> renamed_;
};

}  // namespace

absl::StatusOr<Graph> Lower(const Graph& qat) { return Lowering(qat).Run(); }

}  // namespace qatgap::graph
