// The fake-quant graph of a converted model that was given without the QAT model it came from.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/graph/graph.h"

namespace qatgap::graph {

// A converted graph is dequantize, float operator, quantize already. What is left is the bias: integers behind a
// dequantize become the float32 reals they stand for, scale * code, so that the twin has a float bias as QAT has.
// Weights stay codes on the converted grid: how QAT's weights differed cannot be seen. A notice (kTwinRebuilt) says so, and
// how many biases were integers. INTERNAL if `converted` does not Verify.
absl::StatusOr<Graph> FakeQuantTwin(const Graph& converted);

// Gives the convolution or linear that makes `product` this float32 bias, one per output channel. False if there is none such.
bool ReplaceBias(Graph& graph, ValueId product, const std::vector<float>& bias);

// The code constant behind a dequantize that `value` is, or nullptr.
const ConstantAttributes* CodeConstantBehind(const Graph& graph, ValueId value);

}  // namespace qatgap::graph
