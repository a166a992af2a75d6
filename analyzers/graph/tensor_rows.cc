#include "analyzers/graph/tensor_rows.h"

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

namespace qatgap::graph {

Tensor Rows(const Tensor& tensor, std::int64_t first, std::int64_t count) {
  Shape shape = tensor.shape();
  const std::int64_t row = shape[0] == 0 ? 0 : tensor.elements() / shape[0];
  shape[0] = count;
  auto* begin = static_cast<std::byte*>(tensor.storage().get()) +
                static_cast<std::size_t>(first * row) * SizeOf(tensor.dtype());
  return {tensor.dtype(), std::move(shape), std::shared_ptr<void>(tensor.storage(), begin)};
}

Tensor Uninitialized(DType dtype, Shape shape) {
  const std::size_t bytes = static_cast<std::size_t>(ElementCount(shape)) * SizeOf(dtype);
  std::shared_ptr<void> storage(std::malloc(bytes == 0 ? 1 : bytes), std::free);
  if (storage == nullptr) throw std::bad_alloc();
  return {dtype, std::move(shape), std::move(storage)};
}

}  // namespace qatgap::graph
