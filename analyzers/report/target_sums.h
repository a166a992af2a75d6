// A target's sums over all its layers, and the shares of its causes.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "absl/numeric/int128.h"
#include "analyzers/report/layer_view.h"
#include "analyzers/report/report.h"

namespace qatgap::report {

// Over all layers. Cross products of several layers may pass 63 bits.
struct CauseSum {
  std::uint64_t count = 0;
  std::uint64_t changed = 0;
  std::uint64_t max_absolute = 0;
  absl::int128 cross_total = 0;
};

struct TargetSums {
  std::array<CauseSum, kCauseCount> causes;
  absl::int128 total_squares = 0;

  const CauseSum& of(Cause cause) const { return causes[static_cast<std::size_t>(cause)]; }
};

TargetSums SumsOf(const std::vector<LayerView>& layers);
CauseShares SharesOf(const TargetSums& sums);

}  // namespace qatgap::report
