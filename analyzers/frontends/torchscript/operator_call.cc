// Operators without a handler of their own: kOperator nodes, called by name through LibTorch's dispatcher.
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/function_schema.h>

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/torchscript/evaluator.h"
#include "analyzers/graph/operator_names.h"

namespace qatgap::frontends::torchscript {
namespace {

// Arguments that say where or how memory is laid out, not what the result is.
bool IsPlacement(const std::string& parameter) {
  static const std::set<std::string> kNames = {"device", "layout", "memory_format", "generator", "pin_memory"};
  return kNames.contains(parameter);
}

// How many tensors an operator that gives a list gives; 0: not known.
std::size_t PieceCount(const torch::jit::Node* node, const Evaluator::Inputs& in, const std::string& name,
                       const ShapeTable& shapes) {
  const auto& uses = node->output()->uses();
  for (const torch::jit::Use& use : uses) {
    if (use.user->kind() == c10::prim::ListUnpack) return use.user->outputs().size();
  }
  const auto constant = [&](std::size_t i) -> const c10::IValue* {
    return i < in.size() ? std::get_if<c10::IValue>(&in[i]) : nullptr;
  };
  const c10::IValue* pieces = constant(1);
  if (pieces != nullptr && pieces->isIntList() && (name == "aten::split" || name == "aten::split_with_sizes")) {
    return pieces->toIntVector().size();
  }
  if (pieces != nullptr && pieces->isIntList() && name == "aten::tensor_split") return pieces->toIntVector().size() + 1;
  if (pieces != nullptr && pieces->isInt() && pieces->toInt() > 0 && name == "aten::tensor_split") {
    return static_cast<std::size_t>(pieces->toInt());
  }
  const auto* x = std::get_if<Symbol>(&in[0]);
  const SymbolicShape* shape = x == nullptr ? nullptr : shapes.Find(x->value);
  const c10::IValue* axis = constant(name == "aten::unbind" ? 1 : 2);
  const auto at = shape != nullptr && axis != nullptr && axis->isInt() ? AxisFromStart(axis->toInt(), shape->size())
                                                                      : std::nullopt;
  if (at && (*shape)[*at].is_number()) {
    const std::int64_t size = (*shape)[*at].numerator;
    if (name == "aten::unbind") return static_cast<std::size_t>(size);
    if (pieces != nullptr && pieces->isInt() && pieces->toInt() > 0 && size > 0) {
      const std::int64_t piece = name == "aten::chunk" ? (size - 1) / pieces->toInt() + 1 : pieces->toInt();
      return static_cast<std::size_t>((size - 1) / piece + 1);
    }
  }
  // Read by constant indices alone: as many as are read.
  std::size_t count = 0;
  for (const torch::jit::Use& use : uses) {
    const bool item = use.user->kind() == c10::aten::__getitem__;
    const auto index = item ? torch::jit::toIValue(use.user->inputs()[1]) : std::optional<c10::IValue>();
    if (!index || !index->isInt() || index->toInt() < 0) {
      const bool wanted = name == "aten::chunk" && pieces != nullptr && pieces->isInt() && pieces->toInt() > 0;
      return wanted ? static_cast<std::size_t>(pieces->toInt()) : 0;
    }
    count = std::max(count, static_cast<std::size_t>(index->toInt()) + 1);
  }
  return count;
}

}  // namespace

bool HasKernelOnCodes(std::string_view name) {
  static const std::set<std::string_view> kNames = {
      "aten::leaky_relu", "aten::masked_fill", "aten::max", "aten::min", "aten::reflection_pad1d", "aten::reflection_pad2d",
      "aten::sort", "aten::stack", "aten::threshold", "aten::topk", "aten::upsample_bilinear2d"};
  return graph::MovesElements(name) || graph::Averages(name) || kNames.contains(name);
}

graph::Argument Evaluator::ToArgument(const c10::Argument& parameter, const Slot& slot, std::vector<graph::ValueId>& inputs) {
  const auto add_tensor = [&](const Slot& tensor) {
    inputs.push_back(Real(tensor));
    return static_cast<int>(inputs.size()) - 1;
  };
  const auto refuse_shape = [&] {
    Refuse(absl::StrCat("argument '", parameter.name(), "' of ", source_op_, " depends on the shape of the input"),
           "make it a constant of the model");
  };
  if (IsPlacement(parameter.name()) || IsNone(slot)) return std::monostate{};
  if (std::holds_alternative<Symbol>(slot)) return graph::TensorArgument{add_tensor(slot)};
  if (std::holds_alternative<SymbolicBool>(slot)) Refuse(absl::StrCat("the truth of a tensor is an operand of ", source_op_),
                                                         "use the tensor itself");
  if (std::holds_alternative<Unknown>(slot) || std::holds_alternative<Extent>(slot)) refuse_shape();
  const auto tensors = [&](const std::vector<Slot>& items) {
    graph::TensorListArgument list;
    for (const Slot& item : items) list.inputs.push_back(IsNone(item) ? -1 : add_tensor(item));
    return list;
  };
  if (const auto* list = std::get_if<std::shared_ptr<SlotList>>(&slot)) {
    const bool of_sizes = std::any_of((*list)->items.begin(), (*list)->items.end(), [](const Slot& item) {
      return std::holds_alternative<Extent>(item) || std::holds_alternative<Unknown>(item);
    });
    if (of_sizes) refuse_shape();
    if (std::all_of((*list)->items.begin(), (*list)->items.end(), [](const Slot& item) {
          const auto* value = std::get_if<c10::IValue>(&item);
          return value != nullptr && value->isInt();
        })) {
      return Ints(slot, parameter.name());
    }
    return tensors((*list)->items);
  }
  const c10::IValue& value = Concrete(slot, parameter.name());
  if (value.isTensor()) return graph::TensorArgument{add_tensor(slot)};
  if (value.isBool()) return value.toBool();
  if (value.isInt()) return value.toInt();
  if (value.isDouble()) return value.toDouble();
  if (value.isString()) return value.toStringRef();
  if (value.isIntList()) return value.toIntVector();
  if (value.isDoubleList()) return value.toDoubleVector();
  if (value.isBoolList()) {
    std::vector<bool> bools;
    for (const bool item : value.toBoolList()) bools.push_back(item);
    return bools;
  }
  if (value.isList()) return tensors(Items(slot, parameter.name()));
  Refuse(absl::StrCat("argument '", parameter.name(), "' of ", source_op_, " is a ", value.tagKind()),
         "export the model without it");
}

bool Evaluator::CallByName(const torch::jit::Node* node, Frame& frame, const Inputs& inputs, const std::string& pure_name) {
  const c10::FunctionSchema* schema = node->maybeSchema();
  if (schema == nullptr || !graph::IsAllowedOperator(pure_name)) return false;
  std::string name = pure_name;
  std::string overload = schema->overload_name();
  if (name == "aten::split" && overload.empty()) name = "aten::split_with_sizes";  // TorchScript's own name of it
  const auto handle = c10::Dispatcher::singleton().findSchema({name, overload});
  if (!handle) return false;
  const Slot* operand = inputs.empty() ? nullptr : &inputs[0];
  if (operand != nullptr && std::holds_alternative<std::shared_ptr<SlotList>>(*operand) &&
      !std::get<std::shared_ptr<SlotList>>(*operand)->items.empty()) {
    operand = &std::get<std::shared_ptr<SlotList>>(*operand)->items.front();
  }
  const bool codes = operand != nullptr && IsCodes(*operand);
  const bool any_codes = std::any_of(inputs.begin(), inputs.end(), [](const Slot& slot) { return IsCodes(slot); });
  if ((codes || any_codes) && !(codes && HasKernelOnCodes(name)) && name != "aten::eq" && name != "aten::ne") {
    Refuse(absl::StrCat("operator ", source_op_, " on a quantized tensor has no kernel in PyTorch"),
           "dequantize in front of it");
  }
  const Symbol like = codes ? std::get<Symbol>(*operand) : Symbol{};
  graph::OperatorAttributes call{name, overload, {}};
  std::vector<graph::ValueId> operands;
  const auto& parameters = handle->schema().arguments();
  for (std::size_t i = 0; i < inputs.size() && i < parameters.size(); ++i) {
    call.arguments.push_back(ToArgument(parameters[i], inputs[i], operands));
  }
  const bool gives_list = node->outputs().size() == 1 && node->output()->type()->kind() == c10::TypeKind::ListType;
  std::size_t count = node->outputs().size();
  if (gives_list) {
    count = PieceCount(node, inputs, name, shapes_);
    if (count == 0 || count > 10000) {
      Refuse(absl::StrCat("the number of tensors that ", source_op_, " gives depends on the input"),
             "unpack its result into a fixed number of names");
    }
  }
  const std::vector<graph::ValueId> results =
      AddNode(graph::OpKind::kOperator, std::move(operands), std::move(call), static_cast<int>(count));
  std::vector<Slot> slots;
  for (const graph::ValueId result : results) {
    const bool requantize = codes && at::isFloatingType(TypeOf(result));
    slots.push_back(requantize ? QuantizeLike(result, like) : Symbol{result});
  }
  if (gives_list) {
    frame[node->output()] = std::make_shared<SlotList>(SlotList{.items = std::move(slots), .branch = branch_});
  } else {
    for (std::size_t i = 0; i < count; ++i) frame[node->outputs()[i]] = slots[i];
  }
  return true;
}

}  // namespace qatgap::frontends::torchscript
