// Paths, samples, sensitivities and held-out samples as canonical JSON. Internal to report/.
#pragma once

#include "analyzers/report/json_parts.h"

namespace qatgap::report::json_parts {

// Of `labelled` samples.
Json Accuracies(const TargetResult& target, std::uint64_t labelled);
// value, low, high, p_value (rounded to 6 digits: logarithms differ between C libraries); null without labels.
Json AccuracyDifference(const TargetResult& target, const PathComparison& comparison, std::uint64_t labelled);
Json Samples(const PathComparison& comparison);
Json Comparisons(const AnalysisResult& result, const TargetResult& target, std::uint64_t labelled);
Json Sensitivities(const AnalysisResult& result, const TargetResult& target);
// injected, accumulated, propagated: rates of changed codes; null where not measured.
Json Propagated(const TargetResult& target, std::int64_t layer);
Json Global(const AnalysisResult& result, const TargetResult& target);  // null where there is none
Json InputRanges(const std::vector<InputRange>& ranges);
Json OfHeldOut(const AnalysisResult& result);  // null where none were given

}  // namespace qatgap::report::json_parts
