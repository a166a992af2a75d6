// LibTorch's own interpreter on a TorchScript file: what the imported graph is held against, in this process and on this host.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/graph/tensor.h"
#include "analyzers/numerics/target.h"

namespace qatgap::conformance {

// The outputs, flattened as frontends do: tuples, lists and dictionaries in their order, None left out.
absl::StatusOr<std::vector<graph::Tensor>> Interpret(const std::string& bytes, const graph::Tensor& input,
                                                     numerics::Engine engine);

}  // namespace qatgap::conformance
