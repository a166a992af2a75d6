#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "analyzers/report/propagation.h"
#include "analyzers/report/views/shapes.h"
#include "analyzers/report/views/views.h"
#include "analyzers/report/views/what_ifs.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::report::views {
namespace {

using statistics::DifferenceStatistics;

absl::StatusOr<std::size_t> TargetIndex(const IndexedReport& report, std::string_view name) {
  if (const auto index = report.FindTarget(name)) return *index;
  std::vector<std::string> names;
  for (const TargetResult& target : report.result().targets) names.push_back(target.name);
  return absl::NotFoundError(absl::StrCat("target: this analysis has no target '", Text(name), "', only ",
                                          absl::StrJoin(names, ", ")));
}

absl::StatusOr<const LayerView*> Find(const IndexedReport& report, std::size_t target, const LayerAddress& address) {
  for (const LayerView& layer : report.layers(target)) {
    if (layer.result->layer == address.layer && layer.result->input_index == address.input) return &layer;
  }
  return absl::NotFoundError(absl::StrCat("layer ", address.layer, ", input ", address.input, ": no result under target '",
                                          report.result().targets[target].name, "'; this analysis has ",
                                          report.result().layers.size(), " layers"));
}

std::optional<std::int64_t> ZeroPointOf(const LayerView& layer) { return json_parts::ZeroPointOf(layer.info->output); }

// The figures a table of layers shows of a difference.
Json BriefOf(const DifferenceStatistics& s, std::optional<std::int64_t> zero_point) {
  const Json whole = json_parts::Statistics(s, zero_point);
  return {{"changed_rate", whole["changed_rate"]}, {"max_absolute", whole["max_absolute"]}, {"sqnr_db", whole["sqnr_db"]}};
}

Json CausesOf(const LayerView& layer) {
  const LayerShares shares = SharesOf(layer);
  Json causes = Json::object();
  for (std::size_t cause = 0; cause < kCauseCount; ++cause) {
    Json& of = causes[NameOf(cause)];
    if (!HasCause(layer, cause)) continue;  // null
    of = BriefOf(layer.causes[cause], ZeroPointOf(layer));
    of["count"] = layer.causes[cause].count;
    of["changed"] = layer.causes[cause].changed;
    of["share"] = shares.defined ? json_parts::Number(shares.share[cause]) : Json();
  }
  return causes;
}

// `shape` makes the JSON of one comparison of this layer.
template <typename Shape>
Json AccumulatedOf(const TargetResult& target, const LayerView& layer, Shape shape) {
  Json accumulated = Json::object();
  const auto index = static_cast<std::size_t>(layer.result->layer);
  for (const PathComparison& comparison : target.comparisons) {
    if (index >= comparison.layers.size()) continue;
    accumulated[KeyOf(comparison)] = shape(comparison.layers[index], ZeroPointOf(layer));
  }
  return accumulated;
}

Json CountsOf(const std::vector<const Finding*>& findings) {
  std::array<std::int64_t, 3> counts{};
  for (const Finding* finding : findings) ++counts[static_cast<std::size_t>(finding->severity)];
  return {{"info", counts[0]}, {"warning", counts[1]}, {"error", counts[2]}};
}

Json PropagatedRateOf(const TargetResult& target, std::int64_t layer) {
  const std::optional<Propagation> view = PropagationOf(target, layer);
  return view ? Json(view->propagated()) : Json();
}

Json RowOf(const IndexedReport& report, const TargetResult& target, const LayerView& layer) {
  return {{"layer_index", layer.result->layer},
          {"input_index", layer.result->input_index},
          {"name", layer.info->name},
          {"kind", layer.info->kind},
          {"channels", layer.info->channels},
          {"samples", layer.result->samples},
          {"source_line", layer.info->source_line},
          {"module_stack", layer.info->module_stack},
          {"engine_measured", layer.result->engine_measured},
          {"engine_note", layer.result->engine_note},
          {"findings", CountsOf(report.FindingsOf(layer.info->name, target.name))},
          {"causes", CausesOf(layer)},
          {"accumulated", AccumulatedOf(target, layer, BriefOf)},
          {"propagated_changed_rate", PropagatedRateOf(target, layer.result->layer)}};
}

double RateOf(std::uint64_t changed, std::uint64_t count) {
  return count == 0 ? 0 : static_cast<double>(changed) / static_cast<double>(count);
}

double SortKey(const LayerView& layer, LayerOrder order) {
  const DifferenceStatistics& rounding = layer.of(Cause::kBiasRounding);
  const DifferenceStatistics& saturation = layer.of(Cause::kBiasSaturation);
  const DifferenceStatistics& total = layer.of(Cause::kTotal);
  switch (order) {
    case LayerOrder::kExecution:
      return 0;
    case LayerOrder::kChanged:
      return RateOf(total.changed, total.count);
    case LayerOrder::kBias:
      return RateOf(rounding.changed + saturation.changed, total.count);
  }
  return 0;
}

// With the six digits that a page shows; report.json has them all.
Json SixDigits(double value) {
  if (!std::isfinite(value)) return nullptr;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.6g", value);
  return std::strtod(text.data(), nullptr);
}

// An integer that is held in a double.
Json WholeNumber(double value) {
  constexpr double kLimit = 9223372036854775808.0;  // 2^63
  if (!std::isfinite(value)) return nullptr;
  return value >= -kLimit && value < kLimit ? Json(static_cast<std::int64_t>(value)) : Json(value);
}

template <typename Value>
Json Column(const std::vector<ChannelResult>& channels, Value value) {
  Json::array_t column;
  column.reserve(channels.size());
  for (const ChannelResult& channel : channels) column.push_back(value(channel));
  return column;
}

}  // namespace

