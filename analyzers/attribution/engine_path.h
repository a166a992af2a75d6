// The engine path needs an engine that runs every layer.
#pragma once

#include <optional>
#include <vector>

#include "analyzers/graph/mac_layers.h"
#include "analyzers/numerics/target.h"
#include "analyzers/report/analysis_result.h"

namespace qatgap::attribution {

// Why the target's engine path is not measured on this host: the first layer that its engine refuses. nullopt where it is, and
// where the target has no engine or the host lacks it.
std::optional<report::Unmeasured> WhyNoEnginePath(const numerics::TargetDescription& target,
                                                  const std::vector<graph::MacLayer>& layers);

}  // namespace qatgap::attribution
