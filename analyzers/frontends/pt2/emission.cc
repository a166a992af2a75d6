// The part of Importer that operator handlers use: reading arguments, emitting nodes, naming results.
#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/pt2/importer.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends::pt2 {
namespace {

// Their result may lie in their operand's memory.
bool MayBeView(std::string_view name) {
  constexpr auto kNames = std::to_array<std::string_view>(
      {"chunk",     "diagonal", "expand",       "expand_as",   "flatten", "movedim",          "narrow",
       "permute",   "reshape",  "select",       "slice",       "split",   "split_with_sizes", "squeeze",
       "swapaxes",  "t",        "tensor_split", "transpose",   "unbind",  "unflatten",        "unfold",
       "unsqueeze", "view",     "view_as",      "_unsafe_view"});
  constexpr std::string_view kPrefix = "aten::";
  if (!name.starts_with(kPrefix)) return false;
  return std::find(kNames.begin(), kNames.end(), name.substr(kPrefix.size())) != kNames.end();
}

}  // namespace

using graph::OpKind;
using graph::ValueId;

const TensorMeta* Importer::Meta(const std::string& name) const {
  const auto it = program_graph_->tensors.find(name);
  return it == program_graph_->tensors.end() ? nullptr : &it->second;
}

const TensorMeta* Importer::MetaOf(const Call& call, std::string_view argument) const {
  const auto* name = std::get_if<TensorName>(call.Find(argument));
  return name == nullptr ? nullptr : Meta(name->name);
}

absl::StatusOr<Slot*> Importer::Tensor(const Call& call, std::string_view argument) {
  const auto* name = std::get_if<TensorName>(call.Find(argument));
  if (name == nullptr) {
    return Refuse(absl::StrCat("the argument '", Text(argument), "' of ", call.file_name, " is no tensor"),
                  "export the model again");
  }
  return Find(name->name);
}

absl::StatusOr<ValueId> Importer::RealOf(const Slot& slot, std::string_view argument) {
  if (slot.codes != nullptr) {
    return Refuse(absl::StrCat("integer codes are the operand '", Text(argument), "' of a float operator"),
                  "dequantize them first");
  }
  return Value(slot);
}

absl::StatusOr<ValueId> Importer::Real(const Call& call, std::string_view argument) {
  QATGAP_ASSIGN_OR_RETURN(const Slot* slot, Tensor(call, argument));
  return RealOf(*slot, argument);
}

absl::StatusOr<ValueId> Importer::RealOrNumber(const Call& call, std::string_view argument, ScalarType like) {
  const ProgramValue* value = call.Find(argument);
  if (const auto* number = std::get_if<std::int64_t>(value))
    return EmitNumber(call, static_cast<double>(*number), like);
  if (const auto* number = std::get_if<bool>(value)) return EmitNumber(call, *number ? 1 : 0, like);
  if (const auto* number = std::get_if<double>(value)) {
    const bool whole = like != ScalarType::kFloat64 && like != ScalarType::kFloat32;  // an integer tensor and a float
    return EmitNumber(call, *number, whole ? ScalarType::kFloat32 : like);
  }
  if (std::holds_alternative<SymbolicName>(value == nullptr ? ProgramValue() : *value)) {
    return Refuse(absl::StrCat("the argument '", Text(argument), "' of ", call.file_name, " depends on the input"),
                  "make it a constant of the model");
  }
  return Real(call, argument);
}

absl::StatusOr<graph::Tensor> Importer::ConstantTensor(const Call& call, std::string_view argument) {
  QATGAP_ASSIGN_OR_RETURN(const Slot* slot, Tensor(call, argument));
  if (slot->value < 0) return weights_.Load(slot->fqn);
  const graph::Node* producer = graph_.producer(slot->value);
  const auto* constant = producer == nullptr ? nullptr : std::get_if<graph::ConstantAttributes>(&producer->attributes);
  if (constant == nullptr || constant->qparams) {
    return Refuse(
        absl::StrCat("the argument '", Text(argument), "' of ", call.file_name, " is computed while the model runs"),
        "make it a parameter, a buffer or a number");
  }
  return constant->value;
}

namespace {

absl::Status NotANumber(const Importer& importer, const Call& call, std::string_view argument) {
  const ProgramValue* value = call.Find(argument);
  const bool symbolic = value != nullptr &&
                        (std::holds_alternative<SymbolicName>(*value) || std::holds_alternative<SymbolicInts>(*value));
  return importer.Refuse(
      absl::StrCat("the argument '", Text(argument), "' of ", call.file_name,
                   symbolic           ? " depends on the size of the input"
                   : value == nullptr ? " is missing"
                                      : " has another type than expected"),
      symbolic ? "export with fixed sizes (only the batch may be dynamic)" : "export the model again");
}

}  // namespace

