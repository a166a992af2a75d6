// A thin client of the qatgap service: one method for each thing a user does, absl::Status for
// every failure. docs/cli.md shows the command line built on it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/lib/cancellation.h"
#include "qatgap/v1/analysis.pb.h"
#include "qatgap/v1/gate.pb.h"
#include "qatgap/v1/model.pb.h"
#include "qatgap/v1/target.pb.h"

namespace qatgap::client {

struct ConnectOptions {
  // "HOST:PORT" or "unix:PATH".
  std::string address;
  // How long one short call may take.
  std::chrono::milliseconds deadline{30'000};
  // How long a broken watch waits for the service to come back; 0 when it cannot.
  std::chrono::milliseconds reconnect_limit{30'000};
  // Stops calls that wait, except Create and Cancel; may be null. Must outlive the client.
  Cancellation* cancellation = nullptr;
};

struct UploadResult {
  v1::ArtifactRef artifact;
  // The service had the bytes already; nothing was sent.
  bool already_there = false;
};

// Methods may be called from several threads. Errors besides those of the service: UNAVAILABLE and
// DEADLINE_EXCEEDED when it cannot be reached, CANCELLED upon a request of the cancellation.
class Client {
 public:
  // Opens no connection: the first call does. Errors: INVALID_ARGUMENT for a malformed address.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(ConnectOptions options);
  ~Client();

  // Hashes the file, asks whether the service has it, sends it in chunks of 1 MiB when not.
  absl::StatusOr<UploadResult> Upload(
      const std::string& path,
      const std::function<void(std::uint64_t sent, std::uint64_t total)>& on_progress = nullptr);

  // Retried once when the service is away for a moment; safe, each call has its own request id.
  absl::StatusOr<v1::Analysis> Create(const v1::AnalysisSpec& spec);
  absl::StatusOr<v1::Analysis> Get(const std::string& id);
  // Follows an analysis to its end and returns it. A broken stream is opened again.
  absl::StatusOr<v1::Analysis> Watch(
      const std::string& id,
      const std::function<void(const v1::WatchAnalysisResponse&)>& on_event = nullptr);
  absl::StatusOr<v1::Analysis> Cancel(const std::string& id);
  absl::Status Delete(const std::string& id);
  // Newest first, all pages, at most `limit` when given, only those of a track when it is not empty.
  absl::StatusOr<std::vector<v1::Analysis>> List(std::optional<std::size_t> limit = std::nullopt,
                                                 const std::string& track = {});
  // In execution order, all pages.
  absl::StatusOr<std::vector<v1::LayerSummary>> ListLayers(const std::string& id,
                                                           const std::string& target);

  absl::StatusOr<std::vector<v1::Target>> ListTargets();
  absl::StatusOr<v1::Target> GetTarget(const std::string& name);
  // Of a description's text.
  absl::StatusOr<v1::Target> DescribeTarget(const std::string& description);

  // These wait for the work they ask for, as long as the service lets it run.
  absl::StatusOr<v1::VerifyTargetResponse> VerifyTarget(const v1::VerifyTargetRequest& request);
  absl::StatusOr<v1::IdentifyTargetResponse> IdentifyTarget(const v1::IdentifyTargetRequest& request);
  absl::StatusOr<v1::InspectModelResponse> InspectModel(const v1::InspectModelRequest& request);
  // Hands the archive's bytes to `sink` in order; stops at its first error and returns it.
  absl::Status CreateHandoff(const v1::CreateHandoffRequest& request,
                             const std::function<absl::Status(std::string_view)>& sink);

  // Hands the report's bytes to `sink` in order; stops at its first error and returns it.
  absl::Status DownloadReport(const std::string& id, v1::ReportFormat format,
                              const std::function<absl::Status(std::string_view)>& sink);

  // The verdict; the surfaces that the request names are put into `surfaces`.
  absl::StatusOr<v1::GateSummary> EvaluateGate(const v1::EvaluateGateRequest& request,
                                               std::map<v1::GateSurface, std::string>* surfaces);
  // These hand the answer's bytes to `sink` in order; they stop at its first error and return it.
  absl::Status CompareReports(const v1::CompareReportsRequest& request,
                              const std::function<absl::Status(std::string_view)>& sink);
  absl::Status CreateBaseline(const v1::CreateBaselineRequest& request,
                              const std::function<absl::Status(std::string_view)>& sink);

 private:
  struct Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// "queued", "running", "succeeded", "failed", "cancelled"; "unknown" otherwise.
std::string_view StateName(v1::AnalysisState state);
// Succeeded, failed or cancelled.
bool HasEnded(v1::AnalysisState state);
// OK when it succeeded; its error when it failed; CANCELLED when it was cancelled.
absl::Status OutcomeOf(const v1::Analysis& analysis);

}  // namespace qatgap::client
