#include "analyzers/graph/graph.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "analyzers/status/string_view.h"
#include "absl/strings/str_join.h"

namespace qatgap::graph {

std::string_view ToString(OpKind kind) {
  switch (kind) {
    case OpKind::kConstant:
      return "constant";
    case OpKind::kQuantize:
      return "quantize";
    case OpKind::kQuantizeLike:
      return "quantize_like";
    case OpKind::kDequantize:
      return "dequantize";
    case OpKind::kConvolution:
      return "convolution";
    case OpKind::kLinear:
      return "linear";
    case OpKind::kBatchNorm:
      return "batch_norm";
    case OpKind::kAdd:
      return "add";
    case OpKind::kSub:
      return "sub";
    case OpKind::kMul:
      return "mul";
    case OpKind::kDiv:
      return "div";
    case OpKind::kRelu:
      return "relu";
    case OpKind::kClamp:
      return "clamp";
    case OpKind::kHardswish:
      return "hardswish";
    case OpKind::kHardsigmoid:
      return "hardsigmoid";
    case OpKind::kSigmoid:
      return "sigmoid";
    case OpKind::kConcat:
      return "concat";
    case OpKind::kMaxPool2d:
      return "max_pool2d";
    case OpKind::kAvgPool2d:
      return "avg_pool2d";
    case OpKind::kAdaptiveAvgPool2d:
      return "adaptive_avg_pool2d";
    case OpKind::kMean:
      return "mean";
    case OpKind::kSum:
      return "sum";
    case OpKind::kFlatten:
      return "flatten";
    case OpKind::kReshape:
      return "reshape";
    case OpKind::kPermute:
      return "permute";
    case OpKind::kGreater:
      return "greater";
    case OpKind::kGreaterEqual:
      return "greater_equal";
    case OpKind::kLess:
      return "less";
    case OpKind::kLessEqual:
      return "less_equal";
    case OpKind::kIf:
      return "if";
    case OpKind::kOperator:
      return "operator";
  }
  return "?";
}

ValueId Graph::AddValue(std::string name) {
  values.push_back({.name = std::move(name)});
  return static_cast<ValueId>(values.size()) - 1;
}

NodeId Graph::AddNode(Block& block, Node node, int output_count) {
  const auto id = static_cast<NodeId>(nodes.size());
  for (int i = 0; i < output_count; ++i) {
    const ValueId value = AddValue(absl::StrCat(Text(ToString(node.kind)), "_", id, i == 0 ? "" : absl::StrCat("_", i)));
    values[static_cast<std::size_t>(value)].producer = id;
    node.outputs.push_back(value);
  }
  nodes.push_back(std::move(node));
  block.nodes.push_back(id);
  return id;
}

const Node* Graph::producer(ValueId value) const {
  const NodeId id = values[static_cast<std::size_t>(value)].producer;
  return id < 0 ? nullptr : &nodes[static_cast<std::size_t>(id)];
}

bool Graph::has_control_flow() const {
  return std::any_of(nodes.begin(), nodes.end(),
                     [](const Node& node) { return node.kind == OpKind::kIf; });
}

namespace {

void Append(const Graph& graph, const Block& block, int depth, std::string& text) {
  const auto names = [&](const std::vector<ValueId>& ids) {
    return absl::StrJoin(ids, ", ", [](std::string* out, ValueId id) { absl::StrAppend(out, "%", id); });
  };
  const std::string indent(static_cast<std::size_t>(depth) * 2, ' ');
  for (const NodeId id : block.nodes) {
    const Node& node = graph.nodes[static_cast<std::size_t>(id)];
    absl::StrAppend(&text, indent, names(node.outputs), " = ", Text(ToString(node.kind)), "(",
                    names(node.inputs), ")");
    if (const auto* quantize = std::get_if<QuantizeAttributes>(&node.attributes)) {
      absl::StrAppend(&text, " {", numerics::ToString(quantize->qparams), "}");
    } else if (const auto* constant = std::get_if<ConstantAttributes>(&node.attributes)) {
      absl::StrAppend(&text, " {", Text(ToString(constant->value.dtype())), " ",
                      ToString(constant->value.shape()), constant->qparams ? " codes" : "", "}");
    } else if (const auto* call = std::get_if<OperatorAttributes>(&node.attributes)) {
      absl::StrAppend(&text, " {", call->name, call->overload.empty() ? "" : ".", call->overload, "}");
    }
    absl::StrAppend(&text, "  # ", node.module_path, " ", node.source_op, "\n");
    if (const auto* branch = std::get_if<IfAttributes>(&node.attributes)) {
      absl::StrAppend(&text, indent, "  then:\n");
      Append(graph, branch->then_block, depth + 2, text);
      absl::StrAppend(&text, indent, "  else:\n");
      Append(graph, branch->else_block, depth + 2, text);
    }
  }
  absl::StrAppend(&text, indent, "-> ", names(block.outputs), "\n");
}

}  // namespace

std::string ToString(const Graph& graph) {
  std::string text = "inputs: ";
  absl::StrAppend(&text, absl::StrJoin(graph.inputs, ", ", [](std::string* out, ValueId id) {
                    absl::StrAppend(out, "%", id);
                  }), "\n");
  Append(graph, graph.body, 0, text);
  return text;
}

}  // namespace qatgap::graph
