// qatgap.v1.ModelService over gRPC.
#pragma once

#include "qatgap/v1/model.grpc.pb.h"
#include "server/jobs/synchronous_units.h"
#include "server/metrics/server_metrics.h"

namespace qatgap::server {

class ModelServiceImpl final : public v1::ModelService::Service {
 public:
  ModelServiceImpl(SynchronousUnits& units, ServerMetrics& metrics) : units_(units), metrics_(metrics) {}

  grpc::Status InspectModel(grpc::ServerContext* context, const v1::InspectModelRequest* request,
                            v1::InspectModelResponse* response) override;
  grpc::Status CreateHandoff(grpc::ServerContext* context, const v1::CreateHandoffRequest* request,
                             grpc::ServerWriter<v1::CreateHandoffResponse>* writer) override;

 private:
  SynchronousUnits& units_;
  ServerMetrics& metrics_;
};

}  // namespace qatgap::server
