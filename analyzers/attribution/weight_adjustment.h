// Targets that raise a weight scale so that the bias fits (numerics::BiasOverflow::kAdjustWeights).
#pragma once

#include <optional>
#include <vector>

#include "analyzers/graph/mac_layers.h"
#include "analyzers/numerics/quant_params.h"
#include "analyzers/numerics/target.h"

namespace qatgap::attribution {

// `layer` with the weight scales that the target raises for this input, and its weights rounded to them (per tensor
// scales stay per tensor); nullopt when it changes none.
std::optional<graph::MacLayer> AdjustWeights(const graph::MacLayer& layer, const numerics::TargetDescription& target,
                                             const numerics::QuantParams& input);

// All layers, adjusted for their first reaching input; nullopt when no layer changes.
std::optional<std::vector<graph::MacLayer>> AdjustWeights(const std::vector<graph::MacLayer>& layers,
                                                          const numerics::TargetDescription& target);

}  // namespace qatgap::attribution
