// How operators put nodes into the graph.
#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/onnx/importer.h"
#include "analyzers/graph/operator_names.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends::onnx {

using graph::OpKind;
using graph::ValueId;

graph::NodeId Importer::AddNode(graph::Block& block, OpKind kind, std::vector<ValueId> inputs,
                                graph::Attributes attributes, int output_count) {
  const bool constant = kind != OpKind::kIf &&
                        std::all_of(inputs.begin(), inputs.end(), [&](ValueId value) { return IsConstant(value); });
  const graph::NodeId id = graph_.AddNode(block,
                                          {.kind = kind,
                                           .inputs = std::move(inputs),
                                           .outputs = {},
                                           .attributes = std::move(attributes),
                                           .module_path = current_.module_path,
                                           .source_op = current_op_,
                                           .source_line = current_.source_line,
                                           .module_stack = current_.module_stack},
                                          output_count);
  constant_.resize(graph_.values.size(), constant);
  return id;
}

ValueId Importer::Emit(OpKind kind, std::vector<ValueId> inputs, graph::Attributes attributes) {
  const graph::NodeId id = AddNode(*block_, kind, std::move(inputs), std::move(attributes), 1);
  return graph_.nodes[static_cast<std::size_t>(id)].outputs[0];
}

std::vector<ValueId> Importer::EmitIf(ValueId predicate, graph::IfAttributes branches, int output_count) {
  const graph::NodeId id = AddNode(*block_, OpKind::kIf, {predicate}, std::move(branches), output_count);
  return graph_.nodes[static_cast<std::size_t>(id)].outputs;
}

ValueId Importer::Call(std::string_view name, std::string_view overload, std::vector<ValueId> inputs,
                       std::vector<graph::Argument> arguments) {
  return CallMany(name, overload, std::move(inputs), std::move(arguments), 1)[0];
}

std::vector<ValueId> Importer::CallMany(std::string_view name, std::string_view overload, std::vector<ValueId> inputs,
                                        std::vector<graph::Argument> arguments, int output_count) {
  const graph::NodeId id = AddNode(*block_, OpKind::kOperator, std::move(inputs),
                                   graph::OperatorAttributes{.name = std::string(name),
                                                             .overload = std::string(overload),
                                                             .arguments = std::move(arguments)},
                                   output_count);
  return graph_.nodes[static_cast<std::size_t>(id)].outputs;
}

ValueId Importer::Constant(graph::Tensor value) {
  const graph::NodeId id = AddNode(graph_.body, OpKind::kConstant, {},
                                   graph::ConstantAttributes{.value = std::move(value), .qparams = std::nullopt}, 1);
  return graph_.nodes[static_cast<std::size_t>(id)].outputs[0];
}

ValueId Importer::CodeConstant(graph::Tensor codes, numerics::QuantParams qparams) {
  const graph::NodeId id =
      AddNode(graph_.body, OpKind::kConstant, {},
              graph::ConstantAttributes{.value = std::move(codes), .qparams = std::move(qparams)}, 1);
  return graph_.nodes[static_cast<std::size_t>(id)].outputs[0];
}

Symbol Importer::Quantize(ValueId real, numerics::QuantParams qparams, int type, MaybeShape shape) {
  auto shared = std::make_shared<const numerics::QuantParams>(qparams);
  const ValueId codes = Emit(OpKind::kQuantize, {real}, graph::QuantizeAttributes{.qparams = std::move(qparams)});
  return {.value = codes, .type = type, .codes = std::move(shared), .shape = std::move(shape)};
}

absl::StatusOr<Symbol> Importer::AsSymbol(const Slot& slot) {
  if (const auto* symbol = std::get_if<Symbol>(&slot)) return *symbol;
  if (const auto* literal = std::get_if<Literal>(&slot)) {
    return Symbol{.value = Constant(literal->value), .type = literal->type, .shape = literal->value.shape()};
  }
  if (const auto* extents = std::get_if<Extents>(&slot)) {
    std::vector<std::int64_t> known;
    for (const auto& item : extents->items) {
      const auto* number = std::get_if<std::int64_t>(&item);
      if (number == nullptr) {
        return absl::FailedPreconditionError(
            "a number that depends on the input's shape enters the computation; export the model with fixed shapes "
            "beyond the batch axis");
      }
      known.push_back(*number);
    }
    graph::Shape shape;
    if (!extents->scalar) shape.push_back(static_cast<std::int64_t>(known.size()));
    return Symbol{
        .value = Constant(graph::Tensor::Of<std::int64_t>(shape, known)), .type = element::kInt64, .shape = shape};
  }
  return absl::InvalidArgumentError("an input that it needs is not given; export the model again");
}

absl::StatusOr<Symbol> Importer::Operand(const NodeView& node, std::size_t i) {
  QATGAP_ASSIGN_OR_RETURN(Symbol symbol, AsSymbol(node.in(i)));
  if (symbol.codes != nullptr) {
    return node.Refuse(absl::StrCat("computes on quantized codes (", ElementName(symbol.type), ")"),
                       "put a DequantizeLinear in front of it and a QuantizeLinear behind it");
  }
  return symbol;
}

absl::StatusOr<Symbol> Importer::MovingOperand(const NodeView& node, std::size_t i) {
  QATGAP_ASSIGN_OR_RETURN(Symbol symbol, AsSymbol(node.in(i)));
  if (symbol.codes != nullptr) {
    if (symbol.codes->per_channel()) {
      return node.Refuse("moves codes that are quantized per channel", "put the DequantizeLinear in front of it");
    }
    symbol.value = Dequantize(symbol.value);
  }
  return symbol;
}

