#include "analyzers/graph/passes/remove_unused.h"

#include <algorithm>

namespace qatgap::graph {
namespace {

class Sweep {
 public:
  explicit Sweep(Graph& graph) : graph_(graph), read_(graph.values.size(), false), kept_(graph.nodes.size(), false) {}

  void Run() {
    Mark(graph_.body);
    for (Value& value : graph_.values) {
      if (value.producer >= 0 && !kept_[static_cast<std::size_t>(value.producer)]) value.producer = -1;
    }
    std::vector<NodeId> new_id(graph_.nodes.size(), -1);
    std::vector<Node> nodes;
    for (std::size_t id = 0; id < graph_.nodes.size(); ++id) {
      if (!kept_[id]) continue;
      new_id[id] = static_cast<NodeId>(nodes.size());
      nodes.push_back(std::move(graph_.nodes[id]));
    }
    graph_.nodes = std::move(nodes);
    for (Value& value : graph_.values) {
      if (value.producer >= 0) value.producer = new_id[static_cast<std::size_t>(value.producer)];
    }
    Renumber(graph_.body, new_id);
    for (Node& node : graph_.nodes) {
      if (auto* branch = std::get_if<IfAttributes>(&node.attributes)) {
        Renumber(branch->then_block, new_id);
        Renumber(branch->else_block, new_id);
      }
    }
  }

 private:
  void Mark(const Block& block) {
    for (const ValueId output : block.outputs) read_[static_cast<std::size_t>(output)] = true;
    for (auto it = block.nodes.rbegin(); it != block.nodes.rend(); ++it) {
      const Node& node = graph_.nodes[static_cast<std::size_t>(*it)];
      if (std::none_of(node.outputs.begin(), node.outputs.end(),
                       [&](ValueId output) { return read_[static_cast<std::size_t>(output)]; })) {
        continue;
      }
      kept_[static_cast<std::size_t>(*it)] = true;
      if (const auto* branch = std::get_if<IfAttributes>(&node.attributes)) {
        Mark(branch->then_block);
        Mark(branch->else_block);
      }
      for (const ValueId input : node.inputs) read_[static_cast<std::size_t>(input)] = true;
    }
  }

  static void Renumber(Block& block, const std::vector<NodeId>& new_id) {
    std::vector<NodeId> nodes;
    for (const NodeId id : block.nodes) {
      if (new_id[static_cast<std::size_t>(id)] >= 0) nodes.push_back(new_id[static_cast<std::size_t>(id)]);
    }
    block.nodes = std::move(nodes);
  }

  Graph& graph_;
  std::vector<bool> read_, kept_;
};

}  // namespace

void RemoveUnused(Graph& graph) { Sweep(graph).Run(); }

}  // namespace qatgap::graph
