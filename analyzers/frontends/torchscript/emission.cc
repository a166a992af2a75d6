// The part of Evaluator that operator handlers use: reading operands and emitting nodes.
#include <ATen/ops/int_repr.h>
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

std::vector<std::int64_t> Evaluator::Ints(const Slot& slot, std::string_view what) const {
  if (const auto* value = std::get_if<c10::IValue>(&slot); value != nullptr && value->isInt()) return {value->toInt()};
  std::vector<std::int64_t> ints;
  for (const Slot& item : Items(slot, what)) ints.push_back(Int(item, what));
  return ints;
}

// The first value behind `value` that surely has its shape.
ValueId Evaluator::ShapeRoot(ValueId value) const {
  while (const graph::Node* node = graph_.producer(value)) {
    switch (node->kind) {
      case OpKind::kQuantize:
      case OpKind::kQuantizeLike:
      case OpKind::kDequantize:
      case OpKind::kBatchNorm:
      case OpKind::kRelu:
      case OpKind::kClamp:
      case OpKind::kHardswish:
      case OpKind::kHardsigmoid:
      case OpKind::kSigmoid:
        value = node->inputs[0];
        break;
      default:
        return value;
    }
  }
  return value;
}

std::vector<std::int64_t> Evaluator::ReshapeSizes(const Slot& slot, const Slot& x) const {
  const auto* symbol = std::get_if<Symbol>(&x);
  std::vector<std::int64_t> sizes;
  for (const Slot& item : Items(slot, "shape")) {
    const auto* unknown = std::get_if<Unknown>(&item);
    const bool kept = unknown != nullptr && unknown->tensor >= 0 && unknown->axis == static_cast<int>(sizes.size()) &&
                      (unknown->axis == 0 || (symbol != nullptr && ShapeRoot(unknown->tensor) == ShapeRoot(symbol->value)));
    sizes.push_back(kept ? 0 : Int(item, "shape"));
  }
  return sizes;
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
  if (std::holds_alternative<SymbolicBool>(slot)) {
    Refuse(absl::StrCat("the truth of a tensor is an operand of ", source_op_), "use the tensor itself");
  }
  const c10::IValue& value = Concrete(slot, "operand");
  if (value.isTensor()) return Constant(value.toTensor());
  if (value.isDouble() || value.isInt()) return Constant(at::scalar_tensor(value.toScalar(), at::kFloat));
  Refuse(absl::StrCat("an operand of ", source_op_, " is a ", value.tagKind()), "export the model again");
}

Slot Evaluator::EmitLike(OpKind kind, const Slot& x, graph::Attributes attributes) {
  const ValueId real = Emit(kind, {Real(x)}, std::move(attributes));
  if (!IsCodes(x)) return Symbol{real, false};
  return Symbol{Emit(OpKind::kQuantizeLike, {real, Codes(x)}), true, std::get<Symbol>(x).is_signed};
}

void Evaluator::Check(const numerics::QuantParams& params, std::string_view what) const {
  if (const absl::Status status = numerics::Validate(params, "qparams"); !status.ok()) {
    Refuse(absl::StrCat(Text(what), ": ", status.message()), "train or calibrate this module again");
  }
}

Symbol Evaluator::EmitQuantize(ValueId real, double scale, std::int64_t zero_point, bool is_signed) {
  numerics::QuantParams params{.scales = {scale},
                               .zero_points = {zero_point},
                               .quant_min = is_signed ? -128 : 0,
                               .quant_max = is_signed ? 127 : 255};
  Check(params, source_op_);
  return {Emit(OpKind::kQuantize, {real}, graph::QuantizeAttributes{std::move(params)}), true, is_signed};
}

Symbol Evaluator::Clone(Symbol symbol) {
  symbol.copy = ++copies_;
  return symbol;
}

graph::Tensor Evaluator::Copy(const at::Tensor& tensor) const {
  if (tensor.layout() != at::kStrided) Refuse("a sparse constant", "keep constants dense");
  at::Tensor copy = tensor.detach().clone(at::MemoryFormat::Contiguous);
  if (copy.scalar_type() == at::kHalf || copy.scalar_type() == at::kBFloat16) copy = copy.to(at::kFloat);  // exact
  auto value = execution::FromTorch(copy);
  if (!value.ok()) {
    Refuse(absl::StrCat("a constant of type ", at::toString(copy.scalar_type())), "keep constants in float32");
  }
  return *std::move(value);
}

ValueId Evaluator::Constant(const at::Tensor& tensor) {
  const void* key = tensor.unsafeGetTensorImpl();
  if (const auto it = constant_of_.find(key); it != constant_of_.end()) return it->second;
  if (tensor.is_quantized()) {
    kept_.push_back(tensor);
    return constant_of_[key] = QuantizedConstant(tensor);
  }
  graph::Tensor value = Copy(tensor);
  graph::Block* outer = block_;
  block_ = &constants_;
  const ValueId id = Emit(OpKind::kConstant, {}, graph::ConstantAttributes{std::move(value), std::nullopt});
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

// A quantized tensor (qint8 or quint8, per tensor or per channel) of the file: a packed weight, as a rule.
ValueId Evaluator::QuantizedConstant(const at::Tensor& tensor) {
  numerics::QuantParams params;
  if (tensor.scalar_type() != at::kQInt8 && tensor.scalar_type() != at::kQUInt8) {
    Refuse(absl::StrCat("a constant of type ", at::toString(tensor.scalar_type())), "quantize weights to qint8");
  }
  const bool is_signed = tensor.scalar_type() == at::kQInt8;
  params.quant_min = is_signed ? -128 : 0;
  params.quant_max = is_signed ? 127 : 255;
  if (tensor.qscheme() == at::kPerTensorAffine) {
    params.scales = {tensor.q_scale()};
    params.zero_points = {tensor.q_zero_point()};
  } else if (tensor.qscheme() == at::kPerChannelAffine) {
    const at::Tensor scales = tensor.q_per_channel_scales().to(at::kDouble).contiguous();
    const at::Tensor zero_points = tensor.q_per_channel_zero_points().to(at::kLong).contiguous();
    params.scales.assign(scales.const_data_ptr<double>(), scales.const_data_ptr<double>() + scales.numel());
    params.zero_points.assign(zero_points.const_data_ptr<std::int64_t>(),
                              zero_points.const_data_ptr<std::int64_t>() + zero_points.numel());
    params.axis = static_cast<int>(tensor.q_per_channel_axis());
  } else {
    Refuse("a weight with floating-point zero points", "quantize weights with per_channel_symmetric");
  }
  Check(params, "a weight");
  return CodeConstant(Copy(at::int_repr(tensor).to(at::kInt)), std::move(params));
}

void Evaluator::Notice(graph::NoticeKind kind, std::string detail) {
  for (const graph::Notice& notice : graph_.notices) {  // a module that is called twice
    if (notice.kind == kind && notice.module_path == path()) return;
  }
  graph_.notices.push_back({kind, path(), std::move(detail)});
}

}  // namespace qatgap::frontends::torchscript