Slot Importer::Moved(const Symbol& operand, ValueId result, MaybeShape shape) {
  if (operand.codes == nullptr) return Symbol{.value = result, .type = operand.type, .shape = std::move(shape)};
  return Quantize(result, *operand.codes, operand.type, std::move(shape));
}

absl::StatusOr<std::vector<std::int64_t>> Importer::KnownIntegers(const NodeView& node, std::size_t i,
                                                                  std::string_view what) const {
  if (const auto* literal = std::get_if<Literal>(&node.in(i))) {
    if (auto integers = Integers(*literal)) return *std::move(integers);
  }
  if (const auto* extents = std::get_if<Extents>(&node.in(i))) {
    std::vector<std::int64_t> integers;
    for (const auto& item : extents->items) {
      if (const auto* number = std::get_if<std::int64_t>(&item)) integers.push_back(*number);
    }
    if (integers.size() == extents->items.size()) return integers;
  }
  return node.Refuse(absl::StrCat("its ", Text(what), " is not a constant"),
                     "export the model with fixed shapes beyond the batch axis");
}

absl::StatusOr<double> Importer::KnownNumber(const NodeView& node, std::size_t i, std::string_view what) const {
  if (const auto* literal = std::get_if<Literal>(&node.in(i)); literal != nullptr && literal->value.elements() == 1) {
    if (literal->value.dtype() == graph::DType::kFloat32) return static_cast<double>(literal->value.data<float>()[0]);
    return static_cast<double>((*Integers(*literal))[0]);
  }
  return node.Refuse(absl::StrCat("its ", Text(what), " is not one constant number"),
                     "export the model with constant parameters");
}

ValueId Importer::PermuteConstant(ValueId real, const std::vector<std::int64_t>& permutation) {
  const auto moved = [&](numerics::QuantParams params) {
    if (params.per_channel()) {
      const auto at = std::find(permutation.begin(), permutation.end(), params.axis);
      params.axis = static_cast<int>(at - permutation.begin());
    }
    return params;
  };
  const graph::Node* made_by = graph_.producer(real);
  if (made_by != nullptr && made_by->kind == OpKind::kConstant) {
    return Constant(Permuted(std::get<graph::ConstantAttributes>(made_by->attributes).value, permutation));
  }
  if (made_by != nullptr && made_by->kind == OpKind::kDequantize) {
    const graph::Node* codes = graph_.producer(made_by->inputs[0]);
    if (codes != nullptr && codes->kind == OpKind::kConstant) {
      const auto constant = std::get<graph::ConstantAttributes>(codes->attributes);
      return Dequantize(CodeConstant(Permuted(constant.value, permutation), moved(*constant.qparams)));
    }
    if (codes != nullptr && codes->kind == OpKind::kQuantize) {
      numerics::QuantParams params = moved(std::get<graph::QuantizeAttributes>(codes->attributes).qparams);
      const ValueId unquantized = PermuteConstant(codes->inputs[0], permutation);
      return Dequantize(
          Emit(OpKind::kQuantize, {unquantized}, graph::QuantizeAttributes{.qparams = std::move(params)}));
    }
  }
  return Emit(OpKind::kPermute, {real}, graph::SizesAttributes{permutation});
}

// --- shapes that are known in part ---

std::optional<std::size_t> RankOf(const MaybeShape& shape) {
  return shape ? std::optional<std::size_t>(shape->size()) : std::nullopt;
}

MaybeShape ShapeOf(const Slot& slot) {
  if (const auto* literal = std::get_if<Literal>(&slot)) return literal->value.shape();
  if (const auto* symbol = std::get_if<Symbol>(&slot)) return symbol->shape;
  return std::nullopt;
}

std::int64_t ProductOf(const graph::Shape& shape) {
  std::int64_t known = 1;
  bool batched = false;
  for (const std::int64_t extent : shape) {
    const std::int64_t factor = BatchFactor(extent);
    if (extent == kUnknown || (factor != 0 && batched)) return kUnknown;
    batched = batched || factor != 0;
    if (__builtin_mul_overflow(known, factor != 0 ? factor : extent, &known) || known > std::int64_t{1} << 60)
      return kUnknown;
  }
  return batched && known > 0 ? BatchTimes(known) : known;
}

std::optional<std::int64_t> NormalAxis(std::int64_t axis, const MaybeShape& shape) {
  if (!shape) return axis >= 0 && axis < 8 ? std::optional(axis) : std::nullopt;
  const auto rank = static_cast<std::int64_t>(shape->size());
  if (axis < -rank || axis >= rank) return std::nullopt;
  return axis < 0 ? axis + rank : axis;
}

MaybeShape BroadcastShape(const MaybeShape& a, const MaybeShape& b) {
  if (!a || !b) return std::nullopt;
  const graph::Shape& longer = a->size() >= b->size() ? *a : *b;
  const graph::Shape& shorter = a->size() >= b->size() ? *b : *a;
  graph::Shape shape = longer;
  const std::size_t offset = longer.size() - shorter.size();
  for (std::size_t i = 0; i < shorter.size(); ++i) {
    std::int64_t& extent = shape[offset + i];
    const std::int64_t other = shorter[i];
    if (extent == 1) {
      extent = other;
    } else if (extent == kUnknown && other != 1) {
      extent = other;
    }
  }
  return shape;
}

}  // namespace qatgap::frontends::onnx
