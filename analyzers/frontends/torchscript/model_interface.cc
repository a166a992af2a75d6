// Inputs and outputs of the model: tuples, lists and dicts become tensors with stable names, "x.0", "output.logits".
#include "absl/strings/str_cat.h"
#include "analyzers/frontends/torchscript/evaluator.h"

namespace qatgap::frontends::torchscript {

Symbol Evaluator::TensorInput(const std::string& name) {
  for (const graph::ValueId input : graph_.inputs) {
    if (graph_.values[static_cast<std::size_t>(input)].name == name) return {input, false};
  }
  const graph::ValueId input = graph_.AddValue(name);
  graph_.inputs.push_back(input);
  const auto it = ranks_.find(name);
  if (it != ranks_.end()) {
    shapes_.SetRank(input, it->second);
    graph_.assumed_ranks.resize(graph_.inputs.size(), 0);
    graph_.assumed_ranks.back() = it->second;
  }
  return {input, false};
}

std::map<std::string, std::size_t> Evaluator::AllInputs(std::size_t rank) const {
  std::map<std::string, std::size_t> ranks;
  for (const graph::ValueId input : graph_.inputs) ranks[graph_.values[static_cast<std::size_t>(input)].name] = rank;
  return ranks;
}

// A list or a dict says nothing of its length: its items become inputs where they are read.
Slot Evaluator::MakeInput(const c10::TypePtr& type, const std::string& name) {
  if (type->kind() == c10::TypeKind::TensorType) return TensorInput(name);
  if (const auto optional = type->cast<c10::OptionalType>()) return MakeInput(optional->getElementType(), name);
  if (const auto tuple = type->cast<c10::TupleType>()) {
    auto list = std::make_shared<SlotList>();
    for (std::size_t i = 0; i < tuple->elements().size(); ++i) {
      const std::string item = tuple->schema() ? tuple->schema()->arguments()[i].name() : absl::StrCat(i);
      list->items.push_back(MakeInput(tuple->elements()[i], absl::StrCat(name, ".", item)));
    }
    return list;
  }
  if (const auto list = type->cast<c10::ListType>(); list && list->getElementType()->kind() == c10::TypeKind::TensorType) {
    return std::make_shared<SlotList>(SlotList{.items = {}, .branch = 0, .input = name});
  }
  if (const auto dict = type->cast<c10::DictType>(); dict && dict->getValueType()->kind() == c10::TypeKind::TensorType) {
    return std::make_shared<SlotDict>(SlotDict{.items = {}, .branch = 0, .input = name});
  }
  throw ImportError(absl::FailedPreconditionError(
      absl::StrCat("input '", name, "' of the model is a ", type->str(),
                   ", not a Tensor; export a model whose inputs are tensors, or tuples, lists or dicts of them")));
}

Slot Evaluator::MakeInput(const c10::Argument& parameter) {
  // What has a default is left out.
  if (parameter.type()->kind() != c10::TypeKind::TensorType && parameter.default_value()) return *parameter.default_value();
  return MakeInput(parameter.type(), parameter.name());
}

Slot Evaluator::ItemOfInput(SlotList& list, std::size_t index) {
  if (index > 1000) Refuse(absl::StrCat("item ", index, " of input '", list.input, "'"), "export a model with fewer inputs");
  while (list.items.size() <= index) {
    list.items.emplace_back(TensorInput(absl::StrCat(list.input, ".", list.items.size())));
  }
  return list.items[index];
}

void Evaluator::AddOutputs(const Slot& slot, const std::string& name) {
  if (const auto* list = std::get_if<std::shared_ptr<SlotList>>(&slot)) {
    for (std::size_t i = 0; i < (*list)->items.size(); ++i) {
      const std::string item = i < (*list)->fields.size() ? (*list)->fields[i] : absl::StrCat(i);
      AddOutputs((*list)->items[i], absl::StrCat(name, ".", item));
    }
    return;
  }
  if (const auto* dict = std::get_if<std::shared_ptr<SlotDict>>(&slot)) {
    for (const auto& [key, item] : (*dict)->items) AddOutputs(item, absl::StrCat(name, ".", key));
    return;
  }
  if (IsNone(slot)) return;  // an auxiliary output that is absent in eval mode
  const auto* symbol = std::get_if<Symbol>(&slot);
  const auto* constant = std::get_if<c10::IValue>(&slot);
  if (symbol == nullptr && (constant == nullptr || !constant->isTensor())) {
    throw ImportError(absl::FailedPreconditionError(
        absl::StrCat("the model's ", name, " is not a tensor that depends on its input; return tensors")));
  }
  graph_.body.outputs.push_back(symbol != nullptr ? symbol->value : Constant(constant->toTensor()));
  graph_.output_names.push_back(name);
}

}  // namespace qatgap::frontends::torchscript
