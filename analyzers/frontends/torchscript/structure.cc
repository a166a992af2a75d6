// What is no operator on tensors: calls, attributes, questions about types.
#include <set>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/torchscript/evaluator.h"

namespace qatgap::frontends::torchscript {
namespace {

bool IsObserver(const c10::ClassType& type) {
  return type.name() && type.name()->qualifiedName().find("quantization.observer.") != std::string::npos;
}

}  // namespace

bool Evaluator::EvaluateStructure(const torch::jit::Node* node, Frame& frame, const Inputs& inputs) {
  const c10::Symbol kind = node->kind();
  const auto set_unknown = [&] {
    for (const torch::jit::Value* output : node->outputs()) frame[output] = Unknown{};
    return true;
  };
  if (kind == c10::prim::CallMethod || kind == c10::prim::CallFunction) {
    EvaluateCall(node, frame, inputs);
    return true;
  }
  if (kind == c10::prim::GetAttr) {
    const auto* object = std::get_if<c10::IValue>(&inputs[0]);
    if (object == nullptr) return set_unknown();
    frame[node->output()] = object->toObject()->getAttr(node->s(c10::attr::name));
    return true;
  }
  if (kind == c10::prim::RaiseException) {
    const auto* text = std::get_if<c10::IValue>(&inputs[0]);
    const std::string message = text != nullptr && text->isString() ? text->toStringRef() : "";
    Refuse(absl::StrCat("the model raises an error ('", message, "')"), "mend the model and export it again");
  }
  if (kind == c10::prim::SetAttr) {
    if (std::holds_alternative<Unknown>(inputs[0])) return true;  // of a no_grad context
    Refuse(absl::StrCat("attribute '", node->s(c10::attr::name), "' changes while the model runs"),
           "export a model whose forward() does not assign to its attributes");
  }
  static const std::set<std::string> kWithoutEffect = {
      "prim::CreateObject", "prim::Enter", "prim::Exit", "prim::Print", "aten::warn",
      "prim::Uninitialized", "aten::is_grad_enabled", "aten::set_grad_enabled"};
  if (kWithoutEffect.contains(source_op_)) return set_unknown();
  return EvaluateQuestion(node, frame, inputs);
}

// Questions about a value that depends on the input, with answers that do not.
bool Evaluator::EvaluateQuestion(const torch::jit::Node* node, Frame& frame, const Inputs& inputs) {
  if (inputs.empty() || std::holds_alternative<c10::IValue>(inputs[0])) return false;
  const auto answer = [&](Slot slot) {
    frame[node->output()] = std::move(slot);
    return true;
  };
  const std::string& name = source_op_;
  if (name == "prim::unchecked_cast" || name == "prim::unchecked_unwrap_optional" || name == "aten::_unwrap_optional") {
    return answer(inputs[0]);
  }
  if ((name == "aten::__is__" || name == "aten::__isnot__") && inputs.size() == 2 && IsNone(inputs[1])) {
    if (std::holds_alternative<Unknown>(inputs[0])) return false;
    return answer(c10::IValue(name == "aten::__isnot__"));
  }
  const auto* symbol = std::get_if<Symbol>(&inputs[0]);
  if (symbol == nullptr) return false;
  if (node->kind() == c10::prim::dtype) {
    const at::ScalarType type =
        symbol->codes ? (symbol->is_signed ? at::kQInt8 : at::kQUInt8) : TypeOf(symbol->value);
    return answer(c10::IValue(static_cast<std::int64_t>(type)));
  }
  if (node->kind() == c10::prim::device) return answer(c10::IValue(c10::Device(c10::kCPU)));
  if (name == "prim::layout") return answer(c10::IValue(static_cast<std::int64_t>(at::kStrided)));
  static const std::set<std::string> kNo = {"prim::is_cuda", "prim::requires_grad", "aten::requires_grad",
                                            "prim::is_nested", "prim::is_sparse", "prim::is_meta", "prim::is_mkldnn",
                                            "aten::is_complex"};
  if (kNo.contains(name)) return answer(c10::IValue(false));
  if (name == "prim::is_quantized") return answer(c10::IValue(symbol->codes));
  if (name == "prim::is_cpu" || name == "aten::is_contiguous") return answer(c10::IValue(true));
  if (name == "aten::is_floating_point") {
    return answer(c10::IValue(!symbol->codes && at::isFloatingType(TypeOf(symbol->value))));
  }
  return false;
}

void Evaluator::EvaluateCall(const torch::jit::Node* node, Frame& frame, const Inputs& inputs) {
  std::vector<Slot> outputs;
  if (node->kind() == c10::prim::CallFunction) {
    const auto function = node->inputs()[0]->type()->expect<c10::FunctionType>()->function();
    outputs = Call(*function, Inputs(inputs.begin() + 1, inputs.end()));
  } else {
    const auto* self = std::get_if<c10::IValue>(&inputs[0]);
    if (self == nullptr || !self->isObject()) {  // a context manager of no_grad
      for (const torch::jit::Value* output : node->outputs()) frame[output] = Unknown{};
      return;
    }
    const auto type = self->toObject()->type();
    if (node->s(c10::attr::name) == "forward" && inputs.size() == 2 && IsSymbolic(inputs[1]) && IsObserver(*type)) {
      // Observers never run: a plain FakeQuantize calls one when it is left on, and uses the range it has.
      const auto it = paths_.find(self->toObject().get());
      graph_.notices.push_back({graph::NoticeKind::kObserverFrozen, it == paths_.end() ? path() : it->second,
                                "the observer is on: every run of the model would move this range"});
      outputs = {inputs[1]};
    } else {
      outputs = Call(type->getMethod(node->s(c10::attr::name)), inputs);
    }
  }
  for (std::size_t i = 0; i < node->outputs().size(); ++i) frame[node->outputs()[i]] = outputs.at(i);
}

}  // namespace qatgap::frontends::torchscript
