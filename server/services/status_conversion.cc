#include "server/services/status_conversion.h"

#include "spdlog/spdlog.h"

namespace qatgap::server {

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  if (status.code() == absl::StatusCode::kInternal) spdlog::error("{}", status.ToString());
  // Both are google.rpc.Code.
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
}

}  // namespace qatgap::server