absl::StatusOr<std::int64_t> Importer::Int(const Call& call, std::string_view argument,
                                           std::optional<std::int64_t> otherwise) {
  if (otherwise && call.Lacks(argument)) return *otherwise;
  if (const auto* number = std::get_if<std::int64_t>(call.Find(argument))) return *number;
  return NotANumber(*this, call, argument);
}

absl::StatusOr<double> Importer::Double(const Call& call, std::string_view argument, std::optional<double> otherwise) {
  if (otherwise && call.Lacks(argument)) return *otherwise;
  if (const auto* number = std::get_if<double>(call.Find(argument))) return *number;
  if (const auto* number = std::get_if<std::int64_t>(call.Find(argument))) return static_cast<double>(*number);
  return NotANumber(*this, call, argument);
}

absl::StatusOr<bool> Importer::Bool(const Call& call, std::string_view argument, bool otherwise) {
  if (call.Lacks(argument)) return otherwise;
  if (const auto* value = std::get_if<bool>(call.Find(argument))) return *value;
  return NotANumber(*this, call, argument);
}

absl::StatusOr<std::vector<std::int64_t>> Importer::Ints(const Call& call, std::string_view argument,
                                                         std::optional<std::vector<std::int64_t>> otherwise) {
  if (otherwise && call.Lacks(argument)) return *std::move(otherwise);
  const ProgramValue* value = call.Find(argument);
  if (const auto* numbers = std::get_if<std::vector<std::int64_t>>(value)) return *numbers;
  if (const auto* number = std::get_if<std::int64_t>(value)) return std::vector<std::int64_t>{*number};
  return NotANumber(*this, call, argument);
}

// Sizes of a reshape: an extent of the same axis of the input becomes 0, one other symbolic extent -1. A batch that was
// fixed while exporting is kept too: a program exported with one sample then takes any number.
absl::StatusOr<std::vector<std::int64_t>> Importer::ReshapeSizes(const Call& call, std::string_view x,
                                                                 std::string_view sizes) {
  const ProgramValue* value = call.Find(sizes);
  std::vector<std::variant<std::int64_t, std::string>> items;
  if (const auto* symbols = std::get_if<SymbolicInts>(value)) {
    items = symbols->items;
  } else {
    QATGAP_ASSIGN_OR_RETURN(const std::vector<std::int64_t> numbers, Ints(call, sizes));
    items.assign(numbers.begin(), numbers.end());
  }
  const TensorMeta* meta = MetaOf(call, x);
  std::vector<std::int64_t> result;
  bool inferred =
      std::find(items.begin(), items.end(), std::variant<std::int64_t, std::string>(std::int64_t{-1})) != items.end();
  for (std::size_t axis = 0; axis < items.size(); ++axis) {
    const Extent* kept = meta != nullptr && axis < meta->sizes.size() ? &meta->sizes[axis] : nullptr;
    if (const auto* number = std::get_if<std::int64_t>(&items[axis])) {
      const bool batch = axis == 0 && kept != nullptr && !kept->symbolic() && kept->number == *number && *number > 0;
      result.push_back(batch && items.size() > 1 ? 0 : *number);
      continue;
    }
    const auto extent = program_graph_->symbolic_ints.find(std::get<std::string>(items[axis]));
    const bool known = extent != program_graph_->symbolic_ints.end();
    if (known && kept != nullptr && *kept == extent->second) {
      result.push_back(0);
    } else if (!inferred) {
      inferred = true;
      result.push_back(-1);
    } else {
      return Refuse(
          absl::StrCat("the argument '", Text(sizes), "' of ", call.file_name, " depends on the size of the input"),
          "export with fixed sizes (only the batch may be dynamic)");
    }
  }
  return result;
}

std::vector<ValueId> Importer::EmitMany(const Call& call, OpKind kind, std::vector<ValueId> inputs,
                                        graph::Attributes attributes, int outputs) {
  bool constant = kind != OpKind::kIf;
  for (const ValueId input : inputs) constant = constant && IsConstant(input);
  const graph::NodeId id = graph_.AddNode(*block_,
                                          {.kind = kind,
                                           .inputs = std::move(inputs),
                                           .outputs = {},
                                           .attributes = std::move(attributes),
                                           .module_path = path_,
                                           .source_op = call.name,
                                           .source_line = source_line_,
                                           .module_stack = stack_},
                                          outputs);
  constant_.resize(graph_.values.size(), constant);
  return graph_.nodes[static_cast<std::size_t>(id)].outputs;
}

ValueId Importer::Emit(const Call& call, OpKind kind, std::vector<ValueId> inputs, graph::Attributes attributes) {
  return EmitMany(call, kind, std::move(inputs), std::move(attributes), 1)[0];
}

