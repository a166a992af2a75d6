// Branches and loops: constant ones are followed, those that depend on the input's data become kIf nodes.
#include "analyzers/frontends/torchscript/evaluator.h"

namespace qatgap::frontends::torchscript {
namespace {

// True when evaluating the block certainly raises.
bool Raises(const torch::jit::Block* block) {
  for (const torch::jit::Node* node : block->nodes()) {
    if (node->kind() == c10::prim::RaiseException) return true;
    if (node->kind() == c10::prim::If && Raises(node->blocks()[0]) && Raises(node->blocks()[1])) return true;
  }
  return false;
}

bool IsContainer(const Slot& slot) {
  return std::holds_alternative<std::shared_ptr<SlotList>>(slot) || std::holds_alternative<std::shared_ptr<SlotDict>>(slot);
}

bool IsTensor(const Slot& slot) {
  const auto* value = std::get_if<c10::IValue>(&slot);
  return value != nullptr ? value->isTensor() : IsSymbolic(slot);
}

// Numbers, strings and None that are equal: what may leave a branch as a value.
bool SameNumber(const Slot& a, const Slot& b) {
  const auto* x = std::get_if<c10::IValue>(&a);
  const auto* y = std::get_if<c10::IValue>(&b);
  if (x == nullptr || y == nullptr) return false;
  if (x->isNone()) return y->isNone();
  if (x->isBool()) return y->isBool() && x->toBool() == y->toBool();
  if (x->isInt()) return y->isInt() && x->toInt() == y->toInt();
  if (x->isDouble()) return y->isDouble() && x->toDouble() == y->toDouble();
  return x->isString() && y->isString() && x->toStringRef() == y->toStringRef();
}

// True when the block computes numbers and truths alone, as `x.dim() != 2 and x.dim() != 3` does.
bool HasNoTensors(const torch::jit::Block* block) {
  for (const torch::jit::Node* node : block->nodes()) {
    if (node->kind() == c10::prim::CallMethod || node->kind() == c10::prim::SetAttr || node->outputs().empty()) return false;
    for (const torch::jit::Value* output : node->outputs()) {
      const c10::TypeKind kind = output->type()->kind();
      if (kind != c10::TypeKind::IntType && kind != c10::TypeKind::BoolType) return false;
    }
    for (const torch::jit::Block* inner : node->blocks()) {
      if (!HasNoTensors(inner)) return false;
    }
  }
  return true;
}

}  // namespace

void Evaluator::EvaluateIf(const torch::jit::Node* node, Frame& frame) {
  saw_script_ = true;  // tracing leaves no branches
  const Slot condition = frame.at(node->inputs()[0]);
  const torch::jit::Block* taken = nullptr;
  if (const auto* value = std::get_if<c10::IValue>(&condition)) {
    taken = node->blocks()[value->toBool() ? 0 : 1];
  } else if (Raises(node->blocks()[0])) {
    taken = node->blocks()[1];  // a check of the input: assume that it holds
  } else if (Raises(node->blocks()[1])) {
    taken = node->blocks()[0];
  } else if (const auto* symbolic = std::get_if<SymbolicBool>(&condition)) {
    return EmitIf(node, *symbolic, frame);
  } else if (const auto* scalar = std::get_if<Symbol>(&condition)) {  // a comparison of numbers made by item()
    return EmitIf(node, {scalar->value, false}, frame);
  } else if (HasNoTensors(node->blocks()[0]) && HasNoTensors(node->blocks()[1])) {
    for (const torch::jit::Value* output : node->outputs()) frame[output] = Unknown{};
    return;
  } else {
    Refuse("a branch that depends on the shape of the input", "trace the model, or make the branch constant");
  }
  const std::vector<Slot> outputs = EvaluateBlock(taken, frame);
  for (std::size_t i = 0; i < outputs.size(); ++i) frame[node->outputs()[i]] = outputs[i];
}

void Evaluator::EmitIf(const torch::jit::Node* node, SymbolicBool predicate, Frame& frame) {
  graph::IfAttributes branches;
  graph::Block* const outer = block_;
  const int outer_branch = branch_;
  const graph::ValueId outer_first_value = first_value_of_branch_;
  std::vector<std::vector<Slot>> results;
  for (const bool then : {true, false}) {
    block_ = then ? &branches.then_block : &branches.else_block;
    branch_ = ++branches_;
    first_value_of_branch_ = static_cast<graph::ValueId>(graph_.values.size());
    results.push_back(EvaluateBlock(node->blocks()[then != predicate.negated ? 0 : 1], frame));
  }
  // Outputs that are tensors on either side leave through the If; others must agree, or have no value here.
  std::vector<Slot> outputs;
  std::vector<std::size_t> tensors;
  for (std::size_t i = 0; i < results[0].size(); ++i) {
    const Slot& a = results[0][i];
    const Slot& b = results[1][i];
    if (IsContainer(a) || IsContainer(b)) {
      Refuse("a branch that gives a list, a tuple or a dict", "return tensors from both sides of the branch");
    }
    if (!IsTensor(a) && !IsTensor(b)) {
      outputs.push_back(SameNumber(a, b) ? a : Slot(Unknown{}));
      continue;
    }
    const bool both_codes = IsCodes(a) && IsCodes(b);
    if (both_codes && std::get<Symbol>(a).is_signed != std::get<Symbol>(b).is_signed) {
      Refuse("a branch that gives quint8 on one side and qint8 on the other", "quantize both to one type");
    }
    block_ = &branches.then_block;
    block_->outputs.push_back(both_codes ? Codes(a) : Real(a));
    block_ = &branches.else_block;
    block_->outputs.push_back(both_codes ? Codes(b) : Real(b));
    tensors.push_back(i);
    outputs.push_back(Symbol{-1, both_codes, both_codes && std::get<Symbol>(a).is_signed});
  }
  block_ = outer;
  branch_ = outer_branch;
  first_value_of_branch_ = outer_first_value;
  const graph::NodeId id = graph_.AddNode(*block_,
                                          {.kind = graph::OpKind::kIf,
                                           .inputs = {predicate.value},
                                           .outputs = {},
                                           .attributes = std::move(branches),
                                           .module_path = path(),
                                           .source_op = "prim::If",
                                           .source_line = SourceLine(),
                                           .module_stack = ModuleStack()},
                                          static_cast<int>(tensors.size()));
  shapes_.Add(graph_.nodes[static_cast<std::size_t>(id)]);
  for (std::size_t k = 0; k < tensors.size(); ++k) {
    std::get<Symbol>(outputs[tensors[k]]).value = graph_.nodes[static_cast<std::size_t>(id)].outputs[k];
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) frame[node->outputs()[i]] = outputs[i];
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
    CountStep();
    frame[body->inputs()[0]] = c10::IValue(trip);
    for (std::size_t i = 0; i < carried.size(); ++i) frame[body->inputs()[i + 1]] = carried[i];
    std::vector<Slot> outputs = EvaluateBlock(body, frame);
    condition = concrete(outputs[0]).toBool();
    carried.assign(outputs.begin() + 1, outputs.end());
  }
  for (std::size_t i = 0; i < carried.size(); ++i) frame[node->outputs()[i]] = carried[i];
}

}  // namespace qatgap::frontends::torchscript
