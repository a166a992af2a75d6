#include "analyzers/frontends/pt2/weights.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::frontends::pt2 {
namespace {

static_assert(std::endian::native == std::endian::little, "payloads are little endian");

// A tensor that repeats its payload (stride 0) may grow to this; others are as large as their payload.
constexpr std::uint64_t kMaxRepeatedBytes = std::uint64_t{64} << 20U;

// IEEE binary16 as binary32, which holds all of its values.
float FromHalf(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000U) << 16U, exponent = (half >> 10U) & 0x1fU, fraction = half & 0x3ffU;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t wide = exponent == 31 ? 0xffU : exponent + 112U;
  return std::bit_cast<float>(sign | (wide << 23U) | (fraction << 13U));
}

float FromBrain(std::uint16_t brain) { return std::bit_cast<float>(static_cast<std::uint32_t>(brain) << 16U); }

struct Kind {
  std::size_t stored_size;
  graph::DType dtype;
};
std::optional<Kind> KindOf(ScalarType type) {
  switch (type) {
    case ScalarType::kUint8:
      return Kind{1, graph::DType::kUint8};
    case ScalarType::kInt8:
      return Kind{1, graph::DType::kInt8};
    case ScalarType::kInt16:
      return Kind{2, graph::DType::kInt32};
    case ScalarType::kInt32:
      return Kind{4, graph::DType::kInt32};
    case ScalarType::kInt64:
      return Kind{8, graph::DType::kInt64};
    case ScalarType::kFloat16:
    case ScalarType::kBfloat16:
      return Kind{2, graph::DType::kFloat32};
    case ScalarType::kFloat32:
      return Kind{4, graph::DType::kFloat32};
    case ScalarType::kFloat64:
      return Kind{8, graph::DType::kFloat64};
    case ScalarType::kBool:
      return Kind{1, graph::DType::kBool};
  }
  return std::nullopt;
}

// Where a strided tensor lies in its payload, in elements; nullopt: negative or too large numbers.
struct Layout {
  graph::Shape shape;
  std::uint64_t elements = 1;
  std::uint64_t end = 0;  // one past the last element used
};
std::optional<Layout> LayoutOf(const TensorMeta& meta) {
  constexpr std::int64_t kLarge = std::int64_t{1} << 40U;
  Layout layout;
  if (meta.strides.size() != meta.sizes.size() || meta.storage_offset < 0 || meta.storage_offset > kLarge)
    return std::nullopt;
  std::uint64_t last = static_cast<std::uint64_t>(meta.storage_offset);
  for (std::size_t axis = 0; axis < meta.sizes.size(); ++axis) {
    const std::int64_t size = meta.sizes[axis].number, stride = meta.strides[axis];
    if (meta.sizes[axis].symbolic() || size < 0 || size > kLarge || stride < 0 || stride > kLarge) return std::nullopt;
    layout.shape.push_back(size);
    if (size == 0) {
      layout.elements = 0;
      continue;
    }
    if (layout.elements > static_cast<std::uint64_t>(kLarge / size)) return std::nullopt;
    layout.elements *= static_cast<std::uint64_t>(size);
    if (stride != 0 && size - 1 > kLarge / stride) return std::nullopt;
    last += static_cast<std::uint64_t>((size - 1) * stride);
  }
  layout.end = layout.elements == 0 ? 0 : last + 1;
  return layout;
}

bool IsContiguous(const Layout& layout, const TensorMeta& meta) {
  std::int64_t step = 1;
  for (std::size_t axis = layout.shape.size(); axis-- > 0;) {
    if (layout.shape[axis] != 1 && meta.strides[axis] != step) return false;
    step *= layout.shape[axis];
  }
  return true;
}

// Calls copy(element, offset in the payload) for every element in row-major order.
template <typename Copy>
void Gather(const Layout& layout, const TensorMeta& meta, const Copy& copy) {
  if (IsContiguous(layout, meta)) {
    const auto start = static_cast<std::size_t>(meta.storage_offset);
    for (std::size_t element = 0; element < layout.elements; ++element) copy(element, start + element);
    return;
  }
  std::vector<std::int64_t> index(layout.shape.size(), 0);
  std::int64_t offset = meta.storage_offset;
  for (std::size_t element = 0; element < layout.elements; ++element) {
    copy(element, static_cast<std::size_t>(offset));
    for (std::size_t axis = index.size(); axis-- > 0;) {
      offset += meta.strides[axis];
      if (++index[axis] < layout.shape[axis]) break;
      offset -= meta.strides[axis] * layout.shape[axis];
      index[axis] = 0;
    }
  }
}

template <typename T>
T At(const std::string& payload, std::size_t element) {
  T value;
  std::memcpy(&value, payload.data() + element * sizeof(T), sizeof(T));
  return value;
}

template <typename T, typename Convert>
void Fill(const std::string& payload, const Layout& layout, const TensorMeta& meta, graph::Tensor& tensor,
          const Convert& convert) {
  using To = decltype(convert(T{}));
  const auto out = tensor.mutable_data<To>();
  Gather(layout, meta,
         [&](std::size_t element, std::size_t offset) { out[element] = convert(At<T>(payload, offset)); });
}

template <typename T>
void Fill(const std::string& payload, const Layout& layout, const TensorMeta& meta, graph::Tensor& tensor) {
  Fill<T>(payload, layout, meta, tensor, [](T value) { return value; });
}

