// An analysis that is queued or running: its units of work and what they have given so far. No locks: the job manager's
// protects it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "server/jobs/watch_subscription.h"
#include "server/runner_process/runner_launcher.h"
#include "server/store/analysis.h"

namespace qatgap::server {

class Job {
 public:
  explicit Job(Analysis analysis);

  Analysis analysis;
  // Set when the result is complete and is being stored: too late to cancel.
  bool finishing = false;
  // Set with the final state: what runners still say is ignored.
  bool closed = false;
  std::set<std::shared_ptr<RunnerProcess>> runners;

  int unit_count() const { return analysis.spec.parallel_units; }
  // The next unit nobody works on; nullopt when all were taken.
  std::optional<int> TakeUnit();
  bool HasUnitsToTake() const { return next_unit_ < unit_count(); }

  // Updates analysis.progress.
  void SetProgress(int unit, const UnitProgress& progress);
  // Adds the unit's result. FAILED_PRECONDITION when it does not fit the others.
  absl::Status AddResult(int unit, report::AnalysisResult result);
  bool Complete() const { return merged_units_ == unit_count(); }
  report::AnalysisResult TakeResult() { return std::move(merged_); }

  void AddWatcher(const std::shared_ptr<WatchSubscription>& watcher);
  template <typename Visit>
  void ForEachWatcher(const Visit& visit) {
    std::erase_if(watchers_, [](const auto& watcher) { return watcher.expired(); });
    for (const auto& weak : watchers_) {
      if (const auto watcher = weak.lock()) visit(*watcher);
    }
  }

 private:
  int next_unit_ = 0;
  std::vector<UnitProgress> progress_;
  // Units are merged in their order, so that the result does not depend on which ended first; the others wait. A lone
  // unit is merged into the empty result too: that puts it in the same canonical order.
  report::AnalysisResult merged_;
  int merged_units_ = 0;
  std::map<int, report::AnalysisResult> waiting_;
  std::vector<std::weak_ptr<WatchSubscription>> watchers_;
};

}  // namespace qatgap::server
