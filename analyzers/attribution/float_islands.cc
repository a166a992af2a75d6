#include "analyzers/attribution/float_islands.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "analyzers/graph/operator_names.h"

namespace qatgap::attribution {
namespace {

using graph::Block;
using graph::NodeId;
using graph::OpKind;
using graph::ValueId;

std::size_t Index(std::int32_t id) { return static_cast<std::size_t>(id); }

bool Moves(const graph::Node& node) {
  switch (node.kind) {
    case OpKind::kReshape:
    case OpKind::kFlatten:
    case OpKind::kPermute:
      return true;
    case OpKind::kOperator:
      return graph::MovesElements(std::get<graph::OperatorAttributes>(node.attributes).name);
    default:
      return false;
  }
}

bool Listed(const graph::Node& node) {
  switch (node.kind) {
    case OpKind::kConstant:
    case OpKind::kQuantize:
    case OpKind::kQuantizeLike:
    case OpKind::kDequantize:
    case OpKind::kIf:
    case OpKind::kConvolution:
    case OpKind::kLinear:
    case OpKind::kGreater:
    case OpKind::kGreaterEqual:
    case OpKind::kLess:
    case OpKind::kLessEqual:
      return false;
    default:
      return !Moves(node);
  }
}

class Finder {
 public:
  explicit Finder(const graph::Graph& graph)
      : graph_(graph),
        constant_(graph.values.size()),
        quantized_(graph.values.size()),
        needed_(graph.values.size()),
        into_codes_(graph.values.size(), true) {}

  std::vector<report::Unmeasured> Find() {
    Forward(graph_.body);
    for (const ValueId output : graph_.body.outputs) Use(output, /*into_codes=*/false);
    Backward(graph_.body);
    Collect(graph_.body);
    return std::move(found_);
  }

 private:
  const graph::Node& node(NodeId id) const { return graph_.nodes[Index(id)]; }

  // From where: codes, or constants.
  void Forward(const Block& block) {
    for (const NodeId id : block.nodes) {
      const graph::Node& current = node(id);
      const auto all = [&](const std::vector<bool>& facts) {
        return std::all_of(current.inputs.begin(), current.inputs.end(), [&](ValueId v) { return facts[Index(v)]; });
      };
      if (const auto* branch = std::get_if<graph::IfAttributes>(&current.attributes)) {
        Forward(branch->then_block);
        Forward(branch->else_block);
        for (std::size_t i = 0; i < current.outputs.size(); ++i) {
          quantized_[Index(current.outputs[i])] =
              quantized_[Index(branch->then_block.outputs[i])] && quantized_[Index(branch->else_block.outputs[i])];
        }
        continue;
      }
      const bool constant = current.kind == OpKind::kConstant || (!current.inputs.empty() && all(constant_));
      const bool computes_in_float = current.kind == OpKind::kOperator && !Moves(current);
      const bool quantized = constant || current.kind == OpKind::kQuantize || current.kind == OpKind::kQuantizeLike ||
                             current.kind == OpKind::kDequantize || (!computes_in_float && all(quantized_));
      for (const ValueId output : current.outputs) {
        constant_[Index(output)] = constant;
        quantized_[Index(output)] = quantized;
      }
    }
  }

  void Use(ValueId value, bool into_codes) {
    needed_[Index(value)] = true;
    if (!into_codes) into_codes_[Index(value)] = false;
  }

  // Where to: codes, or somewhere else.
  void Backward(const Block& block) {
    for (auto it = block.nodes.rbegin(); it != block.nodes.rend(); ++it) {
      const graph::Node& current = node(*it);
      const bool live =
          std::any_of(current.outputs.begin(), current.outputs.end(), [&](ValueId v) { return needed_[Index(v)]; });
      if (!live) continue;
      if (const auto* branch = std::get_if<graph::IfAttributes>(&current.attributes)) {
        for (std::size_t i = 0; i < current.outputs.size(); ++i) {
          const ValueId output = current.outputs[i];
          if (!needed_[Index(output)]) continue;
          Use(branch->then_block.outputs[i], into_codes_[Index(output)]);
          Use(branch->else_block.outputs[i], into_codes_[Index(output)]);
        }
        Backward(branch->then_block);
        Backward(branch->else_block);
        continue;  // the predicate decides, it reaches no output
      }
      const bool quantizes = current.kind == OpKind::kQuantize || current.kind == OpKind::kQuantizeLike;
      const bool computes_in_float = current.kind == OpKind::kOperator && !Moves(current);
      const bool onwards = !computes_in_float && std::all_of(current.outputs.begin(), current.outputs.end(),
                                                             [&](ValueId v) { return into_codes_[Index(v)]; });
      for (const ValueId input : current.inputs) Use(input, quantizes || onwards);
    }
  }

  void Collect(const Block& block) {
    for (const NodeId id : block.nodes) {
      const graph::Node& current = node(id);
      if (const auto* branch = std::get_if<graph::IfAttributes>(&current.attributes)) {
        Collect(branch->then_block);
        Collect(branch->else_block);
        continue;
      }
      if (!Listed(current) || !IsIsland(current)) continue;
      const std::string what = current.source_op.empty() ? std::string(ToString(current.kind)) : current.source_op;
      if (!seen_.emplace(current.module_path, what).second) continue;
      found_.push_back({.name = current.module_path.empty() ? what : current.module_path,
                        .what = what,
                        .reason = "runs in float by LibTorch's operator",
                        .is_mac_layer = false});
    }
  }

  bool IsIsland(const graph::Node& current) const {
    const auto any = [&](const std::vector<ValueId>& values, const std::vector<bool>& facts, bool wanted) {
      return std::any_of(values.begin(), values.end(), [&](ValueId v) { return facts[Index(v)] == wanted; });
    };
    if (!any(current.outputs, needed_, true) || !any(current.outputs, constant_, false)) return false;
    return current.kind == OpKind::kOperator || any(current.inputs, quantized_, false) ||
           any(current.outputs, into_codes_, false);
  }

  const graph::Graph& graph_;
  std::vector<bool> constant_, quantized_;  // by value: depends on constants alone; comes from codes
  std::vector<bool> needed_, into_codes_;   // by value: an output needs it; all its uses go into codes
  std::set<std::pair<std::string, std::string>> seen_;
  std::vector<report::Unmeasured> found_;
};

}  // namespace

std::vector<report::Unmeasured> FloatIslands(const graph::Graph& deployed) { return Finder(deployed).Find(); }

}  // namespace qatgap::attribution
