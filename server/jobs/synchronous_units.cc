#include "server/jobs/synchronous_units.h"

#include <atomic>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"
#include "server/jobs/runner_blobs.h"

namespace qatgap::server {
namespace {

// How soon a client that has gone is noticed: gRPC tells a synchronous handler of it only when asked.
constexpr std::chrono::milliseconds kWatchInterval{50};

}  // namespace

struct SynchronousUnits::Call {
  const std::function<bool()>& cancelled;
  std::atomic<bool> ended = false;         // by the client or by Stop
  std::shared_ptr<RunnerProcess> runner;   // under mutex_; null while it waits for a slot
};

SynchronousUnits::SynchronousUnits(std::size_t max_calls, SynchronousUnitsParts parts)
    : max_calls_(max_calls), parts_(parts), watcher_([this] { Watch(); }) {}

SynchronousUnits::~SynchronousUnits() { Stop(); }

absl::StatusOr<ShortUnitOutput> SynchronousUnits::Run(const ShortUnit& unit, const std::function<bool()>& cancelled) {
  Call call{.cancelled = cancelled, .runner = nullptr};
  std::list<Call*>::iterator place;
  {
    const std::scoped_lock lock(mutex_);
    if (stopping_) return absl::UnavailableError("the server is stopping; try again");
    if (calls_.size() >= max_calls_) {
      return absl::ResourceExhaustedError(absl::StrCat(
          calls_.size(), " calls run or wait, ", max_calls_,
          " may; try again when one has ended, or start the server with a larger --max-queued"));
    }
    place = calls_.insert(calls_.end(), &call);
  }
  changed_.notify_all();
  absl::StatusOr<ShortUnitOutput> output = RunCall(unit, call);
  {
    const std::scoped_lock lock(mutex_);
    calls_.erase(place);
    if (stopping_ && absl::IsCancelled(output.status())) {
      output = absl::UnavailableError("the server is stopping; try again");
    }
  }
  changed_.notify_all();
  return output;
}

absl::StatusOr<ShortUnitOutput> SynchronousUnits::RunCall(const ShortUnit& unit, Call& call) {
  // Blobs first: what is missing is told at once.
  QATGAP_ASSIGN_OR_RETURN(UnitOfWork work, MakeUnit(unit));
  const RunnerSlots::Slot slot = parts_.slots.Acquire([&] { return call.ended.load(); });
  if (!slot) return absl::CancelledError("cancelled");
  absl::StatusOr<std::unique_ptr<RunnerProcess>> launched = parts_.launcher.Launch(std::move(work));
  if (!launched.ok()) {
    parts_.observer.OnRunnerExit(RunnerExit::kLaunch, 0);
    return absl::InternalError(std::string(launched.status().message()));
  }
  const std::shared_ptr<RunnerProcess> runner = *std::move(launched);
  {
    const std::scoped_lock lock(mutex_);
    call.runner = runner;
    // Ended since the slot was taken: nobody has seen this runner.
    if (call.ended) runner->Kill();
  }
  UnitOutcome outcome = runner->Wait([](const UnitProgress&) {});
  {
    const std::scoped_lock lock(mutex_);
    call.runner = nullptr;
  }
  parts_.observer.OnRunnerExit(outcome.exit, outcome.peak_bytes);
  QATGAP_RETURN_IF_ERROR(outcome.status);
  return ShortUnitOutput{.result = std::move(outcome.result), .answer = std::move(outcome.answer)};
}

absl::StatusOr<UnitOfWork> SynchronousUnits::MakeUnit(const ShortUnit& unit) const {
  UnitOfWork work;
  work.kind = unit.kind;
  work.targets = unit.targets;
  work.target_descriptions = unit.target_descriptions;
  const RunnerBlobs blobs(parts_.blobs, parts_.observer);
  const auto open = [&](const ArtifactRef& ref, BlobFile& file, const char* field) {
    const absl::Status status = blobs.Open(ref, file);
    return absl::Status(status.code(), absl::StrCat(field, ".", std::string(status.message())));
  };
  QATGAP_RETURN_IF_ERROR(open(unit.qat_model, work.qat_model, "qat_model"));
  QATGAP_RETURN_IF_ERROR(open(unit.converted_model, work.converted_model, "converted_model"));
  QATGAP_RETURN_IF_ERROR(open(unit.vectors, work.vectors, "vectors"));
  return work;
}

void SynchronousUnits::Stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
    for (Call* call : calls_) {
      call->ended = true;
      if (call->runner != nullptr) call->runner->Kill();
    }
  }
  parts_.slots.Reconsider();
  changed_.notify_all();
  if (watcher_.joinable()) watcher_.join();
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return calls_.empty(); });
}

void SynchronousUnits::Watch() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (calls_.empty()) {
      changed_.wait(lock);
      continue;
    }
    bool someone_left = false;
    for (Call* call : calls_) {
      if (call->ended || !call->cancelled()) continue;
      call->ended = true;
      someone_left = true;
      if (call->runner != nullptr) call->runner->Kill();
    }
    if (someone_left) {
      lock.unlock();
      parts_.slots.Reconsider();
      lock.lock();
    }
    changed_.wait_for(lock, kWatchInterval, [&] { return stopping_; });
  }
}

}  // namespace qatgap::server
