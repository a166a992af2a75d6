// The part of Evaluator that operator handlers use: reading operands and emitting nodes.
#include <ATen/ops/scalar_tensor.h>

#include "absl/strings/str_cat.h"
#include "analyzers/execution/torch_bridge.h"
#include "analyzers/frontends/torchscript/evaluator.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends::torchscript {

using graph::OpKind;
using graph::ValueId;

bool Evaluator::IsCodes(const Slot& slot) {
  const auto* symbol = std::get_if<Symbol>(&slot);
  return symbol != nullptr && symbol->codes;
}

bool Evaluator::IsNone(const Slot& slot) {
  const auto* value = std::get_if<c10::IValue>(&slot);
  return value != nullptr && value->isNone();
}

const c10::IValue& Evaluator::Concrete(const Slot& slot, std::string_view what) const {
  const auto* value = std::get_if<c10::IValue>(&slot);
  if (value == nullptr) {
    Refuse(absl::StrCat("the ", Text(what), " of ", source_op_, " depends on the input"),
           "make it a constant of the model");
  }
  return *value;
}

std::vector<Slot> Evaluator::Items(const Slot& slot, std::string_view what) const {
  if (const auto* list = std::get_if<std::shared_ptr<SlotList>>(&slot)) return (*list)->items;
  const c10::IValue& value = Concrete(slot, what);
  std::vector<Slot> items;
  if (value.isTuple()) {
    for (const c10::IValue& item : value.toTupleRef().elements()) items.emplace_back(item);
  } else if (value.isList()) {
    for (const c10::IValue& item : value.toListRef()) items.emplace_back(item);
  } else {
    Refuse(absl::StrCat("the ", Text(what), " of ", source_op_, " is not a list"), "export the model again");
  }
  return items;
}

std::vector<std::int64_t> Evaluator::Ints(const Slot& slot, std::string_view what, bool batch_may_be_unknown) const {
  std::vector<std::int64_t> ints;
  if (const auto* value = std::get_if<c10::IValue>(&slot); value != nullptr && value->isInt()) return {value->toInt()};
  const std::vector<Slot> items = Items(slot, what);
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i == 0 && batch_may_be_unknown && std::holds_alternative<Unknown>(items[i])) {
      ints.push_back(0);
    } else {
      ints.push_back(Int(items[i], what));
    }
  }
  return ints;
}

ValueId Evaluator::Emit(OpKind kind, std::vector<ValueId> inputs, graph::Attributes attributes) {
  const graph::NodeId id = graph_.AddNode(*block_, {.kind = kind,
                                                    .inputs = std::move(inputs),
                                                    .outputs = {},
                                                    .attributes = std::move(attributes),
                                                    .module_path = path(),
                                                    .source_op = source_op_});
  return graph_.nodes[static_cast<std::size_t>(id)].outputs[0];
}

ValueId Evaluator::Codes(const Slot& slot) const {
  if (!IsCodes(slot)) {
    Refuse(absl::StrCat(source_op_, " got a tensor that is not quantized"), "export the converted model again");
  }
  return std::get<Symbol>(slot).value;
}

ValueId Evaluator::Real(const Slot& slot) {
  if (const auto* symbol = std::get_if<Symbol>(&slot)) {
    return symbol->codes ? Emit(OpKind::kDequantize, {symbol->value}) : symbol->value;
  }
  if (const auto* condition = std::get_if<SymbolicBool>(&slot)) return condition->value;
  const c10::IValue& value = Concrete(slot, "operand");
  if (value.isTensor()) return Constant(value.toTensor());
  if (value.isDouble() || value.isInt()) return Constant(at::scalar_tensor(value.toScalar(), at::kFloat));
  Refuse(absl::StrCat("an operand of ", source_op_, " is a ", value.tagKind()), "export the model again");
}

Slot Evaluator::EmitLike(OpKind kind, const Slot& x, graph::Attributes attributes) {
  const ValueId real = Emit(kind, {Real(x)}, std::move(attributes));
  if (!IsCodes(x)) return Symbol{real, false};
  return Symbol{Emit(OpKind::kQuantizeLike, {real, Codes(x)}), true};
}

Symbol Evaluator::EmitQuantize(ValueId real, double scale, std::int64_t zero_point, std::int64_t quant_min,
                               std::int64_t quant_max) {
  numerics::QuantParams params{.scales = {scale}, .zero_points = {zero_point}, .quant_min = quant_min, .quant_max = quant_max};
  if (const absl::Status status = numerics::Validate(params, absl::StrCat("module '", path(), "'")); !status.ok()) {
    throw ImportError(status);
  }
  return {Emit(OpKind::kQuantize, {real}, graph::QuantizeAttributes{std::move(params)}), true};
}

ValueId Evaluator::Constant(const at::Tensor& tensor) {
  const void* key = tensor.unsafeGetTensorImpl();
  if (const auto it = constant_of_.find(key); it != constant_of_.end()) return it->second;
  at::Tensor plain = tensor.detach();
  if (plain.scalar_type() == at::kHalf || plain.scalar_type() == at::kBFloat16) plain = plain.to(at::kFloat);
  auto value = execution::FromTorch(plain);
  if (!value.ok()) throw ImportError(value.status());
  graph::Block* outer = block_;
  block_ = &constants_;
  const ValueId id = Emit(OpKind::kConstant, {}, graph::ConstantAttributes{*std::move(value), std::nullopt});
  block_ = outer;
  constant_of_[key] = id;
  kept_.push_back(tensor);
  return id;
}

ValueId Evaluator::CodeConstant(graph::Tensor codes, numerics::QuantParams params) {
  graph::Block* outer = block_;
  block_ = &constants_;
  const ValueId id = Emit(OpKind::kConstant, {}, graph::ConstantAttributes{std::move(codes), std::move(params)});
  const ValueId real = Emit(OpKind::kDequantize, {id});
  block_ = outer;
  return real;
}

void Evaluator::Notice(graph::NoticeKind kind, std::string detail) {
  graph_.notices.push_back({kind, path(), std::move(detail)});
}

}  // namespace qatgap::frontends::torchscript
