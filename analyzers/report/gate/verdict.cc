#include "analyzers/report/gate/verdict.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "analyzers/report/gate/comparability.h"
#include "analyzers/report/gate/explanation.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::report::gate {
namespace {

bool MatchesAny(const std::vector<std::string>& patterns, std::string_view text) {
  return patterns.empty() || std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
           return GlobMatches(pattern, text);
         });
}

const MeasuredTarget* Find(const std::vector<MeasuredTarget>& targets, const std::string& name) {
  const auto it = std::find_if(targets.begin(), targets.end(), [&](const MeasuredTarget& t) { return t.name == name; });
  return it == targets.end() ? nullptr : &*it;
}

const MeasuredLayer* Find(const MeasuredTarget* target, const std::string& name) {
  if (target == nullptr) return nullptr;
  const auto it = std::find_if(target->layers.begin(), target->layers.end(),
                               [&](const MeasuredLayer& layer) { return layer.name == name; });
  return it == target->layers.end() ? nullptr : &*it;
}

Metric ValueOf(const Metrics* metrics, const std::string& name) {
  if (metrics == nullptr) return std::nullopt;
  const auto it = metrics->find(name);
  return it == metrics->end() ? std::nullopt : it->second;
}

// SQNR and cosine of equal streams are not defined: nothing can be better.
bool UndefinedBecauseEqual(const Metrics& metrics, const std::string& name) {
  const std::size_t dot = name.rfind('.');
  const std::string statistic = name.substr(dot + 1);
  if (statistic != "sqnr_db" && statistic != "cosine") return false;
  const Metric changed = ValueOf(&metrics, name.substr(0, dot) + ".changed");
  return changed.has_value() && *changed == 0;
}

std::string Number(double value) { return absl::StrCat(value); }

// The first limit that is broken, as words; the first limit of all when none is.
struct Limits {
  std::string broken, first;

  void Add(std::string words, bool is_broken) {
    if (first.empty()) first = words;
    if (is_broken && broken.empty()) broken = std::move(words);
  }
};

Limits Hold(const Rule& rule, double found, std::optional<double> baseline) {
  Limits limits;
  if (rule.max) limits.Add(absl::StrCat("max ", Number(*rule.max)), found > *rule.max);
  if (rule.min) limits.Add(absl::StrCat("min ", Number(*rule.min)), found < *rule.min);
  if (rule.max_increase) {
    limits.Add(absl::StrCat("max increase ", Number(*rule.max_increase)), found - baseline.value() > *rule.max_increase);
  }
  if (rule.max_decrease) {
    limits.Add(absl::StrCat("max decrease ", Number(*rule.max_decrease)), baseline.value() - found > *rule.max_decrease);
  }
  if (rule.max_ratio) {
    const bool broken = baseline.value() == 0 ? found != 0 : std::abs(found) / std::abs(*baseline) > *rule.max_ratio;
    limits.Add(absl::StrCat("max ratio ", Number(*rule.max_ratio)), broken);
  }
  return limits;
}

bool ComparesWithBaseline(const Rule& rule) { return rule.max_increase || rule.max_decrease || rule.max_ratio; }

class Gate {
 public:
  Gate(const MeasuredReport& report, const std::optional<MeasuredReport>& baseline, const Rules& rules, std::string_view today)
      : report_(report), baseline_(baseline), rules_(rules), today_(today), waiver_used_(rules.waivers.size(), false) {}

  absl::StatusOr<GateResult> Run() {
    result_.report_name = report_.name;
    result_.rules_name = rules_.name;
    if (baseline_) {
      result_.baseline_name = baseline_->name;
      result_.not_comparable = WhyNotComparable(*baseline_, report_);
      result_.accept_command = absl::StrCat("qatgap baseline update --report ", report_.name, " --baseline ", baseline_->name);
    }
    for (const Rule& rule : rules_.rules) QATGAP_RETURN_IF_ERROR(Apply(rule));
    if (result_.checks.empty() && result_.not_comparable.empty()) {
      result_.not_comparable.push_back("nothing was checked: no rule matched a figure of the report");
    }
    NoteWaivers();
    std::stable_sort(result_.checks.begin(), result_.checks.end(), [](const Check& a, const Check& b) {
      return Rank(a.outcome) < Rank(b.outcome);
    });
    const bool failed = !result_.checks.empty() && result_.checks.front().outcome == CheckOutcome::kFail;
    result_.verdict = !result_.not_comparable.empty() ? Verdict::kNotComparable : failed ? Verdict::kFail : Verdict::kPass;
    return std::move(result_);
  }

