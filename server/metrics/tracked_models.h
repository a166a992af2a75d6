// The series of tracked models. They are made from the figures at each scrape, so a track's newest analysis replaces
// all series of the one before, those of layers that are gone too, and no scrape sees half of each.
#pragma once

#include <prometheus/collectable.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "server/metrics/track_limits.h"
#include "server/metrics/tracked_figures.h"

namespace qatgap::server {

// Thread-safe.
class TrackedModels final : public prometheus::Collectable {
 public:
  explicit TrackedModels(TrackLimits limits) : limits_(limits) {}

  // Ignored when the track shows an analysis that was created later. Beyond the limit of tracks the one whose analysis
  // was created first goes.
  void Show(TrackedFigures figures);
  // Removes the track that shows this analysis, if any.
  void Remove(const std::string& analysis_id);

  const TrackLimits& limits() const { return limits_; }
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const TrackLimits limits_;
  mutable std::mutex mutex_;
  std::map<std::string, TrackedFigures> tracks_;  // by name
  std::uint64_t dropped_ = 0;
};

}  // namespace qatgap::server
