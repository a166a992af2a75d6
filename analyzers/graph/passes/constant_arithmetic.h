// Operators on float32 constants, element by element as LibTorch computes them: one binary32 rounding an operation.
// Internal to graph/passes.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/graph/graph.h"

namespace qatgap::graph {

// The value of a node on float32 constants; nullopt when the pass does not know the operator or the types.
// INVALID_ARGUMENT for shapes that do not broadcast, sizes that do not multiply to the elements, axes out of range.
absl::StatusOr<std::optional<Tensor>> Evaluate(const Node& node, const std::vector<Tensor>& inputs);

// The order of axes that a node gives its first input when all it does is to reorder them (permute, t, transpose);
// nullopt otherwise. `rank` is the input's.
std::optional<std::vector<std::int64_t>> AxisOrder(const Node& node, std::size_t rank);

// Elements of any dtype with their axes in another order: axis i of the result is axis order[i] of `tensor`.
Tensor Permuted(const Tensor& tensor, const std::vector<std::int64_t>& order);

}  // namespace qatgap::graph
