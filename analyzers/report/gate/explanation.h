// Why a check failed, and what helps. Internal to gate/.
#pragma once

#include "analyzers/report/gate/measured_report.h"
#include "analyzers/report/gate/verdict.h"

namespace qatgap::report::gate {

// Fills cause and advice of a failed check. `layer` and `before`: metrics of its layer now and in the baseline; nullptr
// where there is none.
void Explain(const MeasuredReport& report, const MeasuredTarget& target, const Metrics* layer, const Metrics* before,
             Check& check);

}  // namespace qatgap::report::gate
