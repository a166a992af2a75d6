// Bytes of .npy, .npz and .safetensors files and an open descriptor that holds them, for the tests of samples/.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace qatgap::samples {

// `major` 1 has a header length of 16 bits, 2 and 3 one of 32.
std::string Npy(const std::string& header, const std::string& data, int major = 1);

// "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
std::string Header(const std::string& descriptor, const std::string& shape, const std::string& fortran_order = "False");

template <typename T>
std::string Bytes(const std::vector<T>& values) {
  static_assert(std::endian::native == std::endian::little);
  const auto bytes = std::as_bytes(std::span(values));
  std::string text;
  for (const std::byte byte : bytes) text.push_back(static_cast<char>(byte));
  return text;
}

enum class Compression { kStored, kDeflated };

// An archive of (member name, bytes).
std::string Npz(const std::vector<std::pair<std::string, std::string>>& members,
                Compression compression = Compression::kStored);

// A .safetensors file of this header and data; of these entries between braces.
std::string RawSafetensors(const std::string& header, const std::string& data);
std::string Safetensors(const std::vector<std::string>& entries, const std::string& data);
// "\"x\":{\"dtype\":\"F32\",\"shape\":[3,2],\"data_offsets\":[0,24]}"
std::string Entry(const std::string& name, const std::string& dtype, const std::string& shape, std::size_t begin,
                  std::size_t end);

// An anonymous file with these bytes.
class MemoryFile {
 public:
  explicit MemoryFile(const std::string& bytes);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

}  // namespace qatgap::samples