void FillFrom(const std::string& payload, const Layout& layout, const TensorMeta& meta, graph::Tensor& tensor) {
  switch (meta.dtype) {
    case ScalarType::kUint8:
      return Fill<std::uint8_t>(payload, layout, meta, tensor);
    case ScalarType::kInt8:
      return Fill<std::int8_t>(payload, layout, meta, tensor);
    case ScalarType::kInt16:
      return Fill<std::int16_t>(payload, layout, meta, tensor, [](std::int16_t v) { return std::int32_t{v}; });
    case ScalarType::kInt32:
      return Fill<std::int32_t>(payload, layout, meta, tensor);
    case ScalarType::kInt64:
      return Fill<std::int64_t>(payload, layout, meta, tensor);
    case ScalarType::kFloat16:
      return Fill<std::uint16_t>(payload, layout, meta, tensor, FromHalf);
    case ScalarType::kBfloat16:
      return Fill<std::uint16_t>(payload, layout, meta, tensor, FromBrain);
    case ScalarType::kFloat32:
      return Fill<float>(payload, layout, meta, tensor);
    case ScalarType::kFloat64:
      return Fill<double>(payload, layout, meta, tensor);
    case ScalarType::kBool:
      return Fill<std::uint8_t>(payload, layout, meta, tensor, [](std::uint8_t v) { return v != 0; });
  }
}

}  // namespace

absl::StatusOr<Weights> Weights::Open(Archive& archive) {
  Weights weights(archive);
  QATGAP_RETURN_IF_ERROR(weights.ReadIndex("data/weights/", "model_weights_config.json"));
  QATGAP_RETURN_IF_ERROR(weights.ReadIndex("data/constants/", "model_constants_config.json"));
  return weights;
}

absl::Status Weights::ReadIndex(const std::string& folder, const std::string& file) {
  if (!archive_->Has(folder + file)) {
    if (!archive_->Has(folder + "model.pt")) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("keeps its tensors as a pickle (", folder,
                                                   "model.pt), which qatgap does not run; save the program with "
                                                   "torch.export.save of PyTorch 2.10 or newer"));
  }
  QATGAP_ASSIGN_OR_RETURN(const std::string text, archive_->Read(folder + file));
  QATGAP_ASSIGN_OR_RETURN(auto index, ParseTensorIndex(text));
  for (auto& [fqn, stored] : index) index_.insert_or_assign(fqn, Entry{std::move(stored), folder});
  return absl::OkStatus();
}

absl::StatusOr<ScalarType> Weights::Type(const std::string& fqn) const {
  const auto it = index_.find(fqn);
  if (it == index_.end()) {
    return absl::InvalidArgumentError(absl::StrCat("lacks the tensor '", fqn, "'; save the program again"));
  }
  return it->second.stored.meta.dtype;
}

absl::StatusOr<graph::Tensor> Weights::Load(const std::string& fqn) {
  QATGAP_ASSIGN_OR_RETURN(const ScalarType type, Type(fqn));
  const Entry& entry = index_.at(fqn);
  const TensorMeta& meta = entry.stored.meta;
  if (entry.stored.pickled) {
    return absl::InvalidArgumentError(
        absl::StrCat("keeps the tensor '", fqn,
                     "' as a pickle, which qatgap does not run: it is no plain dense tensor; replace it by "
                     "one (torch.nn.Parameter(t.clone())) before exporting"));
  }
  const auto kind = KindOf(type);
  if (!kind) {
    return absl::FailedPreconditionError(
        absl::StrCat("keeps the tensor '", fqn, "' as ", ToString(type), "; keep weights in float32 or int8"));
  }
  const auto layout = LayoutOf(meta);
  if (!layout) {
    return absl::InvalidArgumentError(absl::StrCat(
        "describes the tensor '", fqn, "' with sizes or strides that are no numbers; save the program again"));
  }
  const std::string key =
      absl::StrCat(entry.folder, entry.stored.payload, " ", static_cast<int>(type), " ", meta.storage_offset, " ",
                   absl::StrJoin(layout->shape, ","), " ", absl::StrJoin(meta.strides, ","));
  if (const auto it = loaded_.find(key); it != loaded_.end()) return it->second;
  if (entry.stored.payload.find("..") != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("keeps the tensor '", fqn, "' outside of its folder; save it again"));
  }
  std::string payload;
  if (layout->elements > 0) {
    QATGAP_ASSIGN_OR_RETURN(payload, archive_->Read(entry.folder + entry.stored.payload));
  }
  const std::uint64_t available = payload.size() / kind->stored_size;
  if (layout->end > available) {
    return absl::InvalidArgumentError(absl::StrCat("has ", available, " elements for the tensor '", fqn, "' of shape ",
                                                   graph::ToString(layout->shape), " that needs ", layout->end,
                                                   "; save the program again"));
  }
  if (layout->elements > available &&
      layout->elements > kMaxRepeatedBytes / std::max(kind->stored_size, graph::SizeOf(kind->dtype))) {
    return absl::ResourceExhaustedError(absl::StrCat("repeats the tensor '", fqn, "' to the shape ",
                                                     graph::ToString(layout->shape), "; store it without repeats"));
  }
  graph::Tensor tensor(kind->dtype, layout->shape);
  FillFrom(payload, *layout, meta, tensor);
  loaded_.emplace(key, tensor);
  return tensor;
}

}  // namespace qatgap::frontends::pt2
