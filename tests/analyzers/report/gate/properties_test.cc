// What holds of every report and every set of rules. Random ones; a failure names its seed.
#include <algorithm>
#include <array>
#include <map>
#include <random>

#include "absl/strings/str_cat.h"
#include "analyzers/report/gate/surfaces.h"
#include "analyzers/report/gate/verdict.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/report/gate/gate_reports.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::report::gate {
namespace {

constexpr std::uint32_t kSeeds = 150;
constexpr std::string_view kToday = "2026-12-01";

class Case {
 public:
  explicit Case(std::uint32_t seed) : random_(seed), baseline_(RandomReport(seed)), report_(baseline_) {
    if (Below(4) != 0) report_ = RandomReport(seed + 1000003);
    const std::size_t count = 1 + Below(5);
    for (std::size_t i = 0; i < count; ++i) rules_.rules.push_back(RandomRule(absl::StrCat("rule ", i)));
  }

  std::size_t Below(std::size_t bound) { return random_() % bound; }
  const MeasuredReport& baseline() const { return baseline_; }
  MeasuredReport& report() { return report_; }
  Rules& rules() { return rules_; }

  absl::StatusOr<GateResult> Evaluate() const { return gate::Evaluate(report_, baseline_, rules_, kToday); }

  // Makes one limit of one rule weaker; by nothing sometimes.
  void Loosen() {
    Rule& rule = rules_.rules[Below(rules_.rules.size())];
    const double by = static_cast<double>(Below(1000)) / std::array{1e6, 1e3, 1.0}[Below(3)];
    for (std::optional<double>* upper : {&rule.max, &rule.max_increase, &rule.max_decrease, &rule.max_ratio}) {
      if (*upper && Below(2) == 0) **upper += by;
    }
    if (rule.min && Below(2) == 0) *rule.min -= by;
  }

 private:
  // The same four layers in every report, so that any two are comparable.
  static MeasuredReport RandomReport(std::uint32_t seed) {
    std::mt19937 random(seed);
    std::vector<LayerRecipe> layers;
    for (const char* name : {"stem", "layer1.0", "layer1.1", "fc"}) {
      layers.push_back(Layer(name, static_cast<std::uint32_t>(random() % 50000), static_cast<std::uint32_t>(random() % 50000),
                             random() % 4 == 0 ? std::vector<std::int64_t>{1} : std::vector<std::int64_t>{}));
    }
    return Measured(OneTarget(std::move(layers)), "report.json", seed % 7);
  }

  Rule RandomRule(const std::string& name) {
    Rule rule;
    rule.name = name;
    const MetricName& metric = AllMetrics()[Below(AllMetrics().size())];
    rule.metric = metric.name;
    if (metric.of_layer && Below(2) == 0) rule.layers = {std::array{"*", "layer1.*", "fc"}[Below(3)]};
    if (Below(5) == 0) rule.level = Level::kWarn;
    const std::optional<double> found = Found(rule);
    for (std::optional<double>* limit : {&rule.max, &rule.min, &rule.max_increase, &rule.max_decrease, &rule.max_ratio}) {
      if (Below(3) == 0) *limit = RandomLimit(found.value_or(0));
    }
    if (!rule.max && !rule.min && !rule.max_increase && !rule.max_decrease && !rule.max_ratio) rule.max = RandomLimit(0);
    return rule;
  }

  // Some limits are the figure itself: the edge.
  double RandomLimit(double found) {
    if (Below(4) == 0) return found;
    return (static_cast<double>(Below(2001)) - 1000) / std::array{1e6, 1e4, 1e2, 1.0}[Below(4)];
  }

  std::optional<double> Found(const Rule& rule) const {
    const MeasuredTarget& target = report_.targets[0];
    for (const Metrics* metrics : {&target.metrics, &target.layers[0].metrics}) {
      if (const auto it = metrics->find(rule.metric); it != metrics->end()) return it->second;
    }
    return std::nullopt;
  }

