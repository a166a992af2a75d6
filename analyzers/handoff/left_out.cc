#include "analyzers/handoff/left_out.h"

#include <cstddef>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "analyzers/status/string_view.h"

namespace qatgap::handoff {
namespace {

using graph::NodeId;
using graph::OpKind;
using graph::ValueId;

class Collector {
 public:
  Collector(const graph::Graph& graph, const graph::MacLayers& layers) : graph_(graph), readers_(graph.values.size()) {
    for (std::size_t id = 0; id < graph.nodes.size(); ++id) {
      for (const ValueId input : graph.nodes[id].inputs) {
        readers_[static_cast<std::size_t>(input)].push_back(static_cast<NodeId>(id));
      }
    }
    for (const graph::MacLayer& layer : layers.layers) AddFolded(layer);
  }

  std::vector<LeftOut> Run() {
    Walk(graph_.body);
    return std::move(found_);
  }

 private:
  const graph::Node& node(NodeId id) const { return graph_.nodes[static_cast<std::size_t>(id)]; }
  const std::vector<NodeId>& readers(ValueId value) const { return readers_[static_cast<std::size_t>(value)]; }

  // Every value between a product and its quantize node has one reader: that is what makes it a layer.
  void AddFolded(const graph::MacLayer& layer) {
    for (ValueId value = layer.product; readers(value).size() == 1;) {
      const NodeId next = readers(value)[0];
      if (next == layer.quantize_node) return;
      folded_.insert(next);
      value = node(next).outputs[0];
    }
  }

  void Walk(const graph::Block& block) {
    for (const NodeId id : block.nodes) {
      const graph::Node& current = node(id);
      const bool plain = current.kind == OpKind::kConstant || current.kind == OpKind::kQuantize ||
                         current.kind == OpKind::kQuantizeLike || current.kind == OpKind::kDequantize;
      const bool mac = current.kind == OpKind::kConvolution || current.kind == OpKind::kLinear;
      if (!plain && !mac && !folded_.contains(id)) {
        found_.push_back({current.module_path,
                          current.source_op.empty() ? std::string(graph::ToString(current.kind)) : current.source_op,
                          Reason(current)});
      }
      if (const auto* branch = std::get_if<graph::IfAttributes>(&current.attributes)) {
        Walk(branch->then_block);
        Walk(branch->else_block);
      }
    }
  }

  bool IsOnAGrid(ValueId value) const { return !graph::ReachingGrids(graph_, value).empty(); }

  bool IsQuantized(const graph::Node& current) const {
    for (const ValueId output : current.outputs) {
      for (const NodeId reader : readers(output)) {
        const OpKind kind = node(reader).kind;
        if (kind == OpKind::kQuantize || kind == OpKind::kQuantizeLike) return true;
      }
    }
    return false;
  }

  std::string Reason(const graph::Node& current) const {
    switch (current.kind) {
      case OpKind::kIf:
        return "a branch on data: the layers of both sides are here, the choice is the host's";
      case OpKind::kGreater:
      case OpKind::kGreaterEqual:
      case OpKind::kLess:
      case OpKind::kLessEqual:
        return "decides a branch; runs in float";
      case OpKind::kFlatten:
      case OpKind::kReshape:
      case OpKind::kPermute:
        return "moves elements, no arithmetic";
      case OpKind::kMaxPool2d:
      case OpKind::kRelu:
        if (IsOnAGrid(current.inputs[0])) return "selects codes, no arithmetic";
        break;
      default:
        break;
    }
    if (!IsQuantized(current)) return "runs in float";
    return "runs as dequantize, binary32 operator, requantize; no integer rule of the target is handed over";
  }

  const graph::Graph& graph_;
  std::vector<std::vector<NodeId>> readers_;
  std::set<NodeId> folded_;
  std::vector<LeftOut> found_;
};

}  // namespace

std::vector<LeftOut> OtherOperators(const graph::Graph& graph, const graph::MacLayers& layers) {
  return Collector(graph, layers).Run();
}

}  // namespace qatgap::handoff
