// Lowers a QAT graph to the graph that an integer runtime would execute, where no converted model was given.
#pragma once

#include "absl/status/statusor.h"
#include "analyzers/graph/graph.h"

namespace qatgap::graph {

// Does what PyTorch's convert() does to activations:
//  * an average (average pool, adaptive average pool, mean over axes) of a dequantized value is rounded to the grid of
//    its input, because the quantized operator keeps its input's qparams;
//  * activation codes are stored as quint8, so a range inside 0..255 becomes 0..255: the 0..127 range that
//    reduce_range trains with is not clamped at run time.
// Weights keep the QAT model's codes. Verifies before it returns; INTERNAL if that fails.
absl::StatusOr<Graph> Lower(const Graph& qat);

}  // namespace qatgap::graph
