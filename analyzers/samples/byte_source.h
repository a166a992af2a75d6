// The bytes of one array, in order. Internal to samples/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/statusor.h"

namespace qatgap::samples {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills `out` and returns the number of bytes read; fewer than asked for only at the end.
  virtual absl::StatusOr<std::size_t> Read(std::span<char> out) = 0;
  // Passes over so many bytes and returns how many there were; fewer only at the end.
  virtual absl::StatusOr<std::uint64_t> Skip(std::uint64_t bytes);
  // How many bytes there can be in all, from the file's size: what a header claims beyond it is not there.
  virtual std::uint64_t size_limit() const = 0;
};

// 0 when it cannot be told.
std::uint64_t FileSize(int fd);

// The bytes of an open file from `first` on, at most `size` of them. The descriptor stays the caller's.
std::unique_ptr<ByteSource> OpenPlain(int fd, std::uint64_t first = 0, std::uint64_t size = UINT64_MAX);

}  // namespace qatgap::samples
