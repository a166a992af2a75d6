// layer.json and model.json of a handoff.
#pragma once

#include <span>
#include <string>

#include "analyzers/handoff/layer_handoff.h"
#include "analyzers/handoff/left_out.h"

namespace qatgap::handoff {

// The members are those of layer.h and of README.md's table of symbols; docs/handoff.md lists them. Reals parse back
// exactly.
std::string LayerJson(const LayerHandoff& layer);

std::string ModelJson(const numerics::TargetDescription& target, std::span<const LayerHandoff> layers,
                      std::span<const LeftOut> mac_operators, std::span<const LeftOut> other_operators);

}  // namespace qatgap::handoff
