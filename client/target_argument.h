// The value of --target: a shipped target's name, or a file that describes one of the user's own.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/lib/client.h"
#include "qatgap/v1/target.pb.h"

namespace qatgap::cli {

// A file: what exists as one, has a '/' in it, or ends in .yaml or .yml.
bool NamesFile(const std::string& value);

// Reads the file, if it is one. Errors: those of client::CheckReadable; INVALID_ARGUMENT for one of more than 64 KiB or
// whose text is not UTF-8.
absl::StatusOr<v1::TargetRef> ReadTarget(const std::string& value);

// Each of them. Errors: as above; INVALID_ARGUMENT for one value twice.
absl::StatusOr<std::vector<v1::TargetRef>> ReadTargets(const std::vector<std::string>& values);

// The target as the service sees it: asked before anything large is sent. Messages about a file start with its path.
// Errors: NOT_FOUND, INVALID_ARGUMENT; those of the service.
absl::StatusOr<v1::Target> AskForTarget(client::Client& client, const std::string& value, const v1::TargetRef& ref);

}  // namespace qatgap::cli
