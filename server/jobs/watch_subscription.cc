#include "server/jobs/watch_subscription.h"

#include <utility>

namespace qatgap::server {
namespace {

// Empties `pending`. (An event of std::exchange's temporary makes GCC 12 warn of a member that no such event has.)
template <typename T>
std::optional<WatchEvent> Take(std::optional<T>& pending) {
  std::optional<WatchEvent> event(std::in_place, std::in_place_type<T>, *std::move(pending));
  pending.reset();
  return event;
}

}  // namespace

std::optional<WatchEvent> WatchSubscription::Next() {
  const std::scoped_lock lock(mutex_);
  if (state_) return Take(state_);
  if (progress_) return Take(progress_);
  while (next_layer_.result != nullptr) {
    const auto& targets = next_layer_.result->targets;
    if (next_layer_.target >= targets.size()) {
      next_layer_.result = nullptr;
    } else if (next_layer_.layer >= targets[next_layer_.target].layers.size()) {
      ++next_layer_.target;
      next_layer_.layer = 0;
    } else {
      WatchEvent event = next_layer_;
      ++next_layer_.layer;
      return event;
    }
  }
  if (final_) return Take(final_);
  return std::nullopt;
}

bool WatchSubscription::Ended() const {
  const std::scoped_lock lock(mutex_);
  return closed_ && !state_ && !progress_ && next_layer_.result == nullptr && !final_;
}

absl::Status WatchSubscription::EndStatus() const {
  const std::scoped_lock lock(mutex_);
  return end_status_;
}

void WatchSubscription::Detach() {
  const std::scoped_lock lock(ready_mutex_);
  on_ready_ = nullptr;
}

void WatchSubscription::Publish(const Analysis& analysis,
                                std::shared_ptr<const report::AnalysisResult> result) {
  {
    const std::scoped_lock lock(mutex_);
    if (closed_) return;
    if (IsFinal(analysis.state)) {
      next_layer_ = {.result = std::move(result)};
      final_ = analysis;
      closed_ = true;
    } else {
      state_ = analysis;
    }
  }
  Notify();
}

void WatchSubscription::Publish(const AnalysisProgress& progress) {
  {
    const std::scoped_lock lock(mutex_);
    if (closed_) return;
    progress_ = progress;
  }
  Notify();
}

void WatchSubscription::End(absl::Status status) {
  {
    const std::scoped_lock lock(mutex_);
    if (closed_) return;
    closed_ = true;
    end_status_ = std::move(status);
  }
  Notify();
}

void WatchSubscription::Notify() {
  const std::scoped_lock lock(ready_mutex_);
  if (on_ready_) on_ready_();
}

}  // namespace qatgap::server
