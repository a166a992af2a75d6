// A part of a tensor along its first axis.
#pragma once

#include <cstdint>

#include "analyzers/graph/tensor.h"

namespace qatgap::graph {

// Positions [first, first + count) of the first axis; shares the storage.
Tensor Rows(const Tensor& tensor, std::int64_t first, std::int64_t count);

// Not filled.
Tensor Uninitialized(DType dtype, Shape shape);

}  // namespace qatgap::graph
