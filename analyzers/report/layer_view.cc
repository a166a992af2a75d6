#include "analyzers/report/layer_view.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "analyzers/report/wording.h"

namespace qatgap::report {

const numerics::QuantParams* LayerView::input() const {
  const auto index = static_cast<std::size_t>(result->input_index);
  return index < info->inputs.size() ? &info->inputs[index] : nullptr;
}

std::string LayerView::Title() const {
  std::string title = DisplayName(info->name);
  if (info->inputs.size() > 1) {
    absl::StrAppend(&title, " (input ", result->input_index + 1, " of ", info->inputs.size(), ")");
  }
  return title;
}

std::vector<LayerView> ViewsOf(const AnalysisResult& result, const TargetResult& target) {
  std::vector<LayerView> views;
  views.reserve(target.layers.size());
  for (const LayerResult& layer : target.layers) {
    const auto index = static_cast<std::size_t>(layer.layer);
    if (layer.layer < 0 || index >= result.layers.size()) continue;
    views.push_back(
        {.info = &result.layers[index], .result = &layer, .causes = MergeChannels(layer)});
  }
  std::stable_sort(views.begin(), views.end(), [](const LayerView& a, const LayerView& b) {
    return std::pair(a.result->layer, a.result->input_index) <
           std::pair(b.result->layer, b.result->input_index);
  });
  return views;
}

LayerShares SharesOf(const LayerView& layer) {
  LayerShares shares;
  const std::uint64_t whole = layer.of(Cause::kTotal).sum_squares;
  if (whole == 0) return shares;
  shares.defined = true;
  for (std::size_t cause = 0; cause < kCauseCount; ++cause) {
    shares.share[cause] =
        static_cast<double>(layer.causes[cause].cross_total) / static_cast<double>(whole);
  }
  shares.share[static_cast<std::size_t>(Cause::kTotal)] = 1;
  return shares;
}

Cause WorstCause(const LayerView& layer) {
  if (layer.of(Cause::kTotal).sum_squares == 0) return Cause::kTotal;
  const auto last = layer.causes.begin() + static_cast<std::ptrdiff_t>(Cause::kTotal);
  const auto worst = std::max_element(layer.causes.begin(), last, [](const auto& a, const auto& b) {
    return a.cross_total < b.cross_total;
  });
  return static_cast<Cause>(worst - layer.causes.begin());
}

const PathComparison* FindComparison(const TargetResult& target, Path path, Path reference) {
  for (const PathComparison& comparison : target.comparisons) {
    if (comparison.path == path && comparison.reference == reference) return &comparison;
  }
  return nullptr;
}

statistics::DifferenceStatistics MergeOutputs(const PathComparison& comparison) {
  statistics::DifferenceStatistics merged;
  for (const statistics::DifferenceStatistics& output : comparison.outputs) merged.Merge(output);
  return merged;
}

}  // namespace qatgap::report
