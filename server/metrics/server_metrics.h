// What the server counts, for Prometheus. metric_descriptions.h describes each.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/jobs/job_observer.h"
#include "server/metrics/rpc.h"
#include "server/metrics/track_limits.h"

namespace prometheus {
class Collectable;
}

namespace qatgap::server {

class TrackedModels;

struct ServerMetricsOptions {
  std::string_view version;
  std::size_t max_queued = 0;
  int runners = 1;
  TrackLimits tracks = {};
};

// Thread-safe. Every series is there from the start, at zero: a missing one is a mistake, never "nothing happened yet".
// Those of tracked models come with their analyses.
class ServerMetrics final : public JobObserver {
 public:
  explicit ServerMetrics(const ServerMetricsOptions& options);
  ~ServerMetrics() override;

  void OnRpc(Rpc rpc, absl::StatusCode code, absl::Duration duration);
  void OnBytesReceived(std::uint64_t bytes);

  void OnStateCounts(const std::array<std::int64_t, kAnalysisStateCount>& counts) override;
  void OnAnalysisFinished(const Analysis& analysis) override;
  void OnResult(std::uint64_t samples, std::uint64_t layers) override;
  void OnTrackedResult(const Analysis& analysis, const report::AnalysisResult& result) override;
  void OnTrackedAnalysisDeleted(const Analysis& analysis) override;
  void OnRunnerExit(RunnerExit exit, std::uint64_t peak_bytes) override;
  void OnBytesToRunner(std::uint64_t bytes) override;
  void OnStoreError(const absl::Status& error) override;

  // All there is to serve; whoever serves it shares it.
  std::vector<std::shared_ptr<prometheus::Collectable>> collectables() const;

 private:
  struct Series;
  std::unique_ptr<Series> series_;
  std::shared_ptr<TrackedModels> tracked_;
};

// Serves the metrics at http://<address>/metrics until it is destroyed.
class MetricsEndpoint {
 public:
  // `address` is host:port; port 0 takes a free one. UNAVAILABLE when it cannot be bound.
  static absl::StatusOr<std::unique_ptr<MetricsEndpoint>> Start(const std::string& address,
                                                                const ServerMetrics& metrics);
  virtual ~MetricsEndpoint() = default;
  // With the port that was taken.
  virtual std::string address() const = 0;
};

}  // namespace qatgap::server
