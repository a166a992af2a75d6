// Lowers a QAT graph to the graph that an integer runtime would execute, where no converted model was given.
#pragma once

#include "absl/status/statusor.h"
#include "analyzers/graph/graph.h"

namespace qatgap::graph {

// Does what the converter of qat.convert_style would do (convert_arithmetic.h has the arithmetic):
//  * weight codes that know their origin are quantized anew: batch norm is folded in, scales and zero points come from the
//    observed range, and the operators that undo and apply the batch norm behind the product become its bias;
//  * a quantize node with an observed range gets its scale and zero point from that range;
//  * integer biases (quantizers of PT2E that derive one) are rounded anew at the new scales;
//  * eager and FX: activation codes take the whole of their storage type: 0..127 becomes 0..255, because the range that
//    reduce_range trains with is not clamped at run time (docs/decisions/0006);
//  * eager and FX: an average of a dequantized value is rounded to the grid of its input, because the quantized operator
//    keeps its input's qparams;
//  * eager and FX: a transposed convolution whose weight was not fake-quantized (there is no such QAT module) but which
//    lies between codes gets the weight quantization of its qconfig: PyTorch's default, symmetric per tensor.
// kAsIs changes nothing: the fake-quants are the integer grids.
// Weights of unknown origin keep the QAT model's codes; a notice (kWeightsKept) says how many.
// INVALID_ARGUMENT naming the module: NaN in a weight, an observer's range that is none. Verifies before it returns;
// INTERNAL if that fails.
absl::StatusOr<Graph> Lower(const Graph& qat);

}  // namespace qatgap::graph
