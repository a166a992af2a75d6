#include "analyzers/report/gate/measured_report.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "analyzers/report/gate/baseline.h"
#include "analyzers/report/gate/statistic_names.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"
#include "nlohmann/json.hpp"

namespace qatgap::report::gate {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxBytes = std::size_t{256} << 20U;
constexpr int kMaxDepth = 16;

// One value of the document and the way to it, for messages: "report.json: statistics.targets[0].name".
class Member {
 public:
  Member(const Json& json, std::string path) : json_(&json), path_(std::move(path)) {}

  absl::Status Error(std::string_view what) const { return absl::InvalidArgumentError(absl::StrCat(path_, " ", Text(what))); }

  absl::StatusOr<Member> Child(const char* key) const {
    if (!json_->is_object()) return Error("is not an object");
    const auto it = json_->find(key);
    if (it == json_->end()) return Error(absl::StrCat("lacks the member '", key, "'; give a report that qatgap wrote"));
    return Member(*it, absl::StrCat(path_, ".", key));
  }
  bool Has(const char* key) const { return json_->is_object() && json_->contains(key) && !(*json_)[key].is_null(); }

  absl::StatusOr<std::vector<Member>> Items() const {
    if (!json_->is_array()) return Error("is not an array");
    std::vector<Member> items;
    for (std::size_t i = 0; i < json_->size(); ++i) items.emplace_back((*json_)[i], absl::StrCat(path_, "[", i, "]"));
    return items;
  }
  absl::StatusOr<std::vector<Member>> Items(const char* key) const {
    QATGAP_ASSIGN_OR_RETURN(const Member child, Child(key));
    return child.Items();
  }
  absl::StatusOr<std::string> String(const char* key) const {
    QATGAP_ASSIGN_OR_RETURN(const Member child, Child(key));
    if (!child.json_->is_string()) return child.Error("is not a string");
    return child.json_->get<std::string>();
  }
  std::string StringOr(const char* key, std::string fallback) const {
    return Has(key) && (*json_)[key].is_string() ? (*json_)[key].get<std::string>() : fallback;
  }
  absl::StatusOr<std::int64_t> Integer(const char* key) const {
    QATGAP_ASSIGN_OR_RETURN(const Member child, Child(key));
    if (!child.json_->is_number_integer()) return child.Error("is not an integer");
    return child.json_->get<std::int64_t>();
  }
  // null: absent.
  absl::StatusOr<Metric> Number(const char* key) const {
    QATGAP_ASSIGN_OR_RETURN(const Member child, Child(key));
    if (child.json_->is_null()) return Metric();
    if (!child.json_->is_number()) return child.Error("is not a number");
    return Metric(child.json_->get<double>());
  }
  const Json& json() const { return *json_; }

