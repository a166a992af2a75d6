// Why a check failed, and what helps. Internal to gate/.
#pragma once

#include <string>

#include "analyzers/report/gate/measured_report.h"
#include "analyzers/report/gate/verdict.h"

namespace qatgap::report::gate {

// Where a check failed. The baseline's parts are nullptr where it has none; the layer's where the metric is of the model.
struct Place {
  const MeasuredReport& report;
  const MeasuredTarget& target;
  const MeasuredTarget* target_before = nullptr;
  const Metrics* layer = nullptr;
  const Metrics* layer_before = nullptr;
};

// Fills cause and advice of a failed check.
void Explain(const Place& place, Check& check);

// The cause whose changed codes grew most since `before`; without one, the cause with most. Empty when none grew.
std::string LargestCause(const Metrics& layer, const Metrics* before);

}  // namespace qatgap::report::gate
