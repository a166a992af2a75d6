// Streams one array of a file from an open file descriptor, a few rows at a time: never whole in memory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/graph/tensor.h"
#include "analyzers/samples/element_type.h"

namespace qatgap::samples {

class ByteSource;  // the array's bytes, in order

class ArrayReader {
 public:
  // Of a file that holds exactly one array: ArrayFile::Open, then its only array. INVALID_ARGUMENT also for a file of
  // several, or a packed folder.
  static absl::StatusOr<ArrayReader> Open(int fd, std::string name);

  struct Source {
    std::unique_ptr<ByteSource> bytes;  // behind any header
    std::string label;
    ElementType type = ElementType::kFloat32;
    graph::Shape shape;
    std::uint64_t bytes_left = 0;             // at most, of a file that may be truncated
    std::vector<std::string> row_names = {};  // of the files that hold one row each; else empty
  };
  // INVALID_ARGUMENT: a shape without a first axis, rows of more than 2 GiB.
  static absl::StatusOr<ArrayReader> Make(Source source);

  ArrayReader(ArrayReader&&) noexcept;
  ArrayReader& operator=(ArrayReader&&) noexcept;
  ~ArrayReader();

  // Of the file: Read gives graph tensors of DTypeOf(type()).
  ElementType type() const { return source_.type; }
  graph::DType dtype() const { return DTypeOf(source_.type); }
  // Shape of the whole array; the first axis counts samples.
  const graph::Shape& shape() const { return source_.shape; }
  std::int64_t count() const { return source_.shape[0]; }
  // "images.npz (array images)": for messages.
  const std::string& label() const { return source_.label; }

  // Rows [first, first + count) as one tensor [count, ...]. Rows must be asked for in rising order.
  // INVALID_ARGUMENT: the file ends early, an archive's checksum is wrong (known with the last row), or a
  // value is NaN or Inf, or a bool is neither 0 nor 1 (names the index).
  absl::StatusOr<graph::Tensor> Read(std::int64_t first, std::int64_t count);

 private:
  explicit ArrayReader(Source source);

  absl::Status EndsAt(std::int64_t row) const;
  absl::Status CheckValues(const graph::Tensor& rows, std::int64_t first) const;

  Source source_;
  std::size_t row_bytes_ = 0;
  std::int64_t next_row_ = 0;
  std::int64_t rows_in_file_ = 0;  // at most
};

}  // namespace qatgap::samples
