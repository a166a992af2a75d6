// Canonical JSON. docs/report.md describes every member.
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "analyzers/report/detail_json.h"
#include "analyzers/report/json_parts.h"
#include "analyzers/report/layer_view.h"
#include "analyzers/report/report.h"
#include "analyzers/report/what_if_json.h"
#include "nlohmann/json.hpp"

namespace qatgap::report {
namespace {

using Json = nlohmann::json;  // keys sorted
using statistics::DifferenceStatistics;

constexpr int kSchemaVersion = 1;

Json OrNull(std::optional<double> value) {
  return value && std::isfinite(*value) ? Json(*value) : Json(nullptr);
}

// The logarithm's last bits differ between C libraries; a millionth of a decibel does not.
Json DecibelOrNull(std::optional<double> value) {
  if (!value || !std::isfinite(*value)) return nullptr;
  return std::round(*value * 1e6) / 1e6;
}

// An integer that is held in a double: as an integer where 64 bits hold it.
Json WholeNumber(double value) {
  if (!std::isfinite(value)) return nullptr;
  constexpr double kLimit = 9223372036854775808.0;  // 2^63
  if (value >= -kLimit && value < kLimit) return static_cast<std::int64_t>(value);
  return value;
}

Json ToJson(const numerics::QuantParams& params) {
  Json json{{"scales", Json::array()},
            {"zero_points", params.zero_points},
            {"quant_min", params.quant_min},
            {"quant_max", params.quant_max}};
  for (const double scale : params.scales) json["scales"].push_back(OrNull(scale));
  if (params.per_channel()) json["axis"] = params.axis;
  return json;
}

// `zero_point` is that of the reference codes; without it there is neither SQNR nor cosine.
Json ToJson(const DifferenceStatistics& s, std::optional<std::int64_t> zero_point) {
  return {{"count", s.count},
          {"changed", s.changed},
          {"sum", s.sum},
          {"sum_absolute", s.sum_absolute},
          {"sum_squares", s.sum_squares},
          {"max_absolute", s.max_absolute},
          {"reference_sum", s.reference_sum},
          {"reference_sum_squares", s.reference_sum_squares},
          {"cross_sum", s.cross_sum},
          {"cross_total", s.cross_total},
          {"histogram", s.histogram.bins()},
          {"bit_exact", statistics::BitExact(s)},
          {"changed_rate", OrNull(statistics::ChangedRate(s))},
          {"mean_lsb", OrNull(statistics::MeanLsb(s))},
          {"mean_absolute_lsb", OrNull(statistics::MeanAbsoluteLsb(s))},
          {"rms_lsb", OrNull(statistics::RmsLsb(s))},
          {"sqnr_db", zero_point ? DecibelOrNull(statistics::SqnrDecibel(s, *zero_point)) : Json()},
          {"cosine", zero_point ? OrNull(statistics::Cosine(s, *zero_point)) : Json()}};
}

Json ToJson(const LayerInfo& layer) {
  Json inputs = Json::array();
  for (const numerics::QuantParams& input : layer.inputs) inputs.push_back(ToJson(input));
  return {{"name", layer.name},
          {"kind", layer.kind},
          {"channels", layer.channels},
          {"weight_shape", layer.weight_shape},
          {"activation", numerics::ToString(layer.activation)},
          {"output", ToJson(layer.output)},
          {"inputs", std::move(inputs)},
          {"input_off_grid", layer.input_off_grid},
          {"weights", layer.weights},
          {"weight_codes_changed", layer.weight_codes_changed},
          {"source_line", layer.source_line},
          {"module_stack", layer.module_stack}};
}

bool HasCause(const LayerView& layer, std::size_t cause) {
  return static_cast<Cause>(cause) != Cause::kEngineResidual || layer.result->engine_measured;
}

// One array per column, indexed by channel: a layer of 2048 channels names its columns once.
Json ChannelColumns(const LayerView& layer) {
  Json columns{{"bias_real", Json::array()},      {"bias_scale", Json::array()},
               {"bias_rounded", Json::array()},   {"bias_stored", Json::array()},
               {"bias_saturated", Json::array()}, {"bias_residual_lsb", Json::array()},
               {"multiplier", Json::array()},     {"count", Json::array()}};
  for (const ChannelResult& channel : layer.result->channels) {
    columns["bias_real"].push_back(OrNull(channel.bias.real));
    columns["bias_scale"].push_back(OrNull(channel.bias.scale));
    columns["bias_rounded"].push_back(WholeNumber(channel.bias.rounded));
    columns["bias_stored"].push_back(channel.bias.stored);
    columns["bias_saturated"].push_back(channel.bias.saturated);
    columns["bias_residual_lsb"].push_back(OrNull(channel.bias.residual_lsb));
    columns["multiplier"].push_back(OrNull(channel.multiplier));
    columns["count"].push_back(channel.causes[static_cast<std::size_t>(Cause::kTotal)].count);
  }
  Json causes = Json::object();
  for (std::size_t cause = 0; cause < kCauseCount; ++cause) {
    Json& of = causes[std::string(ToString(static_cast<Cause>(cause)))];
    if (!HasCause(layer, cause)) continue;  // null
    of = {{"changed", Json::array()},
          {"sum", Json::array()},
          {"sum_absolute", Json::array()},
          {"sum_squares", Json::array()},
          {"max_absolute", Json::array()}};
    for (const ChannelResult& channel : layer.result->channels) {
      const DifferenceStatistics& s = channel.causes[cause];
      of["changed"].push_back(s.changed);
      of["sum"].push_back(s.sum);
      of["sum_absolute"].push_back(s.sum_absolute);
      of["sum_squares"].push_back(s.sum_squares);
      of["max_absolute"].push_back(s.max_absolute);
    }
  }
  columns["causes"] = std::move(causes);
  return columns;
}

template <typename Shares>
Json SharesJson(const Shares& shares) {
  if (!shares.defined) return nullptr;
  Json json = Json::object();
  for (std::size_t cause = 0; cause < static_cast<std::size_t>(Cause::kTotal); ++cause) {
    json[std::string(ToString(static_cast<Cause>(cause)))] = OrNull(shares.share[cause]);
  }
  return json;
}

Json ToJson(const LayerView& layer) {
  Json causes = Json::object();
  for (std::size_t cause = 0; cause < kCauseCount; ++cause) {
    causes[std::string(ToString(static_cast<Cause>(cause)))] =
        HasCause(layer, cause) ? ToJson(layer.causes[cause], layer.zero_point()) : Json();
  }
  return {{"layer", layer.info->name},
          {"layer_index", layer.result->layer},
          {"input_index", layer.result->input_index},
          {"input", layer.input() != nullptr ? ToJson(*layer.input()) : Json()},
          {"samples", layer.result->samples},
          {"engine_measured", layer.result->engine_measured},
          {"engine_note", layer.result->engine_note},
          {"causes", std::move(causes)},
          {"shares", SharesJson(SharesOf(layer))},
          {"channels", ChannelColumns(layer)}};
}

std::optional<std::int64_t> ZeroPoint(const numerics::QuantParams& params) {
  if (params.zero_points.size() != 1) return std::nullopt;
  return params.zero_point();
}

Json CoverageJson(const AnalysisResult& result, const TargetResult& target) {
  const Coverage coverage = CoverageOf(result, target);
  return {{"analysed", coverage.analysed}, {"mac_layers", coverage.mac_layers}};
}

Json ToJson(const AnalysisResult& result, const TargetResult& target) {
  Json layers = Json::array();
  for (const LayerView& layer : ViewsOf(result, target)) {
    layers.push_back(ToJson(layer));
    layers.back()["propagation"] = json_parts::Propagated(target, layer.result->layer);
  }
  return {
      {"name", target.name},
      {"title", target.title},
      {"digest", target.digest},
      {"bias_mode", numerics::ToString(target.bias_mode)},
      {"engine", numerics::ToString(target.engine)},
      {"evidence",
       {{"kind", numerics::ToString(target.evidence.kind)}, {"detail", target.evidence.detail}}},
      {"coverage", CoverageJson(result, target)},
      {"shares", SharesJson(SharesOf(target))},
      {"layers", std::move(layers)},
      {"comparisons", json_parts::Comparisons(result, target, result.labelled)},
      {"accuracies", json_parts::Accuracies(target, result.labelled)},
      {"sensitivities", json_parts::Sensitivities(result, target)},
      {"global_cause", json_parts::Global(result, target)},
      {"what_ifs", WhatIfsJson(result, target, ToJson)}};
}

Json StatisticsJson(AnalysisResult result) {
  Canonicalize(result);
  Json layers = Json::array();
  for (const LayerInfo& layer : result.layers) layers.push_back(ToJson(layer));
  Json outputs = Json::array();
  for (const numerics::QuantParams& output : result.outputs) outputs.push_back(ToJson(output));
  Json targets = Json::array();
  for (const TargetResult& target : result.targets) targets.push_back(ToJson(result, target));
  Json findings = Json::array();
  for (const Finding& finding : result.findings) {
    findings.push_back({{"id", finding.id},
                        {"severity", ToString(finding.severity)},
                        {"title", finding.title},
                        {"layer", finding.layer},
                        {"target", finding.target},
                        {"channels", finding.channels},
                        {"detail", finding.detail},
                        {"advice", finding.advice}});
  }
  Json unmeasured = Json::array();
  for (const Unmeasured& entry : result.unmeasured) {
    unmeasured.push_back({{"name", entry.name},
                          {"what", entry.what},
                          {"reason", entry.reason},
                          {"is_mac_layer", entry.is_mac_layer}});
  }
  return {{"batch_size", result.environment.batch_size},
          {"qat_format", result.qat_format},
          {"converted_format", result.converted_format},
          {"converted_given", result.converted_given},
          {"notes", result.notes},
          {"samples", result.samples},
          {"worst_samples", result.worst_samples},
          {"input_ranges", json_parts::InputRanges(result.input_ranges)},
          {"held_out", json_parts::OfHeldOut(result)},
          {"labelled", result.labelled},
          {"mac_layers", result.mac_layers},
          {"layers", std::move(layers)},
          {"network", json_parts::Network(result.network)},
          {"outputs", std::move(outputs)},
          {"targets", std::move(targets)},
          {"findings", std::move(findings)},
          {"unmeasured", std::move(unmeasured)}};
}

Json ToJson(const BlobInfo& blob) {
  if (blob.sha256.empty()) return nullptr;
  return {{"name", blob.name}, {"sha256", blob.sha256}, {"bytes", blob.bytes}};
}

Json ToJson(const std::vector<SampleInputInfo>& inputs) {
  Json json = Json::array();
  for (const SampleInputInfo& input : inputs) {
    json.push_back(ToJson(input.file));
    json.back()["input_name"] = input.input_name;
  }
  return json;
}

using json_parts::Dump;

}  // namespace

Json json_parts::Number(std::optional<double> value) { return OrNull(value); }
Json json_parts::Statistics(const DifferenceStatistics& s, std::optional<std::int64_t> zero_point) { return ToJson(s, zero_point); }
Json json_parts::Grid(const numerics::QuantParams& params) { return ToJson(params); }
std::optional<std::int64_t> json_parts::ZeroPointOf(const numerics::QuantParams& params) { return ZeroPoint(params); }
Json json_parts::Facts(const LayerInfo& layer) { return ToJson(layer); }
Json json_parts::Blob(const BlobInfo& blob) { return ToJson(blob); }
Json json_parts::SampleInputs(const std::vector<SampleInputInfo>& inputs) { return ToJson(inputs); }

std::string WriteStatisticsJson(const Report& report) {
  return Dump(StatisticsJson(report.result));
}

std::string WriteJson(const Report& report) {
  Json verdicts = Json::array();
  for (const TargetResult& target : report.result.targets) {
    const TargetVerdict verdict = VerdictOf(report, target);
    verdicts.push_back({{"target", verdict.target},
                        {"headline", verdict.headline},
                        {"sentences", verdict.sentences}});
  }
  const Environment& environment = report.result.environment;
  return Dump({{"schema_version", kSchemaVersion},
               {"analysis",
                {{"id", report.analysis_id},
                 {"title", report.title},
                 {"create_time", report.create_time},
                 {"run_seconds", OrNull(report.run_seconds)},
                 {"runner_peak_bytes", report.runner_peak_bytes},
                 {"units", report.units}}},
               {"inputs",
                {{"qat_model", ToJson(report.qat_model)},
                 {"converted_model", ToJson(report.converted_model)},
                 {"samples", ToJson(report.samples)},
                 {"sample_inputs", ToJson(report.sample_inputs)},
                 {"normalizations", report.normalizations},
                 {"labels", ToJson(report.labels)},
                 {"held_out", ToJson(report.held_out)},
                 {"held_out_labels", ToJson(report.held_out_labels)}}},
               {"environment",
                {{"tool_version", environment.tool_version},
                 {"libtorch_version", environment.libtorch_version},
                 {"cpu_features", environment.cpu_features},
                 {"engines", environment.engines},
                 {"batch_size", environment.batch_size},
                 {"threads", environment.threads}}},
               {"verdicts", std::move(verdicts)},
               {"statistics", StatisticsJson(report.result)}});
}

}  // namespace qatgap::report
