#include <string>

#include "absl/strings/str_cat.h"
#include "client/lib/client.h"

namespace qatgap::client {

std::string_view StateName(v1::AnalysisState state) {
  switch (state) {
    case v1::ANALYSIS_STATE_QUEUED:
      return "queued";
    case v1::ANALYSIS_STATE_RUNNING:
      return "running";
    case v1::ANALYSIS_STATE_SUCCEEDED:
      return "succeeded";
    case v1::ANALYSIS_STATE_FAILED:
      return "failed";
    case v1::ANALYSIS_STATE_CANCELLED:
      return "cancelled";
    default:
      return "unknown";
  }
}

bool HasEnded(v1::AnalysisState state) {
  return state == v1::ANALYSIS_STATE_SUCCEEDED || state == v1::ANALYSIS_STATE_FAILED ||
         state == v1::ANALYSIS_STATE_CANCELLED;
}

absl::Status OutcomeOf(const v1::Analysis& analysis) {
  switch (analysis.state()) {
    case v1::ANALYSIS_STATE_SUCCEEDED:
      return absl::OkStatus();
    case v1::ANALYSIS_STATE_CANCELLED:
      return absl::CancelledError(absl::StrCat("the analysis was cancelled (", analysis.id(), ")"));
    case v1::ANALYSIS_STATE_FAILED: {
      const int code = analysis.error().code();
      const bool canonical =
          code > 0 && code <= static_cast<int>(absl::StatusCode::kUnauthenticated);
      return absl::Status(
          canonical ? static_cast<absl::StatusCode>(code) : absl::StatusCode::kInternal,
          absl::StrCat("the analysis failed: ", analysis.error().message(), " (", analysis.id(),
                       ")"));
    }
    default:
      return absl::InternalError(absl::StrCat("the analysis has not ended (", analysis.id(), ", ",
                                              std::string(StateName(analysis.state())), ")"));
  }
}

}  // namespace qatgap::client
