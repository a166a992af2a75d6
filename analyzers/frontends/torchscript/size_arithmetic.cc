// Numbers that are made of the shape of the input.
#include <algorithm>
#include <set>

#include "analyzers/frontends/torchscript/evaluator.h"

namespace qatgap::frontends::torchscript {

// False for what works on data. Tracing writes sizes as tensors of one integer: the same arithmetic under other names.
bool Evaluator::EvaluateSizes(const torch::jit::Node* node, Frame& frame, const Inputs& inputs) {
  const std::string& name = source_op_;
  const auto answer = [&](Slot slot) {
    frame[node->output()] = std::move(slot);
    return true;
  };
  if (const auto* symbol = std::get_if<Symbol>(&inputs[0])) {
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
  for (const torch::jit::Value* output : node->outputs()) frame[output] = Unknown{};
  return true;
}

}  // namespace qatgap::frontends::torchscript
