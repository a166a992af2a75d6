// What the runner gives up before it reads a byte of a client: memory and time beyond its limits, the network, the file
// system, other programs. docs/security.md says against what this helps.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

namespace qatgap::runner {

struct ContainmentLimits {
  std::uint64_t memory_bytes = 0;  // data segment; 0: none
  std::uint64_t cpu_seconds = 0;   // 0: none
};

// Sets resource limits, no core files, no new privileges, and a system call filter under which opening files or
// sockets, starting programs or processes, signals and tracing fail with EPERM. Threads may still be started. Call it once, from the only thread, after LibTorch has
// started up (it reads processor features from files). INTERNAL when the kernel refuses.
absl::Status Contain(const ContainmentLimits& limits);

}  // namespace qatgap::runner
