// The part of Evaluator that operator handlers use: reading operands and emitting nodes.
#include <ATen/ops/int_repr.h>
#include <ATen/ops/scalar_tensor.h>

#include <c10/core/ScalarType.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "analyzers/execution/torch_bridge.h"
#include "analyzers/frontends/torchscript/evaluator.h"
#include "analyzers/graph/operator_names.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends::torchscript {

using graph::OpKind;
using graph::ValueId;

namespace {

bool GivesBools(std::string_view name) {
  static const std::set<std::string_view> kNames = {"aten::all",         "aten::any",         "aten::eq",
                                                    "aten::isfinite",    "aten::isnan",       "aten::logical_and",
                                                    "aten::logical_not", "aten::logical_or", "aten::ne"};
  return kNames.contains(name);
}

bool GivesIndices(std::string_view name) {
  static const std::set<std::string_view> kNames = {"aten::max", "aten::min", "aten::sort", "aten::topk",
                                                    "aten::adaptive_max_pool1d", "aten::adaptive_max_pool2d",
                                                    "aten::adaptive_max_pool3d"};
  return kNames.contains(name);
}

}  // namespace

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

std::vector<ValueId> Evaluator::AddNode(OpKind kind, std::vector<ValueId> inputs, graph::Attributes attributes,
                                        int output_count) {
  const graph::NodeId id = graph_.AddNode(*block_,
                                          {.kind = kind,
                                           .inputs = std::move(inputs),
                                           .outputs = {},
                                           .attributes = std::move(attributes),
                                           .module_path = path(),
                                           .source_op = source_op_,
                                           .source_line = SourceLine(),
                                           .module_stack = ModuleStack()},
                                          output_count);
  const graph::Node& node = graph_.nodes[static_cast<std::size_t>(id)];
  shapes_.Add(node);
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    if (const at::ScalarType type = ResultType(node, i); type != at::kFloat) types_[node.outputs[i]] = type;
  }
  return node.outputs;
}

ValueId Evaluator::Emit(OpKind kind, std::vector<ValueId> inputs, graph::Attributes attributes) {
  return AddNode(kind, std::move(inputs), std::move(attributes), 1).front();
}

ValueId Evaluator::EmitOperator(std::string name, std::string overload, std::vector<ValueId> inputs,
                                std::vector<graph::Argument> arguments) {
  return Emit(OpKind::kOperator, std::move(inputs),
              graph::OperatorAttributes{std::move(name), std::move(overload), std::move(arguments)});
}

ValueId Evaluator::Codes(const Slot& slot) const {
  if (!IsCodes(slot)) {
    Refuse(absl::StrCat(source_op_, " got a tensor that is not quantized"), "export the converted model again");
  }
  return std::get<Symbol>(slot).value;
}

ValueId Evaluator::Dequantized(const Slot& slot) {
  const auto* value = std::get_if<c10::IValue>(&slot);
  if (value != nullptr && value->isTensor() && value->toTensor().is_quantized()) return Constant(value->toTensor());
  return Emit(OpKind::kDequantize, {Codes(slot)});
}

bool Evaluator::IsSigned(const Slot& codes) const {
  const auto* value = std::get_if<c10::IValue>(&codes);
  return value != nullptr ? value->toTensor().scalar_type() == at::kQInt8 : std::get<Symbol>(codes).is_signed;
}

ValueId Evaluator::Real(const Slot& slot) {
  if (const auto* symbol = std::get_if<Symbol>(&slot)) {
    return symbol->codes ? Emit(OpKind::kDequantize, {symbol->value}) : symbol->value;
  }
  if (std::holds_alternative<SymbolicBool>(slot)) {
    Refuse(absl::StrCat("the truth of a tensor is an operand of ", source_op_), "use the tensor itself");
  }
  if (std::holds_alternative<Extent>(slot) || std::holds_alternative<Unknown>(slot)) {
    Refuse(absl::StrCat("an operand of ", source_op_, " depends on the shape of the input"),
           "write it as a constant of the model");
  }
  const c10::IValue& value = Concrete(slot, "operand");
  if (value.isTensor()) return Constant(value.toTensor());
  if (value.isDouble() || value.isInt() || value.isBool()) {
    return Constant(at::scalar_tensor(value.toScalar(), at::kFloat));
  }
  Refuse(absl::StrCat("an operand of ", source_op_, " is a ", value.tagKind()), "export the model again");
}

ValueId Evaluator::Operand(const Slot& slot, const Slot& beside) {
  const auto* value = std::get_if<c10::IValue>(&slot);
  const auto* symbol = std::get_if<Symbol>(&beside);
  if (value != nullptr && value->isInt() && symbol != nullptr && !symbol->codes &&
      !at::isFloatingType(TypeOf(symbol->value))) {
    return Constant(at::scalar_tensor(value->toScalar(), at::kLong));
  }
  return Real(slot);
}

