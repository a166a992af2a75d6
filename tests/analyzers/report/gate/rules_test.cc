#include "analyzers/report/gate/rules.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::report::gate {
namespace {

using testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(RulesTest, ReadsEveryField) {
  const auto rules = ParseRules(R"(
version: 1
rules:
  - name: deep layers
    metric: injected.total.mean_absolute_lsb
    layers: ["layer4.*", fc]
    kinds: [conv2d]
    targets: "pytorch-*"
    level: warn
    must_match: false
    max: 0.5
    min: -1
    max_increase: 0.1
    max_decrease: 2
    max_ratio: 1.5
waivers:
  - {rule: deep layers, layers: [layer4.0.conv1], targets: [pytorch-qnnpack], reason: known, expires: 2027-01-31}
)", "gate.yaml");
  QATGAP_ASSERT_OK(rules);
  ASSERT_EQ(rules->rules.size(), 1U);
  const Rule& rule = rules->rules[0];
  EXPECT_EQ(rule.name, "deep layers");
  EXPECT_EQ(rule.metric, "injected.total.mean_absolute_lsb");
  EXPECT_THAT(rule.layers, ElementsAre("layer4.*", "fc"));
  EXPECT_THAT(rule.kinds, ElementsAre("conv2d"));
  EXPECT_THAT(rule.targets, ElementsAre("pytorch-*"));
  EXPECT_EQ(rule.level, Level::kWarn);
  EXPECT_FALSE(rule.must_match);
  EXPECT_EQ(rule.max, 0.5);
  EXPECT_EQ(rule.min, -1);
  EXPECT_EQ(rule.max_increase, 0.1);
  EXPECT_EQ(rule.max_decrease, 2);
  EXPECT_EQ(rule.max_ratio, 1.5);
  ASSERT_EQ(rules->waivers.size(), 1U);
  EXPECT_EQ(rules->waivers[0].reason, "known");
  EXPECT_EQ(rules->waivers[0].expires, "2027-01-31");
}

TEST(RulesTest, ARuleOfAPresetIsReplacedByItsName) {
  const auto rules = ParseRules("version: 1\npreset: default\nrules: [{name: answers, metric: outputs.top1_changed_rate, max: 0.5}]",
                                "gate.yaml");
  QATGAP_ASSERT_OK(rules);
  std::size_t answers = 0;
  for (const Rule& rule : rules->rules) {
    if (rule.name != "answers") continue;
    ++answers;
    EXPECT_EQ(rule.max, 0.5);
  }
  EXPECT_EQ(answers, 1U);
  EXPECT_GT(rules->rules.size(), 3U);
}

TEST(RulesTest, PresetsParse) {
  for (const std::string& name : PresetNames()) {
    EXPECT_THAT(ParseRules(Preset(name), name), testing::IsOk());
    EXPECT_THAT(ParseRules("version: 1\npreset: " + name, "gate.yaml"), testing::IsOk());
  }
}

struct Bad {
  const char* name;
  const char* yaml;
  const char* what;
};
class BadRules : public ::testing::TestWithParam<Bad> {};

TEST_P(BadRules, AreRefusedByName) {
  EXPECT_THAT(ParseRules(GetParam().yaml, "gate.yaml"),
              StatusIs(absl::StatusCode::kInvalidArgument, AllOf(HasSubstr("gate.yaml"), HasSubstr(GetParam().what))));
}

INSTANTIATE_TEST_SUITE_P(
    Files, BadRules,
    ::testing::Values(
        Bad{"UnknownMetric", "version: 1\nrules: [{metric: injected.bias_roundin.changed_rate, max: 0}]",
            "did you mean 'injected.bias_rounding.changed_rate'"},
        Bad{"MisspeltKey", "version: 1\nrules: [{metric: coverage, mxa: 0}]", "did you mean 'max'"},
        Bad{"MisspeltTopKey", "version: 1\nruels: []", "did you mean 'rules'"},
        Bad{"UnknownPreset", "version: 1\npreset: lax", "strict, default, ratchet"},
        Bad{"NoLimit", "version: 1\nrules: [{metric: coverage}]", "has no limit"},
        Bad{"LimitIsAWord", "version: 1\nrules: [{metric: coverage, min: all}]", "a finite number"},
        Bad{"LimitIsNaN", "version: 1\nrules: [{metric: coverage, min: nan}]", "a finite number"},
        Bad{"TwoOfOneName", "version: 1\nrules: [{metric: coverage, min: 1}, {metric: coverage, min: 0}]", "its own name"},
        Bad{"LayersOfAModelMetric", "version: 1\nrules: [{metric: coverage, min: 1, layers: [fc]}]", "of the whole model"},
        Bad{"NothingToCheck", "version: 1", "nothing would be checked"},
        Bad{"NoVersion", "rules: [{metric: coverage, min: 1}]", "version"},
        Bad{"WaiverWithoutReason",
            "version: 1\nrules: [{metric: coverage, min: 1}]\nwaivers: [{rule: coverage, expires: 2027-01-31}]", "reason"},
        Bad{"WaiverWithoutDate", "version: 1\nrules: [{metric: coverage, min: 1}]\nwaivers: [{rule: coverage, reason: x}]",
            "expires"},
        Bad{"WaiverDate", "version: 1\nrules: [{metric: coverage, min: 1}]\nwaivers: [{rule: coverage, reason: x, expires: soon}]",
            "2027-01-31"},
        Bad{"WaiverOfNoRule",
            "version: 1\nrules: [{metric: coverage, min: 1}]\nwaivers: [{rule: coverag, reason: x, expires: 2027-01-31}]",
            "did you mean 'coverage'"},
        Bad{"NotYaml", "version: [", "gate.yaml"}),
    [](const auto& bad) { return std::string(bad.param.name); });

TEST(GlobTest, StarsAndQuestionMarks) {
  EXPECT_TRUE(GlobMatches("*", ""));
  EXPECT_TRUE(GlobMatches("layer?.*", "layer1.0.conv"));
  EXPECT_TRUE(GlobMatches("*conv*", "layer1.conv2"));
  EXPECT_FALSE(GlobMatches("layer1", "layer1.0"));
  EXPECT_FALSE(GlobMatches("", "x"));
  // Backtracking stays polynomial: 2^40 steps would never end.
  EXPECT_FALSE(GlobMatches("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", std::string(2000, 'a')));
}

}  // namespace
}  // namespace qatgap::report::gate
