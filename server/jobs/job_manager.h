// The life of analyses: queue, units of work, runners, merged results, watchers. Knows no gRPC, no processes, no clock
// but those it is given.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/artifacts/blob_store.h"
#include "server/clock/clock.h"
#include "server/jobs/job.h"
#include "server/jobs/job_observer.h"
#include "server/jobs/runner_slots.h"
#include "server/jobs/watch_subscription.h"
#include "server/store/store.h"

namespace qatgap::server {

struct JobManagerOptions {
  int runners = 1;                // units of analyses that run at one time, at least 1
  std::size_t max_queued = 100;   // analyses that may wait
};

// What the manager works with; all outlive it.
struct JobManagerParts {
  Store& store;
  const BlobStore& blobs;
  RunnerLauncher& launcher;
  RunnerSlots& slots;  // each unit takes one
  const Clock& clock;
  JobObserver& observer;
};

// Thread-safe.
class JobManager {
 public:
  // Queues anew what an earlier process left queued or running, and starts to work.
  static absl::StatusOr<std::unique_ptr<JobManager>> Start(JobManagerOptions options,
                                                           JobManagerParts parts);
  ~JobManager();

  // For a request_id that is not empty and known: the analysis of the first request. NOT_FOUND for an artifact that is
  // not there; RESOURCE_EXHAUSTED when the queue is full; UNAVAILABLE when stopping.
  absl::StatusOr<Analysis> Create(AnalysisSpec spec, const std::string& request_id);
  // NOT_FOUND.
  absl::StatusOr<Analysis> Get(const std::string& id) const;
  absl::StatusOr<std::vector<StoredAnalysis>> List(const ListQuery& query) const;
  // Returns the cancelled analysis. NOT_FOUND; FAILED_PRECONDITION when it has succeeded or failed.
  absl::StatusOr<Analysis> Cancel(const std::string& id);
  // NOT_FOUND; FAILED_PRECONDITION while it is queued or running.
  absl::Status Delete(const std::string& id);
  // The watch holds the present state already. It ends when it is dropped. NOT_FOUND.
  absl::StatusOr<std::shared_ptr<WatchSubscription>> Watch(const std::string& id,
                                                           std::function<void()> on_ready);
  // Ends runners and watches and waits for the threads; running analyses stay so in the store. Idempotent.
  void Stop();

 private:
  struct Task {
    std::shared_ptr<Job> job;
    int unit = 0;
  };

  JobManager(JobManagerOptions options, JobManagerParts parts);

  absl::Status Resume();
  void Work();
  // Waits for work; false when stopping.
  bool AwaitWork();
  // The next unit; nullopt when there is none any more.
  std::optional<Task> TakeTask();
  UnitOutcome RunUnit(const Task& task);
  absl::StatusOr<UnitOfWork> MakeUnit(const Task& task) const;
  void CompleteUnit(const Task& task, UnitOutcome outcome);
  void Finish(const std::shared_ptr<Job>& job);

  // Under mutex_:
  void EnqueueLocked(Analysis analysis);
  void CloseLocked(Job& job, AnalysisState state, absl::Status error);
  void ForgetLocked(Job& job, std::shared_ptr<const report::AnalysisResult> result);
  void CountLocked(AnalysisState from, AnalysisState to);
  void SaveLocked(const Analysis& analysis);
  std::shared_ptr<Job> FindLocked(const std::string& id) const;

  const JobManagerOptions options_;
  const JobManagerParts parts_;

  mutable std::mutex mutex_;
  std::condition_variable work_;       // a unit to take, or stopping
  std::condition_variable forgotten_;  // a job left jobs_
  bool stopping_ = false;
  std::map<std::string, std::shared_ptr<Job>> jobs_;  // queued and running
  std::deque<std::shared_ptr<Job>> queue_;            // those with units to take, oldest first
  std::array<std::int64_t, kAnalysisStateCount> counts_{};
  std::vector<std::thread> threads_;
};

}  // namespace qatgap::server
