// Golden inputs: small, the same in every run, with both ends of the code range in them.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "analyzers/graph/mac_layers.h"
#include "analyzers/graph/tensor.h"
#include "analyzers/numerics/quant_params.h"

namespace qatgap::handoff {

struct GoldenShapes {
  graph::Shape input;   // convolution: [1, channels, spatial...]; linear: [rows, features]
  graph::Shape output;
};

// A few pixels beyond the kernel, as many as keep input and output together at 8 Ki elements; then one kernel, then
// the least that gives an output. FAILED_PRECONDITION: attributes that fit no input, or a layer whose least input is
// too large.
absl::StatusOr<GoldenShapes> ShapesOf(const graph::MacLayer& layer);

// Codes around the zero point, from 1 / divisor of the way to either end of the range, evenly distributed. The first
// row of every plane (linear: the first row) is of the two ends of the whole range only, if it is not the only one.
graph::Tensor GoldenInput(const graph::Shape& shape, const numerics::QuantParams& input, std::int64_t divisor);

}  // namespace qatgap::handoff
