// The bytes of one array file, in order. Internal to samples/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"

namespace qatgap::samples {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills `out` and returns the number of bytes read; fewer than asked for only at the end.
  virtual absl::StatusOr<std::size_t> Read(std::span<char> out) = 0;
  // How many bytes there can be in all, from the file's size: what a header claims beyond it is not there.
  virtual std::uint64_t size_limit() const = 0;
  // "(array images)", or empty for a file of one array.
  virtual std::string array_name() const { return ""; }
};

absl::StatusOr<std::unique_ptr<ByteSource>> OpenPlain(int fd);
// The only .npy member of a zip archive.
absl::StatusOr<std::unique_ptr<ByteSource>> OpenZipMember(int fd, const std::string& name);

}  // namespace qatgap::samples
