#include "server/runner_process/posix_runner_launcher.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"
#include "server/runner_process/child_process.h"
#include "server/runner_process/event_decoder.h"
#include "server/samples_conversion.h"

namespace qatgap::server {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kReadBytes = 1U << 16;
// Kept of standard error; what is shown of it is shorter.
constexpr std::size_t kErrorBytes = 1U << 14;

// "unit 1 of 3": what messages call the work.
std::string NameOf(const UnitOfWork& unit) {
  switch (unit.kind) {
    case UnitKind::kVerify:
      return "the verification";
    case UnitKind::kIdentify:
      return "the identification";
    case UnitKind::kInspect:
      return "the inspection";
    case UnitKind::kHandoff:
      return "the handoff";
    case UnitKind::kAnalysis:
      break;
  }
  return absl::StrCat("unit ", unit.unit_index + 1, " of ", unit.unit_count);
}

// What makes such work shorter.
constexpr std::string_view LessWork(UnitKind kind) {
  switch (kind) {
    case UnitKind::kVerify:
    case UnitKind::kIdentify:
      return "use fewer or smaller vectors";
    case UnitKind::kInspect:
    case UnitKind::kHandoff:
      return "use a smaller model";
    case UnitKind::kAnalysis:
      break;
  }
  return "use fewer samples or more units";
}

// In the order that EncodeWorkUnit tells.
InheritedFds Inherited(const UnitOfWork& unit) {
  static_assert(kFirstSampleBlob + kMaxSampleInputs <= kMaxInheritedFds);
  InheritedFds fds;
  fds.fill(-1);
  std::size_t next = 0;
  for (const BlobFile* blob : {&unit.qat_model, &unit.converted_model, &unit.samples, &unit.labels, &unit.vectors,
                               &unit.held_out, &unit.held_out_labels}) {
    fds[next++] = blob->fd.get();
  }
  for (const SampleBlob& input : unit.sample_inputs) fds[next++] = input.file.fd.get();
  return fds;
}

class PosixRunnerProcess final : public RunnerProcess {
 public:
  PosixRunnerProcess(ChildProcess child, const UnitOfWork& unit, PosixRunnerOptions options)
      : child_(std::move(child)),
        kind_(unit.kind),
        unit_name_(NameOf(unit)),
        options_(std::move(options)),
        deadline_(SteadyClock::now() + absl::ToChronoMilliseconds(options_.timeout)) {}

  ~PosixRunnerProcess() override {
    SendKill();
    if (!reaped_) ::waitpid(child_.pid, nullptr, 0);
  }

  void Kill() override {
    {
      const std::scoped_lock lock(mutex_);
      cancelled_ = true;
    }
    SendKill();
  }

  UnitOutcome Wait(const std::function<void(const UnitProgress&)>& on_progress) override {
    while (child_.output.valid() || child_.error.valid()) {
      if (!PollOnce()) break;
      DecodeEvents(on_progress);
    }
    const int wait_status = Reap();
    UnitOutcome outcome = Judge(wait_status);
    outcome.peak_bytes = peak_bytes_;
    return outcome;
  }