at::ScalarType Evaluator::TypeOf(ValueId value) const {
  const auto it = types_.find(value);
  return it == types_.end() ? at::kFloat : it->second;
}

at::ScalarType Evaluator::ResultType(const graph::Node& node, std::size_t output) const {
  if (const auto* constant = std::get_if<graph::ConstantAttributes>(&node.attributes)) {
    return execution::TorchType(constant->value.dtype());
  }
  switch (node.kind) {
    case OpKind::kGreater:
    case OpKind::kGreaterEqual:
    case OpKind::kLess:
    case OpKind::kLessEqual:
      return at::kBool;
    case OpKind::kAdd:
    case OpKind::kSub:
    case OpKind::kMul: {
      const at::ScalarType a = TypeOf(node.inputs[0]), b = TypeOf(node.inputs[1]);
      return at::isFloatingType(a) || at::isFloatingType(b) ? at::kFloat : c10::promoteTypes(a, b);
    }
    case OpKind::kFlatten:
    case OpKind::kReshape:
    case OpKind::kPermute:
    case OpKind::kConcat:
      return TypeOf(node.inputs[0]);
    case OpKind::kOperator:
      break;
    default:
      return at::kFloat;
  }
  const auto& call = std::get<graph::OperatorAttributes>(node.attributes);
  if (call.name == "aten::to") {
    const auto* type = call.arguments.size() > 1 ? std::get_if<std::int64_t>(&call.arguments[1]) : nullptr;
    return type == nullptr ? at::kFloat : static_cast<at::ScalarType>(*type);
  }
  if (GivesBools(call.name)) return at::kBool;
  if (call.name == "aten::argmax" || call.name == "aten::argmin" || (output == 1 && GivesIndices(call.name))) {
    return at::kLong;
  }
  return graph::MovesElements(call.name) && !node.inputs.empty() ? TypeOf(node.inputs[0]) : at::kFloat;
}

Symbol Evaluator::QuantizeLike(ValueId real, const Symbol& codes) {
  return {Emit(OpKind::kQuantizeLike, {real, codes.value}), true, codes.is_signed};
}

Slot Evaluator::Like(ValueId real, const Slot& x) {
  return IsCodes(x) ? QuantizeLike(real, std::get<Symbol>(x)) : Symbol{real};
}

Slot Evaluator::EmitLike(OpKind kind, const Slot& x, graph::Attributes attributes) {
  return Like(Emit(kind, {Real(x)}, std::move(attributes)), x);
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

ValueId Evaluator::CodeConstant(graph::ConstantAttributes constant) {
  graph::Block* outer = block_;
  block_ = &constants_;
  const ValueId id = Emit(OpKind::kConstant, {}, std::move(constant));
  const ValueId real = Emit(OpKind::kDequantize, {id});
  block_ = outer;
  return real;
}

const graph::ConstantAttributes* Evaluator::CodesBehind(ValueId real) const {
  const graph::Node* dequantize = graph_.producer(real);
  if (dequantize == nullptr || dequantize->kind != OpKind::kDequantize) return nullptr;
  const graph::Node* constant = graph_.producer(dequantize->inputs[0]);
  return constant == nullptr ? nullptr : std::get_if<graph::ConstantAttributes>(&constant->attributes);
}

std::optional<ValueId> Evaluator::TransposedCodes(ValueId real) {
  const graph::ConstantAttributes* found = CodesBehind(real);
  if (found == nullptr || found->value.shape().size() != 2) return std::nullopt;
  const auto transpose = [](const graph::Tensor& tensor) {
    return *execution::FromTorch(execution::ToTorch(tensor).t().contiguous());
  };
  numerics::QuantParams params = *found->qparams;
  if (params.per_channel()) params.axis = 1 - params.axis;
  graph::ConstantAttributes constant{.value = transpose(found->value), .qparams = std::move(params)};
  if (found->origin != nullptr) {
    graph::WeightOrigin origin = *found->origin;
    if (origin.real.defined()) origin.real = transpose(origin.real);
    constant.origin = std::make_shared<const graph::WeightOrigin>(std::move(origin));
  }
  return CodeConstant(std::move(constant));
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
  return CodeConstant({.value = Copy(at::int_repr(tensor).to(at::kInt)), .qparams = std::move(params)});
}

void Evaluator::Notice(graph::NoticeKind kind, std::string detail) {
  for (const graph::Notice& notice : graph_.notices) {  // a module that is called twice
    if (notice.kind == kind && notice.module_path == path()) return;
  }
  graph_.notices.push_back({kind, path(), std::move(detail)});
}

}  // namespace qatgap::frontends::torchscript
