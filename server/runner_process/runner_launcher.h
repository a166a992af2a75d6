// Starting a contained child process for one unit of work, as an interface: the job manager knows no processes.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "analyzers/report/analysis_result.h"
#include "analyzers/samples/normalization.h"
#include "server/artifacts/unique_fd.h"

namespace qatgap::server {

// A blob opened for reading; no descriptor: not given.
struct BlobFile {
  UniqueFd fd;
  std::string name;
};

enum class UnitKind {
  kAnalysis,  // gives a result: a share of an analysis
  kVerify,    // gives an answer: a serialized qatgap.v1.VerifyTargetResponse
  kIdentify,  // gives an answer: a serialized qatgap.v1.IdentifyTargetResponse
  kInspect,   // gives a result without measurements
  kHandoff,   // gives an answer: a zip archive
};
constexpr bool GivesResult(UnitKind kind) { return kind == UnitKind::kAnalysis || kind == UnitKind::kInspect; }

struct SampleBlob {
  std::string input_name;
  BlobFile file;
};

struct UnitOfWork {
  UnitKind kind = UnitKind::kAnalysis;
  BlobFile qat_model, converted_model, samples, labels, vectors, held_out, held_out_labels;
  std::vector<SampleBlob> sample_inputs;                // at most kMaxSampleInputs of samples_conversion.h
  std::vector<samples::Normalization> normalizations;
  std::vector<std::string> targets;              // shipped ones
  std::vector<std::string> target_descriptions;  // the client's own, which come after them
  // Of an analysis:
  std::int64_t batch_size = 0;
  std::uint64_t max_samples = 0;
  int unit_index = 0;
  int unit_count = 1;
  bool what_if = false;
  bool sensitivity = false;
  std::int64_t worst_samples = 0;
};

struct UnitProgress {
  std::uint64_t samples_done = 0;     // of this unit
  std::uint64_t samples_of_unit = 0;  // 0 until known
  std::uint64_t samples_total = 0;    // of all units together; 0 until known
};

// How a runner ended.
enum class RunnerExit {
  kSuccess,    // gave a result and exited with 0
  kFailure,    // reported an error itself
  kExitCode,   // ended without a result, or with another exit code
  kSignal,     // died of a signal we did not send
  kTimeout,    // was killed: too long
  kCancelled,  // was killed: asked to
  kProtocol,   // wrote what is no event
  kLaunch,     // could not be started
};
inline constexpr std::size_t kRunnerExitCount = 8;
constexpr std::string_view ToString(RunnerExit exit) {
  constexpr std::array<std::string_view, kRunnerExitCount> kNames = {
      "success", "failure", "exit_code", "signal", "timeout", "cancelled", "protocol", "launch"};
  return kNames[static_cast<std::size_t>(exit)];
}

struct UnitOutcome {
  RunnerExit exit = RunnerExit::kSuccess;
  absl::Status status;            // for the client; OK exactly when exit is kSuccess
  report::AnalysisResult result;  // when OK and GivesResult
  std::string answer;             // when OK and not GivesResult: what the client gets, not looked into
  std::uint64_t peak_bytes = 0;   // largest resident memory; 0 when unknown
};

// A running child. Destroying it kills it.
class RunnerProcess {
 public:
  virtual ~RunnerProcess() = default;
  // Reads what the child says until it has ended. Call once; `on_progress` is called from this thread.
  virtual UnitOutcome Wait(const std::function<void(const UnitProgress&)>& on_progress) = 0;
  // Ends the child; Wait then returns kCancelled unless it was done. Thread-safe.
  virtual void Kill() = 0;
};

// Thread-safe. The child is told to die with the thread that called Launch, so that no child survives the server:
// call Wait from the same thread.
class RunnerLauncher {
 public:
  virtual ~RunnerLauncher() = default;
  virtual absl::StatusOr<std::unique_ptr<RunnerProcess>> Launch(UnitOfWork unit) = 0;
};

}  // namespace qatgap::server
