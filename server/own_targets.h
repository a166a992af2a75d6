// Targets that a client describes: bytes from outside, read by the server, which tells mistakes before anything runs, and
// by the runner, which computes with them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/numerics/target.h"

namespace qatgap::server {

inline constexpr std::size_t kMaxDescriptionBytes = 64U << 10;

// The target that `yaml` describes. Its evidence becomes "unverified" and says that it is user-defined, whatever the text
// claims: qatgap has verified nothing of it. INVALID_ARGUMENT starting with `field`: too long, or what ParseTarget refuses.
absl::StatusOr<numerics::TargetDescription> ParseOwnTarget(std::string_view yaml, std::string_view field);

// The shipped targets of these names, then the described ones; `field` is "spec." or "". NOT_FOUND for an unknown name.
// INVALID_ARGUMENT for two of one name, and for a description with the name of a shipped target and other arithmetic:
// a report would show it under that name.
absl::StatusOr<std::vector<numerics::TargetDescription>> CollectTargets(const std::vector<std::string>& names,
                                                                        const std::vector<std::string>& descriptions,
                                                                        std::string_view field);

}  // namespace qatgap::server
