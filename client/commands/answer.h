// What a user sees of an answer that the service has put in words itself.
#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "absl/status/status.h"
#include "client/terminal/output.h"

namespace qatgap::cli {

// The text, made harmless, and the answer as JSON to `json_path` unless that is empty.
absl::Status ShowAnswer(const terminal::Output& out, const std::string& text, const google::protobuf::Message& answer,
                        const std::string& json_path);

}  // namespace qatgap::cli