 private:
  // Reads what there is; false when the child is to be reaped at once.
  bool PollOnce() {
    std::array<pollfd, 3> polled = {pollfd{child_.output.get(), POLLIN, 0},
                                    pollfd{child_.error.get(), POLLIN, 0},
                                    pollfd{child_.ended.get(), POLLIN, 0}};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - SteadyClock::now());
    const int ready = ::poll(polled.data(), polled.size(),
                             static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1 << 30)));
    if (ready == 0 && left.count() <= 0) {
      timed_out_ = true;
      SendKill();
      return false;
    }
    if (polled[0].revents != 0) Read(child_.output, [this](std::string_view b) { OnOutput(b); });
    if (polled[1].revents != 0) Read(child_.error, [this](std::string_view b) { OnError(b); });
    // A grandchild may hold the pipes open for ever: once the child has ended, what is there is all there is.
    const bool ended = polled[2].revents != 0;
    return !(ended && polled[0].revents == 0 && polled[1].revents == 0);
  }

  template <typename Sink>
  void Read(UniqueFd& fd, const Sink& sink) {
    const ssize_t count = ::read(fd.get(), buffer_.data(), buffer_.size());
    if (count > 0) {
      sink(std::string_view(buffer_.data(), static_cast<std::size_t>(count)));
    } else if (count == 0 || (errno != EINTR && errno != EAGAIN)) {
      fd.Close();
    }
  }

  void OnOutput(std::string_view bytes) {
    if (protocol_error_.ok()) decoder_.Append(bytes);
  }

  void OnError(std::string_view bytes) {
    error_text_.append(bytes);
    if (error_text_.size() > 2 * kErrorBytes) error_text_.erase(0, error_text_.size() - kErrorBytes);
  }

  void DecodeEvents(const std::function<void(const UnitProgress&)>& on_progress) {
    while (protocol_error_.ok()) {
      absl::StatusOr<std::optional<RunnerEvent>> event = decoder_.Next();
      if (!event.ok()) return Reject(event.status());
      if (!event->has_value()) return;
      if (last_event_) return Reject(absl::InternalError("the runner went on after its last event"));
      if (const auto* started = std::get_if<StartedEvent>(&**event)) {
        progress_.samples_of_unit = started->samples_of_unit;
        progress_.samples_total = started->samples_total;
        on_progress(progress_);
      } else if (const auto* progress = std::get_if<ProgressEvent>(&**event)) {
        progress_.samples_done = progress->samples_done;
        on_progress(progress_);
      } else if (!std::holds_alternative<FailureEvent>(**event) &&
                 std::holds_alternative<report::AnalysisResult>(**event) != GivesResult(kind_)) {
        return Reject(absl::InternalError("the runner gave what was not asked for"));
      } else {
        last_event_ = *std::move(*event);
      }
    }
  }

  void Reject(absl::Status error) {
    protocol_error_ = std::move(error);
    SendKill();
  }

  // The pid may be another process' once it was reaped.
  void SendKill() {
    const std::scoped_lock lock(mutex_);
    if (!reaped_) ::kill(-child_.pid, SIGKILL);
  }

  int Reap() {
    int wait_status = 0;
    // Waits without taking the pid away, so that a kill from another thread never meets a reused one.
    pollfd polled{child_.ended.get(), POLLIN, 0};
    while (true) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - SteadyClock::now());
      const int limit = timed_out_ ? -1 : static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1 << 30));
      const int ready = ::poll(&polled, 1, limit);
      if (ready > 0) break;
      if (ready == 0) {
        timed_out_ = true;
        SendKill();
      }
    }
    const std::scoped_lock lock(mutex_);
    // Whatever the child started is in its process group, and is of no use any more.
    ::kill(-child_.pid, SIGKILL);
    rusage usage{};
    while (::wait4(child_.pid, &wait_status, 0, &usage) < 0 && errno == EINTR) {
    }
    reaped_ = true;
    // KiB. Includes this server's own size at fork, a few dozen MiB, which LibTorch alone exceeds.
    peak_bytes_ = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
    return wait_status;
  }

  UnitOutcome Judge(int wait_status) {
    const bool clean = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;
    if (last_event_ && protocol_error_.ok()) {
      if (auto* result = std::get_if<report::AnalysisResult>(&*last_event_); result && clean) {
        return {.exit = RunnerExit::kSuccess, .status = {}, .result = std::move(*result), .answer = {}};
      }
      if (auto* answer = std::get_if<AnswerEvent>(&*last_event_); answer && clean) {
        return {.exit = RunnerExit::kSuccess, .status = {}, .result = {}, .answer = std::move(answer->bytes)};
      }
      if (const auto* failure = std::get_if<FailureEvent>(&*last_event_)) {
        return Fail(RunnerExit::kFailure, failure->status);
      }
    }
    {
      const std::scoped_lock lock(mutex_);
      if (cancelled_) return Fail(RunnerExit::kCancelled, absl::CancelledError("cancelled"));
    }
    if (timed_out_) {
      return Fail(RunnerExit::kTimeout,
                  absl::ResourceExhaustedError(absl::StrCat(
                      unit_name_, " took longer than ", absl::FormatDuration(options_.timeout),
                      "; ", Text(LessWork(kind_)), ", or start the server with a larger --unit-timeout")));
    }
    if (!protocol_error_.ok()) {
      return Fail(RunnerExit::kProtocol,
                  absl::InternalError(absl::StrCat(unit_name_, " failed: ",
                                                   std::string(protocol_error_.message()),
                                                   ErrorText())));
    }
    if (WIFSIGNALED(wait_status)) return JudgeSignal(WTERMSIG(wait_status));
    if (clean && decoder_.HasPartialEvent()) {
      return Fail(RunnerExit::kProtocol,
                  absl::InternalError(absl::StrCat(
                      unit_name_, " failed: the runner ended in the middle of an event", ErrorText())));
    }
    return Fail(RunnerExit::kExitCode,
                absl::InternalError(absl::StrCat(
                    unit_name_, " failed: the runner exited with code ", WEXITSTATUS(wait_status),
                    last_event_ ? "" : " without a result", ErrorText())));
  }

  UnitOutcome JudgeSignal(int number) const {
    const std::string what = absl::StrCat(unit_name_, " failed: the runner was ended by signal ",
                                          number, " (", ::strsignal(number), ")");
    // We sent no SIGKILL, so the kernel did, for want of memory.
    if (number == SIGKILL) {
      return Fail(RunnerExit::kSignal,
                  absl::ResourceExhaustedError(absl::StrCat(
                      what, ", most likely for want of memory; ",
                      kind_ == UnitKind::kAnalysis ? "use a smaller batch" : Text(LessWork(kind_)), ErrorText())));
    }
    if (number == SIGXCPU) {
      return Fail(RunnerExit::kSignal,
                  absl::ResourceExhaustedError(absl::StrCat(
                      what, ": its processor time is over; ", Text(LessWork(kind_)))));
    }
    return Fail(RunnerExit::kSignal, absl::InternalError(absl::StrCat(what, ErrorText())));
  }

  static UnitOutcome Fail(RunnerExit exit, absl::Status status) {
    return {.exit = exit, .status = std::move(status), .result = {}, .answer = {}};
  }

  std::string ErrorText() const {
    const std::string tail = PresentableTail(error_text_);
    return tail.empty() ? std::string() : absl::StrCat("; it wrote: ", tail);
  }

  ChildProcess child_;
  const UnitKind kind_;
  const std::string unit_name_;
  const PosixRunnerOptions options_;
  const SteadyClock::time_point deadline_;
  std::array<char, kReadBytes> buffer_{};
  EventDecoder decoder_;
  std::string error_text_;
  UnitProgress progress_;
  std::optional<RunnerEvent> last_event_;
  absl::Status protocol_error_;
  bool timed_out_ = false;
  std::uint64_t peak_bytes_ = 0;

  std::mutex mutex_;
  bool cancelled_ = false;  // under mutex_
  bool reaped_ = false;     // written under mutex_
};

