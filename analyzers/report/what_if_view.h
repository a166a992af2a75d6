// What the measured what-ifs come to: the recommendation of a layer, sums over layers, and their words.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analyzers/report/analysis_result.h"
#include "analyzers/report/what_if_result.h"

namespace qatgap::report {

// Name, and which input where several reach the layer; DisplayName-d.
std::string TitleOf(const AnalysisResult& result, const LayerWhatIfs& layer);

// Null where the layer has no such row, or it was not measured.
const WhatIfRow* FindRow(const LayerWhatIfs& layer, WhatIf what_if);

struct Recommendation {
  WhatIf what_if = WhatIf::kPlain;
  std::uint64_t before = 0;  // outputs of the layer that differ from the trained model's
  std::uint64_t after = 0;
  std::uint64_t count = 0;  // outputs compared
  std::uint64_t gain() const { return before - after; }
};

// The remedy with the fewest outputs that differ from the trained model's (of those the smallest sum of squares, then
// the first), or nothing where it changes fewer than one output in 10,000 less than the plain row.
std::optional<Recommendation> RecommendationOf(const LayerWhatIfs& layer);

std::string Words(WhatIf what_if);   // "bias stored in 16 bits"
std::string Advice(WhatIf what_if);  // "store the bias in 16 bits"

// A row over all layers of a target that have it, beside their plain rows.
struct WhatIfSum {
  WhatIf what_if = WhatIf::kPlain;
  std::uint64_t layers = 0, better = 0, worse = 0;  // by changed outputs against the trained model's
  std::uint64_t count = 0, before = 0, after = 0;   // outputs; changed ones of the plain rows, and of these
};
std::optional<WhatIfSum> SumOf(const TargetResult& target, WhatIf what_if);

// Sentences for the verdict; empty where no what-ifs were asked for.
std::vector<std::string> WhatIfSentences(const AnalysisResult& result, const TargetResult& target);

}  // namespace qatgap::report
