// What-ifs as the page shows them. Internal to views/.
#pragma once

#include "analyzers/report/views/shapes.h"

namespace qatgap::report::views {

// Of a target: every way over all layers, and the layers that something helps. Null where not asked for.
Json WhatIfsOf(const AnalysisResult& result, const TargetResult& target);
// Of one layer. Null where not asked for.
Json WhatIfsOf(const AnalysisResult& result, const TargetResult& target, const LayerView& layer);

}  // namespace qatgap::report::views
