#include "analyzers/report/gate/verdict.h"

#include <algorithm>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/report/gate/gate_reports.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::report::gate {
namespace {

using testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::string_view kToday = "2026-12-01";

Rules RulesOf(const std::string& rules, const std::string& waivers = "") {
  auto parsed = ParseRules("version: 1\nrules: [" + rules + "]\n" + (waivers.empty() ? "" : "waivers: [" + waivers + "]\n"),
                           "gate.yaml");
  if (!parsed.ok()) throw std::runtime_error(parsed.status().ToString());
  return *std::move(parsed);
}

GateResult Gate(const MeasuredReport& report, const Rules& rules, std::optional<MeasuredReport> baseline = std::nullopt) {
  auto result = Evaluate(report, baseline, rules, kToday);
  if (!result.ok()) throw std::runtime_error(result.status().ToString());
  return *std::move(result);
}

const MeasuredReport& Healthy() {
  static const MeasuredReport report = Measured(OneTarget({Layer("stem", 20000, 1000), Layer("fc", 20000)}));
  return report;
}

double FoundIn(const MeasuredReport& report, std::size_t layer, const std::string& metric) {
  return report.targets[0].layers[layer].metrics.at(metric).value();
}

TEST(GateTest, ALimitIsReachedAndPassed) {
  const double rate = FoundIn(Healthy(), 0, "injected.bias_rounding.changed_rate");
  ASSERT_GT(rate, 0);
  const std::string rule = "{metric: injected.bias_rounding.changed_rate, layers: [stem], max: ";
  EXPECT_EQ(Gate(Healthy(), RulesOf(rule + std::to_string(rate + 1e-3) + "}")).verdict, Verdict::kPass);
  const GateResult failed = Gate(Healthy(), RulesOf(rule + std::to_string(rate - 1e-3) + "}"));
  EXPECT_EQ(failed.verdict, Verdict::kFail);
  ASSERT_EQ(failed.checks.size(), 1U);
  EXPECT_EQ(failed.checks[0].layer, "stem");
  EXPECT_EQ(failed.checks[0].cause, "bias_rounding");
  EXPECT_EQ(failed.checks[0].found, rate);
  EXPECT_THAT(failed.checks[0].limit, HasSubstr("max 0.0"));
  EXPECT_FALSE(failed.checks[0].advice.empty());
}

TEST(GateTest, WarningsPass) {
  const GateResult result = Gate(Healthy(), RulesOf("{metric: injected.bias_rounding.changed_rate, max: 0, level: warn}"));
  EXPECT_EQ(result.verdict, Verdict::kPass);
  ASSERT_EQ(result.checks.size(), 2U);
  EXPECT_EQ(result.checks[0].outcome, CheckOutcome::kWarn);
}

TEST(GateTest, AgainstTheBaseline) {
  const MeasuredReport worse = Measured(OneTarget({Layer("stem", 60000, 1000), Layer("fc", 20000)}));
  const Rules increase = RulesOf("{metric: injected.bias_rounding.changed_rate, max_increase: 0.005}");
  EXPECT_EQ(Gate(Healthy(), increase, Healthy()).verdict, Verdict::kPass);
  const GateResult result = Gate(worse, increase, Healthy());
  EXPECT_EQ(result.verdict, Verdict::kFail);
  EXPECT_EQ(result.checks[0].layer, "stem");
  EXPECT_EQ(*result.checks[0].delta, *result.checks[0].found - *result.checks[0].baseline);
  EXPECT_THAT(result.accept_command, HasSubstr("baseline update"));
  EXPECT_EQ(Gate(worse, RulesOf("{metric: injected.bias_rounding.changed_rate, max_ratio: 1.5}"), Healthy()).verdict, Verdict::kFail);
  EXPECT_EQ(Gate(worse, RulesOf("{metric: injected.bias_rounding.changed_rate, max_ratio: 9}"), Healthy()).verdict, Verdict::kPass);
  // A baseline of 0 allows only 0.
  EXPECT_EQ(Gate(worse, RulesOf("{metric: bias.saturated_channels, max_ratio: 2}"), Healthy()).verdict, Verdict::kPass);
  EXPECT_EQ(Gate(Measured(OneTarget({Layer("stem", 20000, 1000, {2}), Layer("fc", 20000)})),
                 RulesOf("{metric: bias.saturated_channels, max_ratio: 2}"), Healthy()).verdict, Verdict::kFail);
  EXPECT_THAT(Evaluate(worse, std::nullopt, increase, kToday),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--baseline")));
}

TEST(GateTest, TheCauseOfALayerIsTheOneThatGrew) {
  const MeasuredReport saturated = Measured(OneTarget({Layer("stem", 20000, 1000, {0, 1}), Layer("fc", 20000)}));
  const GateResult result =
      Gate(saturated, RulesOf("{metric: injected.total.mean_absolute_lsb, max_increase: 0.1}"), Healthy());
  EXPECT_EQ(result.verdict, Verdict::kFail);
  EXPECT_EQ(result.checks[0].cause, "bias_saturation");
  EXPECT_EQ(result.checks[0].layer, "stem");
}

TEST(GateTest, WhatCannotBeCompared) {
  const Rules rules = RulesOf("{metric: injected.bias_rounding.changed_rate, max_increase: 1}");
  const auto reasons = [&](const MeasuredReport& report) { return Gate(report, rules, Healthy()).not_comparable; };
  EXPECT_THAT(reasons(Measured(OneTarget({Layer("head", 20000), Layer("fc", 20000)}))),
              ::testing::Contains(AllOf(HasSubstr("gone"), HasSubstr("stem"))));
  EXPECT_THAT(reasons(Measured(OneTarget({Layer("stem", 20000)}))), ::testing::Contains(HasSubstr("'fc")));
  MeasuredReport other = Healthy();
  other.identity.samples = "0123";
  EXPECT_THAT(reasons(other), ElementsAre(HasSubstr("other samples")));
  other = Healthy();
  other.targets[0].digest = "0123";
  EXPECT_THAT(reasons(other), ElementsAre(HasSubstr("arithmetic")));
  other = Healthy();
  other.targets[0].metrics["coverage"] = 0.5;
  EXPECT_THAT(reasons(other), ElementsAre(HasSubstr("dropped")));
  other = Healthy();
  other.targets[0].name = "mine";
  EXPECT_THAT(reasons(other), ::testing::Contains(HasSubstr("was not analysed")));
  EXPECT_THAT(reasons(Measured(OneTarget({Layer("stem", 0), Layer("fc", 0)}))), ElementsAre(HasSubstr("implausible")));
  other = Healthy();
  other.targets[0].layers[0].metrics["injected.bias_rounding.changed_rate"] = std::nan("");
  EXPECT_THAT(reasons(other), ElementsAre(HasSubstr("no value")));
  EXPECT_THAT(reasons(Healthy()), IsEmpty());
}

TEST(GateTest, AMissingFigureIsNotComparable) {
  const GateResult result = Gate(Healthy(), RulesOf("{metric: injected.engine_residual.changed_rate, max: 0}"));
  EXPECT_EQ(result.verdict, Verdict::kNotComparable);
  EXPECT_THAT(result.not_comparable, ::testing::Contains(HasSubstr("engine_residual")));
}

TEST(GateTest, EqualStreamsHaveNoSqnrAndPass) {
  const MeasuredReport equal = Measured(OneTarget({Layer("stem", 0)}));
  const GateResult result = Gate(equal, RulesOf("{metric: injected.bias_rounding.sqnr_db, min: 40}"));
  EXPECT_EQ(result.verdict, Verdict::kPass);
  EXPECT_EQ(result.checks[0].limit, "bit exact");
}

TEST(GateTest, NothingComparedFails) {
  const GateResult result =
      Gate(Healthy(), RulesOf("{metric: injected.bias_rounding.changed_rate, layers: [nothing], must_match: false, max: 1}"));
  EXPECT_EQ(result.verdict, Verdict::kNotComparable);
}

TEST(GateTest, ARuleThatMatchesNothingNamesTheNearest) {
  EXPECT_THAT(Evaluate(Healthy(), std::nullopt, RulesOf("{metric: injected.total.changed, layers: [stm], max: 0}"), kToday),
              StatusIs(absl::StatusCode::kInvalidArgument, AllOf(HasSubstr("stm"), HasSubstr("nearest is 'stem'"))));
  EXPECT_THAT(Evaluate(Healthy(), std::nullopt, RulesOf("{metric: coverage, targets: [pytorch-qnnpak], min: 0}"), kToday),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("nearest is 'pytorch-qnnpack'")));
  EXPECT_THAT(Evaluate(Healthy(), std::nullopt, RulesOf("{metric: injected.total.changed, kinds: [linear], max: 0}"), kToday),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("linear")));
}

