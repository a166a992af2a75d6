#include "server/metrics/metric_descriptions.h"

#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace qatgap::server {
namespace {

using enum Metric;
using enum MetricType;
constexpr MetricGroup kService = MetricGroup::kService;
constexpr MetricGroup kTracked = MetricGroup::kTrackedModels;

constexpr std::array kMethodCode = {"method", "code"};
constexpr std::array kMethod = {"method"};
constexpr std::array kState = {"state"};
constexpr std::array kReason = {"reason"};
constexpr std::array kDirection = {"direction"};
constexpr std::array kVersion = {"version"};
constexpr std::array kLayer = {"track", "target", "layer", "cause"};
constexpr std::array kOutput = {"track", "target", "path", "reference"};
constexpr std::array kPath = {"track", "target", "path"};
constexpr std::array kTarget = {"track", "target"};
constexpr std::array kTrack = {"track"};

constexpr std::array<MetricDescription, kMetricCount> kDescriptions = {{
    {kRpcs, kService, kCounter, "qatgap_rpcs_total", kMethodCode,
     "RPCs that ended, by name without its service and by status: OK, NOT_FOUND, ..."},
    {kRpcSeconds, kService, kHistogram, "qatgap_rpc_duration_seconds", kMethod,
     "Time from an RPC's arrival to its end; uploads and watches last as long as their streams"},
    {kAnalyses, kService, kGauge, "qatgap_analyses", kState,
     "Analyses the server holds: queued, running, succeeded, failed, cancelled"},
    {kAnalysesFinished, kService, kCounter, "qatgap_analyses_finished_total", kState,
     "Analyses that ended in this process: succeeded, failed, cancelled"},
    {kAnalysisSeconds, kService, kHistogram, "qatgap_analysis_duration_seconds", {},
     "Time from an analysis' start to its end; those cancelled while queued do not count"},
    {kAnalysisWaitSeconds, kService, kHistogram, "qatgap_analysis_wait_seconds", {},
     "Time an analysis that ended had waited from its submission to its last start"},
    {kQueueLimit, kService, kGauge, "qatgap_queue_limit", {}, "Analyses that may wait: --max-queued"},
    {kRunnerSlots, kService, kGauge, "qatgap_runner_slots", {}, "Runner processes at one time: --runners"},
    {kRunnerExits, kService, kCounter, "qatgap_runner_exits_total", kReason,
     "Runner processes that ended: success, failure (reported an error), exit_code, signal, timeout, cancelled, "
     "protocol (wrote what is no event), launch (could not be started)"},
    {kRunnerPeakBytes, kService, kHistogram, "qatgap_runner_peak_bytes", {},
     "Peak resident memory of runner processes that ended"},
    {kArtifactBytes, kService, kCounter, "qatgap_artifact_bytes_total", kDirection,
     "Bytes of artifacts: received from clients, to_runner opened for runners"},
    {kSamples, kService, kCounter, "qatgap_samples_total", {}, "Samples run by analyses that succeeded"},
    {kLayers, kService, kCounter, "qatgap_layers_total", {},
     "Layers measured by analyses that succeeded, one for each target and reaching input"},
    {kBuildInfo, kService, kGauge, "qatgap_build_info", kVersion, "1, for the version in the label"},

    {kLayerChangedRatio, kTracked, kGauge, "qatgap_layer_changed_ratio", kLayer,
     "Share of a layer's output codes that the cause changed"},
    {kLayerMaxErrorLsb, kTracked, kGauge, "qatgap_layer_max_error_lsb", kLayer,
     "Largest change of an output code by the cause, in steps of the layer's output"},
    {kLayerSqnrDecibels, kTracked, kGauge, "qatgap_layer_sqnr_decibels", kLayer,
     "Signal to quantization noise ratio of the cause; absent where it changed nothing"},
    {kOutputChangedRatio, kTracked, kGauge, "qatgap_output_changed_ratio", kOutput,
     "Share of the model's output codes that differ between two paths"},
    {kOutputMaxErrorLsb, kTracked, kGauge, "qatgap_output_max_error_lsb", kOutput,
     "Largest difference of an output code between two paths, in steps of the output"},
    {kOutputTop1ChangedRatio, kTracked, kGauge, "qatgap_output_top1_changed_ratio", kOutput,
     "Share of samples whose largest output is another one on the path than on its reference"},
    {kAccuracyRatio, kTracked, kGauge, "qatgap_accuracy_ratio", kPath,
     "Share of labelled samples whose largest output is their label; absent without labels"},
    {kTrackCoverageRatio, kTracked, kGauge, "qatgap_track_coverage_ratio", kTarget,
     "MAC layers that were analysed, of all of the model"},
    {kTrackExportedLayers, kTracked, kGauge, "qatgap_track_exported_layers", kTarget,
     "Layers that have series: those with the largest root mean square error"},
    {kTrackDroppedLayers, kTracked, kGauge, "qatgap_track_dropped_layers", kTarget,
     "Layers that were measured and have no series, because of the limit"},
    {kTrackSamples, kTracked, kGauge, "qatgap_track_samples", kTrack, "Samples of the analysis the figures are from"},
    {kTrackLastSuccess, kTracked, kGauge, "qatgap_track_last_success_timestamp_seconds", kTrack,
     "When the analysis the figures are from ended, since the Unix epoch"},
    {kTracks, kTracked, kGauge, "qatgap_tracks", {}, "Tracked models that have series"},
    {kTracksLimit, kTracked, kGauge, "qatgap_tracks_limit", {},
     "Tracked models that may have series: --max-tracks; the ones analysed last do"},
    {kTracksDropped, kTracked, kCounter, "qatgap_tracks_dropped_total", {},
     "Tracked models that lost their series to newer ones in this process"},
    {kTrackedLayersLimit, kTracked, kGauge, "qatgap_tracked_layers_limit", {},
     "Layers of a track and target that may have series: --max-tracked-layers"},
}};

consteval bool InTheOrderOfMetric() {
  for (std::size_t i = 0; i < kDescriptions.size(); ++i) {
    if (static_cast<std::size_t>(kDescriptions[i].metric) != i) return false;
  }
  return true;
}
static_assert(InTheOrderOfMetric());

}  // namespace

std::string_view ToString(MetricType type) {
  switch (type) {
    case kCounter:
      return "counter";
    case kGauge:
      return "gauge";
    case kHistogram:
      return "histogram";
  }
  return "untyped";
}

std::span<const MetricDescription> MetricDescriptions() { return kDescriptions; }

const MetricDescription& Describe(Metric metric) { return kDescriptions[static_cast<std::size_t>(metric)]; }

std::string MetricsTable(MetricGroup group) {
  std::string table = "| Name | Type | Labels | Meaning |\n|---|---|---|---|\n";
  for (const MetricDescription& description : kDescriptions) {
    if (description.group != group) continue;
    const std::string labels = absl::StrJoin(description.labels, ", ", [](std::string* out, const char* label) {
      absl::StrAppend(out, "`", label, "`");
    });
    absl::StrAppend(&table, "| `", description.name, "` | ", std::string(ToString(description.type)), " | ", labels,
                    labels.empty() ? "| " : " | ", description.help, " |\n");
  }
  return table;
}

}  // namespace qatgap::server
