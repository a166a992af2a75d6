#include "server/metrics/tracked_figures.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/report/layer_view.h"
#include "analyzers/report/wording.h"

namespace qatgap::server {
namespace {

using report::Cause;
using statistics::DifferenceStatistics;

// Two series with one set of labels would make Prometheus refuse the whole scrape, and nothing keeps a model from
// calling two layers alike, or from long names that differ where they are cut.
std::vector<std::string> UniqueNames(const std::vector<report::LayerInfo>& layers) {
  std::vector<std::string> names;
  std::set<std::string> taken;
  for (const report::LayerInfo& layer : layers) {
    const std::string shown = report::DisplayName(layer.name);
    std::string name = shown;
    for (int i = 2; !taken.insert(name).second; ++i) name = absl::StrCat(shown, " #", i);
    names.push_back(std::move(name));
  }
  return names;
}

CauseFigures FiguresOf(const DifferenceStatistics& sums, std::int64_t zero_point) {
  if (sums.count == 0) return {};
  return {.changed_ratio = statistics::ChangedRate(sums),
          .max_error_lsb = static_cast<double>(sums.max_absolute),
          .sqnr_decibels = statistics::SqnrDecibel(sums, zero_point)};
}

// One layer with all its inputs.
struct MergedLayer {
  std::int64_t layer = 0;
  std::int64_t zero_point = 0;
  bool engine_measured = false;
  report::CauseStatistics causes;

  double rms_lsb() const {
    return statistics::RmsLsb(causes[static_cast<std::size_t>(Cause::kTotal)]).value_or(0);
  }
};

std::vector<MergedLayer> MergeInputs(const std::vector<report::LayerView>& views) {
  std::vector<MergedLayer> layers;
  for (const report::LayerView& view : views) {
    if (layers.empty() || layers.back().layer != view.result->layer) {
      layers.push_back({.layer = view.result->layer, .zero_point = view.zero_point(),
                        .engine_measured = view.result->engine_measured, .causes = view.causes});
      continue;
    }
    MergedLayer& layer = layers.back();
    // A residual of some inputs only is not the layer's.
    layer.engine_measured = layer.engine_measured && view.result->engine_measured;
    for (std::size_t cause = 0; cause < report::kCauseCount; ++cause) layer.causes[cause].Merge(view.causes[cause]);
  }
  return layers;
}

// Removes all but the worst; how many were removed.
std::size_t KeepWorst(std::vector<MergedLayer>& layers, std::size_t max_layers) {
  if (layers.size() <= max_layers) return 0;
  const std::size_t dropped = layers.size() - max_layers;
  std::stable_sort(layers.begin(), layers.end(),
                   [](const MergedLayer& a, const MergedLayer& b) { return a.rms_lsb() > b.rms_lsb(); });
  layers.resize(max_layers);
  std::sort(layers.begin(), layers.end(), [](const MergedLayer& a, const MergedLayer& b) { return a.layer < b.layer; });
  return dropped;
}

std::vector<OutputFigures> OutputsOf(const report::TargetResult& target, std::uint64_t samples) {
  std::vector<OutputFigures> outputs;
  for (const report::PathComparison& comparison : target.comparisons) {
    const DifferenceStatistics merged = report::MergeOutputs(comparison);
    OutputFigures& figures = outputs.emplace_back();
    figures.path = comparison.path;
    figures.reference = comparison.reference;
    if (merged.count > 0) {
      figures.changed_ratio = statistics::ChangedRate(merged);
      figures.max_error_lsb = static_cast<double>(merged.max_absolute);
    }
    if (samples > 0) {
      figures.top1_changed_ratio = static_cast<double>(comparison.top1_changed) / static_cast<double>(samples);
    }
  }
  return outputs;
}

TargetFigures FiguresOf(const report::AnalysisResult& result, const report::TargetResult& target,
                        const std::vector<std::string>& names, std::size_t max_layers) {
  TargetFigures figures;
  figures.name = target.name;
  std::vector<MergedLayer> layers = MergeInputs(report::ViewsOf(result, target));
  figures.dropped_layers = KeepWorst(layers, max_layers);
  for (const MergedLayer& layer : layers) {
    LayerFigures& part = figures.layers.emplace_back();
    part.name = names[static_cast<std::size_t>(layer.layer)];
    for (std::size_t cause = 0; cause < report::kCauseCount; ++cause) {
      // Where no engine ran its sums are zero, which would read as exact.
      if (static_cast<Cause>(cause) == Cause::kEngineResidual && !layer.engine_measured) continue;
      part.causes[cause] = FiguresOf(layer.causes[cause], layer.zero_point);
    }
  }
  figures.outputs = OutputsOf(target, result.samples);
  for (const report::PathAccuracy& accuracy : target.accuracies) {
    if (result.labelled == 0) break;
    figures.accuracies.push_back(
        {.path = accuracy.path, .ratio = static_cast<double>(accuracy.correct) / static_cast<double>(result.labelled)});
  }
  const report::Coverage coverage = report::CoverageOf(result, target);
  if (coverage.mac_layers > 0) {
    figures.coverage_ratio = static_cast<double>(coverage.analysed) / static_cast<double>(coverage.mac_layers);
  }
  return figures;
}

}  // namespace

TrackedFigures FiguresOf(const Analysis& analysis, const report::AnalysisResult& result, std::size_t max_layers) {
  TrackedFigures figures;
  figures.track = analysis.spec.track;
  figures.analysis_id = analysis.id;
  figures.create_time = analysis.create_time;
  figures.end_time = analysis.end_time.value_or(analysis.create_time);
  figures.samples = result.samples;
  const std::vector<std::string> names = UniqueNames(result.layers);
  for (const report::TargetResult& target : result.targets) {
    figures.targets.push_back(FiguresOf(result, target, names, max_layers));
  }
  return figures;
}

}  // namespace qatgap::server
