// kOperator nodes: an operator of LibTorch's registry, called through its dispatcher.
#include <ATen/core/List.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/scalar_tensor.h>

#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "analyzers/execution/operators.h"
#include "analyzers/graph/operator_names.h"

namespace qatgap::execution {
namespace {

using graph::Argument;

c10::IValue ToList(const graph::TensorListArgument& list, const c10::TypePtr& type, std::span<const at::Tensor> in) {
  const auto element = type->cast<c10::ListType>();
  if (element != nullptr && element->getElementType()->kind() == c10::TypeKind::OptionalType) {
    c10::List<std::optional<at::Tensor>> tensors;
    for (const int input : list.inputs) {
      tensors.push_back(input < 0 ? std::nullopt : std::optional<at::Tensor>(in[static_cast<std::size_t>(input)]));
    }
    return tensors;
  }
  c10::List<at::Tensor> tensors;
  for (const int input : list.inputs) tensors.push_back(in[static_cast<std::size_t>(input)]);
  return tensors;
}

struct ToIValue {
  const c10::TypePtr& type;
  std::span<const at::Tensor> in;

  bool wants_double() const { return type->kind() == c10::TypeKind::FloatType; }
  c10::IValue operator()(std::monostate) const { return {}; }
  c10::IValue operator()(const graph::TensorArgument& tensor) const { return in[static_cast<std::size_t>(tensor.input)]; }
  c10::IValue operator()(const graph::TensorListArgument& list) const { return ToList(list, type, in); }
  c10::IValue operator()(bool value) const { return value; }
  c10::IValue operator()(std::int64_t value) const {
    if (wants_double()) return static_cast<double>(value);
    const auto list = type->cast<c10::ListType>();  // int[2]: one number stands for all
    if (list == nullptr) return value;
    return c10::List<std::int64_t>({value});
  }
  c10::IValue operator()(double value) const { return value; }
  c10::IValue operator()(const std::string& value) const { return value; }
  c10::IValue operator()(const std::vector<std::int64_t>& values) const {
    const auto list = type->cast<c10::ListType>();
    if (list == nullptr || list->getElementType()->kind() != c10::TypeKind::FloatType) return values;
    return c10::IValue(std::vector<double>(values.begin(), values.end()));
  }
  c10::IValue operator()(const std::vector<double>& values) const { return values; }
  c10::IValue operator()(const std::vector<bool>& values) const {
    c10::List<bool> list;
    for (const bool value : values) list.push_back(value);
    return list;
  }
};

// The type behind `T?`.
c10::TypePtr Required(const c10::TypePtr& type) {
  const auto optional = type->cast<c10::OptionalType>();
  return optional == nullptr ? type : optional->getElementType();
}

void AppendTensors(const c10::IValue& result, std::vector<at::Tensor>& tensors) {
  if (result.isTensor()) {
    tensors.push_back(result.toTensor());
  } else if (result.isTensorList()) {
    for (const at::Tensor& tensor : result.toTensorVector()) tensors.push_back(tensor);
  } else if (result.isScalar()) {
    tensors.push_back(at::scalar_tensor(result.toScalar()));
  } else {
    throw std::runtime_error(absl::StrCat("gives a ", result.tagKind(), ", not tensors"));
  }
}

}  // namespace

std::vector<at::Tensor> RunOperatorNode(const graph::Node& node, std::span<const at::Tensor> in) {
  const auto& call = std::get<graph::OperatorAttributes>(node.attributes);
  const std::string full_name = absl::StrCat(call.name, call.overload.empty() ? "" : ".", call.overload);
  if (!graph::IsAllowedOperator(call.name)) throw std::runtime_error(absl::StrCat("operator ", full_name, " is not on the list"));
  const auto handle = c10::Dispatcher::singleton().findSchema({call.name, call.overload});
  if (!handle) throw std::runtime_error(absl::StrCat("LibTorch has no operator ", full_name));
  const auto& parameters = handle->schema().arguments();
  if (call.arguments.size() > parameters.size()) {
    throw std::runtime_error(absl::StrCat(full_name, " takes ", parameters.size(), " arguments, ", call.arguments.size(),
                                          " were given"));
  }
  torch::jit::Stack stack;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (i < call.arguments.size()) {
      const c10::TypePtr type = Required(parameters[i].type());
      stack.push_back(std::visit(ToIValue{type, in}, call.arguments[i]));
    } else if (const auto& value = parameters[i].default_value()) {
      stack.push_back(*value);
    } else {
      throw std::runtime_error(absl::StrCat(full_name, " lacks its argument '", parameters[i].name(), "'"));
    }
  }
  handle->callBoxed(stack);
  std::vector<at::Tensor> results;
  for (const c10::IValue& result : stack) AppendTensors(result, results);
  if (results.size() < node.outputs.size()) {
    throw std::runtime_error(absl::StrCat(full_name, " gives ", results.size(), " tensors, the model uses ",
                                          node.outputs.size()));
  }
  results.resize(node.outputs.size());
  return results;
}

}  // namespace qatgap::execution
