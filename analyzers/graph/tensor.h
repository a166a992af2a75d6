// A dense, contiguous, immutable-by-convention tensor value; cheap to copy (shares its storage).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace qatgap::graph {

enum class DType { kFloat32, kFloat64, kInt8, kUint8, kInt32, kInt64, kBool };

std::size_t SizeOf(DType dtype);
std::string_view ToString(DType dtype);

using Shape = std::vector<std::int64_t>;

std::int64_t ElementCount(const Shape& shape);  // 1 for a scalar
std::string ToString(const Shape& shape);       // "[32, 3, 3]"

template <typename T>
constexpr DType DTypeOf();
template <> constexpr DType DTypeOf<float>() { return DType::kFloat32; }
template <> constexpr DType DTypeOf<double>() { return DType::kFloat64; }
template <> constexpr DType DTypeOf<std::int8_t>() { return DType::kInt8; }
template <> constexpr DType DTypeOf<std::uint8_t>() { return DType::kUint8; }
template <> constexpr DType DTypeOf<std::int32_t>() { return DType::kInt32; }
template <> constexpr DType DTypeOf<std::int64_t>() { return DType::kInt64; }
template <> constexpr DType DTypeOf<bool>() { return DType::kBool; }

class Tensor {
 public:
  Tensor() = default;
  // Zero-filled.
  Tensor(DType dtype, Shape shape);
  // Shares `storage`, which holds at least ElementCount(shape) elements of dtype.
  Tensor(DType dtype, Shape shape, std::shared_ptr<void> storage);

  template <typename T>
  static Tensor Of(Shape shape, std::span<const T> values) {
    Tensor tensor(DTypeOf<T>(), std::move(shape));
    std::copy(values.begin(), values.end(), tensor.mutable_data<T>().begin());
    return tensor;
  }

  bool defined() const { return storage_ != nullptr; }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  std::int64_t dim(std::size_t index) const { return shape_[index]; }
  std::int64_t elements() const { return ElementCount(shape_); }
  const std::shared_ptr<void>& storage() const { return storage_; }

  // The elements; T must be the tensor's dtype (checked).
  template <typename T>
  std::span<const T> data() const {
    CheckDType(DTypeOf<T>());
    return {static_cast<const T*>(storage_.get()), static_cast<std::size_t>(elements())};
  }
  template <typename T>
  std::span<T> mutable_data() {
    CheckDType(DTypeOf<T>());
    return {static_cast<T*>(storage_.get()), static_cast<std::size_t>(elements())};
  }

 private:
  void CheckDType(DType wanted) const;

  DType dtype_ = DType::kFloat32;
  Shape shape_;
  std::shared_ptr<void> storage_;
};

}  // namespace qatgap::graph
