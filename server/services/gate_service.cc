#include "server/services/gate_service.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "analyzers/report/gate/surfaces.h"
#include "analyzers/report/gate/verdict.h"
#include "analyzers/report/report.h"
#include "analyzers/status/status_macros.h"
#include "server/services/chunk_writer.h"
#include "server/services/request_validation.h"
#include "server/services/status_conversion.h"

namespace qatgap::server {
namespace {

namespace gate = report::gate;

constexpr std::uint64_t kMaxReportBytes = 256ULL << 20U;
constexpr std::size_t kMaxRulesBytes = std::size_t{256} << 10U;
constexpr std::size_t kMaxNameBytes = 255, kMaxCommandBytes = 4096;
constexpr std::size_t kChunkBytes = std::size_t{1} << 20U;

absl::StatusOr<std::string> ReadBlob(const BlobStore& blobs, const v1::ArtifactRef& artifact) {
  QATGAP_ASSIGN_OR_RETURN(const Blob blob, blobs.Find(artifact.sha256()));
  if (blob.bytes > kMaxReportBytes) {
    return absl::InvalidArgumentError(absl::StrCat("'", artifact.name(), "' has ", blob.bytes, " bytes, a report at most ",
                                                   kMaxReportBytes));
  }
  QATGAP_ASSIGN_OR_RETURN(const UniqueFd file, blobs.OpenForReading(artifact.sha256()));
  std::string bytes(blob.bytes, '\0');
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t got = pread(file.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return absl::InternalError(absl::StrCat("reading artifact ", artifact.sha256(), " failed: ", std::strerror(errno)));
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

// `field` names the source in messages: "report".
absl::StatusOr<gate::MeasuredReport> ReadSource(ResultReader& results, const BlobStore& blobs, const v1::ReportSource& source,
                                                const std::string& field) {
  switch (source.source_case()) {
    case v1::ReportSource::kAnalysisId: {
      QATGAP_RETURN_IF_ERROR(ValidateId(source.analysis_id()));
      QATGAP_ASSIGN_OR_RETURN(const auto report, results.ReadReport(source.analysis_id()));
      return gate::ReadReport(report::WriteJson(*report), absl::StrCat("analysis ", source.analysis_id()));
    }
    case v1::ReportSource::kArtifact: {
      if (source.artifact().name().empty() || source.artifact().name().size() > kMaxNameBytes) {
        return absl::InvalidArgumentError(absl::StrCat(field, ".artifact.name: must have 1 to ", kMaxNameBytes, " bytes"));
      }
      QATGAP_ASSIGN_OR_RETURN(const std::string bytes, ReadBlob(blobs, source.artifact()));
      return gate::ReadReport(bytes, source.artifact().name());
    }
    case v1::ReportSource::SOURCE_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError(absl::StrCat(field, ": is required; give analysis_id or artifact"));
}

absl::Status Validate(const v1::EvaluateGateRequest& request) {
  if (request.rules().empty() || request.rules().size() > kMaxRulesBytes) {
    return absl::InvalidArgumentError(absl::StrCat("rules: must have 1 to ", kMaxRulesBytes, " bytes, has ", request.rules().size()));
  }
  if (request.rules_name().size() > kMaxNameBytes) {
    return absl::InvalidArgumentError(absl::StrCat("rules_name: has ", request.rules_name().size(), " bytes, at most ", kMaxNameBytes));
  }
  if (request.accept_command().size() > kMaxCommandBytes) {
    return absl::InvalidArgumentError(absl::StrCat("accept_command: has ", request.accept_command().size(), " bytes, at most ",
                                                   kMaxCommandBytes));
  }
  std::set<int> seen;
  for (const int surface : request.surfaces()) {
    if (surface == v1::GATE_SURFACE_UNSPECIFIED || !v1::GateSurface_IsValid(surface) || !seen.insert(surface).second) {
      return absl::InvalidArgumentError(absl::StrCat("surfaces: ", surface, " is unknown, unspecified or there twice"));
    }
  }
  return absl::OkStatus();
}

std::string Write(const gate::GateResult& result, v1::GateSurface surface) {
  switch (surface) {
    case v1::GATE_SURFACE_MARKDOWN:
      return gate::WriteMarkdown(result);
    case v1::GATE_SURFACE_JUNIT:
      return gate::WriteJUnit(result);
    case v1::GATE_SURFACE_SARIF:
      return gate::WriteSarif(result);
    case v1::GATE_SURFACE_GITHUB:
      return gate::WriteGithubAnnotations(result);
    case v1::GATE_SURFACE_GITLAB:
      return gate::WriteGitlabCodeQuality(result);
    case v1::GATE_SURFACE_JSON:
      return gate::WriteJson(result);
    default:
      return gate::WriteText(result);
  }
}

v1::GateVerdict ToProto(gate::Verdict verdict) {
  switch (verdict) {
    case gate::Verdict::kPass:
      return v1::GATE_VERDICT_PASS;
    case gate::Verdict::kFail:
      return v1::GATE_VERDICT_FAIL;
    case gate::Verdict::kNotComparable:
      break;
  }
  return v1::GATE_VERDICT_NOT_COMPARABLE;
}

v1::GateSummary SummaryOf(const gate::GateResult& result) {
  v1::GateSummary summary;
  summary.set_verdict(ToProto(result.verdict));
  summary.set_headline(gate::Headline(result));
  const auto count = [&](gate::CheckOutcome outcome) {
    return static_cast<std::uint64_t>(std::count_if(result.checks.begin(), result.checks.end(), [&](const gate::Check& check) {
      return check.outcome == outcome;
    }));
  };
  summary.set_failed(count(gate::CheckOutcome::kFail));
  summary.set_warned(count(gate::CheckOutcome::kWarn));
  summary.set_waived(count(gate::CheckOutcome::kWaived));
  summary.set_passed(count(gate::CheckOutcome::kPass));
  for (const std::string& reason : result.not_comparable) summary.add_not_comparable(reason);
  return summary;
}

absl::Status WriteSurface(const std::string& bytes, v1::GateSurface surface, grpc::ServerWriter<v1::EvaluateGateResponse>& writer) {
  v1::EvaluateGateResponse response;
  response.mutable_chunk()->set_surface(surface);
  for (std::size_t start = 0; start < bytes.size(); start += kChunkBytes) {
    response.mutable_chunk()->set_chunk(bytes.substr(start, kChunkBytes));
    if (!writer.Write(response)) return absl::CancelledError("the client is gone");
  }
  return absl::OkStatus();
}

}  // namespace

grpc::Status GateServiceImpl::EvaluateGate(grpc::ServerContext* /*context*/, const v1::EvaluateGateRequest* request,
                                           grpc::ServerWriter<v1::EvaluateGateResponse>* writer) {
  return Handle(metrics_, Rpc::kEvaluateGate, [&]() -> absl::Status {
    QATGAP_RETURN_IF_ERROR(Validate(*request));
    const std::string rules_name = request->rules_name().empty() ? "rules" : request->rules_name();
    QATGAP_ASSIGN_OR_RETURN(const gate::Rules rules, gate::ParseRules(request->rules(), rules_name));
    QATGAP_ASSIGN_OR_RETURN(const gate::MeasuredReport report, ReadSource(results_, blobs_, request->report(), "report"));
    std::optional<gate::MeasuredReport> baseline;
    if (request->has_baseline()) {
      QATGAP_ASSIGN_OR_RETURN(baseline, ReadSource(results_, blobs_, request->baseline(), "baseline"));
    }
    const std::string today = absl::FormatTime("%Y-%m-%d", clock_.Now(), absl::UTCTimeZone());
    QATGAP_ASSIGN_OR_RETURN(gate::GateResult result, gate::Evaluate(report, baseline, rules, today));
    result.accept_command = request->accept_command();
    v1::EvaluateGateResponse first;
    *first.mutable_summary() = SummaryOf(result);
    if (!writer->Write(first)) return absl::CancelledError("the client is gone");
    for (const int number : request->surfaces()) {
      const auto surface = static_cast<v1::GateSurface>(number);
      QATGAP_RETURN_IF_ERROR(WriteSurface(Write(result, surface), surface, *writer));
    }
    return absl::OkStatus();
  });
}

grpc::Status GateServiceImpl::CompareReports(grpc::ServerContext* /*context*/, const v1::CompareReportsRequest* request,
                                             grpc::ServerWriter<v1::CompareReportsResponse>* writer) {
  return Handle(metrics_, Rpc::kCompareReports, [&]() -> absl::Status {
    QATGAP_ASSIGN_OR_RETURN(const gate::MeasuredReport before, ReadSource(results_, blobs_, request->before(), "before"));
    QATGAP_ASSIGN_OR_RETURN(const gate::MeasuredReport after, ReadSource(results_, blobs_, request->after(), "after"));
    const gate::Comparison comparison = gate::Compare(before, after);
    return WriteChunks(request->markdown() ? gate::WriteMarkdown(comparison) : gate::WriteText(comparison), *writer);
  });
}

grpc::Status GateServiceImpl::CreateBaseline(grpc::ServerContext* /*context*/, const v1::CreateBaselineRequest* request,
                                             grpc::ServerWriter<v1::CreateBaselineResponse>* writer) {
  return Handle(metrics_, Rpc::kCreateBaseline, [&]() -> absl::Status {
    QATGAP_ASSIGN_OR_RETURN(const gate::MeasuredReport report, ReadSource(results_, blobs_, request->report(), "report"));
    return WriteChunks(gate::WriteBaseline(report), *writer);
  });
}

}  // namespace qatgap::server
