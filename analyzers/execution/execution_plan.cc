#include "analyzers/execution/execution_plan.h"

#include <algorithm>
#include <optional>

namespace qatgap::execution {

using graph::NodeId;
using graph::ValueId;

ExecutionPlan::ExecutionPlan(const graph::Graph& graph, const std::vector<graph::MacLayer>& layers, ExecutionMode mode)
    : graph_(&graph), layers_(&layers) {
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
  PlanReleases();
  std::set<ValueId> read_as_reals;
  CollectReaders(graph.body, read_as_reals);
  for (const ValueId value : read_as_reals) read_as_codes.erase(value);
  FindReadByLayersAlone();
}

void ExecutionPlan::CollectReaders(const graph::Block& block, std::set<ValueId>& as_reals) {
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

void ExecutionPlan::FindReadByLayersAlone() {
  for (const auto& [id, layer] : layer_of_quantize) read_by_layers_alone.insert(node(id).outputs[0]);
  const auto keep_from = [&](const std::vector<ValueId>& values) {
    for (const ValueId value : values) read_by_layers_alone.erase(value);
  };
  keep_from(graph_->body.outputs);
  for (const NodeId id : live) {
    const graph::Node& reader = node(id);
    const bool for_layers = reader.kind == graph::OpKind::kDequantize && read_as_codes.contains(reader.outputs[0]);
    if (!for_layers) keep_from(Dependencies(id));
    if (const auto* branch = std::get_if<graph::IfAttributes>(&reader.attributes)) {
      keep_from(branch->then_block.outputs);
      keep_from(branch->else_block.outputs);
    }
  }
}

std::vector<ValueId> ExecutionPlan::Dependencies(NodeId id) const {
  if (const auto it = layer_of_quantize.find(id); it != layer_of_quantize.end()) {
    return {(*layers_)[it->second].input};
  }
  if (const auto it = engine_calls.find(id); it != engine_calls.end()) {
    std::vector<ValueId> inputs = it->second.inputs;
    inputs.insert(inputs.end(), it->second.reals.begin(), it->second.reals.end());
    if (node(id).kind == graph::OpKind::kQuantizeLike) inputs.push_back(node(id).inputs[1]);
    return inputs;
  }
  std::vector<ValueId> inputs = node(id).inputs;
  if (const auto it = observed.find(id); it != observed.end()) inputs.push_back((*layers_)[it->second].input);
  return inputs;
}

void ExecutionPlan::MarkLive(const graph::Block& block, std::set<ValueId>& needed) {
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

void ExecutionPlan::CollectUses(const graph::Block& block, NodeId at, std::map<ValueId, NodeId>& last_use) const {
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

void ExecutionPlan::PlanReleases() {
  std::map<ValueId, NodeId> last_use;
  CollectUses(graph_->body, -1, last_use);
  for (const ValueId output : graph_->body.outputs) last_use.erase(output);
  for (const auto& [value_id, id] : last_use) released_after[id].push_back(value_id);
}

}  // namespace qatgap::execution
