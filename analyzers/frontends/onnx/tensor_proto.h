// Tensors of an ONNX file as ours. Internal to frontends/onnx.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "analyzers/graph/tensor.h"

namespace onnx {
class TensorProto;
}

namespace qatgap::frontends::onnx {

// Numbers of TensorProto.DataType: newer ones than the installed header knows are in use.
namespace element {
inline constexpr int kFloat = 1, kUint8 = 2, kInt8 = 3, kUint16 = 4, kInt16 = 5, kInt32 = 6, kInt64 = 7, kString = 8,
                     kBool = 9, kFloat16 = 10, kDouble = 11, kUint32 = 12, kUint64 = 13, kBfloat16 = 16, kUint4 = 21,
                     kInt4 = 22;
}
// "int8"; "type 17" for one that is not taken.
std::string ElementName(int type);
bool IsReal(int type);

struct CodeRange {
  std::int64_t min, max;
};
// A tensor whose elements are known when the model is read.
struct Literal {
  int type = element::kFloat;  // as the file has it
  graph::Tensor value;         // float32 for every real type, int32 for integers up to 32 bits signed, int64, bool
  std::optional<CodeRange> range{};  // what a Clip allows of the type's range: a weight of 4 bits kept as int8
};

// Of the types that codes are stored in; nullopt for others.
std::optional<CodeRange> CodeRangeOf(int type);

// Elements are copied. FAILED_PRECONDITION: data outside the file, a type that is not taken. INVALID_ARGUMENT: the
// data's size is not the shape's, a negative extent. All name the tensor.
absl::StatusOr<Literal> DecodeTensor(const ::onnx::TensorProto& proto, std::string_view fallback_name);

// Elements of an integer or bool literal; empty for others.
std::optional<std::vector<std::int64_t>> Integers(const Literal& literal);

// `value` with axes in the order `permutation`, of any type.
graph::Tensor Permuted(const graph::Tensor& value, const std::vector<std::int64_t>& permutation);

// Shares the elements.
inline graph::Tensor Reshaped(const graph::Tensor& value, graph::Shape shape) {
  return graph::Tensor(value.dtype(), std::move(shape), value.storage());
}

}  // namespace qatgap::frontends::onnx