ValueId Importer::EmitConstant(const Call& call, graph::Tensor value, std::optional<numerics::QuantParams> qparams) {
  graph::Block* const outer = std::exchange(block_, &constants_);
  const ValueId id = Emit(call, OpKind::kConstant, {},
                          graph::ConstantAttributes{.value = std::move(value), .qparams = std::move(qparams)});
  block_ = outer;
  return id;
}

ValueId Importer::EmitNumber(const Call& call, double number, ScalarType like) {
  if (like == ScalarType::kFloat64)
    return EmitConstant(call, graph::Tensor::Of<double>({}, std::vector<double>{number}));
  const bool whole = like != ScalarType::kFloat32 && number >= -0x1p62 && number <= 0x1p62;
  if (whole) {
    return EmitConstant(
        call, graph::Tensor::Of<std::int64_t>({}, std::vector<std::int64_t>{static_cast<std::int64_t>(number)}));
  }
  return EmitConstant(call, graph::Tensor::Of<float>({}, std::vector<float>{static_cast<float>(number)}));
}

std::vector<std::string> Importer::OutputsOf(const Call& call) {
  std::vector<std::string> names;
  for (const ProgramValue& output : call.node.outputs) {
    if (const auto* tensor = std::get_if<TensorName>(&output)) names.push_back(tensor->name);
    if (const auto* tensors = std::get_if<TensorNames>(&output)) {
      for (const auto& name : tensors->names) names.push_back(name.value_or(""));
    }
  }
  return names;
}

absl::Status Importer::Bind(const Call& call, ValueId value) { return BindAll(call, {value}); }

absl::Status Importer::BindAll(const Call& call, const std::vector<ValueId>& values) {
  const std::vector<std::string> names = OutputsOf(call);
  if (names.empty())
    return Refuse(absl::StrCat("operator ", call.file_name, " gives no tensor"), "export the model again");
  const std::string origin = OriginOf(call);
  for (std::size_t i = 0; i < std::min(values.size(), names.size()); ++i) {
    if (names[i].empty()) continue;
    Slot slot{.value = values[i], .origin = origin, .memory = NewMemory(), .identity = memories_};
    if (MayBeView(call.name) && !call.Lacks("self")) {
      QATGAP_ASSIGN_OR_RETURN(const Slot* self, Tensor(call, "self"));
      slot.memory = self->memory;
    }
    if (const TensorMeta* meta = Meta(names[i])) slot.dtype = meta->dtype;
    QATGAP_RETURN_IF_ERROR(BindSlot(names[i], std::move(slot)));
  }
  return absl::OkStatus();
}

absl::Status Importer::BindCodes(const Call& call, ValueId value, numerics::QuantParams qparams) {
  QATGAP_RETURN_IF_ERROR(Bind(call, value));
  QATGAP_ASSIGN_OR_RETURN(Slot * slot, Find(OutputsOf(call)[0]));
  slot->codes = std::make_shared<const numerics::QuantParams>(std::move(qparams));
  return absl::OkStatus();
}

absl::Status Importer::BindAlias(const Call& call, std::string_view argument, Memory memory) {
  QATGAP_ASSIGN_OR_RETURN(const Slot* source, Tensor(call, argument));
  Slot slot = *source;
  if (memory == Memory::kOther) {
    slot.owned = false;
    slot.memory = NewMemory();
  }
  if (memory != Memory::kSame) slot.identity = NewMemory();
  const std::vector<std::string> names = OutputsOf(call);
  if (names.empty()) return absl::OkStatus();
  return BindSlot(names[0], std::move(slot));
}

absl::Status Importer::BindLike(const Call& call, OpKind kind, std::string_view x, graph::Attributes attributes) {
  QATGAP_ASSIGN_OR_RETURN(const Slot* found, Tensor(call, x));
  const Slot slot = *found;
  if (slot.codes == nullptr) {
    QATGAP_ASSIGN_OR_RETURN(const ValueId value, RealOf(slot, x));
    return Bind(call, Emit(call, kind, {value}, std::move(attributes)));
  }
  const ValueId real = Emit(call, kind, {Emit(call, OpKind::kDequantize, {slot.value})}, std::move(attributes));
  return BindCodes(call, Emit(call, OpKind::kQuantizeLike, {real, slot.value}), *slot.codes);
}

absl::Status Importer::CheckParams(const numerics::QuantParams& qparams, std::string_view what) const {
  if (const absl::Status status = numerics::Validate(qparams, "qparams"); !status.ok()) {
    return Refuse(absl::StrCat(Text(what), ": ", std::string(status.message())),
                  "train or calibrate this module again");
  }
  return absl::OkStatus();
}

void Importer::Notice(graph::NoticeKind kind, std::string detail) {
  for (const graph::Notice& notice : graph_.notices) {  // a module that is called twice
    if (notice.kind == kind && notice.module_path == path_) return;
  }
  graph_.notices.push_back({kind, path_, std::move(detail)});
}

}  // namespace qatgap::frontends::pt2
