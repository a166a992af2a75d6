// A layer result beside its static facts and its merged channels: what verdicts and writers read.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "analyzers/report/analysis_result.h"

namespace qatgap::report {

struct LayerView {
  const LayerInfo* info = nullptr;
  const LayerResult* result = nullptr;
  CauseStatistics causes;

  const statistics::DifferenceStatistics& of(Cause cause) const {
    return causes[static_cast<std::size_t>(cause)];
  }
  std::int64_t zero_point() const {
    return info->output.zero_points.empty() ? 0 : info->output.zero_point();
  }
  // The grid this result is for; null where the index names none.
  const numerics::QuantParams* input() const;
  std::string Title() const;  // name, and which input where several reach the layer; DisplayName-d
};

// Views of a target's layer results in order of (layer, input_index). They point into `result` and `target`.
std::vector<LayerView> ViewsOf(const AnalysisResult& result, const TargetResult& target);

// Share of each cause in this layer's difference: cross_total of the cause / sum_squares of the total.
struct LayerShares {
  bool defined = false;
  std::array<double, kCauseCount> share{};
};
LayerShares SharesOf(const LayerView& layer);
// The cause with the largest share; kTotal where nothing differs.
Cause WorstCause(const LayerView& layer);

// The comparison of two paths, or null where it was not measured.
const PathComparison* FindComparison(const TargetResult& target, Path path, Path reference);
// All outputs of a comparison as one; cross products and signal sums have no meaning over several grids.
statistics::DifferenceStatistics MergeOutputs(const PathComparison& comparison);

}  // namespace qatgap::report
