// Writes RunnerEvents to a descriptor, each preceded by its size as a varint.
#pragma once

#include "absl/status/status.h"
#include "qatgap/runner/v1/unit.pb.h"

namespace qatgap::runner {

class EventWriter {
 public:
  // The descriptor stays the caller's.
  explicit EventWriter(int fd) : fd_(fd) {}

  // UNAVAILABLE when nobody reads any more: the server has given the unit up.
  absl::Status Write(const v1::RunnerEvent& event);

 private:
  int fd_;
};

}  // namespace qatgap::runner
