// What a TorchScript value is while a method is evaluated. Internal to this folder: includes LibTorch.
#pragma once

#include <ATen/core/ivalue.h>

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "analyzers/frontends/torchscript/extents.h"
#include "analyzers/graph/graph.h"

namespace qatgap::frontends::torchscript {

// A tensor that depends on the model's input.
struct Symbol {
  graph::ValueId value = -1;
  bool codes = false;      // quantized
  bool is_signed = false;  // of codes: qint8, not quint8
  int copy = 0;            // clones share the value but not the memory: each has its own number
};
// The truth of a one-element tensor that depends on the input.
struct SymbolicBool {
  graph::ValueId value = -1;
  bool negated = false;
};
// Depends on the shape of the input, or on something that has no value here.
struct Unknown {
  graph::ValueId tensor = -1;  // set: the sizes of this tensor, of which the number of axes is not known
};
struct SlotList;
struct SlotDict;
// IValue: computed from attributes alone. Extent: never a plain number, which is an IValue.
using Slot = std::variant<c10::IValue, Symbol, SymbolicBool, Unknown, Extent, std::shared_ptr<SlotList>,
                          std::shared_ptr<SlotDict>>;
struct SlotList {
  std::vector<Slot> items;
  int branch = 0;                      // where it was made, see Evaluator::branch
  std::string input{};                 // set: a list that is an input of the model, which grows where it is read
  std::vector<std::string> fields{};   // of a named tuple
};
struct SlotDict {
  std::vector<std::pair<std::string, Slot>> items;  // a key that is a number is written as text
  int branch = 0;
  std::string input{};                 // set: a dict that is an input of the model
};

// True when a slot is, or holds, something that depends on the input's data.
bool IsSymbolic(const Slot& slot);
bool IsCodes(const Slot& slot);
bool IsNone(const Slot& slot);

// A size, of the number or the one integer in a tensor that tracing writes; nullopt for anything else.
std::optional<Extent> ToExtent(const Slot& slot);
Slot FromExtent(Extent extent);

}  // namespace qatgap::frontends::torchscript