 private:
  static int Rank(CheckOutcome outcome) {
    switch (outcome) {
      case CheckOutcome::kFail:
        return 0;
      case CheckOutcome::kWarn:
        return 1;
      case CheckOutcome::kWaived:
        return 2;
      case CheckOutcome::kPass:
        break;
    }
    return 3;
  }

  absl::Status Apply(const Rule& rule) {
    if (ComparesWithBaseline(rule) && !baseline_) {
      return absl::InvalidArgumentError(absl::StrCat("rule '", rule.name, "' of '", rules_.name, "' compares with a baseline, "
                                                     "and none was given; give --baseline, or a rule with max or min"));
    }
    const bool of_layer = FindMetric(rule.metric)->of_layer;
    bool matched_target = false, matched = false;
    for (const MeasuredTarget& target : report_.targets) {
      if (!MatchesAny(rule.targets, target.name)) continue;
      matched_target = true;
      const MeasuredTarget* before = baseline_ ? Find(baseline_->targets, target.name) : nullptr;
      if (!of_layer) {
        matched = true;
        CheckOne(rule, target, before, nullptr, target.metrics, before == nullptr ? nullptr : &before->metrics);
        continue;
      }
      for (const MeasuredLayer& layer : target.layers) {
        if (!MatchesAny(rule.layers, layer.name) || !MatchesAny(rule.kinds, layer.kind)) continue;
        // The accumulated view stands with a layer's first reaching input.
        if (rule.metric.starts_with("accumulated.") && !layer.metrics.contains(rule.metric) && layer.name.ends_with(")")) continue;
        matched = true;
        const MeasuredLayer* layer_before = Find(before, layer.name);
        // Said once by CompareLayers, not again for each rule.
        if (layer_before == nullptr && ComparesWithBaseline(rule) && !result_.not_comparable.empty()) continue;
        CheckOne(rule, target, before, &layer, layer.metrics, layer_before == nullptr ? nullptr : &layer_before->metrics);
      }
    }
    return matched || !rule.must_match ? absl::OkStatus() : Unmatched(rule, matched_target);
  }

  // What the rule names and the report lacks: targets, else layers, else kinds; with the nearest that there is.
  absl::Status Unmatched(const Rule& rule, bool matched_target) const {
    std::set<std::string> targets, layers, kinds;
    bool matched_layer = false;
    for (const MeasuredTarget& target : report_.targets) {
      targets.insert(target.name);
      for (const MeasuredLayer& layer : target.layers) {
        layers.insert(layer.name);
        kinds.insert(layer.kind);
        matched_layer = matched_layer || MatchesAny(rule.layers, layer.name);
      }
    }
    const std::string what = !matched_target ? "target" : !matched_layer ? "layer" : "layer of kind";
    const std::vector<std::string>& wanted = !matched_target ? rule.targets : !matched_layer ? rule.layers : rule.kinds;
    const std::set<std::string>& there = !matched_target ? targets : !matched_layer ? layers : kinds;
    return absl::InvalidArgumentError(absl::StrCat(
        "rule '", rule.name, "' of '", rules_.name, "' matches no ", what,
        wanted.empty() ? "" : absl::StrCat(" (", absl::StrJoin(wanted, ", "), ")"),
        wanted.empty() || there.empty() ? "" : absl::StrCat("; the nearest is '", Nearest(wanted.front(), {there.begin(), there.end()}), "'"),
        "; mend the rule, or give it must_match: false"));
  }

