#include "analyzers/report/views/shapes.h"

namespace qatgap::report::views {

Json StatisticsOf(const statistics::DifferenceStatistics& s, std::optional<std::int64_t> zero_point) {
  Json json = json_parts::Statistics(s, zero_point);
  for (const char* member : {"reference_sum", "reference_sum_squares", "cross_sum", "cross_total"}) json.erase(member);
  return json;
}

Json Rate(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return nullptr;
  return static_cast<double>(part) / static_cast<double>(whole);
}

Json FindingOf(const IndexedReport& report, const Finding& finding) {
  const std::optional<std::int64_t> layer = report.FindLayer(finding.layer);
  return {{"id", finding.id},
          {"severity", ToString(finding.severity)},
          {"title", finding.title},
          {"layer", finding.layer},
          {"layer_index", layer ? Json(*layer) : Json()},
          {"target", finding.target},
          {"channels", finding.channels},
          {"detail", finding.detail},
          {"advice", finding.advice}};
}

bool HasCause(const LayerView& layer, std::size_t cause) {
  return static_cast<Cause>(cause) != Cause::kEngineResidual || layer.result->engine_measured;
}

}  // namespace qatgap::report::views
