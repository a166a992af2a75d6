#include "analyzers/frontends/tflite/constants.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends::tflite {
namespace {

using schema::TensorType;

template <typename T>
T At(std::span<const std::uint8_t> data, std::size_t i) {
  T value;
  std::memcpy(&value, data.data() + i * sizeof(T), sizeof(T));
  return value;
}

float FromHalf(std::uint16_t half) {
  const int exponent = (half >> 10) & 31;
  const int fraction = half & 1023;
  float magnitude = 0;
  if (exponent == 31) {
    magnitude = fraction == 0 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
  } else {
    magnitude = exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                              : std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  }
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

// Calls set(to, from) for every element of a tensor of `shape` whose axes are put into `order`.
template <typename Set>
void Permute(const graph::Shape& shape, const AxisOrder& order, Set set) {
  std::vector<std::size_t> strides(shape.size(), 1);
  for (std::size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * static_cast<std::size_t>(shape[i]);
  std::vector<std::int64_t> at(order.size(), 0);
  const auto count = static_cast<std::size_t>(graph::ElementCount(shape));
  std::size_t from = 0;
  for (std::size_t to = 0; to < count; ++to) {
    set(to, from);
    for (std::size_t i = order.size(); i-- > 0;) {
      const auto axis = static_cast<std::size_t>(order[i]);
      from += strides[axis];
      if (++at[i] < shape[axis]) break;
      at[i] = 0;
      from -= strides[axis] * static_cast<std::size_t>(shape[axis]);
    }
  }
}

graph::Shape Ordered(const graph::Shape& shape, const AxisOrder& order) {
  graph::Shape result;
  for (const int axis : order) result.push_back(shape[static_cast<std::size_t>(axis)]);
  return result;
}

absl::Status NoConstant(const TensorRecord& record) {
  return absl::FailedPreconditionError(absl::StrCat("tensor '", record.name,
                                                    "' is computed when the model runs; it has "
                                                    "to be a constant"));
}

absl::Status WrongType(const TensorRecord& record, std::string_view wanted) {
  return absl::FailedPreconditionError(
      absl::StrCat("tensor '", record.name, "' is ", Text(ToString(record.type)), ", not ", Text(wanted)));
}

std::int64_t CodeAt(const TensorRecord& record, std::size_t i) {
  switch (record.type) {
    case TensorType::INT4: {
      // Two codes a byte, the first one in the low half.
      const int nibble = (record.data[i / 2] >> (i % 2 == 0 ? 0 : 4)) & 15;
      return nibble < 8 ? nibble : nibble - 16;
    }
    case TensorType::INT8:
      return At<std::int8_t>(record.data, i);
    case TensorType::UINT8:
      return record.data[i];
    case TensorType::INT16:
      return At<std::int16_t>(record.data, i);
    case TensorType::INT32:
      return At<std::int32_t>(record.data, i);
    default:
      return At<std::int64_t>(record.data, i);
  }
}

}  // namespace

absl::StatusOr<std::vector<std::int64_t>> Integers(const TensorRecord& record) {
  if (!record.constant()) return NoConstant(record);
  if (record.type != TensorType::INT32 && record.type != TensorType::INT64) return WrongType(record, "INT32 or INT64");
  std::vector<std::int64_t> values(static_cast<std::size_t>(graph::ElementCount(record.shape)));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = CodeAt(record, i);
  return values;
}

absl::StatusOr<graph::Tensor> Codes(const TensorRecord& record, const AxisOrder& order) {
  if (!record.constant()) return NoConstant(record);
  if (!record.integer_type() && record.type != TensorType::INT32 && record.type != TensorType::INT64) {
    return WrongType(record, "an integer type");
  }
  graph::Tensor codes(graph::DType::kInt32, Ordered(record.shape, order));
  const auto values = codes.mutable_data<std::int32_t>();
  std::int64_t outside = 0;
  Permute(record.shape, order, [&](std::size_t to, std::size_t from) {
    const std::int64_t code = CodeAt(record, from);
    if (code < std::numeric_limits<std::int32_t>::min() || code > std::numeric_limits<std::int32_t>::max())
      outside = code;
    values[to] = static_cast<std::int32_t>(code);
  });
  if (outside != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("tensor '", record.name, "' holds ", outside, "; integers beyond 32 bits are not analysed"));
  }
  return codes;
}

absl::StatusOr<graph::Tensor> Reals(const TensorRecord& record, const AxisOrder& order) {
  if (!record.constant()) return NoConstant(record);
  graph::Tensor reals(graph::DType::kFloat32, Ordered(record.shape, order));
  const auto values = reals.mutable_data<float>();
  switch (record.type) {
    case TensorType::FLOAT32:
      Permute(record.shape, order,
              [&](std::size_t to, std::size_t from) { values[to] = At<float>(record.data, from); });
      return reals;
    case TensorType::FLOAT16:
      Permute(record.shape, order,
              [&](std::size_t to, std::size_t from) { values[to] = FromHalf(At<std::uint16_t>(record.data, from)); });
      return reals;
    case TensorType::BFLOAT16:
      Permute(record.shape, order, [&](std::size_t to, std::size_t from) {
        values[to] = std::bit_cast<float>(static_cast<std::uint32_t>(At<std::uint16_t>(record.data, from)) << 16);
      });
      return reals;
    default:
      return WrongType(record, "a float type");
  }
}

graph::Tensor PaddedInFront(const graph::Tensor& codes, const graph::Shape& front,
                            const numerics::QuantParams& params) {
  graph::Shape shape = codes.shape();
  for (std::size_t i = 0; i < shape.size(); ++i) shape[i] += front[i];
  graph::Tensor padded(graph::DType::kInt32, shape);
  const auto values = padded.mutable_data<std::int32_t>();
  const auto source = codes.data<std::int32_t>();
  std::vector<std::int64_t> at(shape.size(), 0);
  std::size_t from = 0;
  for (std::int32_t& value : values) {
    bool inside = true;
    for (std::size_t i = 0; i < shape.size(); ++i) inside = inside && at[i] >= front[i];
    const std::size_t channel =
        params.per_channel() ? static_cast<std::size_t>(at[static_cast<std::size_t>(params.axis)]) : 0;
    value = inside ? source[from++] : static_cast<std::int32_t>(params.zero_point(channel));
    for (std::size_t i = shape.size(); i-- > 0;) {
      if (++at[i] < shape[i]) break;
      at[i] = 0;
    }
  }
  return padded;
}

}  // namespace qatgap::frontends::tflite
