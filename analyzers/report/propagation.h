// The propagated view: what a layer shows because the layers before it already differ. Accumulated minus injected.
#pragma once

#include <cstdint>
#include <optional>

#include "analyzers/report/analysis_result.h"

namespace qatgap::report {

struct Propagation {
  double injected = 0;     // rate of output codes that change where the layer gets the trained model's inputs
  double accumulated = 0;  // where the target's path gets its own
  double propagated() const { return accumulated - injected; }  // negative where earlier differences hide the layer's own
};

// Of the last path that ran (engine, else target) against `fake_quant`, for one layer over all its reaching inputs; nullopt
// where one of the two views was not measured.
std::optional<Propagation> PropagationOf(const TargetResult& target, std::int64_t layer);

}  // namespace qatgap::report
