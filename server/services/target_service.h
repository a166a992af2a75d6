// qatgap.v1.TargetService over gRPC.
#pragma once

#include "qatgap/v1/target.grpc.pb.h"
#include "server/metrics/server_metrics.h"

namespace qatgap::server {

class TargetServiceImpl final : public v1::TargetService::Service {
 public:
  explicit TargetServiceImpl(ServerMetrics& metrics) : metrics_(metrics) {}

  grpc::Status ListTargets(grpc::ServerContext* context, const v1::ListTargetsRequest* request,
                           v1::ListTargetsResponse* response) override;
  grpc::Status GetTarget(grpc::ServerContext* context, const v1::GetTargetRequest* request,
                         v1::GetTargetResponse* response) override;

 private:
  ServerMetrics& metrics_;
};

}  // namespace qatgap::server
