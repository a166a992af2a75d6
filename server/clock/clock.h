// Time as an interface, so that tests decide what time it is.
#pragma once

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace qatgap::server {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() const = 0;
};

class SystemClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::Now(); }
};

}  // namespace qatgap::server
