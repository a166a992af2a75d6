#include "analyzers/report/target_sums.h"

#include <algorithm>

namespace qatgap::report {
namespace {

constexpr std::size_t kTotalIndex = static_cast<std::size_t>(Cause::kTotal);

}  // namespace

TargetSums SumsOf(const std::vector<LayerView>& layers) {
  TargetSums sums;
  for (const LayerView& layer : layers) {
    for (std::size_t cause = 0; cause < kCauseCount; ++cause) {
      // Where no engine ran, its stage repeats the one above: all equal, and nothing measured.
      if (static_cast<Cause>(cause) == Cause::kEngineResidual && !layer.result->engine_measured) continue;
      const statistics::DifferenceStatistics& s = layer.causes[cause];
      sums.causes[cause].count += s.count;
      sums.causes[cause].changed += s.changed;
      sums.causes[cause].max_absolute = std::max(sums.causes[cause].max_absolute, s.max_absolute);
      sums.causes[cause].cross_total += s.cross_total;
    }
    sums.total_squares += static_cast<absl::int128>(layer.of(Cause::kTotal).sum_squares);
  }
  return sums;
}

CauseShares SharesOf(const TargetSums& sums) {
  CauseShares shares;
  if (sums.total_squares == 0) return shares;
  shares.defined = true;
  for (std::size_t cause = 0; cause < kTotalIndex; ++cause) {
    shares.share[cause] = static_cast<double>(sums.causes[cause].cross_total) /
                          static_cast<double>(sums.total_squares);
  }
  shares.share[kTotalIndex] = 1;
  return shares;
}

CauseShares SharesOf(const TargetResult& target) {
  std::vector<LayerView> views;
  views.reserve(target.layers.size());
  for (const LayerResult& layer : target.layers) {
    views.push_back({.info = nullptr, .result = &layer, .causes = MergeChannels(layer)});
  }
  return SharesOf(SumsOf(views));
}

}  // namespace qatgap::report
