// qatgap.v1.TargetService over gRPC.
#pragma once

#include "qatgap/v1/target.grpc.pb.h"
#include "server/jobs/synchronous_units.h"
#include "server/metrics/server_metrics.h"

namespace qatgap::server {

class TargetServiceImpl final : public v1::TargetService::Service {
 public:
  TargetServiceImpl(SynchronousUnits& units, ServerMetrics& metrics) : units_(units), metrics_(metrics) {}

  grpc::Status ListTargets(grpc::ServerContext* context, const v1::ListTargetsRequest* request,
                           v1::ListTargetsResponse* response) override;
  grpc::Status GetTarget(grpc::ServerContext* context, const v1::GetTargetRequest* request,
                         v1::GetTargetResponse* response) override;
  grpc::Status DescribeTarget(grpc::ServerContext* context, const v1::DescribeTargetRequest* request,
                              v1::DescribeTargetResponse* response) override;
  grpc::Status VerifyTarget(grpc::ServerContext* context, const v1::VerifyTargetRequest* request,
                            v1::VerifyTargetResponse* response) override;
  grpc::Status IdentifyTarget(grpc::ServerContext* context, const v1::IdentifyTargetRequest* request,
                              v1::IdentifyTargetResponse* response) override;

 private:
  SynchronousUnits& units_;
  ServerMetrics& metrics_;
};

}  // namespace qatgap::server
