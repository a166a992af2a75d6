// Computes what depends on constants alone, so that fake-quantized weights become code constants.
#pragma once

#include <functional>
#include <span>

#include "absl/status/status.h"
#include "analyzers/graph/graph.h"

namespace qatgap::graph {

// Replaces nodes on constants by their values, in binary32 as LibTorch computes them element by element: add, sub, mul,
// div, relu, clamp, quantize, dequantize, reshape, flatten, permute, concat and the kOperators aten::sqrt, rsqrt,
// reciprocal, neg, unsqueeze, squeeze, t, transpose, zeros_like, ones_like. A quantize of a constant becomes a code
// constant with its WeightOrigin: where the real weight is w * reshape(gamma / sqrt(variance + epsilon)), as QAT modules
// fold batch norm, the origin is w and that batch norm, and the range is the quantize node's `observed`.
// Other operators are left as they are (the executor folds them at run time). Works in branches too. Nodes that nothing
// reads any more are removed. INVALID_ARGUMENT naming the module: NaN in a weight, shapes that do not broadcast.
//
// Square roots, in place, as the framework of the model computes them; without, they are correctly rounded. PyTorch's are
// those of MKL's vector library on most hosts: one step of binary32 off in 17 % of values, which moves a QAT module's scale
// factor and so, now and then, a code.
using SquareRoots = std::function<void(std::span<float>)>;
absl::Status FoldConstants(Graph& graph, const SquareRoots& square_roots = nullptr);

}  // namespace qatgap::graph