  void CheckOne(const Rule& rule, const MeasuredTarget& target, const MeasuredTarget* target_before, const MeasuredLayer* layer,
                const Metrics& metrics, const Metrics* before) {
    Check check{.rule = rule.name, .metric = rule.metric, .level = rule.level, .target = target.name};
    if (layer != nullptr) {
      check.layer = layer->name;
      check.source_line = layer->source_line;
    }
    check.found = ValueOf(&metrics, rule.metric);
    check.baseline = ValueOf(before, rule.metric);
    // A count of a finding that is not there is 0.
    if (!check.found && rule.metric.starts_with("findings.QG")) check.found = 0;
    if (before != nullptr && !check.baseline && rule.metric.starts_with("findings.QG")) check.baseline = 0;
    if (!check.found || !std::isfinite(*check.found)) {
      if (!check.found && UndefinedBecauseEqual(metrics, rule.metric)) {
        check.limit = "bit exact";
        result_.checks.push_back(std::move(check));
        return;
      }
      result_.not_comparable.push_back(absl::StrCat("the report has no value of ", rule.metric, " for ", Where(check)));
      return;
    }
    if (ComparesWithBaseline(rule) && (!check.baseline || !std::isfinite(*check.baseline))) {
      result_.not_comparable.push_back(absl::StrCat("the baseline has no value of ", rule.metric, " for ", Where(check)));
      return;
    }
    if (check.baseline) check.delta = *check.found - *check.baseline;
    Limits limits = Hold(rule, *check.found, check.baseline);
    check.limit = limits.broken.empty() ? limits.first : limits.broken;
    if (!limits.broken.empty()) {
      check.outcome = rule.level == Level::kError ? CheckOutcome::kFail : CheckOutcome::kWarn;
      Explain({.report = report_, .target = target, .target_before = target_before,
               .layer = layer == nullptr ? nullptr : &layer->metrics, .layer_before = layer == nullptr ? nullptr : before}, check);
      Waive(check);
    }
    result_.checks.push_back(std::move(check));
  }

  static std::string Where(const Check& check) {
    return check.layer.empty() ? absl::StrCat("target ", check.target)
                               : absl::StrCat("layer '", check.layer, "' under ", check.target);
  }

  void Waive(Check& check) {
    for (std::size_t i = 0; i < rules_.waivers.size(); ++i) {
      const Waiver& waiver = rules_.waivers[i];
      if ((waiver.rule != "*" && waiver.rule != check.rule) || !MatchesAny(waiver.targets, check.target)) continue;
      if (!waiver.layers.empty() && !MatchesAny(waiver.layers, check.layer)) continue;
      waiver_used_[i] = true;
      if (waiver.expires < today_) {
        result_.notes.push_back(absl::StrCat("the waiver of rule '", waiver.rule, "' (", waiver.reason, ") expired on ",
                                             waiver.expires));
        continue;
      }
      check.outcome = CheckOutcome::kWaived;
      check.waiver_reason = absl::StrCat(waiver.reason, " (until ", waiver.expires, ")");
      return;
    }
  }

  void NoteWaivers() {
    for (std::size_t i = 0; i < rules_.waivers.size(); ++i) {
      if (waiver_used_[i]) continue;
      result_.notes.push_back(absl::StrCat("the waiver of rule '", rules_.waivers[i].rule, "' (", rules_.waivers[i].reason,
                                           ") waives nothing; it can go"));
    }
    std::sort(result_.notes.begin(), result_.notes.end());
    result_.notes.erase(std::unique(result_.notes.begin(), result_.notes.end()), result_.notes.end());
  }

  const MeasuredReport& report_;
  const std::optional<MeasuredReport>& baseline_;
  const Rules& rules_;
  std::string today_;
  std::vector<bool> waiver_used_;
  GateResult result_;
};

}  // namespace

std::string_view ToString(Verdict verdict) {
  return verdict == Verdict::kPass ? "pass" : verdict == Verdict::kFail ? "fail" : "not comparable";
}

std::string_view ToString(CheckOutcome outcome) {
  switch (outcome) {
    case CheckOutcome::kPass:
      return "pass";
    case CheckOutcome::kWarn:
      return "warn";
    case CheckOutcome::kFail:
      return "fail";
    case CheckOutcome::kWaived:
      return "waived";
  }
  return "?";
}

absl::StatusOr<GateResult> Evaluate(const MeasuredReport& report, const std::optional<MeasuredReport>& baseline,
                                    const Rules& rules, std::string_view today) {
  return Gate(report, baseline, rules, today).Run();
}

}  // namespace qatgap::report::gate
