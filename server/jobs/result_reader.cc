#include "server/jobs/result_reader.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "analyzers/status/status_macros.h"
#include "server/result_conversion.h"

namespace qatgap::server {
namespace {

report::BlobInfo Describe(const ArtifactRef& ref, const BlobStore& blobs) {
  if (!ref.given()) return {};
  const absl::StatusOr<Blob> blob = blobs.Find(ref.sha256);
  return {.name = ref.name, .sha256 = ref.sha256, .bytes = blob.ok() ? blob->bytes : 0};
}

}  // namespace

report::Report MakeReport(const Analysis& analysis, report::AnalysisResult result,
                          const BlobStore& blobs) {
  report::Report report;
  report.analysis_id = analysis.id;
  report.title = analysis.spec.title;
  report.create_time =
      absl::FormatTime(absl::RFC3339_full, analysis.create_time, absl::UTCTimeZone());
  if (analysis.start_time && analysis.end_time) {
    report.run_seconds = absl::ToDoubleSeconds(*analysis.end_time - *analysis.start_time);
  }
  report.runner_peak_bytes = analysis.runner_peak_bytes;
  report.units = analysis.spec.parallel_units;
  report.qat_model = Describe(analysis.spec.qat_model, blobs);
  report.converted_model = Describe(analysis.spec.converted_model, blobs);
  report.samples = Describe(analysis.spec.samples, blobs);
  for (const SampleInput& input : analysis.spec.sample_inputs) {
    report.sample_inputs.push_back({.input_name = input.input_name, .file = Describe(input.file, blobs)});
  }
  for (const samples::Normalization& normalization : analysis.spec.normalizations) {
    report.normalizations.push_back(samples::Describe(normalization));
  }
  report.labels = Describe(analysis.spec.labels, blobs);
  report.held_out = Describe(analysis.spec.held_out, blobs);
  report.held_out_labels = Describe(analysis.spec.held_out_labels, blobs);
  report.result = std::move(result);
  return report;
}

absl::StatusOr<std::shared_ptr<const report::IndexedReport>> ResultReader::ReadIndexed(const std::string& id) {
  // Also for a result in memory: the analysis may have been deleted.
  QATGAP_ASSIGN_OR_RETURN(const Analysis analysis, store_.Get(id));
  if (analysis.state != AnalysisState::kSucceeded) {
    return absl::FailedPreconditionError(absl::StrCat("analysis '", id, "' has no result: it is ",
                                                      std::string(ToString(analysis.state))));
  }
  return cache_.Get(id, [&]() -> absl::StatusOr<ResultCache::Entry> {
    QATGAP_ASSIGN_OR_RETURN(const std::string bytes, store_.GetResult(id));
    QATGAP_ASSIGN_OR_RETURN(report::AnalysisResult result, ParseResult(bytes));
    return std::make_shared<const report::IndexedReport>(MakeReport(analysis, std::move(result), blobs_));
  });
}

absl::StatusOr<std::shared_ptr<const report::AnalysisResult>> ResultReader::Read(const std::string& id) {
  QATGAP_ASSIGN_OR_RETURN(const auto indexed, ReadIndexed(id));
  return std::shared_ptr<const report::AnalysisResult>(indexed, &indexed->result());
}

absl::StatusOr<std::shared_ptr<const report::Report>> ResultReader::ReadReport(const std::string& id) {
  QATGAP_ASSIGN_OR_RETURN(const auto indexed, ReadIndexed(id));
  return std::shared_ptr<const report::Report>(indexed, &indexed->report());
}

}  // namespace qatgap::server
