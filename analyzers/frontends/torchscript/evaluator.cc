#include "analyzers/frontends/torchscript/evaluator.h"

#include <ATen/core/function.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends::torchscript {
namespace {

constexpr std::int64_t kMaxSteps = 4'000'000;  // nodes evaluated: bounds unrolled loops
constexpr int kMaxDepth = 200;                 // calls

bool AllConcrete(const Evaluator::Inputs& inputs) {
  return std::all_of(inputs.begin(), inputs.end(),
                     [](const Slot& slot) { return std::holds_alternative<c10::IValue>(slot); });
}

bool IsObserver(const c10::ClassType& type) {
  return type.name() && type.name()->qualifiedName().find("quantization.observer.") != std::string::npos;
}

}  // namespace

bool IsSymbolic(const Slot& slot) {
  if (std::holds_alternative<Symbol>(slot) || std::holds_alternative<SymbolicBool>(slot)) return true;
  const auto* list = std::get_if<std::shared_ptr<SlotList>>(&slot);
  return list != nullptr && std::any_of((*list)->items.begin(), (*list)->items.end(), IsSymbolic);
}

std::string FirstLine(const std::exception& error) {
  const std::string what = error.what();
  const std::size_t begin = what.find_first_not_of(" \n");  // some messages start with an empty line
  if (begin == std::string::npos) return "no reason given";
  std::string line = what.substr(begin, what.find('\n', begin) - begin);
  const std::size_t address = line.find(" (of Python compilation unit at");
  if (address != std::string::npos) line.erase(address, line.find(')', address) + 1 - address);
  return line;
}

Evaluator::Evaluator(const torch::jit::Module& module) : module_(module) { NamePaths(module, ""); }

void Evaluator::NamePaths(const torch::jit::Module& module, const std::string& path) {
  // A module that is reachable by two names keeps the first.
  if (!paths_.emplace(module._ivalue().get(), path).second) return;
  for (const auto& child : module.named_children()) {
    NamePaths(child.value, path.empty() ? child.name : absl::StrCat(path, ".", child.name));
  }
}

void Evaluator::Refuse(std::string_view what, std::string_view remedy) const {
  throw ImportError(absl::FailedPreconditionError(
      absl::StrCat(Text(what), " in module '", path().empty() ? "<root>" : path(), "'; ", Text(remedy))));
}

void Evaluator::Run() {
  const auto method = module_.find_method("forward");
  if (!method) {
    throw ImportError(absl::FailedPreconditionError("the model has no forward method; export the whole model"));
  }
  block_ = &graph_.body;
  Inputs inputs{c10::IValue(module_._ivalue())};
  const auto& arguments = method->function().getSchema().arguments();
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    if (arguments[i].type()->kind() != c10::TypeKind::TensorType) {
      if (arguments[i].default_value()) {
        inputs.emplace_back(*arguments[i].default_value());
        continue;
      }
      throw ImportError(absl::FailedPreconditionError(
          absl::StrCat("input '", arguments[i].name(), "' of the model is a ", arguments[i].type()->str(),
                       ", not a Tensor; export a model whose inputs are tensors")));
    }
    const graph::ValueId input = graph_.AddValue(arguments[i].name());
    graph_.inputs.push_back(input);
    inputs.emplace_back(Symbol{input, false});
  }
  std::vector<Slot> outputs;
  try {
    outputs = Call(method->function(), inputs);
  } catch (const ImportError&) {
    throw;
  } catch (const std::exception& error) {
    Refuse(absl::StrCat("operator ", source_op_, " failed (", FirstLine(error), ")"), "mend the model and export it again");
  }
  for (const Slot& output : outputs) AddOutputs(output, "output");
  graph_.body.nodes.insert(graph_.body.nodes.begin(), constants_.nodes.begin(), constants_.nodes.end());
}

