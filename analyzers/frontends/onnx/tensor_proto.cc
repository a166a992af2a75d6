#include "analyzers/frontends/onnx/tensor_proto.h"

#include <onnx/onnx_pb.h>

#include <bit>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends::onnx {
namespace {

using graph::DType;
using graph::Tensor;

static_assert(std::endian::native == std::endian::little, "raw_data is little endian");

float FromFloat16(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1fu;
  const std::uint32_t fraction = bits & 0x3ffu;
  if (exponent == 0) {  // zero and subnormals: fraction * 2^-24, exact in binary32
    const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t wide = exponent == 31 ? 0xffu : exponent + (127 - 15);
  return std::bit_cast<float>(sign | (wide << 23) | (fraction << 13));
}

float FromBfloat16(std::uint16_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

// Bits of an element in raw_data; 0 for a type that is not taken.
int BitsOf(int type) {
  switch (type) {
    case element::kUint4:
    case element::kInt4:
      return 4;
    case element::kUint8:
    case element::kInt8:
    case element::kBool:
      return 8;
    case element::kUint16:
    case element::kInt16:
    case element::kFloat16:
    case element::kBfloat16:
      return 16;
    case element::kFloat:
    case element::kInt32:
    case element::kUint32:
      return 32;
    case element::kInt64:
    case element::kUint64:
    case element::kDouble:
      return 64;
    default:
      return 0;
  }
}

DType StoredAs(int type) {
  if (IsReal(type)) return DType::kFloat32;
  if (type == element::kBool) return DType::kBool;
  return type == element::kInt64 || type == element::kUint32 || type == element::kUint64 ? DType::kInt64
                                                                                         : DType::kInt32;
}

// Calls `set(i, element)` for each element of type T in `raw`.
template <typename T, typename Set>
void ForEachRaw(const std::string& raw, Set set) {
  for (std::size_t i = 0; i * sizeof(T) < raw.size(); ++i) {
    T value;
    std::memcpy(&value, raw.data() + i * sizeof(T), sizeof(T));
    set(i, value);
  }
}

std::int32_t Nibble(std::uint32_t byte, std::size_t i, int type) {
  const auto bits = static_cast<std::int32_t>((i % 2 == 0 ? byte : byte >> 4) & 0xfu);
  return type == element::kInt4 && bits > 7 ? bits - 16 : bits;
}

void FillFromRaw(const std::string& raw, Literal& literal) {
  Tensor& value = literal.value;
  const auto reals = [&] { return value.mutable_data<float>(); };
  const auto ints = [&] { return value.mutable_data<std::int32_t>(); };
  const auto longs = [&] { return value.mutable_data<std::int64_t>(); };
  switch (literal.type) {
    case element::kFloat:
      return ForEachRaw<float>(raw, [out = reals()](std::size_t i, float v) { out[i] = v; });
    case element::kDouble:
      return ForEachRaw<double>(raw, [out = reals()](std::size_t i, double v) { out[i] = static_cast<float>(v); });
    case element::kFloat16:
      return ForEachRaw<std::uint16_t>(raw,
                                       [out = reals()](std::size_t i, std::uint16_t v) { out[i] = FromFloat16(v); });
    case element::kBfloat16:
      return ForEachRaw<std::uint16_t>(raw,
                                       [out = reals()](std::size_t i, std::uint16_t v) { out[i] = FromBfloat16(v); });
    case element::kInt8:
      return ForEachRaw<std::int8_t>(raw, [out = ints()](std::size_t i, std::int8_t v) { out[i] = v; });
    case element::kUint8:
      return ForEachRaw<std::uint8_t>(raw, [out = ints()](std::size_t i, std::uint8_t v) { out[i] = v; });
    case element::kInt16:
      return ForEachRaw<std::int16_t>(raw, [out = ints()](std::size_t i, std::int16_t v) { out[i] = v; });
    case element::kUint16:
      return ForEachRaw<std::uint16_t>(raw, [out = ints()](std::size_t i, std::uint16_t v) { out[i] = v; });
    case element::kInt32:
      return ForEachRaw<std::int32_t>(raw, [out = ints()](std::size_t i, std::int32_t v) { out[i] = v; });
    case element::kUint32:
      return ForEachRaw<std::uint32_t>(raw, [out = longs()](std::size_t i, std::uint32_t v) { out[i] = v; });
    case element::kInt64:
    case element::kUint64:
      return ForEachRaw<std::int64_t>(raw, [out = longs()](std::size_t i, std::int64_t v) { out[i] = v; });
    case element::kBool:
      return ForEachRaw<std::uint8_t>(
          raw, [out = value.mutable_data<bool>()](std::size_t i, std::uint8_t v) { out[i] = v != 0; });
    default: {
      const auto out = ints();
      for (std::size_t i = 0; i < out.size(); ++i) {
        out[i] = Nibble(static_cast<unsigned char>(raw[i / 2]), i, literal.type);
      }
    }
  }
}

// Typed fields: how many elements the one for `type` holds.
int CountTyped(const ::onnx::TensorProto& proto, int type) {
  switch (type) {
    case element::kFloat:
      return proto.float_data_size();
    case element::kDouble:
      return proto.double_data_size();
    case element::kInt64:
      return proto.int64_data_size();
    case element::kUint32:
    case element::kUint64:
      return proto.uint64_data_size();
    default:
      return proto.int32_data_size();
  }
}

void FillFromTyped(const ::onnx::TensorProto& proto, Literal& literal) {
  Tensor& value = literal.value;
  const auto count = static_cast<std::size_t>(value.elements());
  for (std::size_t i = 0; i < count; ++i) {
    const int at = static_cast<int>(i);
    switch (literal.type) {
      case element::kFloat:
        value.mutable_data<float>()[i] = proto.float_data(at);
        break;
      case element::kDouble:
        value.mutable_data<float>()[i] = static_cast<float>(proto.double_data(at));
        break;
      case element::kFloat16:
        value.mutable_data<float>()[i] = FromFloat16(static_cast<std::uint16_t>(proto.int32_data(at)));
        break;
      case element::kBfloat16:
        value.mutable_data<float>()[i] = FromBfloat16(static_cast<std::uint16_t>(proto.int32_data(at)));
        break;
      case element::kInt64:
        value.mutable_data<std::int64_t>()[i] = proto.int64_data(at);
        break;
      case element::kUint32:
      case element::kUint64:
        value.mutable_data<std::int64_t>()[i] = static_cast<std::int64_t>(proto.uint64_data(at));
        break;
      case element::kBool:
        value.mutable_data<bool>()[i] = proto.int32_data(at) != 0;
        break;
      case element::kUint4:
      case element::kInt4:
        value.mutable_data<std::int32_t>()[i] =
            Nibble(static_cast<std::uint32_t>(proto.int32_data(static_cast<int>(i / 2))), i, literal.type);
        break;
      default:
        value.mutable_data<std::int32_t>()[i] = proto.int32_data(at);
    }
  }
}

// The typed field for small integers is int32: a value may be none of the type.
bool FitsType(const Literal& literal) {
  const auto range = CodeRangeOf(literal.type);
  if (!range || literal.type == element::kInt32) return true;
  for (const std::int32_t v : literal.value.data<std::int32_t>()) {
    if (v < range->min || v > range->max) return false;
  }
  return true;
}

}  // namespace

std::string ElementName(int type) {
  switch (type) {
    case element::kFloat:
      return "float32";
    case element::kUint8:
      return "uint8";
    case element::kInt8:
      return "int8";
    case element::kUint16:
      return "uint16";
    case element::kInt16:
      return "int16";
    case element::kInt32:
      return "int32";
    case element::kInt64:
      return "int64";
    case element::kString:
      return "string";
    case element::kBool:
      return "bool";
    case element::kFloat16:
      return "float16";
    case element::kDouble:
      return "float64";
    case element::kUint32:
      return "uint32";
    case element::kUint64:
      return "uint64";
    case element::kBfloat16:
      return "bfloat16";
    case element::kUint4:
      return "uint4";
    case element::kInt4:
      return "int4";
    default:
      return absl::StrCat("type ", type);
  }
}

bool IsReal(int type) {
  return type == element::kFloat || type == element::kDouble || type == element::kFloat16 || type == element::kBfloat16;
}

std::optional<CodeRange> CodeRangeOf(int type) {
  switch (type) {
    case element::kUint4:
      return CodeRange{0, 15};
    case element::kInt4:
      return CodeRange{-8, 7};
    case element::kUint8:
      return CodeRange{0, 255};
    case element::kInt8:
      return CodeRange{-128, 127};
    case element::kUint16:
      return CodeRange{0, 65535};
    case element::kInt16:
      return CodeRange{-32768, 32767};
    case element::kInt32:
      return CodeRange{std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max()};
    default:
      return std::nullopt;
  }
}

absl::StatusOr<Literal> DecodeTensor(const ::onnx::TensorProto& proto, std::string_view fallback_name) {
  const std::string who =
      absl::StrCat("tensor '", proto.name().empty() ? std::string(fallback_name) : proto.name(), "'");
  if (proto.data_location() == ::onnx::TensorProto::EXTERNAL || proto.external_data_size() != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(who,
                     " keeps its data in another file, which was not given; save the model with all data inside: "
                     "onnx.save(onnx.load(path), path, save_as_external_data=False), or torch.onnx.export(..., "
                     "external_data=False)"));
  }
  const int type = proto.data_type();
  const int bits = BitsOf(type);
  if (bits == 0) {
    return absl::FailedPreconditionError(absl::StrCat(who, " has elements of ", ElementName(type),
                                                      ", which are not taken; use float32 and 4 to 32 bit integers"));
  }
  if (proto.has_segment())
    return absl::FailedPreconditionError(absl::StrCat(who, " is stored in segments; save it whole"));
  const bool raw = proto.has_raw_data();
  // What the stored bytes can hold bounds the element count before anything is allocated.
  const std::int64_t stored = raw ? static_cast<std::int64_t>(proto.raw_data().size()) * 8 / bits
                                  : std::int64_t{CountTyped(proto, type)} * (bits == 4 ? 2 : 1);
  graph::Shape shape(proto.dims().begin(), proto.dims().end());
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) {
    if (extent < 0 || shape.size() > 8 || (extent != 0 && count > stored / extent)) {
      return absl::InvalidArgumentError(absl::StrCat(who, " of shape ", graph::ToString(shape), " holds only ", stored,
                                                     " elements; the file is damaged"));
    }
    count *= extent;
  }
  if (count != stored && !(bits == 4 && count + 1 == stored)) {
    return absl::InvalidArgumentError(
        absl::StrCat(who, " of shape ", graph::ToString(shape), " holds ", stored, " elements; the file is damaged"));
  }
  Literal literal{.type = type, .value = Tensor(StoredAs(type), std::move(shape))};
  raw ? FillFromRaw(proto.raw_data(), literal) : FillFromTyped(proto, literal);
  if (!FitsType(literal)) {
    return absl::InvalidArgumentError(absl::StrCat(who, " holds a number that ", ElementName(type), " cannot hold"));
  }
  return literal;
}

