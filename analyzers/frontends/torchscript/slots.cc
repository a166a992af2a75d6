#include "analyzers/frontends/torchscript/slots.h"

#include <ATen/core/Tensor.h>

#include <algorithm>

namespace qatgap::frontends::torchscript {

bool IsSymbolic(const Slot& slot) {
  if (std::holds_alternative<Symbol>(slot) || std::holds_alternative<SymbolicBool>(slot)) return true;
  if (const auto* list = std::get_if<std::shared_ptr<SlotList>>(&slot)) {
    return !(*list)->input.empty() || std::any_of((*list)->items.begin(), (*list)->items.end(), IsSymbolic);
  }
  const auto* dict = std::get_if<std::shared_ptr<SlotDict>>(&slot);
  return dict != nullptr && (!(*dict)->input.empty() ||
                             std::any_of((*dict)->items.begin(), (*dict)->items.end(),
                                         [](const auto& item) { return IsSymbolic(item.second); }));
}

bool IsCodes(const Slot& slot) {
  const auto* symbol = std::get_if<Symbol>(&slot);
  return symbol != nullptr && symbol->codes;
}

bool IsNone(const Slot& slot) {
  const auto* value = std::get_if<c10::IValue>(&slot);
  return value != nullptr && value->isNone();
}

std::optional<Extent> ToExtent(const Slot& slot) {
  if (const auto* extent = std::get_if<Extent>(&slot)) return *extent;
  const auto* value = std::get_if<c10::IValue>(&slot);
  if (value == nullptr) return std::nullopt;
  if (value->isInt()) return Extent::Number(value->toInt());
  if (value->isTensor() && value->toTensor().defined() && value->toTensor().numel() == 1 &&
      value->toTensor().scalar_type() == at::kLong) {
    return Extent::Number(value->toTensor().item<std::int64_t>());
  }
  return std::nullopt;
}

Slot FromExtent(Extent extent) {
  if (extent.is_number()) return c10::IValue(extent.numerator);
  return extent;
}

}  // namespace qatgap::frontends::torchscript
