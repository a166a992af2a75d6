// Everything about one layer of a handoff: its constants under the target and its golden vectors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/graph/mac_layers.h"
#include "analyzers/graph/tensor.h"
#include "analyzers/numerics/layer_arithmetic.h"
#include "analyzers/numerics/requantization.h"
#include "analyzers/numerics/target.h"
#include "analyzers/vectors/case.h"

namespace qatgap::handoff {

// One element of the golden output with all that happens to it.
struct WorkedExample {
  std::int64_t channel = 0;
  std::vector<std::int64_t> index;     // in output.npy
  numerics::RequantTrace trace;
};

struct LayerHandoff {
  graph::MacLayer layer;               // weights as the target runs them
  std::size_t input_index = 0;         // of layer.input_grids
  std::string folder;                  // "layers/00_conv1"
  std::string identifier;              // "layer00_conv1": of C names
  numerics::LayerArithmetic arithmetic;
  // Channels whose weight scale the target raised to make room for the bias (BiasOverflow::kAdjustWeights).
  std::vector<std::int64_t> adjusted_channels;
  vectors::Case golden;                // named `folder`
  graph::Tensor accumulators;          // int64, exact, in the order of the golden output
  WorkedExample example;
};

// `number` counts the layers of the handoff. INVALID_ARGUMENT, FAILED_PRECONDITION naming the layer: the target
// refuses it.
absl::StatusOr<LayerHandoff> MakeLayer(const graph::MacLayer& layer, std::size_t input_index, int number,
                                       const numerics::TargetDescription& target);

// Letters, digits and '_' of a model's name, at most 48: it becomes a path and a C name.
std::string SafeName(std::string_view name);

// What a person, Markdown and a C comment can read of a name, at most 64 characters: the rest becomes '_'.
std::string DisplayName(std::string_view name);

}  // namespace qatgap::handoff
