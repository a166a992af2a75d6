// One client's view of an analysis that changes. What the client has not taken yet is kept as the latest state and the
// latest progress, not as a list: a slow watcher costs nothing and holds nothing up.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <variant>

#include "absl/status/status.h"
#include "analyzers/report/analysis_result.h"
#include "server/store/analysis.h"

namespace qatgap::server {

// A layer of a finished analysis: an entry of result->targets[target].layers.
struct FinishedLayer {
  std::shared_ptr<const report::AnalysisResult> result;
  std::size_t target = 0;
  std::size_t layer = 0;
};
using WatchEvent = std::variant<Analysis, AnalysisProgress, FinishedLayer>;

// Thread-safe.
class WatchSubscription {
 public:
  // `on_ready` is called when there is something to take; it may call Next, must not block, and is never called again
  // once Detach has returned.
  explicit WatchSubscription(std::function<void()> on_ready) : on_ready_(std::move(on_ready)) {}

  // The reader's side. The next event, in the order: state, progress, layers, final state.
  std::optional<WatchEvent> Next();
  // Nothing will come any more.
  bool Ended() const;
  // Why it ended: OK with the analysis, or UNAVAILABLE when the server stops.
  absl::Status EndStatus() const;
  void Detach();

  // The writer's side. `Publish` ends the watch when the state is final; `result` is given for a succeeded one whose
  // layers are to be told.
  void Publish(const Analysis& analysis,
               std::shared_ptr<const report::AnalysisResult> result = nullptr);
  void Publish(const AnalysisProgress& progress);
  void End(absl::Status status);

 private:
  void Notify();

  mutable std::mutex mutex_;
  std::optional<Analysis> state_;
  std::optional<AnalysisProgress> progress_;
  FinishedLayer next_layer_;  // no result: none to tell
  std::optional<Analysis> final_;
  bool closed_ = false;
  absl::Status end_status_;

  std::mutex ready_mutex_;  // taken before mutex_
  std::function<void()> on_ready_;
};

}  // namespace qatgap::server
