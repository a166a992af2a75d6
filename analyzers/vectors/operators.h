// Quantized operators without weights, by the rules of runtimes.
#pragma once

#include "absl/status/statusor.h"
#include "analyzers/graph/tensor.h"
#include "analyzers/numerics/target.h"
#include "analyzers/vectors/case.h"

namespace qatgap::vectors {

// The output codes of a case that is no MAC layer, by `target.operators`. FAILED_PRECONDITION: what the runtime
// refuses, see numerics/operator_limits.h.
absl::StatusOr<graph::Tensor> ComputeOperator(const numerics::TargetDescription& target, const Case& layer);

}  // namespace qatgap::vectors
