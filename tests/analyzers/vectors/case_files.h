// Files of a small valid case, to be spoilt by tests of the reader.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analyzers/graph/tensor.h"
#include "analyzers/vectors/case.h"

namespace qatgap::vectors {

template <typename T>
std::string Elements(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// `count` codes low, low + 1, ..., high, low, ...
template <typename T>
std::string Ramp(std::int64_t count, std::int64_t low, std::int64_t high) {
  std::vector<T> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(static_cast<T>(low + i % (high - low + 1)));
  return Elements(values);
}

// Folder "conv": conv2d, NCHW, input [2, 3, 5, 4] uint8, weight [6, 3, 3, 3] int8, output [2, 6, 5, 4], padding 1, six
// scales.
Files ConvolutionFiles();

// The same with one text in case.json replaced; aborts where it is not there once.
Files With(Files files, const std::string& from, const std::string& to);

// With one array replaced.
Files WithArray(Files files, const std::string& name, const std::string& descriptor, const graph::Shape& shape,
                const std::string& elements);

}  // namespace qatgap::vectors