absl::StatusOr<LayerOrder> ParseLayerOrder(std::string_view name) {
  if (name == "order") return LayerOrder::kExecution;
  if (name == "changed") return LayerOrder::kChanged;
  if (name == "bias") return LayerOrder::kBias;
  return absl::InvalidArgumentError(absl::StrCat("sort: '", Text(name), "' is none of order, changed, bias"));
}

absl::StatusOr<LayerPage> LayersOf(const IndexedReport& report, std::string_view target, LayerOrder order,
                                   std::size_t first, std::size_t limit) {
  QATGAP_ASSIGN_OR_RETURN(const std::size_t index, TargetIndex(report, target));
  std::vector<std::pair<double, const LayerView*>> rows;
  for (const LayerView& layer : report.layers(index)) rows.emplace_back(SortKey(layer, order), &layer);
  std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  LayerPage page;
  for (std::size_t i = first; i < rows.size(); ++i) {
    if (i - first == limit) {
      page.next = i;
      break;
    }
    page.layers.push_back(RowOf(report, report.result().targets[index], *rows[i].second));
  }
  return page;
}

absl::StatusOr<Json> LayerOf(const IndexedReport& report, const LayerAddress& address) {
  QATGAP_ASSIGN_OR_RETURN(const std::size_t index, TargetIndex(report, address.target));
  QATGAP_ASSIGN_OR_RETURN(const LayerView* layer, Find(report, index, address));
  const TargetResult& target = report.result().targets[index];
  Json causes = Json::object();
  for (std::size_t cause = 0; cause < kCauseCount; ++cause) {
    causes[NameOf(cause)] = HasCause(*layer, cause) ? StatisticsOf(layer->causes[cause], ZeroPointOf(*layer)) : Json();
  }
  Json findings = Json::array();
  for (const Finding* finding : report.FindingsOf(layer->info->name, target.name)) {
    findings.push_back(FindingOf(report, *finding));
  }
  Json targets = Json::array();
  for (const TargetResult& other : report.result().targets) targets.push_back(other.name);
  return Json{{"layer", json_parts::Facts(*layer->info)},
              {"layer_index", layer->result->layer},
              {"target", target.name},
              {"input_index", layer->result->input_index},
              {"input", layer->input() != nullptr ? json_parts::Grid(*layer->input()) : Json()},
              {"inputs", std::max<std::size_t>(1, layer->info->inputs.size())},
              {"samples", layer->result->samples},
              {"engine_measured", layer->result->engine_measured},
              {"engine_note", layer->result->engine_note},
              {"causes", std::move(causes)},
              {"shares", SharesJson(SharesOf(*layer))},
              {"accumulated", AccumulatedOf(target, *layer, StatisticsOf)},
              {"findings", std::move(findings)},
              {"what_ifs", WhatIfsOf(report.result(), target, *layer)},
              {"channel_count", layer->result->channels.size()},
              {"targets", std::move(targets)}};
}

absl::StatusOr<Json> ChannelsOf(const IndexedReport& report, const LayerAddress& address) {
  QATGAP_ASSIGN_OR_RETURN(const std::size_t index, TargetIndex(report, address.target));
  QATGAP_ASSIGN_OR_RETURN(const LayerView* layer, Find(report, index, address));
  const std::vector<ChannelResult>& channels = layer->result->channels;
  Json causes = Json::object();
  for (std::size_t cause = 0; cause < kCauseCount; ++cause) {
    Json& of = causes[NameOf(cause)];
    if (!HasCause(*layer, cause)) continue;  // null
    of["changed"] = Column(channels, [&](const ChannelResult& c) { return c.causes[cause].changed; });
    of["max_absolute"] = Column(channels, [&](const ChannelResult& c) { return c.causes[cause].max_absolute; });
    of["sum"] = Column(channels, [&](const ChannelResult& c) { return c.causes[cause].sum; });
  }
  constexpr auto kTotal = static_cast<std::size_t>(Cause::kTotal);
  return Json{{"bias_real", Column(channels, [](const ChannelResult& c) { return SixDigits(c.bias.real); })},
              {"bias_scale", Column(channels, [](const ChannelResult& c) { return SixDigits(c.bias.scale); })},
              {"bias_rounded", Column(channels, [](const ChannelResult& c) { return WholeNumber(c.bias.rounded); })},
              {"bias_stored", Column(channels, [](const ChannelResult& c) { return c.bias.stored; })},
              {"bias_saturated", Column(channels, [](const ChannelResult& c) { return c.bias.saturated; })},
              {"bias_residual_lsb", Column(channels, [](const ChannelResult& c) { return SixDigits(c.bias.residual_lsb); })},
              {"multiplier", Column(channels, [](const ChannelResult& c) { return SixDigits(c.multiplier); })},
              {"count", Column(channels, [](const ChannelResult& c) { return c.causes[kTotal].count; })},
              {"causes", std::move(causes)}};
}

}  // namespace qatgap::report::views
