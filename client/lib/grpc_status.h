// The one place where a gRPC status becomes an absl::Status.
#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace qatgap::client {

// Same canonical code, same message. A code outside the canonical ones becomes UNKNOWN.
absl::Status ToAbslStatus(const grpc::Status& status);

}  // namespace qatgap::client