TEST(GateTest, Waivers) {
  const std::string rule = "{name: rounding, metric: injected.bias_rounding.changed_rate, max: 0}";
  const auto waived = [&](const std::string& waiver) { return Gate(Healthy(), RulesOf(rule, waiver)); };
  EXPECT_EQ(waived("{rule: rounding, reason: known, expires: 2026-12-01}").verdict, Verdict::kPass);
  EXPECT_EQ(waived("{rule: \"*\", reason: known, expires: 2026-12-31}").verdict, Verdict::kPass);
  const GateResult expired = waived("{rule: rounding, reason: known, expires: 2026-11-30}");
  EXPECT_EQ(expired.verdict, Verdict::kFail);
  EXPECT_THAT(expired.notes, ElementsAre(HasSubstr("expired on 2026-11-30")));
  const GateResult one = waived("{rule: rounding, layers: [stem], reason: known, expires: 2027-01-01}");
  EXPECT_EQ(one.verdict, Verdict::kFail);
  EXPECT_EQ(one.checks[0].layer, "fc");
  EXPECT_EQ(one.checks[1].outcome, CheckOutcome::kWaived);
  const GateResult unused = waived("{rule: rounding, layers: [head], reason: old, expires: 2027-01-01}");
  EXPECT_THAT(unused.notes, ElementsAre(HasSubstr("waives nothing")));
}

