// qatgap.v1.AnalysisService over gRPC.
#pragma once

#include "qatgap/v1/analysis.grpc.pb.h"
#include "server/jobs/job_manager.h"
#include "server/jobs/result_reader.h"
#include "server/metrics/server_metrics.h"

namespace qatgap::server {

class AnalysisServiceImpl final
    : public v1::AnalysisService::WithCallbackMethod_WatchAnalysis<v1::AnalysisService::Service> {
 public:
  AnalysisServiceImpl(JobManager& jobs, ResultReader& results, ServerMetrics& metrics)
      : jobs_(jobs), results_(results), metrics_(metrics) {}

  grpc::Status CreateAnalysis(grpc::ServerContext* context,
                              const v1::CreateAnalysisRequest* request,
                              v1::CreateAnalysisResponse* response) override;
  grpc::Status GetAnalysis(grpc::ServerContext* context, const v1::GetAnalysisRequest* request,
                           v1::GetAnalysisResponse* response) override;
  grpc::Status ListAnalyses(grpc::ServerContext* context, const v1::ListAnalysesRequest* request,
                            v1::ListAnalysesResponse* response) override;
  grpc::ServerWriteReactor<v1::WatchAnalysisResponse>* WatchAnalysis(
      grpc::CallbackServerContext* context, const v1::WatchAnalysisRequest* request) override;
  grpc::Status CancelAnalysis(grpc::ServerContext* context,
                              const v1::CancelAnalysisRequest* request,
                              v1::CancelAnalysisResponse* response) override;
  grpc::Status DeleteAnalysis(grpc::ServerContext* context,
                              const v1::DeleteAnalysisRequest* request,
                              v1::DeleteAnalysisResponse* response) override;
  grpc::Status ListLayerResults(grpc::ServerContext* context,
                                const v1::ListLayerResultsRequest* request,
                                v1::ListLayerResultsResponse* response) override;
  grpc::Status GetReport(grpc::ServerContext* context, const v1::GetReportRequest* request,
                         grpc::ServerWriter<v1::GetReportResponse>* writer) override;

 private:
  JobManager& jobs_;
  ResultReader& results_;
  ServerMetrics& metrics_;
};

}  // namespace qatgap::server
