// Lists, tuples and dicts that hold something that depends on the input.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/torchscript/evaluator.h"

namespace qatgap::frontends::torchscript {
namespace {

bool AllConcrete(const Evaluator::Inputs& inputs) {
  return std::all_of(inputs.begin(), inputs.end(),
                     [](const Slot& slot) { return std::holds_alternative<c10::IValue>(slot); });
}

// A dict's key as text; nullopt for what is no constant string or number.
std::optional<std::string> Key(const Slot& slot) {
  const auto* value = std::get_if<c10::IValue>(&slot);
  if (value == nullptr) return std::nullopt;
  if (value->isString()) return value->toStringRef();
  if (value->isInt()) return absl::StrCat(value->toInt());
  return std::nullopt;
}

}  // namespace

bool Evaluator::EvaluateContainer(const torch::jit::Node* node, Frame& frame, const Inputs& inputs) {
  const c10::Symbol kind = node->kind();
  if (kind == c10::prim::ListConstruct || kind == c10::prim::TupleConstruct) {
    // An empty list of tensors may yet be filled with ones that depend on the input.
    const auto list_type = node->output()->type()->cast<c10::ListType>();
    const bool of_tensors = list_type && list_type->getElementType()->kind() == c10::TypeKind::TensorType;
    if (AllConcrete(inputs) && !(inputs.empty() && of_tensors)) return false;
    auto list = std::make_shared<SlotList>(SlotList{.items = inputs, .branch = branch_});
    if (const auto tuple = node->output()->type()->cast<c10::TupleType>(); tuple && tuple->schema()) {
      for (const c10::Argument& field : tuple->schema()->arguments()) list->fields.push_back(field.name());
    }
    frame[node->output()] = std::move(list);
    return true;
  }
  if (kind == c10::prim::DictConstruct) {
    auto dict = std::make_shared<SlotDict>(SlotDict{.items = {}, .branch = branch_});
    for (std::size_t i = 0; i + 1 < inputs.size(); i += 2) {
      const auto key = Key(inputs[i]);
      if (!key) Refuse("a dict whose keys are neither strings nor numbers", "use strings as keys");
      dict->items.emplace_back(*key, inputs[i + 1]);
    }
    frame[node->output()] = std::move(dict);
    return true;
  }
  if (kind == c10::prim::TupleUnpack || kind == c10::prim::ListUnpack) {
    if (AllConcrete(inputs)) return false;
    const std::size_t count = node->outputs().size();
    if (const auto* unknown = std::get_if<Unknown>(&inputs[0])) {  // the sizes of a tensor: now their number is known
      if (unknown->tensor >= 0) shapes_.SetRank(unknown->tensor, count);
      for (std::size_t i = 0; i < count; ++i) {
        frame[node->outputs()[i]] =
            unknown->tensor < 0 ? Slot(Unknown{}) : FromExtent(shapes_.AxisOf(unknown->tensor, static_cast<int>(i)));
      }
      return true;
    }
    if (auto* list = std::get_if<std::shared_ptr<SlotList>>(&inputs[0]); list != nullptr && !(*list)->input.empty()) {
      for (std::size_t i = 0; i < count; ++i) frame[node->outputs()[i]] = ItemOfInput(**list, i);
      return true;
    }
    const std::vector<Slot> items = Items(inputs[0], "tuple");
    if (items.size() != count) {
      Refuse(absl::StrCat("a list of ", items.size(), " is unpacked into ", count), "mend the model and export it again");
    }
    for (std::size_t i = 0; i < count; ++i) frame[node->outputs()[i]] = items[i];
    return true;
  }
  if (kind == c10::prim::TupleIndex && std::holds_alternative<std::shared_ptr<SlotList>>(inputs[0])) {
    const std::vector<Slot> items = Items(inputs[0], "tuple");
    std::int64_t index = Int(inputs[1], "index");
    if (index < 0) index += static_cast<std::int64_t>(items.size());
    frame[node->output()] = items.at(static_cast<std::size_t>(index));
    return true;
  }
  return EvaluateListOperator(node, frame, inputs) || EvaluateDictOperator(node, frame, inputs);
}

bool Evaluator::EvaluateListOperator(const torch::jit::Node* node, Frame& frame, const Inputs& inputs) {
  const auto* slot = inputs.empty() ? nullptr : std::get_if<std::shared_ptr<SlotList>>(&inputs[0]);
  const bool second = inputs.size() > 1 && std::holds_alternative<std::shared_ptr<SlotList>>(inputs[1]);
  if (slot == nullptr && !(second && source_op_ == "aten::add")) return false;
  const auto make_list = [&](std::vector<Slot> items) {
    frame[node->output()] = std::make_shared<SlotList>(SlotList{.items = std::move(items), .branch = branch_});
    return true;
  };
  if (source_op_ == "aten::add") {  // of lists
    std::vector<Slot> items = Items(inputs[0], "list");
    for (const Slot& item : Items(inputs[1], "list")) items.push_back(item);
    return make_list(std::move(items));
  }
  SlotList& list = **slot;
  const auto size = static_cast<std::int64_t>(list.items.size());
  const auto refuse_unknown_length = [&] {
    if (list.input.empty()) return;
    Refuse(absl::StrCat("the length of input '", list.input, "' is asked for by ", source_op_),
           "export a model whose inputs are tensors or a tuple of them");
  };
  if (source_op_ == "aten::len") {
    refuse_unknown_length();
    frame[node->output()] = c10::IValue(size);
    return true;
  }
  if (source_op_ == "aten::list") {
    refuse_unknown_length();
    return make_list(list.items);
  }
  if (source_op_ == "aten::__getitem__") {
    std::int64_t index = Int(inputs[1], "index");
    if (index < 0) {
      refuse_unknown_length();
      index += size;
    }
    if (!list.input.empty()) {
      frame[node->output()] = ItemOfInput(list, static_cast<std::size_t>(index));
      return true;
    }
    if (index < 0 || index >= size) Refuse("an index outside of its list", "mend the model and export it again");
    frame[node->output()] = list.items[static_cast<std::size_t>(index)];
    return true;
  }
  if (source_op_ == "aten::slice") {  // (list, start, end, step)
    refuse_unknown_length();
    const auto at = [&](std::size_t i, std::int64_t otherwise) {
      const std::int64_t index = IsNone(inputs[i]) ? otherwise : Int(inputs[i], "index");
      return std::clamp<std::int64_t>(index < 0 ? index + size : index, 0, size);
    };
    const std::int64_t step = Int(inputs[3], "step");
    if (step < 1) Refuse("a list that is sliced backwards", "export the model without it");
    std::vector<Slot> items;
    for (std::int64_t i = at(1, 0); i < at(2, size); i += step) items.push_back(list.items[static_cast<std::size_t>(i)]);
    return make_list(std::move(items));
  }
  if (source_op_ == "aten::append" || source_op_ == "aten::_set_item") {
    if (list.branch != branch_) {
      Refuse("a branch that changes a list made outside of it", "return tensors from both sides of the branch");
    }
    refuse_unknown_length();
    if (source_op_ == "aten::append") {
      list.items.push_back(inputs[1]);
    } else {
      std::int64_t index = Int(inputs[1], "index");
      if (index < 0) index += size;
      if (index < 0 || index >= size) Refuse("an index outside of its list", "mend the model and export it again");
      list.items[static_cast<std::size_t>(index)] = inputs[2];
    }
    if (!node->outputs().empty()) frame[node->output()] = *slot;
    return true;
  }
  return false;
}

bool Evaluator::EvaluateDictOperator(const torch::jit::Node* node, Frame& frame, const Inputs& inputs) {
  const auto* slot = inputs.empty() ? nullptr : std::get_if<std::shared_ptr<SlotDict>>(&inputs[0]);
  if (slot == nullptr) return false;
  SlotDict& dict = **slot;
  const auto key_of = [&](std::size_t i) {
    const auto key = Key(inputs.at(i));
    if (!key) Refuse("a dict is read by a key that is no constant string or number", "use constant keys");
    return *key;
  };
  const auto find = [&](const std::string& key) {
    return std::find_if(dict.items.begin(), dict.items.end(), [&](const auto& item) { return item.first == key; });
  };
  const auto answer = [&](Slot value) {
    frame[node->output()] = std::move(value);
    return true;
  };
  const std::string& name = source_op_;
  if (name == "aten::__getitem__" || name == "aten::get") {
    const std::string key = key_of(1);
    const auto it = find(key);
    if (it != dict.items.end()) return answer(it->second);
    if (!dict.input.empty()) {
      dict.items.emplace_back(key, TensorInput(absl::StrCat(dict.input, ".", key)));
      return answer(dict.items.back().second);
    }
    if (name == "aten::get") return answer(inputs.size() > 2 ? inputs[2] : Slot(c10::IValue()));
    Refuse(absl::StrCat("a dict has no key '", key, "'"), "mend the model and export it again");
  }
  if (name == "aten::__contains__") {
    const std::string key = key_of(1);
    if (!dict.input.empty()) return answer(c10::IValue(true));  // an input is given as the model reads it
    return answer(c10::IValue(find(key) != dict.items.end()));
  }
  if (name == "aten::_set_item") {
    if (dict.branch != branch_) {
      Refuse("a branch that changes a dict made outside of it", "return tensors from both sides of the branch");
    }
    const std::string key = key_of(1);
    const auto it = find(key);
    if (it == dict.items.end()) {
      dict.items.emplace_back(key, inputs[2]);
    } else {
      it->second = inputs[2];
    }
    return true;
  }
  const bool whole = name == "aten::len" || name == "aten::values" || name == "aten::keys" || name == "aten::items";
  if (!whole) return false;
  if (!dict.input.empty()) {
    Refuse(absl::StrCat("input '", dict.input, "' of the model is read by ", name), "read it by constant keys");
  }
  if (name == "aten::len") return answer(c10::IValue(static_cast<std::int64_t>(dict.items.size())));
  auto list = std::make_shared<SlotList>(SlotList{.items = {}, .branch = branch_});
  for (const auto& [key, value] : dict.items) {
    if (name == "aten::values") list->items.push_back(value);
    if (name == "aten::keys") list->items.emplace_back(c10::IValue(key));
    if (name == "aten::items") {
      list->items.emplace_back(
          std::make_shared<SlotList>(SlotList{.items = {c10::IValue(key), value}, .branch = branch_}));
    }
  }
  return answer(std::move(list));
}

}  // namespace qatgap::frontends::torchscript
