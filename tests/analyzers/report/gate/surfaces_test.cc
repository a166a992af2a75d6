#include "analyzers/report/gate/surfaces.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace qatgap::report::gate {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

GateResult Failed() {
  GateResult result;
  result.verdict = Verdict::kFail;
  result.report_name = "r.json";
  result.baseline_name = "b.json";
  result.accept_command = "qatgap baseline update --report r.json --baseline b.json";
  result.checks = {
      {.rule = "rounding", .metric = "injected.bias_rounding.changed_rate", .target = "pytorch-qnnpack",
       .layer = "<img src=x onerror=alert(1)>|\n", .source_line = "model.py:42", .outcome = CheckOutcome::kFail,
       .limit = "max 0.01", .found = 0.02, .baseline = 0.001, .delta = 0.019, .cause = "bias_rounding", .advice = "widen"},
      {.rule = "answers", .metric = "outputs.top1_changed_rate", .level = Level::kWarn, .target = "pytorch-qnnpack",
       .outcome = CheckOutcome::kWarn, .limit = "max 0", .found = 0.5},
      {.rule = "old", .metric = "coverage", .target = "pytorch-qnnpack", .outcome = CheckOutcome::kWaived, .limit = "min 1",
       .found = 0.5, .waiver_reason = "known (until 2027-01-01)"},
      {.rule = "fine", .metric = "coverage", .target = "pytorch-qnnpack", .limit = "min 0", .found = 0.5}};
  return result;
}

TEST(SurfacesTest, TextSaysWhatWasExpectedAndFound) {
  EXPECT_THAT(WriteText(Failed()),
              AllOf(HasSubstr("gate failed: 1 failed, 1 warning, 1 waived, 1 passed"), HasSubstr("is 0.02, max 0.01; baseline 0.001 (+0.019)"),
                    HasSubstr("cause: bias_rounding"), HasSubstr("model.py:42"), HasSubstr("qatgap baseline update"),
                    Not(HasSubstr("fine"))));
}

// In a CI's log a line that begins with :: is a command.
TEST(SurfacesTest, ALineBreakInANameStartsNoLine) {
  GateResult result = Failed();
  result.checks[0].layer = "a\n::add-mask::b\r::c";
  for (const std::string& text : {WriteText(result), WriteGithubAnnotations(result)}) {
    EXPECT_THAT(text, AllOf(Not(HasSubstr("\n::add-mask")), Not(HasSubstr("\r"))));
  }
}

TEST(SurfacesTest, MarkdownHoldsHostileNamesAsText) {
  EXPECT_THAT(WriteMarkdown(Failed()), AllOf(Not(HasSubstr("<img")), HasSubstr("&lt;img"), HasSubstr("\\|"), HasSubstr("max 0.01")));
}

TEST(SurfacesTest, JUnitCountsAndEscapes) {
  const std::string text = WriteJUnit(Failed());
  EXPECT_THAT(text, AllOf(HasSubstr("tests=\"4\" failures=\"1\" errors=\"0\" skipped=\"1\""), Not(HasSubstr("<img")),
                          HasSubstr("&lt;img"), HasSubstr("cause bias_rounding")));
}

TEST(SurfacesTest, JUnitOfBytesThatAreNoUtf8) {
  GateResult result = Failed();
  result.checks[0].layer = "bad \xff\x01 name";
  EXPECT_THAT(WriteJUnit(result), AllOf(HasSubstr("bad \xef\xbf\xbd? name")));
}

TEST(SurfacesTest, SarifFingerprintsDoNotDependOnWhatWasFound) {
  const auto fingerprint = [](const GateResult& result) {
    return nlohmann::json::parse(WriteSarif(result))["runs"][0]["results"][0]["partialFingerprints"]["qatgapCheck/v1"];
  };
  GateResult other = Failed();
  other.checks[0].found = 0.9;
  EXPECT_EQ(fingerprint(Failed()), fingerprint(other));
  other.checks[0].layer = "another";
  EXPECT_NE(fingerprint(Failed()), fingerprint(other));
  const auto document = nlohmann::json::parse(WriteSarif(Failed()));
  EXPECT_EQ(document["version"], "2.1.0");
  ASSERT_EQ(document["runs"][0]["results"].size(), 3U);
  EXPECT_EQ(document["runs"][0]["results"][0]["level"], "error");
  EXPECT_EQ(document["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"], 42);
  EXPECT_EQ(document["runs"][0]["results"][2]["suppressions"][0]["kind"], "external");
}

TEST(SurfacesTest, AnnotationsEscapeTheirSyntax) {
  const std::string text = WriteGithubAnnotations(Failed());
  EXPECT_THAT(text, AllOf(HasSubstr("::error file=model.py,line=42,title=qatgap%3A rounding::"), HasSubstr("%0A"),
                          HasSubstr("::warning title=")));
}

TEST(SurfacesTest, AFileForEveryResult) {
  GateResult result = Failed();
  result.checks[0].source_line = "my models/caf\xc3\xa9.py:7";
  const auto file = [](const GateResult& of, std::size_t i) {
    return nlohmann::json::parse(WriteSarif(of))["runs"][0]["results"][i]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
  };
  EXPECT_EQ(file(result, 0), "my%20models/caf%C3%A9.py");
  EXPECT_EQ(file(result, 1), "r.json");
  result.rules_name = "gate.yaml";
  EXPECT_EQ(file(result, 1), "gate.yaml");
  result.rules_name = "preset strict";
  EXPECT_EQ(file(result, 1), "r.json");
}

TEST(SurfacesTest, GitlabSeverities) {
  const auto document = nlohmann::json::parse(WriteGitlabCodeQuality(Failed()));
  ASSERT_EQ(document.size(), 2U);
  EXPECT_EQ(document[0]["severity"], "major");
  EXPECT_EQ(document[0]["location"]["path"], "model.py");
  EXPECT_EQ(document[1]["severity"], "minor");
}

TEST(SurfacesTest, NotComparableIsAnErrorEverywhere) {
  GateResult result;
  result.verdict = Verdict::kNotComparable;
  result.not_comparable = {"other samples: a in the baseline, b now"};
  EXPECT_THAT(WriteText(result), HasSubstr("not comparable: other samples"));
  EXPECT_THAT(WriteJUnit(result), HasSubstr("errors=\"1\""));
  EXPECT_THAT(WriteGithubAnnotations(result), HasSubstr("::error"));
  EXPECT_EQ(nlohmann::json::parse(WriteSarif(result))["runs"][0]["results"].size(), 1U);
  EXPECT_EQ(nlohmann::json::parse(WriteJson(result))["verdict"], "not comparable");
}

}  // namespace
}  // namespace qatgap::report::gate
