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
constexpr std::size_t kMaxDepth = 200;         // calls

bool AllConcrete(const Evaluator::Inputs& inputs) {
  return std::all_of(inputs.begin(), inputs.end(),
                     [](const Slot& slot) { return std::holds_alternative<c10::IValue>(slot); });
}

}  // namespace

std::string FirstLine(const std::exception& error) {
  const std::string what = error.what();
  const std::size_t begin = what.find_first_not_of(" \n");  // some messages start with an empty line
  if (begin == std::string::npos) return "no reason given";
  std::string line = what.substr(begin, what.find('\n', begin) - begin);
  const std::size_t address = line.find(" (of Python compilation unit at");
  if (address != std::string::npos) line.erase(address, line.find(')', address) + 1 - address);
  return line;
}

Evaluator::Evaluator(const torch::jit::Module& module, std::map<std::string, std::size_t> ranks)
    : module_(module), ranks_(std::move(ranks)) {
  NamePaths(module, "");
}

void Evaluator::NamePaths(const torch::jit::Module& module, const std::string& path) {
  modules_.emplace(path, module._ivalue().get());
  // A module that is reachable by two names keeps the first.
  if (!paths_.emplace(module._ivalue().get(), path).second) return;
  for (const auto& child : module.named_children()) {
    NamePaths(child.value, path.empty() ? child.name : absl::StrCat(path, ".", child.name));
  }
}

const c10::ivalue::Object* Evaluator::ModuleAt(const std::string& path) const {
  const auto it = modules_.find(path);
  return it == modules_.end() ? nullptr : it->second;
}

std::optional<double> Evaluator::AddedTo(const at::Tensor& tensor) const {
  const auto it = added_.find(tensor.unsafeGetTensorImpl());
  return it == added_.end() ? std::nullopt : std::optional(it->second);
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
  for (std::size_t i = 1; i < arguments.size(); ++i) inputs.push_back(MakeInput(arguments[i]));
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

std::vector<Slot> Evaluator::Call(torch::jit::Function& function, const Inputs& inputs) {
  if (calls_.size() > kMaxDepth) Refuse("calls nested too deeply", "export the model without recursion");
  const auto body = torch::jit::toGraphFunction(function).graph();
  const auto parameters = body->inputs();
  if (parameters.size() != inputs.size()) Refuse("a call with default arguments", "pass every argument");
  Frame frame;
  for (std::size_t i = 0; i < inputs.size(); ++i) frame[parameters[i]] = inputs[i];
  ActiveCall call{.frame = &frame, .at = nullptr, .self = calls_.back().self, .path = calls_.back().path};
  if (const auto* self = inputs.empty() ? nullptr : std::get_if<c10::IValue>(&inputs[0]); self && self->isObject()) {
    const auto it = paths_.find(self->toObject().get());
    if (it != paths_.end()) {
      call.path = it->second;
      call.self = self->toObject().get();
    }
  }
  calls_.push_back(std::move(call));
  std::vector<Slot> outputs = EvaluateBlock(body->block(), frame);
  calls_.pop_back();
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
  calls_.back().at = node;
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
  if (EvaluateStructure(node, frame, inputs) || EvaluateContainer(node, frame, inputs)) return;
  EvaluateOperator(node, frame, inputs);
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
    if (kind == c10::aten::add && stack.size() > 1 && stack[0].isTensor()) {
      const c10::IValue& number = stack[1];
      const bool scalar_tensor = number.isTensor() && number.toTensor().defined() && number.toTensor().dim() == 0;
      if (number.isDouble()) added_[stack[0].toTensor().unsafeGetTensorImpl()] = number.toDouble();
      if (scalar_tensor) added_[stack[0].toTensor().unsafeGetTensorImpl()] = number.toTensor().item<double>();
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
  if (EvaluateSizes(node, frame, inputs)) return;
  // In place: the pure operator, and the name now means its result.
  const bool in_place = name.size() > 1 && name.back() == '_' && name[name.size() - 2] != '_';
  const std::string pure = in_place ? name.substr(0, name.size() - 1) : name;
  Handler handler = FindQuantizedMacOperator(pure);
  if (handler == nullptr) handler = FindQuantizedOperator(pure);
  if (handler != nullptr) saw_quantized_operator_ = true;
  if (handler == nullptr) handler = FindMacOperator(pure);
  if (handler == nullptr) handler = FindShapeOperator(pure);
  if (handler == nullptr) handler = FindFloatOperator(pure);
  if (handler != nullptr) {
    frame[node->output()] = handler(*this, inputs);
  } else if (!CallByName(node, frame, inputs, pure)) {
    Refuse(absl::StrCat("operator ", name, " is not supported"),
           "replace it by supported operators (docs/operators.md lists them), or export the part of the model before it");
  }
  if (in_place) Overwrite(inputs[0], Slot(frame.at(node->output())));
}

}  // namespace qatgap::frontends::torchscript
