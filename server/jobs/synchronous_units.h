// Short units of work that a call waits for: verifying, identifying, inspecting, handing off. Each runs in a contained
// child like a unit of an analysis, under the same limit of runners, and leaves nothing behind.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/artifacts/blob_store.h"
#include "server/jobs/job_observer.h"
#include "server/jobs/runner_slots.h"
#include "server/runner_process/runner_launcher.h"
#include "server/store/analysis.h"

namespace qatgap::server {

// What to do, validated. Artifacts are those that the kind of unit reads.
struct ShortUnit {
  UnitKind kind = UnitKind::kVerify;  // not kAnalysis
  ArtifactRef qat_model, converted_model, vectors;
  std::vector<std::string> targets;
  std::vector<std::string> target_descriptions;
};

// What it gave: `result` or `answer`, as GivesResult(kind) says.
struct ShortUnitOutput {
  report::AnalysisResult result;
  std::string answer;
};

// What the units work with; all outlive them.
struct SynchronousUnitsParts {
  const BlobStore& blobs;
  RunnerLauncher& launcher;
  RunnerSlots& slots;
  JobObserver& observer;
};

// Thread-safe.
class SynchronousUnits {
 public:
  // `max_calls`: those that run or wait for a runner.
  SynchronousUnits(std::size_t max_calls, SynchronousUnitsParts parts);
  ~SynchronousUnits();

  // Runs the unit in the calling thread and returns when it has ended. `cancelled` is asked several times a second from
  // another thread; once it is true the runner is killed. NOT_FOUND, naming the field, for an artifact that is not there;
  // RESOURCE_EXHAUSTED when too many calls wait; CANCELLED; UNAVAILABLE when stopping; else the runner's own error.
  absl::StatusOr<ShortUnitOutput> Run(const ShortUnit& unit, const std::function<bool()>& cancelled);
  // Ends all calls and refuses further ones. Idempotent.
  void Stop();

 private:
  struct Call;

  absl::StatusOr<UnitOfWork> MakeUnit(const ShortUnit& unit) const;
  absl::StatusOr<ShortUnitOutput> RunCall(const ShortUnit& unit, Call& call);
  void Watch();

  const std::size_t max_calls_;
  const SynchronousUnitsParts parts_;

  std::mutex mutex_;
  std::condition_variable changed_;  // a call came or went, or stopping
  bool stopping_ = false;
  std::list<Call*> calls_;
  std::thread watcher_;
};

}  // namespace qatgap::server
