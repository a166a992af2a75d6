#include "server/metrics/tracked_models.h"

#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>

#include "server/metrics/metric_descriptions.h"

namespace qatgap::server {
namespace {

// The families of the group, filled sample by sample.
class Families {
 public:
  Families() {
    for (const MetricDescription& description : MetricDescriptions()) {
      if (description.group != MetricGroup::kTrackedModels) continue;
      const bool counter = description.type == MetricType::kCounter;
      families_[description.metric] = {
          .name = description.name,
          .help = description.help,
          .type = counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge,
          .metric = {}};
    }
  }

  // `labels` are the values, in the order of the description. Nothing without a value.
  void Add(Metric metric, std::initializer_list<std::string_view> labels, std::optional<double> value) {
    if (!value) return;
    const MetricDescription& description = Describe(metric);
    prometheus::ClientMetric sample;
    auto name = description.labels.begin();
    for (const std::string_view label : labels) sample.label.push_back({*name++, std::string(label)});
    sample.gauge.value = *value;
    sample.counter.value = *value;
    families_[metric].metric.push_back(std::move(sample));
  }
  void AddCount(Metric metric, std::initializer_list<std::string_view> labels, std::uint64_t value) {
    Add(metric, labels, static_cast<double>(value));
  }

  std::vector<prometheus::MetricFamily> Take() {
    std::vector<prometheus::MetricFamily> all;
    for (auto& [metric, family] : families_) all.push_back(std::move(family));
    return all;
  }

 private:
  std::map<Metric, prometheus::MetricFamily> families_;
};

void AddTarget(const std::string& track, const TargetFigures& target, Families& families) {
  for (const LayerFigures& layer : target.layers) {
    for (std::size_t i = 0; i < report::kCauseCount; ++i) {
      const std::string_view cause = report::ToString(static_cast<report::Cause>(i));
      const CauseFigures& figures = layer.causes[i];
      families.Add(Metric::kLayerChangedRatio, {track, target.name, layer.name, cause}, figures.changed_ratio);
      families.Add(Metric::kLayerMaxErrorLsb, {track, target.name, layer.name, cause}, figures.max_error_lsb);
      families.Add(Metric::kLayerSqnrDecibels, {track, target.name, layer.name, cause}, figures.sqnr_decibels);
    }
  }
  for (const OutputFigures& output : target.outputs) {
    const std::string_view path = report::ToString(output.path), reference = report::ToString(output.reference);
    families.Add(Metric::kOutputChangedRatio, {track, target.name, path, reference}, output.changed_ratio);
    families.Add(Metric::kOutputMaxErrorLsb, {track, target.name, path, reference}, output.max_error_lsb);
    families.Add(Metric::kOutputTop1ChangedRatio, {track, target.name, path, reference}, output.top1_changed_ratio);
  }
  for (const AccuracyFigure& accuracy : target.accuracies) {
    families.Add(Metric::kAccuracyRatio, {track, target.name, report::ToString(accuracy.path)}, accuracy.ratio);
  }
  families.Add(Metric::kTrackCoverageRatio, {track, target.name}, target.coverage_ratio);
  families.AddCount(Metric::kTrackExportedLayers, {track, target.name}, target.layers.size());
  families.AddCount(Metric::kTrackDroppedLayers, {track, target.name}, target.dropped_layers);
}

}  // namespace

void TrackedModels::Show(TrackedFigures figures) {
  const std::scoped_lock lock(mutex_);
  const auto shown = tracks_.find(figures.track);
  if (shown != tracks_.end() && shown->second.create_time > figures.create_time) return;
  const std::string track = figures.track;
  tracks_.insert_or_assign(track, std::move(figures));
  if (tracks_.size() <= limits_.max_tracks) return;
  tracks_.erase(std::min_element(tracks_.begin(), tracks_.end(), [](const auto& a, const auto& b) {
    return a.second.create_time < b.second.create_time;
  }));
  ++dropped_;
}

void TrackedModels::Remove(const std::string& analysis_id) {
  const std::scoped_lock lock(mutex_);
  std::erase_if(tracks_, [&](const auto& entry) { return entry.second.analysis_id == analysis_id; });
}

std::vector<prometheus::MetricFamily> TrackedModels::Collect() const {
  Families families;
  const std::scoped_lock lock(mutex_);
  for (const auto& [track, figures] : tracks_) {
    for (const TargetFigures& target : figures.targets) AddTarget(track, target, families);
    families.AddCount(Metric::kTrackSamples, {track}, figures.samples);
    families.Add(Metric::kTrackLastSuccess, {track},
                 absl::ToDoubleSeconds(figures.end_time - absl::UnixEpoch()));
  }
  families.AddCount(Metric::kTracks, {}, tracks_.size());
  families.AddCount(Metric::kTracksLimit, {}, limits_.max_tracks);
  families.AddCount(Metric::kTracksDropped, {}, dropped_);
  families.AddCount(Metric::kTrackedLayersLimit, {}, limits_.max_layers);
  return families.Take();
}

}  // namespace qatgap::server
