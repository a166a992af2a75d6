#include "server/services/analysis_service.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"
#include "server/analysis_conversion.h"
#include "server/services/chunk_writer.h"
#include "server/services/layer_page.h"
#include "server/services/page_token.h"
#include "server/services/report_rendering.h"
#include "server/services/request_validation.h"
#include "server/services/status_conversion.h"
#include "server/services/watch_reactor.h"

namespace qatgap::server {
namespace {
constexpr std::size_t kDefaultAnalyses = 50;
}  // namespace

grpc::Status AnalysisServiceImpl::CreateAnalysis(grpc::ServerContext* /*context*/,
                                                 const v1::CreateAnalysisRequest* request,
                                                 v1::CreateAnalysisResponse* response) {
  return Handle(metrics_, Rpc::kCreateAnalysis, [&]() -> absl::Status {
    QATGAP_RETURN_IF_ERROR(ValidateRequestId(request->request_id()));
    QATGAP_ASSIGN_OR_RETURN(AnalysisSpec spec, ValidateSpec(request->spec()));
    QATGAP_ASSIGN_OR_RETURN(const Analysis analysis,
                            jobs_.Create(std::move(spec), request->request_id()));
    *response->mutable_analysis() = ToProto(analysis);
    return absl::OkStatus();
  });
}

grpc::Status AnalysisServiceImpl::GetAnalysis(grpc::ServerContext* /*context*/,
                                              const v1::GetAnalysisRequest* request,
                                              v1::GetAnalysisResponse* response) {
  return Handle(metrics_, Rpc::kGetAnalysis, [&]() -> absl::Status {
    QATGAP_RETURN_IF_ERROR(ValidateId(request->id()));
    QATGAP_ASSIGN_OR_RETURN(const Analysis analysis, jobs_.Get(request->id()));
    *response->mutable_analysis() = ToProto(analysis);
    return absl::OkStatus();
  });
}

grpc::Status AnalysisServiceImpl::ListAnalyses(grpc::ServerContext* /*context*/,
                                               const v1::ListAnalysesRequest* request,
                                               v1::ListAnalysesResponse* response) {
  return Handle(metrics_, Rpc::kListAnalyses, [&]() -> absl::Status {
    ListQuery query;
    if (request->state() != v1::ANALYSIS_STATE_UNSPECIFIED) {
      QATGAP_ASSIGN_OR_RETURN(query.state, FromProto(request->state()));
    }
    QATGAP_RETURN_IF_ERROR(ValidateTrack(request->track(), "track"));
    query.track = request->track();
    const std::string listing =
        absl::StrCat("analyses:", static_cast<int>(request->state()), ":", request->track());
    QATGAP_ASSIGN_OR_RETURN(const std::size_t size,
                            ParsePageSize(request->page_size(), kDefaultAnalyses));
    QATGAP_ASSIGN_OR_RETURN(query.before_sequence, ParsePageToken(request->page_token(), listing));
    query.limit = size + 1;  // one more, to know whether there is a next page
    QATGAP_ASSIGN_OR_RETURN(const std::vector<StoredAnalysis> rows, jobs_.List(query));
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      v1::Analysis analysis = ToProto(rows[i].analysis);
      bytes += analysis.ByteSizeLong();
      if (i > 0 && (i == size || bytes > kMaxPageBytes)) {
        response->set_next_page_token(MakePageToken(listing, rows[i - 1].sequence));
        break;
      }
      *response->add_analyses() = std::move(analysis);
    }
    return absl::OkStatus();
  });
}

grpc::ServerWriteReactor<v1::WatchAnalysisResponse>* AnalysisServiceImpl::WatchAnalysis(
    grpc::CallbackServerContext* /*context*/, const v1::WatchAnalysisRequest* request) {
  return std::make_unique<WatchReactor>(jobs_, metrics_, request->id()).release();
}

grpc::Status AnalysisServiceImpl::CancelAnalysis(grpc::ServerContext* /*context*/,
                                                 const v1::CancelAnalysisRequest* request,
                                                 v1::CancelAnalysisResponse* response) {
  return Handle(metrics_, Rpc::kCancelAnalysis, [&]() -> absl::Status {
    QATGAP_RETURN_IF_ERROR(ValidateId(request->id()));
    QATGAP_ASSIGN_OR_RETURN(const Analysis analysis, jobs_.Cancel(request->id()));
    *response->mutable_analysis() = ToProto(analysis);
    return absl::OkStatus();
  });
}

grpc::Status AnalysisServiceImpl::DeleteAnalysis(grpc::ServerContext* /*context*/,
                                                 const v1::DeleteAnalysisRequest* request,
                                                 v1::DeleteAnalysisResponse* /*response*/) {
  return Handle(metrics_, Rpc::kDeleteAnalysis, [&]() -> absl::Status {
    QATGAP_RETURN_IF_ERROR(ValidateId(request->id()));
    return jobs_.Delete(request->id());
  });
}

grpc::Status AnalysisServiceImpl::ListLayerResults(grpc::ServerContext* /*context*/,
                                                   const v1::ListLayerResultsRequest* request,
                                                   v1::ListLayerResultsResponse* response) {
  return Handle(metrics_, Rpc::kListLayerResults, [&]() -> absl::Status {
    QATGAP_RETURN_IF_ERROR(ValidateId(request->id()));
    QATGAP_ASSIGN_OR_RETURN(const std::shared_ptr<const report::AnalysisResult> result,
                            results_.Read(request->id()));
    return FillLayerPage(*request, *result, *response);
  });
}

grpc::Status AnalysisServiceImpl::GetReport(grpc::ServerContext* /*context*/,
                                            const v1::GetReportRequest* request,
                                            grpc::ServerWriter<v1::GetReportResponse>* writer) {
  return Handle(metrics_, Rpc::kGetReport, [&]() -> absl::Status {
    QATGAP_RETURN_IF_ERROR(ValidateId(request->id()));
    QATGAP_RETURN_IF_ERROR(ValidateFormat(request->format()));
    QATGAP_ASSIGN_OR_RETURN(const auto report, results_.ReadReport(request->id()));
    return WriteChunks(Render(*report, request->format()), *writer);
  });
}

}  // namespace qatgap::server
