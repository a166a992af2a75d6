// Files as one zip archive.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"

namespace qatgap::runner {

// `files` by their path, deflated, in that order, all of one fixed time: equal files give equal bytes. INTERNAL when the
// library fails.
absl::StatusOr<std::string> WriteZip(const std::map<std::string, std::string>& files);

}  // namespace qatgap::runner
