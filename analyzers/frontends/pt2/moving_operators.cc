// Operators that pass a tensor on, or move its elements.
#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/pt2/importer.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends::pt2 {
namespace {

using graph::OpKind;
using graph::ValueId;
using Memory = Importer::Memory;
using Sizes = std::vector<std::int64_t>;

constexpr std::int64_t kMaxFilled = std::int64_t{1} << 24U;

template <Memory kMemory>
absl::Status Pass(Importer& importer, const Call& call) {
  return importer.BindAlias(call, "self", kMemory);
}

absl::Status Dropout(Importer& importer, const Call& call) {
  const std::string_view x = call.Find("input") != nullptr ? "input" : "self";
  QATGAP_ASSIGN_OR_RETURN(const bool train, importer.Bool(call, "train", true));
  QATGAP_ASSIGN_OR_RETURN(const double p, importer.Double(call, "p", 0.5));
  if (train && p != 0) return importer.Refuse("dropout in training mode", "call model.eval() before exporting");
  return importer.BindAlias(call, x, Memory::kSame);
}

// to and _to_copy: a change of type, or nothing.
absl::Status To(Importer& importer, const Call& call) {
  QATGAP_ASSIGN_OR_RETURN(const Slot* slot, importer.Tensor(call, "self"));
  const auto* wanted = std::get_if<ScalarType>(call.Find("dtype"));
  ScalarType type = wanted == nullptr ? slot->dtype : *wanted;
  if (const TensorMeta* other = importer.MetaOf(call, "other")) type = other->dtype;
  if (type == slot->dtype) return importer.BindAlias(call, "self", Memory::kMaybeSame);
  QATGAP_ASSIGN_OR_RETURN(const ValueId x, importer.RealOf(*slot, "self"));
  const bool widened =
      (slot->dtype == ScalarType::kFloat16 || slot->dtype == ScalarType::kBfloat16) && !slot->fqn.empty();
  if (widened && type == ScalarType::kFloat32) return importer.Bind(call, x);  // was made float32 when it was read
  const auto number = DispatcherNumber(type);
  if (!number) return importer.Refuse(absl::StrCat("a conversion to ", ToString(type)), "keep the model in float32");
  return importer.Bind(
      call,
      importer.Emit(call, OpKind::kOperator, {x},
                    graph::OperatorAttributes{
                        .name = "aten::to", .overload = "dtype", .arguments = {graph::TensorArgument{0}, *number}}));
}

// copy(self, src): src, in the shape of self.
absl::Status Copy(Importer& importer, const Call& call) {
  const TensorMeta* self = importer.MetaOf(call, "self");
  const TensorMeta* source = importer.MetaOf(call, "src");
  if (self == nullptr || source == nullptr || self->sizes != source->sizes || self->dtype != source->dtype) {
    return importer.Refuse("a copy that repeats or converts its source", "write the assignment without it");
  }
  return importer.BindAlias(call, "src", Memory::kOther);
}

absl::Status Reshape(Importer& importer, const Call& call) {
  const std::string_view sizes_name = call.Find("shape") != nullptr ? "shape" : "size";
  QATGAP_ASSIGN_OR_RETURN(Sizes sizes, importer.ReshapeSizes(call, "self", sizes_name));
  return importer.BindLike(call, OpKind::kReshape, "self", graph::SizesAttributes{std::move(sizes)});
}

absl::Status Flatten(Importer& importer, const Call& call) {
  graph::FlattenAttributes flatten;
  QATGAP_ASSIGN_OR_RETURN(flatten.start_axis, importer.Int(call, "start_dim", 0));
  QATGAP_ASSIGN_OR_RETURN(flatten.end_axis, importer.Int(call, "end_dim", -1));
  return importer.BindLike(call, OpKind::kFlatten, "self", flatten);
}

absl::Status Permute(Importer& importer, const Call& call) {
  QATGAP_ASSIGN_OR_RETURN(Sizes order, importer.Ints(call, "dims"));
  return importer.BindLike(call, OpKind::kPermute, "self", graph::SizesAttributes{std::move(order)});
}

absl::Status Concat(Importer& importer, const Call& call) {
  const auto* tensors = std::get_if<TensorNames>(call.Find("tensors"));
  if (tensors == nullptr || tensors->names.empty()) return importer.Unknown(call);
  QATGAP_ASSIGN_OR_RETURN(const std::int64_t axis, importer.Int(call, "dim", 0));
  std::vector<ValueId> operands;
  for (const auto& name : tensors->names) {
    if (!name) return importer.Unknown(call);
    QATGAP_ASSIGN_OR_RETURN(const Slot* slot, importer.Named(*name));
    QATGAP_ASSIGN_OR_RETURN(const ValueId value, importer.RealOf(*slot, "tensors"));
    operands.push_back(value);
  }
  return importer.Bind(call, importer.Emit(call, OpKind::kConcat, std::move(operands), graph::AxisAttributes{axis}));
}

// zeros, ones and full of fixed sizes are constants: eager QAT modules write their missing bias so.
absl::Status Filled(Importer& importer, const Call& call) {
  const auto* sizes = std::get_if<Sizes>(call.Find("size"));
  const auto* type = std::get_if<ScalarType>(call.Find("dtype"));
  std::int64_t elements = 1;
  bool small = sizes != nullptr && (type == nullptr || *type == ScalarType::kFloat32);
  for (std::size_t i = 0; small && i < sizes->size(); ++i) {
    const std::int64_t size = (*sizes)[i];
    small = size >= 0 && (size == 0 || elements <= kMaxFilled / size);
    elements *= small ? size : 1;
  }
  float value = call.name == "aten::ones" ? 1.0F : 0.0F;
  if (call.name == "aten::full") {
    QATGAP_ASSIGN_OR_RETURN(const double fill, importer.Double(call, "fill_value"));
    small = small && (type != nullptr || std::holds_alternative<double>(*call.Find("fill_value")));
    value = static_cast<float>(fill);
  }
  if (!small) return ImportByName(importer, call);
  const std::vector<float> values(static_cast<std::size_t>(elements), value);
  return importer.Bind(call, importer.EmitConstant(call, graph::Tensor::Of<float>(*sizes, values)));
}

constexpr std::array<std::pair<std::string_view, Importer::Handler>, 31> kOperators = {{
    {"aten::alias", Pass<Memory::kSame>},
    {"aten::detach", Pass<Memory::kSame>},
    {"aten::requires_grad", Pass<Memory::kSame>},
    {"aten::lift", Pass<Memory::kSame>},
    {"aten::lift_fresh", Pass<Memory::kSame>},
    {"aten::contiguous", Pass<Memory::kMaybeSame>},
    {"aten::lift_fresh_copy", Pass<Memory::kOther>},
    {"aten::clone", Pass<Memory::kOther>},
    {"aten::detach_copy", Pass<Memory::kOther>},
    {"aten::alias_copy", Pass<Memory::kOther>},
    {"aten::dropout", Dropout},
    {"aten::feature_dropout", Dropout},
    {"aten::alpha_dropout", Dropout},
    {"aten::native_dropout", Dropout},
    {"aten::to", To},
    {"aten::_to_copy", To},
    {"aten::copy", Copy},
    {"aten::reshape", Reshape},
    {"aten::view", Reshape},
    {"aten::_unsafe_view", Reshape},
    {"aten::view_copy", Reshape},
    {"aten::flatten", Flatten},
    {"aten::permute", Permute},
    {"aten::permute_copy", Permute},
    {"aten::cat", Concat},
    {"aten::concat", Concat},
    {"aten::concatenate", Concat},
    {"aten::zeros", Filled},
    {"aten::ones", Filled},
    {"aten::full", Filled},
    {"aten::type_as", To},
}};

}  // namespace

Importer::Handler FindMovingOperator(const Call& call) {
  // view.dtype reads the bits as another type
  if (call.name == "aten::view" && call.overload == "dtype") return nullptr;
  const auto it =
      std::find_if(kOperators.begin(), kOperators.end(), [&](const auto& entry) { return entry.first == call.name; });
  return it == kOperators.end() ? nullptr : it->second;
}

}  // namespace qatgap::frontends::pt2
