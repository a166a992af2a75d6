// How much tracked models may add to the metrics.
#pragma once

#include <cstddef>

namespace qatgap::server {

struct TrackLimits {
  std::size_t max_layers = 100;  // of a track and target that have series
  std::size_t max_tracks = 20;   // that have series
};

}  // namespace qatgap::server
