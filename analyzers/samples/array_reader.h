// Streams one array of a .npy or .npz file from an open file descriptor, a few rows at a time: never whole in memory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "analyzers/graph/tensor.h"

namespace qatgap::samples {

class ByteSource;  // the array's bytes, in order

class ArrayReader {
 public:
  // Reads the header. `name` is the file's name for messages; its ending (.npy, .npz) chooses the format. An .npz must
  // hold exactly one array, compressed or not. The descriptor stays the caller's.
  // INVALID_ARGUMENT naming file, array, value and remedy: not such a file, truncated, Fortran order, a dtype other
  // than float32, float64, int8, uint8, int32, int64, an array without a first axis, more than 8 axes.
  static absl::StatusOr<ArrayReader> Open(int fd, std::string name);
  ArrayReader(ArrayReader&&) noexcept;
  ArrayReader& operator=(ArrayReader&&) noexcept;
  ~ArrayReader();

  graph::DType dtype() const { return dtype_; }
  // Shape of the whole array; the first axis counts samples.
  const graph::Shape& shape() const { return shape_; }
  std::int64_t count() const { return shape_[0]; }
  // "images.npz (array images)": for messages.
  const std::string& label() const { return label_; }

  // Rows [first, first + count) as one tensor [count, ...]. Rows must be asked for in rising order.
  // INVALID_ARGUMENT: the file ends early, an archive's checksum is wrong (known with the last row), or a
  // value is NaN or Inf (names the index).
  absl::StatusOr<graph::Tensor> Read(std::int64_t first, std::int64_t count);

 private:
  ArrayReader() = default;

  std::unique_ptr<ByteSource> source_;
  std::string label_;
  graph::DType dtype_ = graph::DType::kFloat32;
  graph::Shape shape_;
  std::size_t row_bytes_ = 0;
  std::int64_t next_row_ = 0;
  std::int64_t rows_in_file_ = 0;  // at most
};

}  // namespace qatgap::samples
