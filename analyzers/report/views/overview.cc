#include <utility>

#include "analyzers/report/detail_json.h"
#include "analyzers/report/detail_tables.h"
#include "analyzers/report/target_sums.h"
#include "analyzers/report/views/shapes.h"
#include "analyzers/report/views/views.h"
#include "analyzers/report/views/what_ifs.h"

namespace qatgap::report::views {
namespace {

Json TotalsOf(const TargetSums& sums) {
  Json totals = Json::object();
  for (std::size_t cause = 0; cause < kCauseCount; ++cause) {
    const CauseSum& sum = sums.causes[cause];
    totals[NameOf(cause)] = {{"count", sum.count},
                             {"changed", sum.changed},
                             {"max_absolute", sum.max_absolute},
                             {"changed_rate", Rate(sum.changed, sum.count)}};
  }
  return totals;
}

Json PathsOf(const AnalysisResult& result, const TargetResult& target) {
  Json paths = Json::array();
  for (const PathComparison& comparison : target.comparisons) {
    Json outputs = Json::array();
    for (std::size_t i = 0; i < comparison.outputs.size(); ++i) {
      const auto zero_point =
          i < result.outputs.size() ? json_parts::ZeroPointOf(result.outputs[i]) : std::optional<std::int64_t>();
      outputs.push_back(StatisticsOf(comparison.outputs[i], zero_point));
    }
    paths.push_back({{"path", ToString(comparison.path)},
                     {"reference", ToString(comparison.reference)},
                     {"top1_changed", comparison.top1_changed},
                     {"lost", comparison.lost},
                     {"gained", comparison.gained},
                     {"accuracy_difference", json_parts::AccuracyDifference(target, comparison, result.labelled)},
                     {"outputs", std::move(outputs)}});
  }
  return paths;
}

Json DetailsOf(const AnalysisResult& result, const TargetResult& target) {
  const auto kind_of = [](TextTable::Kind kind) {
    return kind == TextTable::Kind::kNumber ? "number" : kind == TextTable::Kind::kName ? "name" : "text";
  };
  Json tables = Json::array();
  for (const TextTable& table : DetailTables(result, target)) {
    Json columns = Json::array(), rows = Json::array();
    for (const TextTable::Column& column : table.columns) {
      columns.push_back({{"title", column.title}, {"kind", kind_of(column.kind)}});
    }
    for (const TextTable::Row& row : table.rows) {
      rows.push_back({{"layer_index", row.layer ? Json(*row.layer) : Json()}, {"cells", row.cells}});
    }
    tables.push_back({{"title", table.title},
                      {"caption", table.caption},
                      {"columns", std::move(columns)},
                      {"rows", std::move(rows)}});
  }
  return tables;
}

Json TargetOf(const IndexedReport& report, std::size_t index) {
  const AnalysisResult& result = report.result();
  const TargetResult& target = result.targets[index];
  const TargetSums sums = SumsOf(report.layers(index));
  const Coverage coverage = CoverageOf(result, target);
  return {{"name", target.name},
          {"title", target.title},
          {"bias_mode", numerics::ToString(target.bias_mode)},
          {"engine", numerics::ToString(target.engine)},
          {"evidence", {{"kind", numerics::ToString(target.evidence.kind)}, {"detail", target.evidence.detail}}},
          {"coverage", {{"analysed", coverage.analysed}, {"mac_layers", coverage.mac_layers}}},
          {"shares", SharesJson(SharesOf(sums))},
          {"headline", report.verdict(index).headline},
          {"sentences", report.verdict(index).sentences},
          {"totals", TotalsOf(sums)},
          {"paths", PathsOf(result, target)},
          {"accuracies", json_parts::Accuracies(target, result.labelled)},
          {"global_cause", json_parts::Global(result, target)},
          {"details", DetailsOf(result, target)},
          {"what_ifs", WhatIfsOf(result, target)}};
}

Json InputsOf(const Report& report) {
  return {{"qat_model", json_parts::Blob(report.qat_model)},
          {"converted_model", json_parts::Blob(report.converted_model)},
          {"samples", json_parts::Blob(report.samples)},
          {"sample_inputs", json_parts::SampleInputs(report.sample_inputs)},
          {"normalizations", report.normalizations},
          {"labels", json_parts::Blob(report.labels)},
          {"held_out", json_parts::Blob(report.held_out)},
          {"held_out_labels", json_parts::Blob(report.held_out_labels)}};
}

Json EnvironmentOf(const Environment& environment) {
  return {{"tool_version", environment.tool_version},
          {"libtorch_version", environment.libtorch_version},
          {"cpu_features", environment.cpu_features},
          {"engines", environment.engines},
          {"batch_size", environment.batch_size},
          {"threads", environment.threads}};
}

}  // namespace

std::string Dump(const Json& json) { return json_parts::Dump(json); }

Json OverviewOf(const IndexedReport& report) {
  const AnalysisResult& result = report.result();
  Json targets = Json::array();
  for (std::size_t i = 0; i < result.targets.size(); ++i) targets.push_back(TargetOf(report, i));
  Json findings = Json::array();
  for (const Finding& finding : result.findings) findings.push_back(FindingOf(report, finding));
  Json unmeasured = Json::array();
  for (const Unmeasured& entry : result.unmeasured) {
    unmeasured.push_back({{"name", entry.name},
                          {"what", entry.what},
                          {"reason", entry.reason},
                          {"is_mac_layer", entry.is_mac_layer}});
  }
  Json outputs = Json::array();
  for (const numerics::QuantParams& output : result.outputs) outputs.push_back(json_parts::Grid(output));
  return {{"environment", EnvironmentOf(result.environment)},
          {"inputs", InputsOf(report.report())},
          {"notes", result.notes},
          {"samples", result.samples},
          {"labelled", result.labelled},
          {"mac_layers", result.mac_layers},
          {"qat_format", result.qat_format},
          {"converted_format", result.converted_format},
          {"converted_given", result.converted_given},
          {"layer_count", result.layers.size()},
          {"outputs", std::move(outputs)},
          {"targets", std::move(targets)},
          {"findings", std::move(findings)},
          {"unmeasured", std::move(unmeasured)}};
}

Json NetworkOf(const IndexedReport& report) {
  const NetworkGraph& network = report.result().network;
  return {{"nodes", network.empty() ? Json() : json_parts::Network(network)}};
}

}  // namespace qatgap::report::views