void Evaluator::AddOutputs(const Slot& slot, const std::string& name) {
  if (const auto* list = std::get_if<std::shared_ptr<SlotList>>(&slot)) {
    for (std::size_t i = 0; i < (*list)->items.size(); ++i) AddOutputs((*list)->items[i], absl::StrCat(name, ".", i));
    return;
  }
  if (const auto* symbol = std::get_if<Symbol>(&slot)) {
    graph_.body.outputs.push_back(symbol->value);
    graph_.output_names.push_back(name);
    return;
  }
  throw ImportError(absl::FailedPreconditionError(
      absl::StrCat("the model's ", name, " is not a tensor that depends on its input; return tensors")));
}

std::vector<Slot> Evaluator::Call(torch::jit::Function& function, const Inputs& inputs) {
  if (++depth_ > kMaxDepth) Refuse("calls nested too deeply", "export the model without recursion");
  const auto body = torch::jit::toGraphFunction(function).graph();
  const auto parameters = body->inputs();
  if (parameters.size() != inputs.size()) Refuse("a call with default arguments", "pass every argument");
  Frame frame;
  for (std::size_t i = 0; i < inputs.size(); ++i) frame[parameters[i]] = inputs[i];
  std::string path = path_stack_.back();
  if (const auto* self = inputs.empty() ? nullptr : std::get_if<c10::IValue>(&inputs[0]); self && self->isObject()) {
    const auto it = paths_.find(self->toObject().get());
    if (it != paths_.end()) path = it->second;
  }
  path_stack_.push_back(std::move(path));
  frames_.push_back(&frame);
  std::vector<Slot> outputs = EvaluateBlock(body->block(), frame);
  frames_.pop_back();
  path_stack_.pop_back();
  --depth_;
  return outputs;
}

void Evaluator::CountStep() {
  if (++steps_ > kMaxSteps) Refuse("a loop that runs too long", "unroll it, or give it a constant bound");
}

std::vector<Slot> Evaluator::EvaluateBlock(const torch::jit::Block* block, Frame& frame) {
  for (const torch::jit::Node* node : block->nodes()) {
    CountStep();
    EvaluateNode(node, frame);
  }
  std::vector<Slot> outputs;
  for (const torch::jit::Value* output : block->outputs()) outputs.push_back(frame.at(output));
  return outputs;
}

void Evaluator::EvaluateNode(const torch::jit::Node* node, Frame& frame) {
  const c10::Symbol kind = node->kind();
  if (kind == c10::prim::If) return EvaluateIf(node, frame);
  if (kind == c10::prim::Loop) return EvaluateLoop(node, frame);
  if (kind == c10::prim::Constant) {
    frame[node->output()] = node->output()->type()->kind() == c10::TypeKind::FunctionType
                                ? Slot(Unknown{})
                                : Slot(torch::jit::toIValue(node->output()).value_or(c10::IValue()));
    return;
  }
  Inputs inputs;
  for (const torch::jit::Value* input : node->inputs()) inputs.push_back(frame.at(input));
  source_op_ = kind.toQualString();
  if (EvaluateStructure(node, frame, inputs)) return;
  EvaluateOperator(node, frame, inputs);
}

