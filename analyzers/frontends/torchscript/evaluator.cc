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

// True when evaluating the block certainly raises.
bool Raises(const torch::jit::Block* block) {
  for (const torch::jit::Node* node : block->nodes()) {
    if (node->kind() == c10::prim::RaiseException) return true;
    if (node->kind() == c10::prim::If && Raises(node->blocks()[0]) && Raises(node->blocks()[1])) return true;
  }
  return false;
}

bool AllConcrete(const Evaluator::Inputs& inputs) {
  return std::all_of(inputs.begin(), inputs.end(),
                     [](const Slot& slot) { return std::holds_alternative<c10::IValue>(slot); });
}

bool AnySymbol(const Evaluator::Inputs& inputs) {
  return std::any_of(inputs.begin(), inputs.end(), [](const Slot& slot) {
    return std::holds_alternative<Symbol>(slot) || std::holds_alternative<SymbolicBool>(slot) ||
           std::holds_alternative<std::shared_ptr<SlotList>>(slot);
  });
}

}  // namespace

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
  const std::vector<Slot> outputs = Call(method->function(), inputs);
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
  std::vector<Slot> outputs = EvaluateBlock(body->block(), frame);
  path_stack_.pop_back();
  --depth_;
  return outputs;
}

std::vector<Slot> Evaluator::EvaluateBlock(const torch::jit::Block* block, Frame& frame) {
  for (const torch::jit::Node* node : block->nodes()) {
    if (++steps_ > kMaxSteps) Refuse("a loop that runs too long", "unroll it, or give it a constant bound");
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
  static const std::set<std::string> kWithoutEffect = {
      "prim::SetAttr", "prim::CreateObject", "prim::Enter", "prim::Exit", "prim::Print", "aten::warn",
      "prim::Uninitialized", "aten::is_grad_enabled", "aten::set_grad_enabled"};
  if (kWithoutEffect.contains(kind.toQualString())) return set_unknown();
  if (kind == c10::prim::ListConstruct || kind == c10::prim::TupleConstruct) {
    if (AllConcrete(inputs)) return false;
    auto list = std::make_shared<SlotList>();
    list->items = inputs;
    list->is_tuple = kind == c10::prim::TupleConstruct;
    frame[node->output()] = std::move(list);
    return true;
  }
  if (kind == c10::prim::TupleUnpack || kind == c10::prim::ListUnpack) {
    if (AllConcrete(inputs)) return false;
    if (std::holds_alternative<Unknown>(inputs[0])) return set_unknown();
    const std::vector<Slot> items = Items(inputs[0], "tuple");
    for (std::size_t i = 0; i < node->outputs().size(); ++i) frame[node->outputs()[i]] = items.at(i);
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
    if (kind == c10::prim::dtype) {
      frame[node->output()] = c10::IValue(static_cast<std::int64_t>(IsCodes(inputs[0]) ? at::kQUInt8 : at::kFloat));
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
    torch::jit::Function& method = self->toObject()->type()->getMethod(node->s(c10::attr::name));
    outputs = Call(method, inputs);
  }
  for (std::size_t i = 0; i < node->outputs().size(); ++i) frame[node->outputs()[i]] = outputs.at(i);
}

void Evaluator::EvaluateIf(const torch::jit::Node* node, Frame& frame) {
  saw_script_ = true;  // tracing leaves no branches
  const Slot condition = frame.at(node->inputs()[0]);
  const torch::jit::Block* taken = nullptr;
  if (const auto* value = std::get_if<c10::IValue>(&condition)) {
    taken = node->blocks()[value->toBool() ? 0 : 1];
  } else if (const auto* symbolic = std::get_if<SymbolicBool>(&condition)) {
    return EmitIf(node, symbolic->value, frame);
  } else if (Raises(node->blocks()[0])) {
    taken = node->blocks()[1];  // a check of the input's shape: assume that it holds
  } else if (Raises(node->blocks()[1])) {
    taken = node->blocks()[0];
  } else {
    Refuse("a branch that depends on the shape of the input", "trace the model, or make the branch constant");
  }
  const std::vector<Slot> outputs = EvaluateBlock(taken, frame);
  for (std::size_t i = 0; i < outputs.size(); ++i) frame[node->outputs()[i]] = outputs[i];
}

void Evaluator::EmitIf(const torch::jit::Node* node, graph::ValueId predicate, Frame& frame) {
  graph::IfAttributes branches;
  graph::Block* outer = block_;
  std::vector<std::vector<Slot>> results;
  for (const std::size_t side : {0U, 1U}) {
    block_ = side == 0 ? &branches.then_block : &branches.else_block;
    results.push_back(EvaluateBlock(node->blocks()[side], frame));
  }
  std::vector<bool> codes;
  for (std::size_t i = 0; i < results[0].size(); ++i) {
    const bool both = IsCodes(results[0][i]) && IsCodes(results[1][i]);
    codes.push_back(both);
    block_ = &branches.then_block;
    branches.then_block.outputs.push_back(both ? Codes(results[0][i]) : Real(results[0][i]));
    block_ = &branches.else_block;
    branches.else_block.outputs.push_back(both ? Codes(results[1][i]) : Real(results[1][i]));
  }
  block_ = outer;
  source_op_ = "prim::If";
  const graph::NodeId id = graph_.AddNode(*block_,
                                          {.kind = graph::OpKind::kIf,
                                           .inputs = {predicate},
                                           .outputs = {},
                                           .attributes = std::move(branches),
                                           .module_path = path(),
                                           .source_op = source_op_},
                                          static_cast<int>(codes.size()));
  for (std::size_t i = 0; i < codes.size(); ++i) {
    frame[node->outputs()[i]] = Symbol{graph_.nodes[static_cast<std::size_t>(id)].outputs[i], codes[i]};
  }
}

void Evaluator::EvaluateLoop(const torch::jit::Node* node, Frame& frame) {
  saw_script_ = true;
  const auto concrete = [&](const Slot& slot) -> const c10::IValue& {
    if (!std::holds_alternative<c10::IValue>(slot)) {
      Refuse("a loop whose length depends on the input", "trace the model, or give the loop a constant length");
    }
    return std::get<c10::IValue>(slot);
  };
  const std::int64_t trips = concrete(frame.at(node->inputs()[0])).toInt();
  bool condition = concrete(frame.at(node->inputs()[1])).toBool();
  std::vector<Slot> carried;
  for (std::size_t i = 2; i < node->inputs().size(); ++i) carried.push_back(frame.at(node->inputs()[i]));
  const torch::jit::Block* body = node->blocks()[0];
  for (std::int64_t trip = 0; trip < trips && condition; ++trip) {
    frame[body->inputs()[0]] = c10::IValue(trip);
    for (std::size_t i = 0; i < carried.size(); ++i) frame[body->inputs()[i + 1]] = carried[i];
    std::vector<Slot> outputs = EvaluateBlock(body, frame);
    condition = concrete(outputs[0]).toBool();
    carried.assign(outputs.begin() + 1, outputs.end());
  }
  for (std::size_t i = 0; i < carried.size(); ++i) frame[node->outputs()[i]] = carried[i];
}

// An operator of attributes alone runs as LibTorch would run it.
void Evaluator::Execute(const torch::jit::Node* node, Frame& frame, const Inputs& inputs) {
  torch::jit::Stack stack;
  for (const Slot& input : inputs) stack.push_back(std::get<c10::IValue>(input));
  if (node->hasAttribute(c10::attr::name) || node->maybeOperator() == nullptr) {
    Refuse(absl::StrCat("operator ", source_op_, " is not supported"), "export the model without it");
  }
  node->getOperation()(stack);
  const std::size_t count = node->outputs().size();
  for (std::size_t i = 0; i < count; ++i) frame[node->outputs()[i]] = stack.at(stack.size() - count + i);
}

void Evaluator::EvaluateOperator(const torch::jit::Node* node, Frame& frame, const Inputs& inputs) {
  const std::string name = source_op_;
  if (const Handler handler = FindFakeQuantOperator(name)) {
    frame[node->output()] = handler(*this, inputs);
    return;
  }
  if (AllConcrete(inputs)) return Execute(node, frame, inputs);
  if (!AnySymbol(inputs)) {  // arithmetic on shapes
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
  frame[node->output()] = handler(*this, inputs);
  if (in_place) frame[node->inputs()[0]] = frame[node->output()];
}

}  // namespace qatgap::frontends::torchscript
