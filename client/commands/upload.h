// Uploads as the commands show them.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "client/lib/client.h"
#include "client/terminal/output.h"

namespace qatgap::cli {

// Sends the file unless the service has it, with progress on `err`. Nothing for an empty path.
absl::Status Upload(client::Client& client, const terminal::Output& err, bool quiet, const std::string& path,
                    v1::ArtifactRef* artifact);

}  // namespace qatgap::cli
