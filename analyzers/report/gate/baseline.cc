#include "analyzers/report/gate/baseline.h"

#include "absl/strings/str_cat.h"
#include "analyzers/report/gate/surfaces.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::report::gate {
namespace {

using Json = nlohmann::json;

constexpr int kVersion = 1;

Json ToJson(const Metrics& metrics) {
  Json json = Json::object();
  for (const auto& [name, value] : metrics) json[name] = value ? Json(*value) : Json();
  return json;
}

class Reading {
 public:
  explicit Reading(std::string_view name) : name_(name) {}

  absl::StatusOr<MeasuredReport> Read(const Json& document) {
    MeasuredReport report;
    report.name = name_;
    if (!document["qatgap_baseline"].is_number_integer() || document["qatgap_baseline"].get<std::int64_t>() != kVersion) {
      return Error("qatgap_baseline", absl::StrCat("is not ", kVersion, ", which this qatgap reads"));
    }
    report.schema_version = kVersion;
    QATGAP_ASSIGN_OR_RETURN(report.tool_version, String(document, "tool_version"));
    QATGAP_ASSIGN_OR_RETURN(const Json identity, Object(document, "identity"));
    QATGAP_RETURN_IF_ERROR(ReadIdentity(identity, report.identity));
    QATGAP_ASSIGN_OR_RETURN(const Json targets, Array(document, "targets"));
    for (const Json& member : targets) {
      MeasuredTarget target;
      QATGAP_RETURN_IF_ERROR(ReadTarget(member, target));
      report.targets.push_back(std::move(target));
    }
    QATGAP_ASSIGN_OR_RETURN(const Json findings, Array(document, "findings"));
    for (const Json& member : findings) {
      Finding finding;
      QATGAP_ASSIGN_OR_RETURN(finding.id, String(member, "id"));
      QATGAP_ASSIGN_OR_RETURN(finding.severity, String(member, "severity"));
      QATGAP_ASSIGN_OR_RETURN(finding.layer, String(member, "layer"));
      QATGAP_ASSIGN_OR_RETURN(finding.target, String(member, "target"));
      report.findings.push_back(std::move(finding));
    }
    return report;
  }

 private:
  absl::Status Error(std::string_view key, std::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat("baseline '", name_, "': '", Text(key), "' ", Text(what),
                                                   "; write it again with qatgap baseline update"));
  }
  absl::StatusOr<std::string> String(const Json& json, const char* key) const {
    if (!json.is_object() || !json.contains(key) || !json[key].is_string()) return Error(key, "is not a string");
    return json[key].get<std::string>();
  }
  absl::StatusOr<std::int64_t> Integer(const Json& json, const char* key) const {
    if (!json.is_object() || !json.contains(key) || !json[key].is_number_integer()) return Error(key, "is not an integer");
    return json[key].get<std::int64_t>();
  }
  absl::StatusOr<Json> Object(const Json& json, const char* key) const {
    if (!json.is_object() || !json.contains(key) || !json[key].is_object()) return Error(key, "is not an object");
    return json[key];
  }
  absl::StatusOr<Json> Array(const Json& json, const char* key) const {
    if (!json.is_object() || !json.contains(key) || !json[key].is_array()) return Error(key, "is not an array");
    return json[key];
  }

  absl::Status ReadIdentity(const Json& json, Identity& identity) const {
    QATGAP_ASSIGN_OR_RETURN(identity.qat_model, String(json, "qat_model"));
    QATGAP_ASSIGN_OR_RETURN(identity.converted_model, String(json, "converted_model"));
    QATGAP_ASSIGN_OR_RETURN(identity.samples, String(json, "samples"));
    QATGAP_ASSIGN_OR_RETURN(identity.labels, String(json, "labels"));
    QATGAP_ASSIGN_OR_RETURN(identity.batch_size, Integer(json, "batch_size"));
    QATGAP_ASSIGN_OR_RETURN(const std::int64_t samples, Integer(json, "sample_count"));
    if (samples < 0) return Error("sample_count", "is negative");
    identity.sample_count = static_cast<std::uint64_t>(samples);
    QATGAP_ASSIGN_OR_RETURN(const Json layers, Array(json, "layers"));
    for (const Json& layer : layers) {
      if (!layer.is_string()) return Error("layers", "holds something that is not a string");
      identity.layers.push_back(layer.get<std::string>());
    }
    return absl::OkStatus();
  }

  absl::Status ReadMetrics(const Json& json, Metrics& metrics) const {
    QATGAP_ASSIGN_OR_RETURN(const Json values, Object(json, "metrics"));
    for (const auto& [name, value] : values.items()) {
      if (!value.is_null() && !value.is_number()) return Error(name, "is not a number");
      metrics[name] = value.is_null() ? Metric() : Metric(value.get<double>());
    }
    return absl::OkStatus();
  }

  absl::Status ReadTarget(const Json& json, MeasuredTarget& target) const {
    QATGAP_ASSIGN_OR_RETURN(target.name, String(json, "name"));
    QATGAP_ASSIGN_OR_RETURN(target.digest, String(json, "digest"));
    QATGAP_RETURN_IF_ERROR(ReadMetrics(json, target.metrics));
    QATGAP_ASSIGN_OR_RETURN(const Json layers, Array(json, "layers"));
    for (const Json& member : layers) {
      MeasuredLayer layer;
      QATGAP_ASSIGN_OR_RETURN(layer.name, String(member, "name"));
      QATGAP_ASSIGN_OR_RETURN(layer.kind, String(member, "kind"));
      QATGAP_ASSIGN_OR_RETURN(layer.source_line, String(member, "source_line"));
      QATGAP_RETURN_IF_ERROR(ReadMetrics(member, layer.metrics));
      target.layers.push_back(std::move(layer));
    }
    return absl::OkStatus();
  }

  std::string name_;
};

}  // namespace

absl::StatusOr<MeasuredReport> ReadBaseline(const Json& document, std::string_view name) { return Reading(name).Read(document); }

std::string WriteBaseline(const MeasuredReport& report) {
  Json targets = Json::array();
  for (const MeasuredTarget& target : report.targets) {
    Json layers = Json::array();
    for (const MeasuredLayer& layer : target.layers) {
      layers.push_back({{"name", layer.name}, {"kind", layer.kind}, {"source_line", layer.source_line},
                        {"metrics", ToJson(layer.metrics)}});
    }
    targets.push_back({{"name", target.name}, {"digest", target.digest}, {"metrics", ToJson(target.metrics)},
                       {"layers", std::move(layers)}});
  }
  Json findings = Json::array();
  for (const Finding& finding : report.findings) {
    findings.push_back({{"id", finding.id}, {"severity", finding.severity}, {"layer", finding.layer},
                        {"target", finding.target}});
  }
  const Identity& identity = report.identity;
  const Json document{{"qatgap_baseline", kVersion},
                      {"tool_version", report.tool_version},
                      {"identity",
                       {{"qat_model", identity.qat_model},
                        {"converted_model", identity.converted_model},
                        {"samples", identity.samples},
                        {"labels", identity.labels},
                        {"layers", identity.layers},
                        {"sample_count", identity.sample_count},
                        {"batch_size", identity.batch_size}}},
                      {"targets", std::move(targets)},
                      {"findings", std::move(findings)}};
  return document.dump(1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n";
}

}  // namespace qatgap::report::gate