TEST(GateTest, ALayerThatTheBaselineLacksIsNamedOnce) {
  const MeasuredReport renamed = Measured(OneTarget({Layer("head", 20000, 1000), Layer("fc", 20000)}));
  auto rules = ParseRules("version: 1\npreset: ratchet", "gate.yaml");
  ASSERT_TRUE(rules.ok());
  EXPECT_THAT(Gate(renamed, *rules, Healthy()).not_comparable,
              ElementsAre(AllOf(HasSubstr("gone"), HasSubstr("'stem ")), AllOf(HasSubstr("does not know"), HasSubstr("'head "))));
}

// A figure of the whole model has no layer of its own: the advice names the one where most more codes change.
TEST(GateTest, AFigureOfTheModelSaysWhereToLook) {
  MeasuredReport report = Measured(OneTarget({Layer("stem", 20000, 1000), Layer("fc", 90000)}));
  report.targets[0].metrics["outputs.top1_changed_rate"] = 0.5;
  const GateResult result = Gate(report, RulesOf("{metric: outputs.target.top1_changed_rate, max: 0.1}"), Healthy());
  ASSERT_EQ(result.verdict, Verdict::kFail);
  EXPECT_EQ(result.checks[0].metric, "outputs.top1_changed_rate");
  EXPECT_EQ(result.checks[0].advice, "look at layer 'fc' first: most more codes change there, by bias_rounding");
}

TEST(GateTest, TheAdviceOfALayerIsThatOfItsFinding) {
  MeasuredReport report = Healthy();
  report.findings = {
      {.id = "QG015", .severity = "info", .layer = "fc", .target = "", .title = "Fine", .detail = "", .advice = "nothing"},
      {.id = "QG005", .severity = "warning", .layer = "fc", .target = "tosa", .title = "Not here", .detail = "", .advice = "other"},
      {.id = "QG004", .severity = "warning", .layer = "fc", .target = "", .title = "Coarse bias", .detail = "", .advice = "widen it"}};
  report.targets[0].metrics["findings.warning"] = 1;
  const GateResult result = Gate(report, RulesOf("{metric: injected.bias_rounding.changed_rate, max: 0}, "
                                                 "{metric: findings.warning, max: 0}"));
  ASSERT_EQ(result.checks.size(), 3U);
  EXPECT_EQ(result.checks[0].layer, "stem");
  EXPECT_THAT(result.checks[0].advice, HasSubstr("coarse on scale"));
  EXPECT_EQ(result.checks[1].advice, "QG004 Coarse bias: widen it");
  EXPECT_EQ(result.checks[2].advice, "QG004 Coarse bias (fc): widen it");
}

TEST(GateTest, FindingsAreCounted) {
  MeasuredReport report = Healthy();
  report.targets[0].metrics["findings.error"] = 2;
  report.targets[0].metrics["findings.QG001"] = 2;
  EXPECT_EQ(Gate(report, RulesOf("{metric: findings.error, max: 1}")).verdict, Verdict::kFail);
  EXPECT_EQ(Gate(report, RulesOf("{metric: findings.QG001, max: 2}")).verdict, Verdict::kPass);
  EXPECT_EQ(Gate(report, RulesOf("{metric: findings.QG002, max: 0}")).verdict, Verdict::kPass);  // not there: 0
}

TEST(CompareTest, SaysWhatMoved) {
  const MeasuredReport after = Measured(OneTarget({Layer("stem", 60000, 1000), Layer("fc", 20000)}));
  const Comparison comparison = Compare(Healthy(), after);
  EXPECT_THAT(comparison.differences, IsEmpty());
  ASSERT_FALSE(comparison.movements.empty());
  EXPECT_EQ(comparison.movements[0].layer, "stem");
  EXPECT_TRUE(Compare(Healthy(), Healthy()).movements.empty());
  ASSERT_EQ(comparison.layers.size(), 1U);
  EXPECT_EQ(comparison.layers[0].layer, "stem");
  EXPECT_EQ(comparison.layers[0].cause, "bias_rounding");
  EXPECT_EQ(comparison.layers[0].after, FoundIn(after, 0, "injected.total.changed_rate"));
  EXPECT_TRUE(Compare(Healthy(), Healthy()).layers.empty());
}

}  // namespace
}  // namespace qatgap::report::gate
