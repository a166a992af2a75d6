// What a status carries besides its message: what to do, and longer text such as the end of a log.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace qatgap::client {

// The same status with a remedy; an OK status stays as it is.
absl::Status WithRemedy(absl::Status status, std::string_view remedy);
// Empty when there is none.
std::string RemedyOf(const absl::Status& status);

// The same status with text of several lines to show below the message.
absl::Status WithDetail(absl::Status status, std::string_view detail);
// Empty when there is none.
std::string DetailOf(const absl::Status& status);

}  // namespace qatgap::client
