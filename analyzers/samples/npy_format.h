// The .npy format: magic, version, a Python dict that tells dtype and shape, then the elements.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "analyzers/graph/tensor.h"

namespace qatgap::samples {

struct NpyHeader {
  std::string descriptor;      // "<f4": byte order, kind, bytes an element
  graph::Shape shape;          // every extent 0..2^31 - 1, at most 8 axes
  bool fortran_order = false;  // first axis fastest
};

// The dict behind magic, version and length. INVALID_ARGUMENT naming `label`: a key is missing, a shape that is none.
absl::StatusOr<NpyHeader> ParseNpyHeader(const std::string& dict, const std::string& label);

class ByteSource;

// What stands in front of the elements.
struct NpyStart {
  NpyHeader header;
  std::uint64_t bytes = 0;  // of magic, version, length and dict
};

// Reads it from the beginning of `source`. INVALID_ARGUMENT naming `label`: not such a file, truncated, a header of
// more than 64 KiB.
absl::StatusOr<NpyStart> ReadNpyStart(ByteSource& source, const std::string& label);

// A whole array in memory.
struct NpyView {
  NpyHeader header;
  std::string_view elements;  // into the bytes it was made of: their count is the shape's, each of element_size bytes
  std::size_t element_size = 0;
};

// INVALID_ARGUMENT naming `label`: not such a file, truncated, bytes behind the last element, an element size of 0 or
// beyond 16 bytes. The dtype itself is the caller's to judge.
absl::StatusOr<NpyView> ViewNpy(std::string_view bytes, const std::string& label);

// Version 1.0, C order; the elements start at a multiple of 64 bytes, as numpy.save writes it.
std::string NpyBytes(const std::string& descriptor, const graph::Shape& shape, std::string_view elements);

}  // namespace qatgap::samples
