// The .safetensors format: 8 bytes of header length, a JSON object that tells of each array its dtype, shape and place,
// then the elements. Internal to samples/.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/graph/tensor.h"

namespace qatgap::samples {

struct SafetensorsArray {
  std::string name;
  std::string dtype;        // as the file calls it: "F32"
  graph::Shape shape;       // every extent 0..2^31 - 1, at most 8 axes
  std::uint64_t first = 0;  // of its elements, counted from the file's begin
  std::uint64_t size = 0;   // bytes
};

inline constexpr std::uint64_t kMaxSafetensorsHeader = 1U << 20;

// `header` is the JSON, `data` the bytes behind it of a file that has so many. Arrays come in the order of their names.
// INVALID_ARGUMENT naming `label` and the array: no such JSON, a name twice, an array whose place is not that of its
// dtype and shape, arrays that overlap or leave bytes between or behind them, a truncated file.
absl::StatusOr<std::vector<SafetensorsArray>> ParseSafetensorsHeader(std::string_view header, std::uint64_t data,
                                                                     const std::string& label);

}  // namespace qatgap::samples
