// fork and exec of one contained child.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/artifacts/unique_fd.h"

namespace qatgap::server {

struct ChildProcess {
  pid_t pid = -1;
  UniqueFd output;  // our end of its standard output, non-blocking
  UniqueFd error;   // our end of its standard error, non-blocking
  UniqueFd ended;   // a pidfd: readable once the child has ended
};

// The descriptors the child gets from number 3 on; -1 leaves its number closed.
inline constexpr std::size_t kMaxInheritedFds = 39;
using InheritedFds = std::array<int, kMaxInheritedFds>;

// Starts `path` with `input` as the bytes of its standard input. The child leads a new process group, dies with the
// calling thread, has default signal handling and no descriptor but 0, 1, 2 and the inherited ones. INTERNAL when it
// cannot be started.
absl::StatusOr<ChildProcess> StartChild(const std::string& path, const std::string& input,
                                        const InheritedFds& inherited,
                                        const std::vector<std::string>& environment);

// What of this process' environment a runner gets: how to find its libraries, and the switches of the engines, which
// results depend on. Nothing else: an environment may hold secrets.
std::vector<std::string> RunnerEnvironment();

}  // namespace qatgap::server
