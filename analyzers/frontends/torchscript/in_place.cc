// Operators that change a tensor in place.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/torchscript/evaluator.h"
#include "analyzers/graph/operator_names.h"

namespace qatgap::frontends::torchscript {
namespace {

using graph::OpKind;

bool IsView(const graph::Node* node) {
  if (node == nullptr || node->inputs.empty()) return false;
  const auto* call = std::get_if<graph::OperatorAttributes>(&node->attributes);
  return node->kind == OpKind::kReshape || node->kind == OpKind::kFlatten || node->kind == OpKind::kPermute ||
         (call != nullptr && graph::MovesElements(call->name));
}

// The value whose memory `value` may share. Codes of a view are quantized anew in the graph; in the file they share memory.
graph::ValueId Memory(const graph::Graph& graph, graph::ValueId value) {
  while (const graph::Node* node = graph.producer(value)) {
    if (IsView(node)) {
      value = node->inputs[0];
      continue;
    }
    if (node->kind != OpKind::kQuantizeLike) return value;
    graph::ValueId real = node->inputs[0];
    while (IsView(graph.producer(real))) real = graph.producer(real)->inputs[0];
    const graph::Node* dequantize = graph.producer(real);
    if (real == node->inputs[0] || dequantize == nullptr || dequantize->kind != OpKind::kDequantize) return value;
    value = dequantize->inputs[0];
  }
  return value;
}

bool InLoop(const torch::jit::Node* node) {
  for (const torch::jit::Block* block = node->owningBlock(); block != nullptr; block = block->owningNode()->owningBlock()) {
    if (block->owningNode() == nullptr || block->owningNode()->kind() == c10::prim::Return) return false;
    if (block->owningNode()->kind() == c10::prim::Loop) return true;
  }
  return false;
}

// Whether the program may still read `value` behind `at`.
bool ReadAfter(const torch::jit::Value* value, const torch::jit::Node* at) {
  if (InLoop(at)) return !value->uses().empty();
  return std::any_of(value->uses().begin(), value->uses().end(), [&](const torch::jit::Use& use) {
    return use.user->kind() == c10::prim::Return || (use.user != at && use.user->isAfter(at));
  });
}

}  // namespace

// Every name of the tensor, in every call being evaluated, now means `result`.
void Evaluator::Overwrite(const Slot& target, const Slot& result) {
  const auto* symbol = std::get_if<Symbol>(&target);
  const auto* constant = std::get_if<c10::IValue>(&target);
  if (symbol != nullptr && symbol->value < first_value_of_branch_) {
    Refuse(absl::StrCat(source_op_, " changes, inside a branch, a tensor made outside of it"),
           "use the operator that is not in place");
  }
  const auto same = [&](const Slot& slot) {
    if (symbol != nullptr) {
      const auto* other = std::get_if<Symbol>(&slot);
      return other != nullptr && other->value == symbol->value && other->copy == symbol->copy;
    }
    const auto* other = std::get_if<c10::IValue>(&slot);
    return constant != nullptr && constant->isTensor() && other != nullptr && other->isTensor() &&
           other->toTensor().is_same(constant->toTensor());
  };
  const auto overwrite = [&](auto& self, Slot& slot) -> void {
    if (same(slot)) {
      slot = result;
    } else if (const auto* list = std::get_if<std::shared_ptr<SlotList>>(&slot)) {
      for (Slot& item : (*list)->items) self(self, item);
    } else if (const auto* dict = std::get_if<std::shared_ptr<SlotDict>>(&slot)) {
      for (auto& item : (*dict)->items) self(self, item.second);
    }
  };
  if (symbol != nullptr && symbol->copy == 0) RefuseLiveViews(symbol->value);
  for (ActiveCall& call : calls_) {
    if (call.frame == nullptr) continue;
    for (auto& [value, slot] : *call.frame) overwrite(overwrite, slot);
  }
}

void Evaluator::RefuseLiveViews(graph::ValueId target) const {
  const graph::ValueId memory = Memory(graph_, target);
  for (const ActiveCall& call : calls_) {
    if (call.frame == nullptr) continue;
    for (const auto& [value, slot] : *call.frame) {
      const auto* other = std::get_if<Symbol>(&slot);
      if (other == nullptr || other->value == target || other->copy != 0 || Memory(graph_, other->value) != memory) continue;
      if (!ReadAfter(value, call.at)) continue;
      Refuse(absl::StrCat(source_op_, " changes a tensor of which a view is read later"),
             "use the operator that is not in place");
    }
  }
}

}  // namespace qatgap::frontends::torchscript
