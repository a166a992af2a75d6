#include "analyzers/graph/tensor.h"

#include <cstdio>
#include <cstdlib>
#include <new>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace qatgap::graph {

std::size_t SizeOf(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
    case DType::kInt32:
      return 4;
    case DType::kFloat64:
    case DType::kInt64:
      return 8;
    case DType::kInt8:
    case DType::kUint8:
    case DType::kBool:
      return 1;
  }
  return 0;
}

std::string_view ToString(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return "float32";
    case DType::kFloat64:
      return "float64";
    case DType::kInt8:
      return "int8";
    case DType::kUint8:
      return "uint8";
    case DType::kInt32:
      return "int32";
    case DType::kInt64:
      return "int64";
    case DType::kBool:
      return "bool";
  }
  return "?";
}

std::int64_t ElementCount(const Shape& shape) {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) count *= extent;
  return count;
}

std::string ToString(const Shape& shape) { return absl::StrCat("[", absl::StrJoin(shape, ", "), "]"); }

Tensor::Tensor(DType dtype, Shape shape) : dtype_(dtype), shape_(std::move(shape)) {
  const std::size_t bytes = static_cast<std::size_t>(ElementCount(shape_)) * SizeOf(dtype);
  storage_ = std::shared_ptr<void>(std::calloc(bytes == 0 ? 1 : bytes, 1), std::free);
  if (storage_ == nullptr) throw std::bad_alloc();
}

Tensor::Tensor(DType dtype, Shape shape, std::shared_ptr<void> storage)
    : dtype_(dtype), shape_(std::move(shape)), storage_(std::move(storage)) {}

void Tensor::CheckDType(DType wanted) const {
  if (wanted == dtype_) return;
  // Our own bug, never a client's: decoders check dtypes before they make a Tensor.
  std::fprintf(stderr, "qatgap: tensor is %s, read as %s\n", ToString(dtype_).data(),
               ToString(wanted).data());
  std::abort();
}

}  // namespace qatgap::graph
