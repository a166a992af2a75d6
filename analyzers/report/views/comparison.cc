#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/report/gate/measured_report.h"
#include "analyzers/report/gate/verdict.h"
#include "analyzers/report/views/shapes.h"
#include "analyzers/report/views/views.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::report::views {
namespace {

constexpr std::size_t kMaxMovements = 1000;

// The report of one target with the channels of each layer added up: what the gate reads of a report, without the
// channels, of which a large model has a hundred thousand.
Report Condensed(const IndexedReport& whole, std::size_t target) {
  const AnalysisResult& from = whole.result();
  Report report;
  report.analysis_id = whole.report().analysis_id;
  report.qat_model = whole.report().qat_model;
  report.converted_model = whole.report().converted_model;
  report.samples = whole.report().samples;
  report.labels = whole.report().labels;
  AnalysisResult& result = report.result;
  result.environment = from.environment;
  result.converted_given = from.converted_given;
  result.mac_layers = from.mac_layers;
  result.layers = from.layers;
  result.findings = from.findings;
  result.unmeasured = from.unmeasured;
  result.samples = from.samples;
  result.labelled = from.labelled;
  result.outputs = from.outputs;
  const TargetResult& source = from.targets[target];
  TargetResult& condensed = result.targets.emplace_back();
  condensed.name = source.name;
  condensed.digest = source.digest;
  condensed.comparisons = source.comparisons;
  condensed.accuracies = source.accuracies;
  for (const LayerView& layer : whole.layers(target)) {
    condensed.layers.push_back({.layer = layer.result->layer,
                                .input_index = layer.result->input_index,
                                .samples = layer.result->samples,
                                .engine_measured = layer.result->engine_measured,
                                .engine_note = {},
                                .channels = {{.bias = {}, .multiplier = 0, .causes = layer.causes}}});
  }
  return report;
}

absl::StatusOr<gate::MeasuredReport> Measure(const IndexedReport& whole, std::size_t target, std::string_view name) {
  QATGAP_ASSIGN_OR_RETURN(gate::MeasuredReport measured, gate::ReadReport(WriteJson(Condensed(whole, target)), name));
  // Figures of single channels, which the condensed report has not.
  const std::vector<LayerView>& layers = whole.layers(target);
  std::vector<gate::MeasuredLayer>& rows = measured.targets.at(0).layers;
  for (std::size_t i = 0; i < rows.size() && i < layers.size(); ++i) {
    double saturated = 0, largest = 0;
    for (const ChannelResult& channel : layers[i].result->channels) {
      saturated += channel.bias.saturated ? 1 : 0;
      if (std::isfinite(channel.bias.residual_lsb)) largest = std::max(largest, std::abs(channel.bias.residual_lsb));
    }
    rows[i].metrics["bias.saturated_channels"] = saturated;
    rows[i].metrics["bias.max_residual_lsb"] = largest;
  }
  return measured;
}

// A layer and a reaching input, by name: indices of two analyses need not agree.
using LayerKey = std::pair<std::string, std::int64_t>;

Json RatesOf(const LayerView* layer) {
  if (layer == nullptr) return nullptr;
  const statistics::DifferenceStatistics& total = layer->of(Cause::kTotal);
  Json rates{{"changed_rate", Rate(total.changed, total.count)},
             {"max_absolute", total.max_absolute},
             {"sqnr_db", json_parts::Statistics(total, json_parts::ZeroPointOf(layer->info->output))["sqnr_db"]}};
  for (std::size_t cause = 0; cause < kCauseCount; ++cause) {
    const statistics::DifferenceStatistics& s = layer->causes[cause];
    rates[NameOf(cause)] = HasCause(*layer, cause) ? Rate(s.changed, s.count) : Json();
  }
  return rates;
}

// In the order of `after`, then what only `before` has.
Json LayersOf(const std::vector<LayerView>& before, const std::vector<LayerView>& after) {
  std::map<LayerKey, const LayerView*> old_layers;
  for (const LayerView& layer : before) old_layers.emplace(LayerKey(layer.info->name, layer.result->input_index), &layer);
  Json rows = Json::array();
  for (const LayerView& layer : after) {
    const auto old_layer = old_layers.find({layer.info->name, layer.result->input_index});
    rows.push_back({{"name", layer.info->name},
                    {"input_index", layer.result->input_index},
                    {"before", RatesOf(old_layer == old_layers.end() ? nullptr : old_layer->second)},
                    {"after", RatesOf(&layer)}});
    if (old_layer != old_layers.end()) old_layer->second = nullptr;
  }
  for (const LayerView& layer : before) {
    const LayerKey key(layer.info->name, layer.result->input_index);
    if (old_layers.at(key) != &layer) continue;
    rows.push_back({{"name", layer.info->name},
                    {"input_index", layer.result->input_index},
                    {"before", RatesOf(&layer)},
                    {"after", nullptr}});
  }
  return rows;
}

}  // namespace

absl::StatusOr<Json> ComparisonOf(const IndexedReport& before, const IndexedReport& after, std::string_view target) {
  const auto new_target = after.FindTarget(target);
  if (!new_target) {
    return absl::NotFoundError(absl::StrCat("target: analysis '", after.report().analysis_id, "' has no target '",
                                            Text(target), "'"));
  }
  const std::string& name = after.result().targets[*new_target].name;
  const auto old_target = before.FindTarget(name);
  if (!old_target) {
    return absl::NotFoundError(absl::StrCat("target: analysis '", before.report().analysis_id, "' has no target '", name,
                                            "'"));
  }
  QATGAP_ASSIGN_OR_RETURN(const gate::MeasuredReport old_report, Measure(before, *old_target, "before"));
  QATGAP_ASSIGN_OR_RETURN(const gate::MeasuredReport new_report, Measure(after, *new_target, "after"));
  const gate::Comparison comparison = gate::Compare(old_report, new_report);
  Json movements = Json::array();
  for (const gate::Movement& movement : comparison.movements) {
    if (movements.size() == kMaxMovements) break;
    movements.push_back({{"layer", movement.layer},
                         {"metric", movement.metric},
                         {"before", json_parts::Number(movement.before)},
                         {"after", json_parts::Number(movement.after)}});
  }
  return Json{{"target", name},
              {"differences", comparison.differences},
              {"movement_count", comparison.movements.size()},
              {"movements", std::move(movements)},
              {"layers", LayersOf(before.layers(*old_target), after.layers(*new_target))}};
}

}  // namespace qatgap::report::views
