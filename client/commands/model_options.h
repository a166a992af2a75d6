// --qat and --converted of commands that compare two models.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace qatgap::cli {

// What is given can be read. INVALID_ARGUMENT: neither; the errors of client::CheckReadable.
absl::Status CheckModels(const std::string& qat, const std::string& converted);

}  // namespace qatgap::cli
