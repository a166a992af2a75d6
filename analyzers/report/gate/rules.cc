#include "analyzers/report/gate/rules.h"

#include <algorithm>
#include <array>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "analyzers/numerics/yaml_section.h"
#include "analyzers/report/gate/measured_report.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::report::gate {
namespace {

using numerics::YamlSection;

constexpr std::size_t kMaxBytes = std::size_t{256} << 10U;
constexpr std::size_t kMaxEntries = 1000;

struct LevelName {
  std::string_view name;
  Level value;
};
constexpr std::array<LevelName, 2> kLevels = {{{"warn", Level::kWarn}, {"error", Level::kError}}};

// Keys are checked here and not by YamlSection alone, which cannot name the nearest one.
absl::Status CheckKeys(const YamlSection& section, std::initializer_list<std::string_view> known) {
  const absl::StatusOr<std::vector<std::string>> keys = section.Keys();
  if (!keys.ok()) return keys.status();
  for (const std::string& key : *keys) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    const std::vector<std::string> names(known.begin(), known.end());
    return section.Error(key, absl::StrCat("is not a key; did you mean '", Nearest(key, names), "'?"));
  }
  return section.CheckKeys(known);
}

absl::StatusOr<std::vector<std::string>> Names(const YamlSection& section, std::string_view key) {
  if (!section.Has(key)) return std::vector<std::string>();
  return section.Strings(key, kMaxEntries);
}

absl::StatusOr<std::optional<double>> Limit(const YamlSection& section, std::string_view key) {
  if (!section.Has(key)) return std::optional<double>();
  QATGAP_ASSIGN_OR_RETURN(const double value, section.Number(key));
  return std::optional<double>(value);
}

absl::StatusOr<Rule> ReadRule(const YamlSection& section) {
  QATGAP_RETURN_IF_ERROR(CheckKeys(section, {"name", "metric", "layers", "kinds", "targets", "level", "must_match", "max",
                                             "min", "max_increase", "max_decrease", "max_ratio"}));
  Rule rule;
  QATGAP_ASSIGN_OR_RETURN(rule.metric, section.String("metric"));
  // Both are written: the pair whose name may be left out.
  constexpr std::string_view kLong = "outputs.target.";
  if (rule.metric.starts_with(kLong)) rule.metric = "outputs." + rule.metric.substr(kLong.size());
  const MetricName* metric = FindMetric(rule.metric);
  if (metric == nullptr) {
    return section.Error("metric", absl::StrCat("is ", YamlSection::Quoted(rule.metric), ", which is no metric; did you mean '",
                                                NearestMetric(rule.metric), "'? docs/gate.md lists them"));
  }
  rule.name = rule.metric;
  if (section.Has("name")) {
    QATGAP_ASSIGN_OR_RETURN(rule.name, section.String("name"));
  }
  QATGAP_ASSIGN_OR_RETURN(rule.layers, Names(section, "layers"));
  QATGAP_ASSIGN_OR_RETURN(rule.kinds, Names(section, "kinds"));
  QATGAP_ASSIGN_OR_RETURN(rule.targets, Names(section, "targets"));
  if (!metric->of_layer && !(rule.layers.empty() && rule.kinds.empty())) {
    return section.Error("metric", absl::StrCat("'", rule.metric, "' is one of the whole model, and the rule names layers or "
                                                "kinds; take them out, or choose a metric of layers"));
  }
  if (section.Has("level")) {
    QATGAP_ASSIGN_OR_RETURN(rule.level, section.Enum("level", kLevels));
  }
  if (section.Has("must_match")) {
    QATGAP_ASSIGN_OR_RETURN(rule.must_match, section.Bool("must_match"));
  }
  QATGAP_ASSIGN_OR_RETURN(rule.max, Limit(section, "max"));
  QATGAP_ASSIGN_OR_RETURN(rule.min, Limit(section, "min"));
  QATGAP_ASSIGN_OR_RETURN(rule.max_increase, Limit(section, "max_increase"));
  QATGAP_ASSIGN_OR_RETURN(rule.max_decrease, Limit(section, "max_decrease"));
  QATGAP_ASSIGN_OR_RETURN(rule.max_ratio, Limit(section, "max_ratio"));
  if (!rule.max && !rule.min && !rule.max_increase && !rule.max_decrease && !rule.max_ratio) {
    return section.Error("metric", absl::StrCat("'", rule.metric, "' has no limit; give one of max, min, max_increase, "
                                                "max_decrease, max_ratio"));
  }
  return rule;
}

bool IsDate(const std::string& text) {
  if (text.size() != 10) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 4 || i == 7;
    if (dash ? text[i] != '-' : text[i] < '0' || text[i] > '9') return false;
  }
  const std::string month = text.substr(5, 2), day = text.substr(8, 2);
  return month >= "01" && month <= "12" && day >= "01" && day <= "31";
}

absl::StatusOr<Waiver> ReadWaiver(const YamlSection& section) {
  QATGAP_RETURN_IF_ERROR(CheckKeys(section, {"rule", "layers", "targets", "reason", "expires"}));
  Waiver waiver;
  QATGAP_ASSIGN_OR_RETURN(waiver.rule, section.String("rule"));
  QATGAP_ASSIGN_OR_RETURN(waiver.layers, Names(section, "layers"));
  QATGAP_ASSIGN_OR_RETURN(waiver.targets, Names(section, "targets"));
  QATGAP_ASSIGN_OR_RETURN(waiver.reason, section.String("reason"));
  QATGAP_ASSIGN_OR_RETURN(waiver.expires, section.String("expires"));
  if (!IsDate(waiver.expires)) {
    return section.Error("expires", absl::StrCat("is ", YamlSection::Quoted(waiver.expires), "; give a date as 2027-01-31"));
  }
  return waiver;
}

