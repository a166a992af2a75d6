#include "server/jobs/job.h"

#include <algorithm>
#include <utility>

#include "analyzers/status/status_macros.h"

namespace qatgap::server {

Job::Job(Analysis queued)
    : analysis(std::move(queued)), progress_(static_cast<std::size_t>(unit_count())) {}

std::optional<int> Job::TakeUnit() {
  if (!HasUnitsToTake()) return std::nullopt;
  return next_unit_++;
}

void Job::SetProgress(int unit, const UnitProgress& progress) {
  progress_[static_cast<std::size_t>(unit)] = progress;
  analysis.progress = {};
  for (const UnitProgress& part : progress_) {
    analysis.progress.samples_done += part.samples_done;
    analysis.progress.samples_total = std::max(analysis.progress.samples_total, part.samples_total);
  }
}

absl::Status Job::AddResult(int unit, report::AnalysisResult result) {
  waiting_.emplace(unit, std::move(result));
  while (!waiting_.empty() && waiting_.begin()->first == merged_units_) {
    const report::AnalysisResult next = std::move(waiting_.extract(waiting_.begin()).mapped());
    QATGAP_RETURN_IF_ERROR(report::MergeInto(merged_, next));
    ++merged_units_;
  }
  return absl::OkStatus();
}

void Job::AddWatcher(const std::shared_ptr<WatchSubscription>& watcher) {
  watchers_.push_back(watcher);
}

}  // namespace qatgap::server
