// What-ifs in the canonical JSON. Internal to report/.
#pragma once

#include <cstdint>
#include <optional>

#include "analyzers/report/analysis_result.h"
#include "nlohmann/json.hpp"

namespace qatgap::report {

// One entry per layer and reaching input. `statistics` writes sums with the zero point of their reference codes.
nlohmann::json WhatIfsJson(const AnalysisResult& result, const TargetResult& target,
                           nlohmann::json (*statistics)(const statistics::DifferenceStatistics&,
                                                        std::optional<std::int64_t>));

}  // namespace qatgap::report
