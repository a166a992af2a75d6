// What an executor says to inputs that its model cannot take. Internal to execution/.
#pragma once

#include <span>

#include "absl/status/status.h"
#include "analyzers/graph/graph.h"
#include "analyzers/graph/tensor.h"

namespace qatgap::execution {

// INVALID_ARGUMENT: another number of inputs, other axes than the graph was read for.
absl::Status CheckInputs(const graph::Graph& graph, std::span<const graph::Tensor> inputs);

// `error` of one of the model's own operators, which take what the model was made for: the input is something else.
absl::Status NotTaken(std::span<const graph::Tensor> inputs, const absl::Status& error);

}  // namespace qatgap::execution
