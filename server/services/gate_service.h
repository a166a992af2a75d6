// qatgap.v1.GateService over gRPC.
#pragma once

#include "qatgap/v1/gate.grpc.pb.h"
#include "server/artifacts/blob_store.h"
#include "server/clock/clock.h"
#include "server/jobs/result_reader.h"
#include "server/metrics/server_metrics.h"

namespace qatgap::server {

class GateServiceImpl final : public v1::GateService::Service {
 public:
  GateServiceImpl(ResultReader& results, const BlobStore& blobs, const Clock& clock, ServerMetrics& metrics)
      : results_(results), blobs_(blobs), clock_(clock), metrics_(metrics) {}

  grpc::Status EvaluateGate(grpc::ServerContext* context, const v1::EvaluateGateRequest* request,
                            grpc::ServerWriter<v1::EvaluateGateResponse>* writer) override;
  grpc::Status CompareReports(grpc::ServerContext* context, const v1::CompareReportsRequest* request,
                              grpc::ServerWriter<v1::CompareReportsResponse>* writer) override;
  grpc::Status CreateBaseline(grpc::ServerContext* context, const v1::CreateBaselineRequest* request,
                              grpc::ServerWriter<v1::CreateBaselineResponse>* writer) override;

 private:
  ResultReader& results_;
  const BlobStore& blobs_;
  const Clock& clock_;
  ServerMetrics& metrics_;
};

}  // namespace qatgap::server