void AddRule(Rules& rules, Rule rule) {
  const auto same = std::find_if(rules.rules.begin(), rules.rules.end(), [&](const Rule& r) { return r.name == rule.name; });
  if (same == rules.rules.end()) {
    rules.rules.push_back(std::move(rule));
  } else {
    *same = std::move(rule);
  }
}

absl::Status ReadRules(const YamlSection& section, Rules& rules) {
  QATGAP_RETURN_IF_ERROR(CheckKeys(section, {"version", "preset", "rules", "waivers"}));
  if (const auto version = section.Integer("version", 1, 1); !version.ok()) return version.status();
  if (section.Has("preset")) {
    QATGAP_ASSIGN_OR_RETURN(rules.preset, section.String("preset"));
    const std::string_view text = Preset(rules.preset);
    if (text.empty()) {
      return section.Error("preset", absl::StrCat("is ", YamlSection::Quoted(rules.preset), "; presets: ",
                                                  absl::StrJoin(PresetNames(), ", ")));
    }
    QATGAP_ASSIGN_OR_RETURN(Rules preset, ParseRules(text, absl::StrCat("preset ", rules.preset)));
    rules.rules = std::move(preset.rules);
  }
  std::set<std::string> names;
  if (section.Has("rules")) {
    QATGAP_ASSIGN_OR_RETURN(const auto entries, section.Children("rules", kMaxEntries));
    for (const YamlSection& entry : entries) {
      QATGAP_ASSIGN_OR_RETURN(Rule rule, ReadRule(entry));
      if (!names.insert(rule.name).second) {
        return entry.Error("name", absl::StrCat("'", rule.name, "' is that of an earlier rule; give each its own name"));
      }
      AddRule(rules, std::move(rule));
    }
  }
  if (rules.rules.empty()) return section.Error("rules", "is empty and there is no preset: nothing would be checked");
  if (!section.Has("waivers")) return absl::OkStatus();
  QATGAP_ASSIGN_OR_RETURN(const auto entries, section.Children("waivers", kMaxEntries));
  for (const YamlSection& entry : entries) {
    QATGAP_ASSIGN_OR_RETURN(Waiver waiver, ReadWaiver(entry));
    std::vector<std::string> known{"*"};
    for (const Rule& rule : rules.rules) known.push_back(rule.name);
    if (std::find(known.begin(), known.end(), waiver.rule) == known.end()) {
      return entry.Error("rule", absl::StrCat("is ", YamlSection::Quoted(waiver.rule), ", which is no rule; did you mean '",
                                              Nearest(waiver.rule, known), "'?"));
    }
    rules.waivers.push_back(std::move(waiver));
  }
  return absl::OkStatus();
}

// Limits that mean something on any model: what a team starts from. What the demo models measure: docs/gate.md.
constexpr std::string_view kStrict = R"(version: 1
rules:
  - {name: no findings of severity error, metric: findings.error, max: 0}
  - {name: no saturated bias, metric: bias.saturated_channels, max: 0}
  - {name: everything is analysed, metric: coverage, min: 1}
  - {name: bias rounding, metric: injected.bias_rounding.changed_rate, max: 0.01}
  - {name: bias rounding is one step, metric: injected.bias_rounding.max_lsb, max: 1}
  - {name: accumulator, metric: injected.accumulator.changed_rate, max: 0}
  - {name: requantization is one step, metric: injected.requantization.max_lsb, max: 1}
  - {name: answers, metric: outputs.top1_changed_rate, max: 0.02}
)";
constexpr std::string_view kDefault = R"(version: 1
rules:
  - {name: no findings of severity error, metric: findings.error, max: 0}
  - {name: no saturated bias, metric: bias.saturated_channels, max: 0}
  - {name: everything is analysed, metric: coverage, min: 1, level: warn}
  - {name: bias rounding, metric: injected.bias_rounding.changed_rate, max: 0.02}
  - {name: accumulator, metric: injected.accumulator.changed_rate, max: 0.001}
  - {name: requantization, metric: injected.requantization.changed_rate, max: 0.05, level: warn}
  - {name: answers, metric: outputs.top1_changed_rate, max: 0.02}
)";
constexpr std::string_view kRatchet = R"(version: 1
rules:
  - {name: no more findings of severity error, metric: findings.error, max_increase: 0}
  - {name: no more saturated biases, metric: bias.saturated_channels, max_increase: 0}
  - {name: coverage, metric: coverage, max_decrease: 0}
  - {name: bias rounding, metric: injected.bias_rounding.changed_rate, max_increase: 0.001}
  - {name: accumulator, metric: injected.accumulator.changed_rate, max_increase: 0.001}
  - {name: requantization, metric: injected.requantization.changed_rate, max_increase: 0.005}
  - {name: layer in all, metric: injected.total.mean_absolute_lsb, max_increase: 0.05}
  - {name: answers, metric: outputs.top1_changed_rate, max_increase: 0.005}
)";

}  // namespace

std::string_view ToString(Level level) { return level == Level::kWarn ? "warn" : "error"; }

std::string_view Preset(std::string_view name) {
  if (name == "strict") return kStrict;
  if (name == "default") return kDefault;
  if (name == "ratchet") return kRatchet;
  return "";
}

std::vector<std::string> PresetNames() { return {"strict", "default", "ratchet"}; }

absl::StatusOr<Rules> ParseRules(std::string_view yaml, std::string_view name) {
  Rules rules;
  rules.name = name;
  QATGAP_RETURN_IF_ERROR(numerics::ReadYaml(yaml, name, kMaxBytes,
                                            [&](const YamlSection& section) { return ReadRules(section, rules); }));
  return rules;
}

bool GlobMatches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace qatgap::report::gate
