// The formats of GetReport.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "analyzers/report/report.h"
#include "qatgap/v1/analysis.pb.h"

namespace qatgap::server {

// INVALID_ARGUMENT for an unspecified or unknown format.
absl::Status ValidateFormat(v1::ReportFormat format);
// `format` is a valid one.
std::string Render(const report::Report& report, v1::ReportFormat format);

}  // namespace qatgap::server
