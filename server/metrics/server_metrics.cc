#include "server/metrics/server_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <initializer_list>

#include "server/metrics/metric_descriptions.h"
#include "server/metrics/tracked_figures.h"
#include "server/metrics/tracked_models.h"
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

// Runners hold LibTorch and a model, some also a large batch.
const prometheus::Histogram::BucketBoundaries kRunnerBytes = {128e6, 256e6, 512e6, 1e9, 2e9, 4e9, 8e9, 16e9, 64e9};

prometheus::Family<prometheus::Counter>& Counters(prometheus::Registry& registry, Metric metric) {
  return prometheus::BuildCounter().Name(Describe(metric).name).Help(Describe(metric).help).Register(registry);
}

prometheus::Family<prometheus::Gauge>& Gauges(prometheus::Registry& registry, Metric metric) {
  return prometheus::BuildGauge().Name(Describe(metric).name).Help(Describe(metric).help).Register(registry);
}

prometheus::Family<prometheus::Histogram>& Histograms(prometheus::Registry& registry, Metric metric) {
  return prometheus::BuildHistogram().Name(Describe(metric).name).Help(Describe(metric).help).Register(registry);
}

// The values in the order of the description's label names.
prometheus::Labels LabelsOf(Metric metric, std::initializer_list<std::string_view> values) {
  prometheus::Labels labels;
  auto name = Describe(metric).labels.begin();
  for (const std::string_view value : values) labels.emplace(*name++, std::string(value));
  return labels;
}

}  // namespace

struct ServerMetrics::Series {
  std::shared_ptr<prometheus::Registry> registry = std::make_shared<prometheus::Registry>();
  std::array<std::array<prometheus::Counter*, kStatusCodeCount>, kRpcNames.size()> rpcs{};
  std::array<prometheus::Histogram*, kRpcNames.size()> rpc_seconds{};
  std::array<prometheus::Gauge*, kAnalysisStateCount> analyses{};
  std::array<prometheus::Counter*, kAnalysisStateCount> finished{};  // final states only
  prometheus::Histogram* analysis_seconds = nullptr;
  prometheus::Histogram* wait_seconds = nullptr;
  prometheus::Counter* bytes_received = nullptr;
  prometheus::Counter* bytes_to_runner = nullptr;
  prometheus::Counter* samples = nullptr;
  prometheus::Counter* layers = nullptr;
  std::array<prometheus::Counter*, kRunnerExitCount> runner_exits{};
  prometheus::Histogram* runner_peak = nullptr;
};

ServerMetrics::ServerMetrics(const ServerMetricsOptions& options)
    : series_(std::make_unique<Series>()), tracked_(std::make_shared<TrackedModels>(options.tracks)) {
  Series& s = *series_;
  prometheus::Registry& registry = *s.registry;
  auto& rpcs = Counters(registry, Metric::kRpcs);
  auto& rpc_seconds = Histograms(registry, Metric::kRpcSeconds);
  for (std::size_t rpc = 0; rpc < kRpcNames.size(); ++rpc) {
    const std::string_view method = kRpcNames[rpc];
    s.rpc_seconds[rpc] = &rpc_seconds.Add(LabelsOf(Metric::kRpcSeconds, {method}), kRpcSeconds);
    for (std::size_t code = 0; code < kStatusCodeCount; ++code) {
      const std::string name = absl::StatusCodeToString(static_cast<absl::StatusCode>(code));
      s.rpcs[rpc][code] = &rpcs.Add(LabelsOf(Metric::kRpcs, {method, name}));
    }
  }
  auto& analyses = Gauges(registry, Metric::kAnalyses);
  auto& finished = Counters(registry, Metric::kAnalysesFinished);
  for (const AnalysisState state : kAnalysisStates) {
    const auto index = static_cast<std::size_t>(state);
    s.analyses[index] = &analyses.Add(LabelsOf(Metric::kAnalyses, {ToString(state)}));
    if (IsFinal(state)) s.finished[index] = &finished.Add(LabelsOf(Metric::kAnalysesFinished, {ToString(state)}));
  }
  s.analysis_seconds = &Histograms(registry, Metric::kAnalysisSeconds).Add({}, kAnalysisSeconds);
  s.wait_seconds = &Histograms(registry, Metric::kAnalysisWaitSeconds).Add({}, kAnalysisSeconds);
  Gauges(registry, Metric::kQueueLimit).Add({}).Set(static_cast<double>(options.max_queued));
  Gauges(registry, Metric::kRunnerSlots).Add({}).Set(options.runners);
  auto& bytes = Counters(registry, Metric::kArtifactBytes);
  s.bytes_received = &bytes.Add(LabelsOf(Metric::kArtifactBytes, {"received"}));
  s.bytes_to_runner = &bytes.Add(LabelsOf(Metric::kArtifactBytes, {"to_runner"}));
  s.samples = &Counters(registry, Metric::kSamples).Add({});
  s.layers = &Counters(registry, Metric::kLayers).Add({});
  auto& exits = Counters(registry, Metric::kRunnerExits);
  for (std::size_t exit = 0; exit < kRunnerExitCount; ++exit) {
    s.runner_exits[exit] = &exits.Add(LabelsOf(Metric::kRunnerExits, {ToString(static_cast<RunnerExit>(exit))}));
  }
  s.runner_peak = &Histograms(registry, Metric::kRunnerPeakBytes).Add({}, kRunnerBytes);
  Gauges(registry, Metric::kBuildInfo).Add(LabelsOf(Metric::kBuildInfo, {options.version})).Set(1);
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
    series_->wait_seconds->Observe(absl::ToDoubleSeconds(*analysis.start_time - analysis.create_time));
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

void ServerMetrics::OnTrackedResult(const Analysis& analysis, const report::AnalysisResult& result) {
  tracked_->Show(FiguresOf(analysis, result, tracked_->limits().max_layers));
}

void ServerMetrics::OnTrackedAnalysisDeleted(const Analysis& analysis) { tracked_->Remove(analysis.id); }

void ServerMetrics::OnRunnerExit(RunnerExit exit, std::uint64_t peak_bytes) {
  series_->runner_exits[static_cast<std::size_t>(exit)]->Increment();
  if (peak_bytes == 0) return;  // it could not be started
  series_->runner_peak->Observe(static_cast<double>(peak_bytes));
}

void ServerMetrics::OnBytesToRunner(std::uint64_t bytes) {
  series_->bytes_to_runner->Increment(static_cast<double>(bytes));
}

void ServerMetrics::OnStoreError(const absl::Status& error) {
  spdlog::error("store: {}", error.ToString());
}

std::vector<std::shared_ptr<prometheus::Collectable>> ServerMetrics::collectables() const {
  return {series_->registry, tracked_};
}

}  // namespace qatgap::server
