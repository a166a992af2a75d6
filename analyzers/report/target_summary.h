// A target's figures in short: kept beside an analysis, so that a trend over many analyses reads none of their results.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analyzers/report/report.h"

namespace qatgap::report {

struct TargetSummary {
  std::string target;
  std::uint64_t count = 0;             // output codes of all layers, each fed the trained model's inputs
  std::uint64_t changed = 0;           // of them, by all causes together
  std::uint64_t bias_changed = 0;      // by bias rounding, plus by bias saturation
  std::uint64_t samples = 0;
  std::optional<std::uint64_t> top1_changed = {};  // samples whose answer moved; absent: not measured
  CauseShares shares = {};
};

// By target of the result.
std::vector<TargetSummary> SummariesOf(const AnalysisResult& result);

}  // namespace qatgap::report
