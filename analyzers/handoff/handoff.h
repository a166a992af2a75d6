// What a hardware engineer needs of a model under a target: per layer the integers, the formula in the target's own
// steps and golden vectors for a test bench.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "analyzers/graph/graph.h"
#include "analyzers/numerics/target.h"

namespace qatgap::handoff {

// Files by path relative to the output directory, with their bytes:
//   README.md          the formula in the target's own steps, symbols, shapes, and how to use each file
//   model.json         target, digest, layers in execution order, what was left out and why
//   layers/NN_name/    case.json, input.npy, weight.npy, bias.npy, bias_int.npy, output.npy: a case for
//                      `qatgap target verify`
//   layers/NN_name/layer.json   multiplier, mantissa, shift per channel, zero points, clamps, the batch-norm fold
//   layers/NN_name/layer.h      the same as a C99 header: static const arrays, no dependencies but <stdint.h>
using Files = std::map<std::string, std::string>;

// `model` is a QAT model (its weights and biases are those convert() would ship) or a converted one. Golden inputs
// are drawn from a fixed generator over the input's code range, corners included: no samples are needed, and equal
// calls give equal bytes. FAILED_PRECONDITION: no MAC layer, or a layer that the target refuses, naming it.
absl::StatusOr<Files> MakeHandoff(const graph::Graph& model, const numerics::TargetDescription& target);

}  // namespace qatgap::handoff