class PosixRunnerLauncher final : public RunnerLauncher {
 public:
  explicit PosixRunnerLauncher(PosixRunnerOptions options) : options_(std::move(options)) {}

  absl::StatusOr<std::unique_ptr<RunnerProcess>> Launch(UnitOfWork unit) override {
    const RunnerLimits limits{
        .memory_bytes = options_.memory_limit_bytes,
        // A runner computes with one thread, so processor time beyond wall time is a loop. At least 1: 0 means none.
        .cpu_seconds = static_cast<std::uint64_t>(
            std::max<std::int64_t>(1, absl::ToInt64Seconds(absl::Ceil(options_.timeout,
                                                                      absl::Seconds(1)))))};
    QATGAP_ASSIGN_OR_RETURN(
        ChildProcess child,
        StartChild(options_.path, EncodeWorkUnit(unit, limits),
                   Inherited(unit),
                   RunnerEnvironment()));
    return std::make_unique<PosixRunnerProcess>(std::move(child), unit, options_);
  }

 private:
  const PosixRunnerOptions options_;
};

}  // namespace

std::unique_ptr<RunnerLauncher> MakePosixRunnerLauncher(PosixRunnerOptions options) {
  return std::make_unique<PosixRunnerLauncher>(std::move(options));
}

}  // namespace qatgap::server
