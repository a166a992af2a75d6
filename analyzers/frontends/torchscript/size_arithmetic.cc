// Numbers that are made of the shape of the input.
#include <algorithm>
#include <set>

#include "analyzers/frontends/torchscript/evaluator.h"

namespace qatgap::frontends::torchscript {

// False for what works on data. Tracing writes sizes as tensors of one integer: the same arithmetic under other names.
bool Evaluator::EvaluateSizes(const torch::jit::Node* node, Frame& frame, const Inputs& inputs) {
  const std::string& name = source_op_;
  const auto answer = [&](Slot slot) {
    saw_unknown_size_ = saw_unknown_size_ || std::holds_alternative<Unknown>(slot) || std::holds_alternative<Extent>(slot);
    frame[node->output()] = std::move(slot);
    return true;
  };
  if (const auto* symbol = std::get_if<Symbol>(&inputs[0])) {
    static const std::set<std::string> kQuestions = {"aten::size", "aten::dim", "aten::len", "aten::numel"};
    if (!kQuestions.contains(name)) return false;
    const SymbolicShape* shape = shapes_.Find(symbol->value);
    if (name == "aten::size" && inputs.size() == 1) {
      if (shape == nullptr) return answer(Unknown{symbol->value});
      auto sizes = std::make_shared<SlotList>(SlotList{.items = {}, .branch = branch_});
      for (const Extent& extent : *shape) sizes->items.push_back(FromExtent(extent));
      return answer(std::move(sizes));
    }
    if (name == "aten::size") {
      const auto* axis = std::get_if<c10::IValue>(&inputs[1]);
      if (axis == nullptr || !axis->isInt()) return answer(Unknown{});
      if (shape != nullptr) {
        const auto at = AxisFromStart(axis->toInt(), shape->size());
        return answer(at ? FromExtent((*shape)[*at]) : Slot(Unknown{}));
      }
      const std::int64_t at = axis->toInt();
      if (const auto last = at == -1 ? shapes_.LastAxis(symbol->value) : std::nullopt) return answer(FromExtent(*last));
      return answer(at < 0 || at > 7 ? Slot(Unknown{}) : Slot(shapes_.AxisOf(symbol->value, static_cast<int>(at))));
    }
    if (name == "aten::dim" || name == "aten::len" || name == "aten::numel") {
      if (shape == nullptr) return answer(Unknown{});
      if (name == "aten::dim") return answer(c10::IValue(static_cast<std::int64_t>(shape->size())));
      if (name == "aten::len") return answer(shape->empty() ? Slot(Unknown{}) : FromExtent(shape->front()));
      Extent product = Extent::Number(1);
      for (const Extent& extent : *shape) product = product * extent;
      return answer(FromExtent(product));
    }
    return false;
  }
  if (std::any_of(inputs.begin(), inputs.end(), IsSymbolic)) return false;
  if (EvaluateRepeated(node, frame, inputs)) return true;
  if (name == "aten::__getitem__") {  // one extent of x.shape
    const auto* sizes = std::get_if<Unknown>(&inputs[0]);
    const auto* index = std::get_if<c10::IValue>(&inputs[1]);
    if (sizes != nullptr && sizes->tensor >= 0 && index != nullptr && index->isInt() && index->toInt() == -1) {
      const auto last = shapes_.LastAxis(sizes->tensor);
      return answer(last ? FromExtent(*last) : Slot(Unknown{}));
    }
    const bool extent = sizes != nullptr && sizes->tensor >= 0 && index != nullptr && index->isInt() &&
                        index->toInt() >= 0 && index->toInt() < 8;
    return answer(extent ? FromExtent(shapes_.AxisOf(sizes->tensor, static_cast<int>(index->toInt()))) : Slot(Unknown{}));
  }
  static const std::set<std::string> kSameNumber = {
      "prim::NumToTensor", "aten::Int", "aten::IntImplicit", "aten::ScalarImplicit", "aten::detach", "aten::to",
      "aten::item", "aten::scalar_tensor", "prim::unchecked_cast", "aten::clone"};
  if (kSameNumber.contains(name)) return answer(inputs[0]);
  const auto a = ToExtent(inputs[0]);
  const auto b = inputs.size() > 1 ? ToExtent(inputs[1]) : std::nullopt;
  if (a && b) {
    static const std::set<std::string> kFloorDivisions = {"aten::floordiv", "aten::__floordiv__", "aten::floor_divide"};
    const bool rounding = name == "aten::div" && inputs.size() == 3 && !IsNone(inputs[2]);
    if (name == "aten::mul" || name == "aten::__mul__") return answer(FromExtent(*a * *b));
    if (kFloorDivisions.contains(name) || rounding) {
      const auto quotient = Quotient(*a, *b);
      return answer(quotient ? FromExtent(*quotient) : Slot(Unknown{}));
    }
    if (*a == *b && (name == "aten::eq" || name == "aten::ne")) return answer(c10::IValue(name == "aten::eq"));
  }
  saw_unknown_size_ = true;
  for (const torch::jit::Value* output : node->outputs()) frame[output] = Unknown{};
  return true;
}

bool Evaluator::EvaluateRepeated(const torch::jit::Node* node, Frame& frame, const Inputs& inputs) {
  static const std::set<std::string> kSizesFirst = {"aten::zeros", "aten::ones", "aten::full"};
  const bool of_tensor = source_op_ == "aten::expand" || source_op_ == "aten::repeat";
  if (!of_tensor && !kSizesFirst.contains(source_op_)) return false;
  const std::size_t at = of_tensor ? 1 : 0;
  const auto* list = inputs.size() > at ? std::get_if<std::shared_ptr<SlotList>>(&inputs[at]) : nullptr;
  if (list == nullptr) return false;
  // One extent of one tensor; the constant has 1 there.
  c10::List<std::int64_t> sizes;
  std::optional<std::pair<graph::ValueId, int>> extent;
  std::size_t position = 0;
  for (std::size_t i = 0; i < (*list)->items.size(); ++i) {
    const auto size = ToExtent((*list)->items[i]);
    if (!size) return false;
    if (size->is_number()) {
      sizes.push_back(size->numerator);
      continue;
    }
    if (extent || size->numerator != 1 || size->denominator != 1 || size->axes.size() != 1) return false;
    extent = size->axes[0];
    position = i;
    sizes.push_back(1);
  }
  const SymbolicShape* shape = extent ? shapes_.Find(extent->first) : nullptr;
  const bool rank_known = shape != nullptr && static_cast<std::size_t>(extent->second) < shape->size();
  if (!extent || (!rank_known && extent->second != 0)) return false;
  Inputs concrete = inputs;
  concrete[at] = c10::IValue(sizes);
  Execute(node, frame, concrete);
  const Slot constant = frame.at(node->output());
  // Ones of that extent: one element along every other axis of the tensor that has it, moved to its place.
  graph::ValueId ones = extent->first;
  std::vector<std::int64_t> order(sizes.size(), 1);
  order[position] = -1;
  if (rank_known) {
    for (std::size_t axis = 0; axis < shape->size(); ++axis) {
      if (static_cast<int>(axis) == extent->second) continue;
      ones = EmitOperator("aten::slice", "Tensor", {ones},
                          {graph::TensorArgument{0}, static_cast<std::int64_t>(axis), std::int64_t{0}, std::int64_t{1},
                           std::int64_t{1}});
    }
  } else {  // the first axis of a tensor of unknown shape
    ones = Emit(graph::OpKind::kFlatten, {EmitOperator("aten::unsqueeze", "", {ones}, {graph::TensorArgument{0}, std::int64_t{1}})},
                graph::FlattenAttributes{1, -1});
    ones = EmitOperator("aten::slice", "Tensor", {ones},
                        {graph::TensorArgument{0}, std::int64_t{1}, std::int64_t{0}, std::int64_t{1}, std::int64_t{1}});
  }
  ones = Emit(graph::OpKind::kReshape, {ones}, graph::SizesAttributes{std::move(order)});
  ones = EmitOperator("aten::ones_like", "", {ones}, {graph::TensorArgument{0}});
  frame[node->output()] = Symbol{Emit(graph::OpKind::kMul, {Real(constant), ones})};
  return true;
}

}  // namespace qatgap::frontends::torchscript
