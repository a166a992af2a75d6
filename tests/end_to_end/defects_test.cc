// Planted defects from the command line to the report: in a target's file, in the pair of models, in the samples.
#include <string>

#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/end_to_end/workspace.h"

namespace qatgap::end_to_end {
namespace {

using ::testing::HasSubstr;
using nlohmann::json;

class DefectsTest : public ::testing::Test {
 protected:
  // generic-int32 with one line changed, as a file.
  std::string TargetWith(const std::string& line, const std::string& by) {
    const std::string shipped = ReadFile(std::string(QATGAP_SOURCE_DIR) + "/analyzers/numerics/targets/generic-int32.yaml");
    EXPECT_THAT(shipped, HasSubstr(line));
    workspace_.Write("planted.yaml", absl::StrReplaceAll(shipped, {{"name: generic-int32", "name: planted"}, {line, by}}));
    return workspace_.Path("planted.yaml");
  }

  json Analysed(const std::string& qat, const std::string& converted, const std::string& target,
                const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"--qat",     TestFile(qat + "/qat.pt"),     "--converted", TestFile(converted + "/converted.pt"),
                                          "--target",  target,                        "--samples",   TestFile("samples/images_64.npy"),
                                          "--sensitivity"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return workspace_.Report(arguments);
  }

  static std::uint64_t Changed(const json& report, const char* cause) {
    std::uint64_t changed = 0;
    for (const json& layer : report["statistics"]["targets"][0]["layers"]) {
      changed += layer["causes"][cause]["changed"].get<std::uint64_t>();
    }
    return changed;
  }
  static bool Has(const json& report, const std::string& id) {
    for (const json& finding : report["statistics"]["findings"]) {
      if (finding["id"] == id) return true;
    }
    return false;
  }

  Workspace workspace_;
};

constexpr char kNet[] = "residual_eager_x86";

TEST_F(DefectsTest, TheCleanTwinIsSilent) {
  const json report = Analysed(kNet, kNet, "generic-int32");
  ASSERT_FALSE(report.is_null());
  EXPECT_EQ(Changed(report, "bias_saturation"), 0U);
  EXPECT_EQ(Changed(report, "accumulator"), 0U);
  EXPECT_EQ(report["statistics"]["targets"][0]["global_cause"], nullptr);
  for (const json& finding : report["statistics"]["findings"]) EXPECT_EQ(finding["severity"], "info") << finding.dump();
}

TEST_F(DefectsTest, ABiasOfTooFewBits) {
  const json report = Analysed(kNet, kNet, TargetWith("  bits: 32\n  symmetric_clamp", "  bits: 12\n  symmetric_clamp"));
  ASSERT_FALSE(report.is_null());
  EXPECT_GT(Changed(report, "bias_saturation"), 0U);
  EXPECT_EQ(Changed(report, "accumulator"), 0U);
  EXPECT_TRUE(Has(report, "QG001"));
  EXPECT_FALSE(Has(report, "QG014"));
}

TEST_F(DefectsTest, AnAccumulatorThatWraps) {
  const json report = Analysed(kNet, kNet, TargetWith("accumulator:\n  bits: 32", "accumulator:\n  bits: 16"));
  ASSERT_FALSE(report.is_null());
  EXPECT_GT(Changed(report, "accumulator"), 0U);
  EXPECT_EQ(Changed(report, "bias_saturation"), 0U);
  EXPECT_TRUE(Has(report, "QG014"));
  EXPECT_FALSE(Has(report, "QG001"));
}

TEST_F(DefectsTest, ModelsOfTwoTrainingsAreAGlobalCause) {
  const json report = Analysed(kNet, "residual_eager_qnnpack", "generic-int32");
  ASSERT_FALSE(report.is_null());
  const json& global = report["statistics"]["targets"][0]["global_cause"];
  ASSERT_FALSE(global.is_null());
  EXPECT_EQ(global["reason"], "pairing");
  EXPECT_EQ(global["cause"], "conversion");
  EXPECT_THAT(report["verdicts"][0]["headline"].get<std::string>(), HasSubstr("Likely the two models do not belong together"));
}

TEST_F(DefectsTest, SamplesThatWereNotNormalized) {
  const json report = Analysed(kNet, kNet, "generic-int32", {"--normalize", "scale=50"});
  ASSERT_FALSE(report.is_null());
  const json& range = report["statistics"]["input_ranges"][0];
  EXPECT_GT(range["clipped"].get<double>(), 0.05 * range["count"].get<double>());
  const auto sentences = report["verdicts"][0]["sentences"].dump();
  EXPECT_THAT(sentences, HasSubstr("of the values lie outside of"));
  EXPECT_THAT(Analysed(kNet, kNet, "generic-int32")["verdicts"][0]["sentences"].dump(),
              ::testing::Not(HasSubstr("of the values lie outside of")));
}

}  // namespace
}  // namespace qatgap::end_to_end