// Calls, attributes, lists and what has no effect here; false for operators.
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
    if (!AllConcrete(inputs)) return set_unknown();
    frame[node->output()] = Concrete(inputs[0], "object").toObject()->getAttr(node->s(c10::attr::name));
    return true;
  }
  if (kind == c10::prim::RaiseException) {
    const std::string message =
        AllConcrete(inputs) && Concrete(inputs[0], "message").isString() ? Concrete(inputs[0], "message").toStringRef() : "";
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
  if (kWithoutEffect.contains(kind.toQualString())) return set_unknown();
  if (kind == c10::prim::ListConstruct || kind == c10::prim::TupleConstruct) {
    // An empty list of tensors may yet be filled with ones that depend on the input.
    const auto list_type = node->output()->type()->cast<c10::ListType>();
    const bool of_tensors = list_type && list_type->getElementType()->kind() == c10::TypeKind::TensorType;
    if (AllConcrete(inputs) && !(inputs.empty() && of_tensors)) return false;
    frame[node->output()] = std::make_shared<SlotList>(SlotList{inputs, branch_});
    return true;
  }
  if (kind == c10::prim::TupleUnpack || kind == c10::prim::ListUnpack) {
    if (AllConcrete(inputs)) return false;
    const std::size_t count = node->outputs().size();
    if (const auto* unknown = std::get_if<Unknown>(&inputs[0])) {
      for (std::size_t i = 0; i < count; ++i) {
        frame[node->outputs()[i]] = Unknown{unknown->tensor, unknown->axis < 0 ? static_cast<int>(i) : -1};
      }
      return true;
    }
    const std::vector<Slot> items = Items(inputs[0], "tuple");
    for (std::size_t i = 0; i < count; ++i) frame[node->outputs()[i]] = items.at(i);
    return true;
  }
  if (kind == c10::prim::TupleIndex && std::holds_alternative<std::shared_ptr<SlotList>>(inputs[0])) {
    const std::vector<Slot> items = Items(inputs[0], "tuple");
    std::int64_t index = Int(inputs[1], "index");
    if (index < 0) index += static_cast<std::int64_t>(items.size());
    frame[node->output()] = items.at(static_cast<std::size_t>(index));
    return true;
  }
  if (!inputs.empty() && std::holds_alternative<Symbol>(inputs[0])) {
    const Symbol& symbol = std::get<Symbol>(inputs[0]);
    if (kind == c10::prim::dtype) {
      const at::ScalarType code_type = symbol.is_signed ? at::kQInt8 : at::kQUInt8;
      frame[node->output()] = c10::IValue(static_cast<std::int64_t>(symbol.codes ? code_type : at::kFloat));
      return true;
    }
    const std::string name = kind.toQualString();
    if (name == "prim::is_quantized" || name == "prim::is_cuda" || name == "prim::requires_grad") {
      frame[node->output()] = c10::IValue(name == "prim::is_quantized" && symbol.codes);
      return true;
    }
    if (name == "prim::unchecked_cast" || name == "prim::unchecked_unwrap_optional" || name == "aten::_unwrap_optional") {
      frame[node->output()] = inputs[0];
      return true;
    }
    if ((name == "aten::__is__" || name == "aten::__isnot__") && IsNone(inputs[1])) {
      frame[node->output()] = c10::IValue(name == "aten::__isnot__");
      return true;
    }
    if (kind == c10::prim::device) {
      frame[node->output()] = c10::IValue(c10::Device(c10::kCPU));
      return true;
    }
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

// An operator of attributes alone runs as LibTorch would run it. Lists and tuples have no operator of their own.
void Evaluator::Execute(const torch::jit::Node* node, Frame& frame, const Inputs& inputs) {
  torch::jit::Stack stack;
  for (const Slot& input : inputs) stack.push_back(std::get<c10::IValue>(input));
  const c10::Symbol kind = node->kind();
  const std::size_t count = node->outputs().size();
  if (kind == c10::prim::ListConstruct) {
    c10::impl::GenericList list(node->output()->type()->expectRef<c10::ListType>().getElementType());
    for (c10::IValue& item : stack) list.push_back(std::move(item));
    stack = {c10::IValue(std::move(list))};
  } else if (kind == c10::prim::TupleConstruct) {
    stack = {c10::ivalue::Tuple::create(std::move(stack))};
  } else if (kind == c10::prim::TupleUnpack) {
    stack = torch::jit::Stack(stack.at(0).toTupleRef().elements().vec());
  } else if (kind == c10::prim::ListUnpack) {
    stack = stack.at(0).toListRef().vec();
  } else {
    static const std::set<std::string> kTouchFiles = {"aten::save", "aten::from_file"};
    const bool known_space = kind.is_aten() || kind.is_prim() || kind.ns() == c10::Symbol::fromQualString("namespaces::quantized");
    if (!known_space || kTouchFiles.contains(source_op_) || node->maybeOperator() == nullptr) {
      Refuse(absl::StrCat("operator ", source_op_, " is not supported"), "export the model without it");
    }
    node->getOperation()(stack);
  }
  if (stack.size() < count) Refuse(absl::StrCat(source_op_, " gives too few values"), "export the model again");
  for (std::size_t i = 0; i < count; ++i) frame[node->outputs()[i]] = stack[stack.size() - count + i];
}

void Evaluator::EvaluateOperator(const torch::jit::Node* node, Frame& frame, const Inputs& inputs) {
  const std::string name = source_op_;
  if (const Handler handler = FindFakeQuantOperator(name)) {
    frame[node->output()] = handler(*this, inputs);
    return;
  }
  if (AllConcrete(inputs)) return Execute(node, frame, inputs);
  if (EvaluateListOperator(node, frame, inputs)) return;
  if (name == "aten::__getitem__" && std::holds_alternative<Unknown>(inputs[0])) {  // one extent of x.shape
    const auto* sizes = std::get_if<Unknown>(&inputs[0]);
    const auto* index = std::get_if<c10::IValue>(&inputs[1]);
    const bool extent = sizes->axis < 0 && index != nullptr && index->isInt() && index->toInt() >= 0 && index->toInt() < 8;
    frame[node->output()] = extent ? Unknown{sizes->tensor, static_cast<int>(index->toInt())} : Unknown{};
    return;
  }
  if (std::none_of(inputs.begin(), inputs.end(), IsSymbolic)) {  // arithmetic on shapes
    for (const torch::jit::Value* output : node->outputs()) frame[output] = Unknown{};
    return;
  }
  // In place: the pure operator, and the name now means its result.
  const bool in_place = name.size() > 1 && name.back() == '_' && name[name.size() - 2] != '_';
  const std::string pure = in_place ? name.substr(0, name.size() - 1) : name;
  Handler handler = FindQuantizedOperator(pure);
  if (handler != nullptr) saw_quantized_operator_ = true;
  if (handler == nullptr) handler = FindFloatOperator(pure);
  if (handler == nullptr) {
    Refuse(absl::StrCat("operator ", name, " is not supported"),
           "replace it by supported operators (docs/operators.md lists them), or export the part of the model before it");
  }
  const Slot result = handler(*this, inputs);
  if (in_place && std::holds_alternative<Symbol>(inputs[0])) Overwrite(std::get<Symbol>(inputs[0]), result);
  frame[node->output()] = result;
}

// Every name of the tensor, in every call being evaluated, now means `result`. Views of it are not followed.
void Evaluator::Overwrite(const Symbol& target, const Slot& result) {
  if (target.value < first_value_of_branch_) {
    Refuse(absl::StrCat(source_op_, " changes, inside a branch, a tensor made outside of it"),
           "use the operator that is not in place");
  }
  const auto overwrite = [&](auto& self, Slot& slot) -> void {
    if (const auto* symbol = std::get_if<Symbol>(&slot)) {
      if (symbol->value == target.value && symbol->copy == target.copy) slot = result;
    } else if (const auto* list = std::get_if<std::shared_ptr<SlotList>>(&slot)) {
      for (Slot& item : (*list)->items) self(self, item);
    }
  };
  for (Frame* frame : frames_) {
    for (auto& [value, slot] : *frame) overwrite(overwrite, slot);
  }
}

// Operators on lists of tensors that depend on the input; false when this is none.
bool Evaluator::EvaluateListOperator(const torch::jit::Node* node, Frame& frame, const Inputs& inputs) {
  const auto* slot = inputs.empty() ? nullptr : std::get_if<std::shared_ptr<SlotList>>(&inputs[0]);
  if (slot == nullptr) return false;
  SlotList& list = **slot;
  const auto size = static_cast<std::int64_t>(list.items.size());
  if (source_op_ == "aten::len") {
    frame[node->output()] = c10::IValue(size);
  } else if (source_op_ == "aten::list") {
    frame[node->output()] = std::make_shared<SlotList>(SlotList{list.items, branch_});
  } else if (source_op_ == "aten::__getitem__") {
    std::int64_t index = Int(inputs[1], "index");
    if (index < 0) index += size;
    if (index < 0 || index >= size) Refuse("an index outside of its list", "mend the model and export it again");
    frame[node->output()] = list.items[static_cast<std::size_t>(index)];
  } else if (source_op_ == "aten::append") {
    if (list.branch != branch_) {
      Refuse("a branch that appends to a list made outside of it", "return tensors from both sides of the branch");
    }
    list.items.push_back(inputs[1]);
    frame[node->output()] = *slot;
  } else {
    return false;
  }
  return true;
}

}  // namespace qatgap::frontends::torchscript
