#include <algorithm>
#include <cmath>
#include <map>

#include "analyzers/report/gate/comparability.h"
#include "analyzers/report/gate/explanation.h"
#include "analyzers/report/gate/verdict.h"

namespace qatgap::report::gate {
namespace {

void AddMovements(const std::string& target, const std::string& layer, const Metrics& before, const Metrics& after,
                  std::vector<Movement>& movements) {
  std::map<std::string, std::pair<Metric, Metric>> both;
  for (const auto& [name, value] : before) both[name].first = value;
  for (const auto& [name, value] : after) both[name].second = value;
  for (const auto& [name, values] : both) {
    if (values.first == values.second) continue;
    movements.push_back({.target = target, .layer = layer, .metric = name, .before = values.first, .after = values.second});
  }
}

void AddLayer(const std::string& target, const MeasuredLayer& before, const MeasuredLayer& after,
              std::vector<LayerMovement>& layers) {
  const auto rate = [](const Metrics& metrics) {
    const auto it = metrics.find("injected.total.changed_rate");
    return it == metrics.end() ? 0.0 : it->second.value_or(0);
  };
  const double a = rate(before.metrics), b = rate(after.metrics);
  const std::string cause = LargestCause(after.metrics, &before.metrics);
  if (a == b && cause.empty()) return;
  layers.push_back({.target = target, .layer = after.name, .before = a, .after = b, .cause = cause});
}

double Size(const Movement& movement) {
  if (!movement.metric.ends_with("_rate")) return 0;
  return std::abs(movement.after.value_or(0) - movement.before.value_or(0));
}

}  // namespace

Comparison Compare(const MeasuredReport& before, const MeasuredReport& after) {
  Comparison comparison{.differences = WhyNotComparable(before, after), .layers = {}, .movements = {}};
  for (const MeasuredTarget& target : after.targets) {
    const auto old_target = std::find_if(before.targets.begin(), before.targets.end(),
                                         [&](const MeasuredTarget& t) { return t.name == target.name; });
    if (old_target == before.targets.end()) continue;
    AddMovements(target.name, "", old_target->metrics, target.metrics, comparison.movements);
    for (const MeasuredLayer& layer : target.layers) {
      const auto old_layer = std::find_if(old_target->layers.begin(), old_target->layers.end(),
                                          [&](const MeasuredLayer& l) { return l.name == layer.name; });
      if (old_layer == old_target->layers.end()) continue;
      AddMovements(target.name, layer.name, old_layer->metrics, layer.metrics, comparison.movements);
      AddLayer(target.name, *old_layer, layer, comparison.layers);
    }
  }
  std::stable_sort(comparison.movements.begin(), comparison.movements.end(),
                   [](const Movement& a, const Movement& b) { return Size(a) > Size(b); });
  std::stable_sort(comparison.layers.begin(), comparison.layers.end(), [](const LayerMovement& a, const LayerMovement& b) {
    return std::abs(a.after - a.before) > std::abs(b.after - b.before);
  });
  return comparison;
}

}  // namespace qatgap::report::gate
