#include "server/jobs/track_restoration.h"

#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"
#include "server/result_conversion.h"

namespace qatgap::server {
namespace {

absl::Status Tell(const Store& store, const Analysis& analysis, JobObserver& observer) {
  QATGAP_ASSIGN_OR_RETURN(const std::string bytes, store.GetResult(analysis.id));
  QATGAP_ASSIGN_OR_RETURN(const report::AnalysisResult result, ParseResult(bytes));
  observer.OnTrackedResult(analysis, result);
  return absl::OkStatus();
}

void TellOrReport(const Store& store, const Analysis& analysis, JobObserver& observer) {
  const absl::Status told = Tell(store, analysis, observer);
  if (told.ok()) return;
  observer.OnStoreError(absl::Status(
      told.code(), absl::StrCat("track '", analysis.spec.track, "' has no metrics: ", std::string(told.message()))));
}

}  // namespace

void RestoreTracks(const Store& store, std::size_t max_tracks, JobObserver& observer) {
  const auto latest = store.ListLatestOfTracks(max_tracks);
  if (!latest.ok()) return observer.OnStoreError(latest.status());
  for (const Analysis& analysis : *latest) TellOrReport(store, analysis, observer);
}

void RestoreTrack(const Store& store, const std::string& track, JobObserver& observer) {
  const auto newest = store.List({.limit = 1, .state = AnalysisState::kSucceeded, .track = track});
  if (!newest.ok()) return observer.OnStoreError(newest.status());
  for (const StoredAnalysis& row : *newest) TellOrReport(store, row.analysis, observer);
}

}  // namespace qatgap::server
