// README.md of a handoff: the formula in the target's own steps, an element worked out, the layers.
#pragma once

#include <span>
#include <string>

#include "analyzers/handoff/layer_handoff.h"
#include "analyzers/handoff/left_out.h"

namespace qatgap::handoff {

// At least one layer.
std::string Readme(const numerics::TargetDescription& target, std::span<const LayerHandoff> layers,
                   std::span<const LeftOut> mac_operators, std::span<const LeftOut> other_operators);

}  // namespace qatgap::handoff