std::optional<std::vector<std::int64_t>> Integers(const Literal& literal) {
  std::vector<std::int64_t> integers;
  const auto append = [&](const auto& values) { integers.assign(values.begin(), values.end()); };
  switch (literal.value.dtype()) {
    case DType::kInt32:
      append(literal.value.data<std::int32_t>());
      return integers;
    case DType::kInt64:
      append(literal.value.data<std::int64_t>());
      return integers;
    case DType::kBool:
      append(literal.value.data<bool>());
      return integers;
    default:
      return std::nullopt;
  }
}

Tensor Permuted(const Tensor& value, const std::vector<std::int64_t>& permutation) {
  const graph::Shape& from = value.shape();
  const std::size_t rank = from.size();
  std::vector<std::size_t> stride_of(rank, 1), stride(rank);
  for (std::size_t axis = rank; axis-- > 1;)
    stride_of[axis - 1] = stride_of[axis] * static_cast<std::size_t>(from[axis]);
  graph::Shape shape(rank);
  for (std::size_t axis = 0; axis < rank; ++axis) {
    const auto source = static_cast<std::size_t>(permutation[axis]);
    shape[axis] = from[source];
    stride[axis] = stride_of[source];
  }
  Tensor result(value.dtype(), shape);
  const std::size_t size = graph::SizeOf(value.dtype());
  const auto* in = static_cast<const char*>(value.storage().get());
  auto* out = static_cast<char*>(result.storage().get());
  std::vector<std::int64_t> index(rank, 0);
  std::size_t at = 0;
  for (std::int64_t i = 0; i < value.elements(); ++i) {
    std::memcpy(out + static_cast<std::size_t>(i) * size, in + at * size, size);
    for (std::size_t axis = rank; axis-- > 0;) {
      at += stride[axis];
      if (++index[axis] < shape[axis]) break;
      at -= stride[axis] * static_cast<std::size_t>(shape[axis]);
      index[axis] = 0;
    }
  }
  return result;
}

}  // namespace qatgap::frontends::onnx
