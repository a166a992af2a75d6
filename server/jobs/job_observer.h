// What the job manager tells whoever counts. Keeps metrics and logs out of the core.
#pragma once

#include <array>
#include <cstdint>

#include "absl/status/status.h"
#include "server/runner_process/runner_launcher.h"
#include "server/store/analysis.h"

namespace qatgap::server {

// Called under the manager's lock, where nothing else is said: must not block nor call back. Thread-safe.
class JobObserver {
 public:
  virtual ~JobObserver() = default;
  // Analyses by state, after each change.
  virtual void OnStateCounts(const std::array<std::int64_t, kAnalysisStateCount>& counts) = 0;
  // The analysis has its final state.
  virtual void OnAnalysisFinished(const Analysis& analysis) = 0;
  // A succeeded analysis' size; a layer counts once for each target and reaching input.
  virtual void OnResult(std::uint64_t samples, std::uint64_t layers) = 0;
  // The result of an analysis with a track that succeeded. Not under the lock, and before clients see the state: who
  // scrapes after a watch has ended finds it.
  virtual void OnTrackedResult(const Analysis& analysis, const report::AnalysisResult& result) = 0;
  // One with a track. What an earlier analysis of its track gave is told by OnTrackedResult after this.
  virtual void OnTrackedAnalysisDeleted(const Analysis& analysis) = 0;
  virtual void OnRunnerExit(RunnerExit exit, std::uint64_t peak_bytes) = 0;
  // Bytes of blobs handed to a runner.
  virtual void OnBytesToRunner(std::uint64_t bytes) = 0;
  // Something that no client asked for went wrong in the store.
  virtual void OnStoreError(const absl::Status& error) = 0;
};

}  // namespace qatgap::server
