#include "analyzers/attribution/network_summary.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "analyzers/status/string_view.h"

namespace qatgap::attribution {
namespace {

using graph::NodeId;
using graph::OpKind;
using graph::ValueId;

std::size_t Index(std::int32_t id) { return static_cast<std::size_t>(id); }

std::string KindOf(const graph::Node& node) {
  if (const auto* call = std::get_if<graph::OperatorAttributes>(&node.attributes)) {
    return std::string(absl::StripPrefix(call->name, "aten::"));
  }
  return std::string(graph::ToString(node.kind));
}

class Summarizer {
 public:
  Summarizer(const graph::Graph& graph, std::span<const DeployedLayer> layers)
      : graph_(graph), sources_(graph.values.size()), fused_(graph.nodes.size(), false) {
    for (const DeployedLayer& layer : layers) {
      products_[layer.layer->product_node] = &layer;
      Fuse(*layer.layer);
    }
  }

  report::NetworkGraph Summarize() {
    for (std::size_t i = 0; i < graph_.inputs.size(); ++i) {
      sources_[Index(graph_.inputs[i])] = {static_cast<std::int64_t>(network_.size())};
      network_.push_back({.name = graph_.input_name(i), .kind = "input"});
    }
    Walk(graph_.body, "");
    return std::move(network_);
  }

 private:
  using Sources = std::set<std::int64_t>;  // nodes of the summary

  // What stands between a product and its quantize node: each has one input that is not constant, or it would not be
  // part of the layer.
  void Fuse(const graph::MacLayer& layer) {
    std::vector<ValueId> behind = graph_.nodes[Index(layer.quantize_node)].inputs;
    std::set<NodeId> seen;
    while (!behind.empty()) {
      const NodeId id = graph_.values[Index(behind.back())].producer;
      behind.pop_back();
      if (id < 0 || id == layer.product_node || !seen.insert(id).second) continue;
      fused_[Index(id)] = true;
      const std::vector<ValueId>& inputs = graph_.nodes[Index(id)].inputs;
      behind.insert(behind.end(), inputs.begin(), inputs.end());
    }
  }

  Sources SourcesOf(const std::vector<ValueId>& values) const {
    Sources all;
    for (const ValueId value : values) all.insert(sources_[Index(value)].begin(), sources_[Index(value)].end());
    return all;
  }

  void Walk(const graph::Block& block, const std::string& branch) {
    for (const NodeId id : block.nodes) {
      const graph::Node& node = graph_.nodes[Index(id)];
      if (const auto* attributes = std::get_if<graph::IfAttributes>(&node.attributes)) {
        Branch(node, *attributes, branch);
        continue;
      }
      Sources sources;
      switch (node.kind) {
        case OpKind::kConstant:
          break;
        case OpKind::kQuantize:
        case OpKind::kQuantizeLike:
        case OpKind::kDequantize:
          sources = sources_[Index(node.inputs[0])];
          break;
        default:
          sources = SourcesOf(node.inputs);
          if (!sources.empty() && !fused_[Index(id)]) sources = {Append(id, node, sources, branch)};
      }
      for (const ValueId output : node.outputs) sources_[Index(output)] = sources;
    }
  }

  void Branch(const graph::Node& node, const graph::IfAttributes& attributes, const std::string& branch) {
    const std::string name = absl::StrCat(branch, branch.empty() ? "" : ", ", "if ", ++branches_);
    Walk(attributes.then_block, absl::StrCat(name, " then"));
    Walk(attributes.else_block, absl::StrCat(name, " else"));
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      sources_[Index(node.outputs[i])] = SourcesOf({attributes.then_block.outputs[i], attributes.else_block.outputs[i]});
    }
  }

  std::int64_t Append(NodeId id, const graph::Node& node, const Sources& inputs, const std::string& branch) {
    report::NetworkNode& added = network_.emplace_back();
    added.kind = KindOf(node);
    added.name = node.module_path.empty() ? added.kind : node.module_path;
    added.module = node.module_stack;
    added.inputs.assign(inputs.begin(), inputs.end());
    added.branch = branch;
    if (const auto layer = products_.find(id); layer != products_.end()) {
      added.kind = layer->second->info->kind;
      added.name = layer->second->info->name;
      added.module = layer->second->info->module_stack;
      added.layer = layer->second->index;
    }
    return static_cast<std::int64_t>(network_.size()) - 1;
  }

  const graph::Graph& graph_;
  std::vector<Sources> sources_;                        // by value
  std::vector<bool> fused_;                             // by node
  std::map<NodeId, const DeployedLayer*> products_;
  report::NetworkGraph network_;
  int branches_ = 0;
};

}  // namespace

report::NetworkGraph SummarizeNetwork(const graph::Graph& deployed, std::span<const DeployedLayer> layers) {
  return Summarizer(deployed, layers).Summarize();
}

}  // namespace qatgap::attribution
