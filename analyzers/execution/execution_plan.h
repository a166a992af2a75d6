// What an executor knows of a graph before it runs: which nodes it runs, how, and when values are no longer needed.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "analyzers/execution/graph_executor.h"
#include "analyzers/execution/operators.h"
#include "analyzers/graph/graph.h"
#include "analyzers/graph/mac_layers.h"

namespace qatgap::execution {

class ExecutionPlan {
 public:
  // Both must outlive the plan.
  ExecutionPlan(const graph::Graph& graph, const std::vector<graph::MacLayer>& layers, ExecutionMode mode);

  std::map<graph::NodeId, std::size_t> layer_of_quantize;  // MAC layers that are run whole at their quantize node
  std::map<graph::NodeId, std::size_t> observed;           // fake-quant mode: layers that are looked at there
  std::map<graph::NodeId, EngineCall> engine_calls;
  std::set<graph::ValueId> read_as_codes;                  // reals that only whole layers read
  std::set<graph::ValueId> read_by_layers_alone;           // codes of which only such reals are made
  std::set<graph::NodeId> live;
  // Values inside a branch live until the branch node ends: branches are short.
  std::map<graph::NodeId, std::vector<graph::ValueId>> released_after;

  // What running the node reads; of an If its predicate alone.
  std::vector<graph::ValueId> Dependencies(graph::NodeId id) const;

 private:
  const graph::Node& node(graph::NodeId id) const { return graph_->nodes[static_cast<std::size_t>(id)]; }
  void MarkLive(const graph::Block& block, std::set<graph::ValueId>& needed);
  void CollectReaders(const graph::Block& block, std::set<graph::ValueId>& as_reals);
  void CollectUses(const graph::Block& block, graph::NodeId at, std::map<graph::ValueId, graph::NodeId>& last_use) const;
  void PlanReleases();
  void FindReadByLayersAlone();

  const graph::Graph* graph_;
  const std::vector<graph::MacLayer>* layers_;
};

}  // namespace qatgap::execution