  std::mt19937 random_;
  MeasuredReport baseline_, report_;
  Rules rules_;
};

std::size_t Failures(const GateResult& result) {
  return static_cast<std::size_t>(std::count_if(result.checks.begin(), result.checks.end(), [](const Check& check) {
    return check.outcome == CheckOutcome::kFail;
  }));
}

TEST(GateProperties, LooseningALimitNeverTurnsPassIntoFail) {
  std::map<Verdict, std::size_t> seen;
  std::size_t changed = 0;
  for (std::uint32_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Case random(seed);
    auto before = random.Evaluate();
    QATGAP_ASSERT_OK(before);
    ++seen[before->verdict];
    for (int step = 0; step < 12; ++step) {
      random.Loosen();
      auto after = random.Evaluate();
      QATGAP_ASSERT_OK(after);
      EXPECT_FALSE(before->verdict == Verdict::kPass && after->verdict != Verdict::kPass);
      EXPECT_LE(Failures(*after), Failures(*before));
      EXPECT_EQ(after->checks.size(), before->checks.size());
      EXPECT_EQ(after->not_comparable, before->not_comparable);  // no limit decides it
      changed += Failures(*after) < Failures(*before) ? 1U : 0U;
      before = std::move(after);
    }
  }
  // The cases are not all alike.
  EXPECT_GT(seen[Verdict::kPass], 5U);
  EXPECT_GT(seen[Verdict::kFail], 20U);
  EXPECT_GT(seen[Verdict::kNotComparable], 5U);
  EXPECT_GT(changed, 20U);
}

TEST(GateProperties, TheOrderOfLayersRulesAndTargetsChangesNothing) {
  for (std::uint32_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Case random(seed);
    const auto straight = random.Evaluate();
    QATGAP_ASSERT_OK(straight);
    std::mt19937 order(seed + 1);
    std::shuffle(random.report().targets[0].layers.begin(), random.report().targets[0].layers.end(), order);
    std::shuffle(random.report().identity.layers.begin(), random.report().identity.layers.end(), order);
    std::shuffle(random.rules().rules.begin(), random.rules().rules.end(), order);
    const auto permuted = random.Evaluate();
    QATGAP_ASSERT_OK(permuted);
    EXPECT_EQ(permuted->verdict, straight->verdict);
    const auto keys = [](const GateResult& result) {
      std::vector<std::string> words;
      for (const Check& check : result.checks) {
        words.push_back(absl::StrCat(check.rule, "|", check.layer, "|", std::string(ToString(check.outcome)), "|", check.limit, "|",
                                    check.found.value_or(-1), "|", check.cause));
      }
      std::sort(words.begin(), words.end());
      return words;
    };
    EXPECT_EQ(keys(*permuted), keys(*straight));
    std::vector<std::string> a = straight->not_comparable, b = permuted->not_comparable;
    std::sort(a.begin(), a.end());
    std::sort(b.begin(), b.end());
    EXPECT_EQ(a, b);
  }
}

// A rule may take the sign of a figure away, not its size: a mean of -0.5 LSB is further from 0 than one of +0.1.
TEST(GateTest, ARatioIsOfMagnitudes) {
  MeasuredReport baseline = Measured(OneTarget({Layer("stem", 20000)}));
  MeasuredReport report = baseline;
  const std::string metric = "injected.bias_rounding.mean_lsb";
  Rules rules;
  Rule& rule = rules.rules.emplace_back();
  rule.name = "bias";
  rule.metric = metric;
  rule.max_ratio = 2;
  const auto verdict = [&](double before, double now) {
    baseline.targets[0].layers[0].metrics[metric] = before;
    report.targets[0].layers[0].metrics[metric] = now;
    const auto result = Evaluate(report, baseline, rules, kToday);
    return result.ok() ? result->verdict : Verdict::kNotComparable;
  };
  EXPECT_EQ(verdict(0.25, 0.5), Verdict::kPass);
  EXPECT_EQ(verdict(0.25, 0.75), Verdict::kFail);
  EXPECT_EQ(verdict(-0.25, 0.75), Verdict::kFail);
  EXPECT_EQ(verdict(-0.25, -0.75), Verdict::kFail);
  EXPECT_EQ(verdict(-0.25, -0.125), Verdict::kPass);
  EXPECT_EQ(verdict(0, -0.125), Verdict::kFail);
  EXPECT_EQ(verdict(0, 0), Verdict::kPass);
}

}  // namespace
}  // namespace qatgap::report::gate
