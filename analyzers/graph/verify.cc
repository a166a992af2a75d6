#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "analyzers/status/string_view.h"
#include "analyzers/graph/graph.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::graph {
namespace {

struct Arity {
  std::size_t min, max;
};

Arity InputsOf(OpKind kind) {
  constexpr std::size_t kAny = 1u << 16;
  switch (kind) {
    case OpKind::kConstant:
      return {0, 0};
    case OpKind::kQuantizeLike:
    case OpKind::kAdd:
    case OpKind::kSub:
    case OpKind::kMul:
    case OpKind::kDiv:
    case OpKind::kGreater:
    case OpKind::kGreaterEqual:
    case OpKind::kLess:
    case OpKind::kLessEqual:
      return {2, 2};
    case OpKind::kConvolution:
    case OpKind::kLinear:
      return {2, 3};
    case OpKind::kBatchNorm:
      return {5, 5};
    case OpKind::kConcat:
      return {1, kAny};
    case OpKind::kOperator:
      return {0, kAny};
    default:
      return {1, 1};
  }
}

// Tensor arguments name inputs of the node.
bool ArgumentsFit(const Node& node) {
  const auto fits = [&](int input) { return input >= 0 && static_cast<std::size_t>(input) < node.inputs.size(); };
  for (const Argument& argument : std::get<OperatorAttributes>(node.attributes).arguments) {
    if (const auto* tensor = std::get_if<TensorArgument>(&argument); tensor != nullptr && !fits(tensor->input)) return false;
    const auto* list = std::get_if<TensorListArgument>(&argument);
    if (list != nullptr && !std::all_of(list->inputs.begin(), list->inputs.end(),
                                        [&](int input) { return input == -1 || fits(input); })) {
      return false;
    }
  }
  return true;
}

bool AttributesFit(const Node& node) {
  switch (node.kind) {
    case OpKind::kConstant:
      return std::holds_alternative<ConstantAttributes>(node.attributes);
    case OpKind::kQuantize:
      return std::holds_alternative<QuantizeAttributes>(node.attributes);
    case OpKind::kConvolution:
      return std::holds_alternative<ConvolutionAttributes>(node.attributes);
    case OpKind::kBatchNorm:
      return std::holds_alternative<BatchNormAttributes>(node.attributes);
    case OpKind::kClamp:
      return std::holds_alternative<ClampAttributes>(node.attributes);
    case OpKind::kConcat:
      return std::holds_alternative<AxisAttributes>(node.attributes);
    case OpKind::kMaxPool2d:
    case OpKind::kAvgPool2d:
      return std::holds_alternative<PoolAttributes>(node.attributes);
    case OpKind::kAdaptiveAvgPool2d:
    case OpKind::kReshape:
    case OpKind::kPermute:
      return std::holds_alternative<SizesAttributes>(node.attributes);
    case OpKind::kMean:
    case OpKind::kSum:
      return std::holds_alternative<ReduceAttributes>(node.attributes);
    case OpKind::kFlatten:
      return std::holds_alternative<FlattenAttributes>(node.attributes);
    case OpKind::kIf:
      return std::holds_alternative<IfAttributes>(node.attributes);
    case OpKind::kOperator:
      return std::holds_alternative<OperatorAttributes>(node.attributes) && ArgumentsFit(node);
    default:
      return std::holds_alternative<std::monostate>(node.attributes);
  }
}

class Verifier {
 public:
  explicit Verifier(const Graph& graph) : graph_(graph), is_codes_(graph.values.size(), false) {}

  absl::Status Run() {
    std::set<ValueId> defined;
    for (const ValueId input : graph_.inputs) {
      QATGAP_RETURN_IF_ERROR(CheckId(input, "a graph input"));
      if (!made_.insert(input).second) {
        return absl::InternalError(absl::StrCat("value ", input, " is a graph input twice"));
      }
      defined.insert(input);
    }
    return Walk(graph_.body, defined);
  }

 private:
  absl::Status CheckId(ValueId id, std::string_view who) const {
    if (id < 0 || static_cast<std::size_t>(id) >= graph_.values.size()) {
      return absl::InternalError(absl::StrCat(Text(who), " names value ", id, " of ", graph_.values.size()));
    }
    return absl::OkStatus();
  }

