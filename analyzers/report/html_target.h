// One target's section of the page.
#pragma once

#include <string>

#include "analyzers/report/report.h"

namespace qatgap::report {

// `result` is report.result in canonical order, `target` one of its targets. At most `details` layers are unfolded in
// detail, those with the largest differences.
std::string TargetSection(const Report& report, const AnalysisResult& result,
                          const TargetResult& target, std::size_t number, std::size_t details);

}  // namespace qatgap::report
