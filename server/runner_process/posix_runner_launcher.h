// Runners as child processes of this one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "server/runner_process/runner_launcher.h"

namespace qatgap::server {

struct PosixRunnerOptions {
  std::string path;                            // of qatgap-runner
  absl::Duration timeout = absl::Hours(1);     // wall time of one unit; also its limit of processor time
  std::uint64_t memory_limit_bytes = 0;        // 0: none
};

// The child gets: standard input with the WorkUnit, pipes for standard output and error, the blobs as descriptors 3 and
// up, none other; its own process group; a cut environment.
std::unique_ptr<RunnerLauncher> MakePosixRunnerLauncher(PosixRunnerOptions options);

}  // namespace qatgap::server
