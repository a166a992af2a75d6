// WatchAnalysis without a thread for each watcher: writes the next event when the last one has left.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <mutex>
#include <string>

#include "absl/time/time.h"
#include "qatgap/v1/analysis.pb.h"
#include "server/jobs/job_manager.h"
#include "server/metrics/server_metrics.h"

namespace qatgap::server {

// Owns itself: gRPC calls OnDone once, at the end.
class WatchReactor final : public grpc::ServerWriteReactor<v1::WatchAnalysisResponse> {
 public:
  WatchReactor(JobManager& jobs, ServerMetrics& metrics, const std::string& id);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  // Writes or finishes when there is something to write or nothing left.
  void Pump();
  void FinishLocked(const absl::Status& status);

  ServerMetrics& metrics_;
  const absl::Time start_ = absl::Now();
  std::shared_ptr<WatchSubscription> subscription_;  // null when there is no such analysis

  std::mutex mutex_;
  bool writing_ = false;
  bool cancelled_ = false;
  bool finished_ = false;
  absl::StatusCode code_ = absl::StatusCode::kOk;
  v1::WatchAnalysisResponse response_;
};

}  // namespace qatgap::server
