// The runner's side of the private protocol, made from bytes: unit in, events out. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/runner_process/runner_launcher.h"

namespace qatgap::server {

struct RunnerLimits {
  std::uint64_t memory_bytes = 0;
  std::uint64_t cpu_seconds = 0;
};

// The bytes of the WorkUnit. The blob files have the numbers 3 to 7 in the child, those of sample_inputs the numbers
// from 8 on; -1 stands for one not given.
std::string EncodeWorkUnit(const UnitOfWork& unit, const RunnerLimits& limits);
inline constexpr int kFirstBlobFd = 3;
inline constexpr std::size_t kFirstSampleBlob = 7;

struct StartedEvent {
  std::uint64_t samples_of_unit = 0;
  std::uint64_t samples_total = 0;
};
struct ProgressEvent {
  std::uint64_t samples_done = 0;
};
struct FailureEvent {
  absl::Status status;  // never OK
};
struct AnswerEvent {
  std::string bytes;
};
using RunnerEvent = std::variant<StartedEvent, ProgressEvent, FailureEvent, report::AnalysisResult, AnswerEvent>;

// Cuts a byte stream into events.
class EventDecoder {
 public:
  void Append(std::string_view bytes) { buffer_.append(bytes); }
  // The next whole event; nullopt when more bytes are needed. INTERNAL for what is no event; then the stream is lost.
  absl::StatusOr<std::optional<RunnerEvent>> Next();
  // Bytes of an event that is not whole yet.
  bool HasPartialEvent() const { return offset_ != buffer_.size(); }

 private:
  std::string buffer_;
  std::size_t offset_ = 0;
};

// What a child wrote to standard error, for a message: its last 4 KiB, printable, with absolute paths cut to the file
// name.
std::string PresentableTail(std::string_view text);

}  // namespace qatgap::server
