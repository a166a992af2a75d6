// What-ifs in the canonical JSON.
#pragma once

#include <cstdint>
#include <optional>

#include "analyzers/report/analysis_result.h"
#include "analyzers/report/what_if_result.h"
#include "nlohmann/json.hpp"

namespace qatgap::report {

// Null where nothing is recommended.
nlohmann::json RecommendationJson(const LayerWhatIfs& layer);

// One entry per layer and reaching input. `statistics` writes sums with the zero point of their reference codes.
nlohmann::json WhatIfsJson(const AnalysisResult& result, const TargetResult& target,
                           nlohmann::json (*statistics)(const statistics::DifferenceStatistics&,
                                                        std::optional<std::int64_t>));

}  // namespace qatgap::report
