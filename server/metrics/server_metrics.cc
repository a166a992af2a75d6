#include "server/metrics/server_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/exposer.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "spdlog/spdlog.h"

namespace qatgap::server {
namespace {

constexpr std::size_t kStatusCodeCount = 17;

// RPCs take from microseconds (a look-up) to minutes (an upload, a watch).
const prometheus::Histogram::BucketBoundaries kRpcSeconds = {0.001, 0.005, 0.02, 0.1, 0.5,
                                                             2,     10,    60,   600};
const prometheus::Histogram::BucketBoundaries kAnalysisSeconds = {1,   2,    5,    10,  30,
                                                                  60,  120,  300,  600, 1800,
                                                                  3600, 14400};

prometheus::Family<prometheus::Counter>& Counters(prometheus::Registry& registry, const char* name,
                                                  const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

prometheus::Family<prometheus::Gauge>& Gauges(prometheus::Registry& registry, const char* name,
                                              const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
}

prometheus::Family<prometheus::Histogram>& Histograms(prometheus::Registry& registry,
                                                      const char* name, const char* help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
}

}  // namespace

struct ServerMetrics::Series {
  std::shared_ptr<prometheus::Registry> registry = std::make_shared<prometheus::Registry>();
  std::array<std::array<prometheus::Counter*, kStatusCodeCount>, kRpcNames.size()> rpcs{};
  std::array<prometheus::Histogram*, kRpcNames.size()> rpc_seconds{};
  std::array<prometheus::Gauge*, kAnalysisStateCount> analyses{};
  std::array<prometheus::Counter*, kAnalysisStateCount> finished{};  // final states only
  prometheus::Histogram* analysis_seconds = nullptr;
  prometheus::Counter* bytes_received = nullptr;
  prometheus::Counter* bytes_to_runner = nullptr;
  prometheus::Counter* samples = nullptr;
  prometheus::Counter* layers = nullptr;
  std::array<prometheus::Counter*, kRunnerExitCount> runner_exits{};
  prometheus::Gauge* runner_peak = nullptr;
};

ServerMetrics::ServerMetrics(std::string_view version) : series_(std::make_unique<Series>()) {
  Series& s = *series_;
  prometheus::Registry& registry = *s.registry;
  auto& rpcs = Counters(registry, "qatgap_rpcs_total", "RPCs that ended");
  auto& rpc_seconds = Histograms(registry, "qatgap_rpc_duration_seconds", "Time an RPC took");
  for (std::size_t rpc = 0; rpc < kRpcNames.size(); ++rpc) {
    const std::string method(kRpcNames[rpc]);
    s.rpc_seconds[rpc] = &rpc_seconds.Add({{"method", method}}, kRpcSeconds);
    for (std::size_t code = 0; code < kStatusCodeCount; ++code) {
      s.rpcs[rpc][code] = &rpcs.Add(
          {{"method", method},
           {"code", absl::StatusCodeToString(static_cast<absl::StatusCode>(code))}});
    }
  }
  auto& analyses = Gauges(registry, "qatgap_analyses", "Analyses the server holds");
  auto& finished =
      Counters(registry, "qatgap_analyses_finished_total", "Analyses that reached a final state");
  for (const AnalysisState state : kAnalysisStates) {
    const prometheus::Labels labels = {{"state", std::string(ToString(state))}};
    s.analyses[static_cast<std::size_t>(state)] = &analyses.Add(labels);
    if (IsFinal(state)) s.finished[static_cast<std::size_t>(state)] = &finished.Add(labels);
  }
  s.analysis_seconds =
      &Histograms(registry, "qatgap_analysis_duration_seconds", "Time from an analysis' start to its end")
           .Add({}, kAnalysisSeconds);
  auto& bytes = Counters(registry, "qatgap_artifact_bytes_total", "Bytes of artifacts moved");
  s.bytes_received = &bytes.Add({{"direction", "received"}});
  s.bytes_to_runner = &bytes.Add({{"direction", "to_runner"}});
  s.samples =
      &Counters(registry, "qatgap_samples_total", "Samples run by succeeded analyses").Add({});
  s.layers = &Counters(registry, "qatgap_layers_total",
                       "Layers measured by succeeded analyses, one for each target and input")
                  .Add({});
  auto& exits = Counters(registry, "qatgap_runner_exits_total", "Runner processes that ended");
  for (std::size_t exit = 0; exit < kRunnerExitCount; ++exit) {
    s.runner_exits[exit] =
        &exits.Add({{"reason", std::string(ToString(static_cast<RunnerExit>(exit)))}});
  }
  s.runner_peak = &Gauges(registry, "qatgap_runner_peak_bytes",
                          "Peak resident memory of the runner that ended last")
                       .Add({});
  Gauges(registry, "qatgap_build_info", "1, for the version in the label")
      .Add({{"version", std::string(version)}})
      .Set(1);
}

ServerMetrics::~ServerMetrics() = default;

void ServerMetrics::OnRpc(Rpc rpc, absl::StatusCode code, absl::Duration duration) {
  const auto index = static_cast<std::size_t>(rpc);
  auto code_index = static_cast<std::size_t>(code);
  if (code_index >= kStatusCodeCount) code_index = static_cast<std::size_t>(absl::StatusCode::kUnknown);
  series_->rpcs[index][code_index]->Increment();
  series_->rpc_seconds[index]->Observe(absl::ToDoubleSeconds(duration));
}

void ServerMetrics::OnBytesReceived(std::uint64_t bytes) {
  series_->bytes_received->Increment(static_cast<double>(bytes));
}

void ServerMetrics::OnStateCounts(const std::array<std::int64_t, kAnalysisStateCount>& counts) {
  for (std::size_t i = 0; i < counts.size(); ++i) {
    series_->analyses[i]->Set(static_cast<double>(counts[i]));
  }
}

void ServerMetrics::OnAnalysisFinished(const Analysis& analysis) {
  series_->finished[static_cast<std::size_t>(analysis.state)]->Increment();
  if (analysis.start_time && analysis.end_time) {
    series_->analysis_seconds->Observe(
        absl::ToDoubleSeconds(*analysis.end_time - *analysis.start_time));
  }
  if (analysis.state == AnalysisState::kFailed) {
    spdlog::warn("analysis {} failed: {}", analysis.id, analysis.error.ToString());
  } else {
    spdlog::info("analysis {} {}", analysis.id, std::string(ToString(analysis.state)));
  }
}

void ServerMetrics::OnResult(std::uint64_t samples, std::uint64_t layers) {
  series_->samples->Increment(static_cast<double>(samples));
  series_->layers->Increment(static_cast<double>(layers));
}

void ServerMetrics::OnRunnerExit(RunnerExit exit, std::uint64_t peak_bytes) {
  series_->runner_exits[static_cast<std::size_t>(exit)]->Increment();
  series_->runner_peak->Set(static_cast<double>(peak_bytes));
}

void ServerMetrics::OnBytesToRunner(std::uint64_t bytes) {
  series_->bytes_to_runner->Increment(static_cast<double>(bytes));
}

void ServerMetrics::OnStoreError(const absl::Status& error) {
  spdlog::error("store: {}", error.ToString());
}

std::shared_ptr<prometheus::Registry> ServerMetrics::registry() const { return series_->registry; }

namespace {

class PrometheusEndpoint final : public MetricsEndpoint {
 public:
  PrometheusEndpoint(const std::string& address, const ServerMetrics& metrics)
      : exposer_(address, /*num_threads=*/1), registry_(metrics.registry()) {
    exposer_.RegisterCollectable(registry_);
    const std::vector<int> ports = exposer_.GetListeningPorts();
    address_ = absl::StrCat(address.substr(0, address.rfind(':')), ":", ports.empty() ? 0 : ports[0]);
  }
  std::string address() const override { return address_; }

 private:
  prometheus::Exposer exposer_;
  std::shared_ptr<prometheus::Registry> registry_;  // the exposer holds it weakly
  std::string address_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsEndpoint>> MetricsEndpoint::Start(
    const std::string& address, const ServerMetrics& metrics) {
  try {
    return std::unique_ptr<MetricsEndpoint>(new PrometheusEndpoint(address, metrics));
  } catch (const std::exception& error) {
    return absl::UnavailableError(absl::StrCat("--metrics-listen: cannot listen on '", address,
                                               "' (", error.what(),
                                               "); name another address or pass --no-metrics"));
  }
}

}  // namespace qatgap::server
