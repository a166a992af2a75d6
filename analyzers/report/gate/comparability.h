// Whether two reports measure the same thing. Internal to gate/.
#pragma once

#include <string>
#include <vector>

#include "analyzers/report/gate/measured_report.h"

namespace qatgap::report::gate {

// Reasons why `report` cannot be held against `baseline`, with the values of both; empty when it can.
std::vector<std::string> WhyNotComparable(const MeasuredReport& baseline, const MeasuredReport& report);

}  // namespace qatgap::report::gate
