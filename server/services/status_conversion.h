// The one way a status of the core becomes one of gRPC; docs/errors.md is the table of codes.
#pragma once

#include <grpcpp/support/status.h>

#include <exception>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "server/metrics/server_metrics.h"

namespace qatgap::server {

grpc::Status ToGrpc(const absl::Status& status);

// Runs a handler's body, a function that returns absl::Status: counts it, and keeps exceptions in, as gRPC would lose
// their messages.
template <typename Body>
grpc::Status Handle(ServerMetrics& metrics, Rpc rpc, const Body& body) {
  const absl::Time start = absl::Now();
  absl::Status status;
  try {
    status = body();
  } catch (const std::exception& error) {
    status = absl::InternalError(std::string("the server failed: ") + error.what());
  }
  metrics.OnRpc(rpc, status.code(), absl::Now() - start);
  return ToGrpc(status);
}

}  // namespace qatgap::server