  absl::Status Walk(const Block& block, std::set<ValueId> defined) {
    for (const NodeId id : block.nodes) {
      if (id < 0 || static_cast<std::size_t>(id) >= graph_.nodes.size() || !seen_.insert(id).second) {
        return absl::InternalError(absl::StrCat("node ", id, " is out of range or listed twice"));
      }
      const Node& node = graph_.nodes[static_cast<std::size_t>(id)];
      const std::string who = absl::StrCat("node ", id, " (", Text(ToString(node.kind)), " in '", node.module_path, "')");
      const Arity arity = InputsOf(node.kind);
      if (node.inputs.size() < arity.min || node.inputs.size() > arity.max) {
        return absl::InternalError(absl::StrCat(who, " has ", node.inputs.size(), " inputs"));
      }
      if (!AttributesFit(node)) return absl::InternalError(absl::StrCat(who, " has attributes of another kind"));
      for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        QATGAP_RETURN_IF_ERROR(CheckId(node.inputs[i], who));
        if (!defined.contains(node.inputs[i])) {
          return absl::InternalError(absl::StrCat(who, " reads value ", node.inputs[i], " before it is made"));
        }
        const bool wants_codes = node.kind == OpKind::kDequantize || (node.kind == OpKind::kQuantizeLike && i == 1);
        if (is_codes_[static_cast<std::size_t>(node.inputs[i])] != wants_codes) {
          return absl::InternalError(absl::StrCat(who, " input ", i, wants_codes ? " must" : " must not", " be codes"));
        }
      }
      bool makes_codes = node.kind == OpKind::kQuantize || node.kind == OpKind::kQuantizeLike;
      if (const auto* constant = std::get_if<ConstantAttributes>(&node.attributes)) {
        makes_codes = constant->qparams.has_value();
        if (makes_codes && constant->value.dtype() != DType::kInt32) {
          return absl::InternalError(absl::StrCat(who, " holds codes that are not int32"));
        }
      }
      if (const auto* branch = std::get_if<IfAttributes>(&node.attributes)) {
        QATGAP_RETURN_IF_ERROR(CheckIf(node, *branch, defined, who));
      } else if (node.outputs.size() != 1 && (node.kind != OpKind::kOperator || node.outputs.empty())) {
        return absl::InternalError(absl::StrCat(who, " has ", node.outputs.size(), " outputs"));
      }
      for (const ValueId output : node.outputs) {
        QATGAP_RETURN_IF_ERROR(CheckId(output, who));
        if (!made_.insert(output).second) {
          return absl::InternalError(absl::StrCat(who, " makes value ", output, " a second time"));
        }
        defined.insert(output);
        if (node.kind != OpKind::kIf) is_codes_[static_cast<std::size_t>(output)] = makes_codes;
      }
    }
    for (const ValueId output : block.outputs) {
      QATGAP_RETURN_IF_ERROR(CheckId(output, "a block output"));
      if (!defined.contains(output)) {
        return absl::InternalError(absl::StrCat("block output ", output, " is never made"));
      }
    }
    return absl::OkStatus();
  }

  absl::Status CheckIf(const Node& node, const IfAttributes& branch, const std::set<ValueId>& defined,
                       const std::string& who) {
    QATGAP_RETURN_IF_ERROR(Walk(branch.then_block, defined));
    QATGAP_RETURN_IF_ERROR(Walk(branch.else_block, defined));
    if (branch.then_block.outputs.size() != node.outputs.size() ||
        branch.else_block.outputs.size() != node.outputs.size()) {
      return absl::InternalError(absl::StrCat(who, " and its branches differ in outputs"));
    }
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      const bool codes = is_codes_[static_cast<std::size_t>(branch.then_block.outputs[i])];
      if (codes != is_codes_[static_cast<std::size_t>(branch.else_block.outputs[i])]) {
        return absl::InternalError(absl::StrCat(who, " output ", i, " is codes in one branch and real in the other"));
      }
      is_codes_[static_cast<std::size_t>(node.outputs[i])] = codes;
    }
    return absl::OkStatus();
  }

  const Graph& graph_;
  std::vector<bool> is_codes_;
  std::set<NodeId> seen_;
  std::set<ValueId> made_;  // in any block: `defined` forgets what a branch made
};

}  // namespace

absl::Status Verify(const Graph& graph) { return Verifier(graph).Run(); }

}  // namespace qatgap::graph