 private:
  const Json* json_;
  std::string path_;
};

std::string Key(const std::string& prefix, std::string_view name) { return absl::StrCat(prefix, Text(name)); }

// Figures of one difference; `member` null: every one absent.
absl::Status ReadStatistics(const Member& member, const std::string& prefix, Metrics& metrics) {
  for (const Statistic& statistic : kStatistics) {
    Metric value;
    if (!member.json().is_null()) {
      QATGAP_ASSIGN_OR_RETURN(value, member.Number(std::string(statistic.member).c_str()));
    }
    metrics[Key(prefix, statistic.name)] = value;
  }
  return absl::OkStatus();
}

// `worse` into `into` where it is worse.
void KeepWorst(const Metrics& other, const std::string& prefix, Metrics& into) {
  for (const Statistic& statistic : kStatistics) {
    const std::string key = Key(prefix, statistic.name);
    Metric& kept = into[key];
    const Metric value = other.at(key);
    if (!value) continue;
    const bool signed_mean = statistic.name == "mean_lsb";
    const double v = signed_mean ? std::abs(*value) : *value, k = kept ? (signed_mean ? std::abs(*kept) : *kept) : 0;
    if (!kept || (statistic.larger_is_worse ? v > k : v < k)) kept = value;
  }
}

absl::Status ReadBias(const Member& layer, Metrics& metrics) {
  QATGAP_ASSIGN_OR_RETURN(const Member channels, layer.Child("channels"));
  QATGAP_ASSIGN_OR_RETURN(const auto saturated, channels.Items("bias_saturated"));
  QATGAP_ASSIGN_OR_RETURN(const auto residuals, channels.Items("bias_residual_lsb"));
  double count = 0, largest = 0;
  for (const Member& channel : saturated) {
    if (!channel.json().is_boolean()) return channel.Error("is not true or false");
    count += channel.json().get<bool>() ? 1 : 0;
  }
  for (const Member& channel : residuals) {
    if (channel.json().is_null()) continue;
    if (!channel.json().is_number()) return channel.Error("is not a number");
    largest = std::max(largest, std::abs(channel.json().get<double>()));
  }
  metrics["bias.saturated_channels"] = count;
  metrics["bias.max_residual_lsb"] = largest;
  return absl::OkStatus();
}

const ComparisonName* NameOf(const std::string& path, const std::string& reference) {
  const auto it = std::find_if(kComparisons.begin(), kComparisons.end(), [&](const ComparisonName& c) {
    return c.path == path && c.reference == reference;
  });
  return it == kComparisons.end() ? nullptr : &*it;
}

absl::Status ReadComparison(const Member& member, double samples, MeasuredTarget& target) {
  QATGAP_ASSIGN_OR_RETURN(const std::string path, member.String("path"));
  QATGAP_ASSIGN_OR_RETURN(const std::string reference, member.String("reference"));
  const ComparisonName* name = NameOf(path, reference);
  if (name == nullptr) return absl::OkStatus();  // of a newer version
  const std::string prefix = name->name == "target" ? "outputs." : absl::StrCat("outputs.", Text(name->name), ".");
  QATGAP_ASSIGN_OR_RETURN(const auto outputs, member.Items("outputs"));
  for (const Member& output : outputs) {
    Metrics metrics;
    QATGAP_RETURN_IF_ERROR(ReadStatistics(output, prefix, metrics));
    KeepWorst(metrics, prefix, target.metrics);
  }
  QATGAP_ASSIGN_OR_RETURN(const Metric top1, member.Number("top1_changed"));
  target.metrics[prefix + "top1_changed_rate"] = top1 && samples > 0 ? Metric(*top1 / samples) : Metric();
  QATGAP_ASSIGN_OR_RETURN(const auto layers, member.Items("layers"));
  for (const Member& layer : layers) {
    QATGAP_ASSIGN_OR_RETURN(const std::string layer_name, layer.String("layer"));
    Metrics metrics;
    QATGAP_RETURN_IF_ERROR(ReadStatistics(layer, absl::StrCat("accumulated.", Text(name->name), "."), metrics));
    // The accumulated view has one figure a layer: it stands with the layer's first reaching input.
    const auto it = std::find_if(target.layers.begin(), target.layers.end(),
                                 [&](const MeasuredLayer& known) { return known.name == layer_name; });
    if (it != target.layers.end()) it->metrics.merge(metrics);
  }
  return absl::OkStatus();
}

absl::Status ReadAccuracies(const Member& member, MeasuredTarget& target) {
  QATGAP_ASSIGN_OR_RETURN(const auto accuracies, member.Items("accuracies"));
  Metrics rates;
  for (const Member& accuracy : accuracies) {
    QATGAP_ASSIGN_OR_RETURN(const std::string path, accuracy.String("path"));
    QATGAP_ASSIGN_OR_RETURN(rates[path], accuracy.Number("rate"));
  }
  const auto reference = rates.find("fake_quant");
  for (const auto& [path, rate] : rates) {
    target.metrics["accuracy." + path] = rate;
    if (path == "fake_quant") continue;
    const bool known = reference != rates.end() && reference->second && rate;
    target.metrics["accuracy_drop." + path] = known ? Metric(*reference->second - *rate) : Metric();
  }
  return absl::OkStatus();
}

absl::Status ReadTarget(const Member& member, const std::map<std::string, std::pair<std::string, std::string>>& layers,
                        double samples, MeasuredTarget& target) {
  QATGAP_ASSIGN_OR_RETURN(target.name, member.String("name"));
  QATGAP_ASSIGN_OR_RETURN(target.digest, member.String("digest"));
  QATGAP_ASSIGN_OR_RETURN(const auto results, member.Items("layers"));
  for (const Member& result : results) {
    MeasuredLayer layer;
    QATGAP_ASSIGN_OR_RETURN(layer.name, result.String("layer"));
    if (const auto it = layers.find(layer.name); it != layers.end()) std::tie(layer.kind, layer.source_line) = it->second;
    QATGAP_ASSIGN_OR_RETURN(const std::int64_t input, result.Integer("input_index"));
    if (input != 0) absl::StrAppend(&layer.name, " (input ", input, ")");
    QATGAP_ASSIGN_OR_RETURN(const Member causes, result.Child("causes"));
    if (!causes.json().is_object()) return causes.Error("is not an object");
    for (const auto& [cause, ignored] : causes.json().items()) {
      QATGAP_ASSIGN_OR_RETURN(const Member statistics, causes.Child(cause.c_str()));
      QATGAP_RETURN_IF_ERROR(ReadStatistics(statistics, absl::StrCat("injected.", cause, "."), layer.metrics));
    }
    QATGAP_RETURN_IF_ERROR(ReadBias(result, layer.metrics));
    target.layers.push_back(std::move(layer));
  }
  QATGAP_ASSIGN_OR_RETURN(const auto comparisons, member.Items("comparisons"));
  for (const Member& comparison : comparisons) QATGAP_RETURN_IF_ERROR(ReadComparison(comparison, samples, target));
  QATGAP_RETURN_IF_ERROR(ReadAccuracies(member, target));
  QATGAP_ASSIGN_OR_RETURN(const Member coverage, member.Child("coverage"));
  QATGAP_ASSIGN_OR_RETURN(const std::int64_t analysed, coverage.Integer("analysed"));
  QATGAP_ASSIGN_OR_RETURN(const std::int64_t all, coverage.Integer("mac_layers"));
  target.metrics["coverage"] = all > 0 ? Metric(static_cast<double>(analysed) / static_cast<double>(all)) : Metric();
  return absl::OkStatus();
}

absl::Status ReadFindings(const Member& statistics, MeasuredReport& report) {
  QATGAP_ASSIGN_OR_RETURN(const auto findings, statistics.Items("findings"));
  for (const Member& member : findings) {
    Finding finding;
    QATGAP_ASSIGN_OR_RETURN(finding.id, member.String("id"));
    QATGAP_ASSIGN_OR_RETURN(finding.severity, member.String("severity"));
    finding.layer = member.StringOr("layer", "");
    finding.target = member.StringOr("target", "");
    finding.title = member.StringOr("title", "");
    finding.detail = member.StringOr("detail", "");
    finding.advice = member.StringOr("advice", "");
    report.findings.push_back(std::move(finding));
  }
  for (MeasuredTarget& target : report.targets) {
    for (const char* severity : {"error", "warning", "info"}) target.metrics[absl::StrCat("findings.", severity)] = 0;
    for (const Finding& finding : report.findings) {
      if (!finding.target.empty() && finding.target != target.name) continue;
      for (const std::string& key : {"findings." + finding.severity, "findings." + finding.id}) {
        Metric& count = target.metrics[key];
        count = count.value_or(0) + 1;
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Digest(const Member& inputs, const char* key) {
  if (!inputs.Has(key)) return std::string();
  QATGAP_ASSIGN_OR_RETURN(const Member input, inputs.Child(key));
  return input.String("sha256");
}

absl::Status ReadIdentity(const Member& inputs, const Member& statistics, Identity& identity) {
  QATGAP_ASSIGN_OR_RETURN(identity.qat_model, Digest(inputs, "qat_model"));
  QATGAP_ASSIGN_OR_RETURN(identity.converted_model, Digest(inputs, "converted_model"));
  QATGAP_ASSIGN_OR_RETURN(identity.samples, Digest(inputs, "samples"));
  QATGAP_ASSIGN_OR_RETURN(identity.labels, Digest(inputs, "labels"));
  QATGAP_ASSIGN_OR_RETURN(const std::int64_t samples, statistics.Integer("samples"));
  QATGAP_ASSIGN_OR_RETURN(identity.batch_size, statistics.Integer("batch_size"));
  identity.sample_count = static_cast<std::uint64_t>(std::max<std::int64_t>(samples, 0));
  return absl::OkStatus();
}

absl::StatusOr<MeasuredReport> Read(const Member& document, std::string_view name) {
  MeasuredReport report;
  report.name = name;
  QATGAP_ASSIGN_OR_RETURN(report.schema_version, document.Integer("schema_version"));
  if (report.schema_version != 1) {
    return document.Error(absl::StrCat("has schema_version ", report.schema_version, "; this qatgap reads 1"));
  }
  QATGAP_ASSIGN_OR_RETURN(const Member analysis, document.Child("analysis"));
  report.analysis_id = analysis.StringOr("id", "");
  QATGAP_ASSIGN_OR_RETURN(const Member environment, document.Child("environment"));
  report.tool_version = environment.StringOr("tool_version", "");
  QATGAP_ASSIGN_OR_RETURN(const Member inputs, document.Child("inputs"));
  QATGAP_ASSIGN_OR_RETURN(const Member statistics, document.Child("statistics"));
  QATGAP_RETURN_IF_ERROR(ReadIdentity(inputs, statistics, report.identity));
  std::map<std::string, std::pair<std::string, std::string>> facts;
  QATGAP_ASSIGN_OR_RETURN(const auto layers, statistics.Items("layers"));
  for (const Member& layer : layers) {
    QATGAP_ASSIGN_OR_RETURN(const std::string layer_name, layer.String("name"));
    QATGAP_ASSIGN_OR_RETURN(const std::string kind, layer.String("kind"));
    QATGAP_ASSIGN_OR_RETURN(const Member shape, layer.Child("weight_shape"));
    report.identity.layers.push_back(absl::StrCat(layer_name, " ", kind, " ", shape.json().dump()));
    facts[layer_name] = {kind, layer.StringOr("source_line", "")};
  }
  QATGAP_ASSIGN_OR_RETURN(const auto targets, statistics.Items("targets"));
  for (const Member& member : targets) {
    MeasuredTarget target;
    QATGAP_RETURN_IF_ERROR(ReadTarget(member, facts, static_cast<double>(report.identity.sample_count), target));
    report.targets.push_back(std::move(target));
  }
  QATGAP_RETURN_IF_ERROR(ReadFindings(statistics, report));
  return report;
}

}  // namespace

absl::StatusOr<MeasuredReport> ReadReport(std::string_view json, std::string_view name) {
  if (json.size() > kMaxBytes) {
    return absl::InvalidArgumentError(absl::StrCat("'", Text(name), "' has ", json.size(), " bytes; at most ", kMaxBytes,
                                                   " are read"));
  }
  bool too_deep = false;
  const auto limit = [&](int depth, Json::parse_event_t, Json&) {
    too_deep = too_deep || depth > kMaxDepth;
    return !too_deep;
  };
  const Json document = Json::parse(json.begin(), json.end(), limit, /*allow_exceptions=*/false);
  if (document.is_discarded() || too_deep || !document.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat("'", Text(name), "' is not a report: ",
                                                   too_deep ? "it is nested too deeply" : "it is not a JSON object",
                                                   "; write one with qatgap analyze --json"));
  }
  const Member root(document, absl::StrCat("'", Text(name), "':"));
  return document.contains("qatgap_baseline") ? ReadBaseline(document, name) : Read(root, name);
}

}  // namespace qatgap::report::gate
