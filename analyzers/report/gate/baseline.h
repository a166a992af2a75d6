// A baseline file: what the gate reads of a report, one figure a line. Internal to gate/; WriteBaseline is in surfaces.h.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "analyzers/report/gate/measured_report.h"
#include "nlohmann/json.hpp"

namespace qatgap::report::gate {

// `document` has the member "qatgap_baseline". INVALID_ARGUMENT naming `name` and the member.
absl::StatusOr<MeasuredReport> ReadBaseline(const nlohmann::json& document, std::string_view name);

}  // namespace qatgap::report::gate
