// Every metric the server exports, described once: the registered names, types, labels and help texts, and the tables of
// docs/metrics.md, all come from here.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace qatgap::server {

enum class Metric {
  // Of the service:
  kRpcs,
  kRpcSeconds,
  kAnalyses,
  kAnalysesFinished,
  kAnalysisSeconds,
  kAnalysisWaitSeconds,
  kQueueLimit,
  kRunnerSlots,
  kRunnerExits,
  kRunnerPeakBytes,
  kArtifactBytes,
  kSamples,
  kLayers,
  kBuildInfo,
  // Of tracked models:
  kLayerChangedRatio,
  kLayerMaxErrorLsb,
  kLayerSqnrDecibels,
  kOutputChangedRatio,
  kOutputMaxErrorLsb,
  kOutputTop1ChangedRatio,
  kAccuracyRatio,
  kTrackCoverageRatio,
  kTrackExportedLayers,
  kTrackDroppedLayers,
  kTrackSamples,
  kTrackLastSuccess,
  kTracks,
  kTracksLimit,
  kTracksDropped,
  kTrackedLayersLimit,
};
inline constexpr std::size_t kMetricCount = 30;

enum class MetricType { kCounter, kGauge, kHistogram };
std::string_view ToString(MetricType type);  // as in the exposition format: "counter"

// Whom a metric is about.
enum class MetricGroup { kService, kTrackedModels };

struct MetricDescription {
  Metric metric;
  MetricGroup group;
  MetricType type;
  const char* name;
  std::span<const char* const> labels;  // names, in the order of the values
  const char* help;                     // one line of plain text
};

// In the order of Metric.
std::span<const MetricDescription> MetricDescriptions();
const MetricDescription& Describe(Metric metric);

// The Markdown table of a group, with its heading row; ends in a line end.
std::string MetricsTable(MetricGroup group);

}  // namespace qatgap::server
