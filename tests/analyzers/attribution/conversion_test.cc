// The lowering of whole networks against what PyTorch's convert() made of them: constants, bit for bit (QG024).
#include <algorithm>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/attribution/demo_analysis.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::attribution {
namespace {

std::vector<std::string> Details(const AnalysisModels& models, const std::string& id) {
  const auto result = AnalysisSession::Inspect(models, Targets({"generic-int32"}), {});
  QATGAP_EXPECT_OK(result);
  std::vector<std::string> details;
  if (!result.ok()) return details;
  EXPECT_FALSE(result->layers.empty());
  for (const report::Finding& finding : result->findings) {
    if (finding.id == id) details.push_back(finding.layer + ": " + finding.detail);
  }
  return details;
}

class ConversionTest : public ::testing::TestWithParam<const char*> {};

TEST_P(ConversionTest, LoweringIsWhatConvertMade) {
  const AnalysisModels models = DemoModels(GetParam());
  EXPECT_THAT(Details(models, "QG024"), ::testing::IsEmpty());
  AnalysisModels alone = models;
  alone.converted.reset();
  EXPECT_THAT(Details(alone, "QG028"), ::testing::IsEmpty()) << "else weights were not compared";
}

INSTANTIATE_TEST_SUITE_P(Models, ConversionTest,
                         ::testing::Values("residual_eager_x86", "residual_eager_fbgemm", "residual_eager_qnnpack",
                                           "residual_eager_qnnpack_scripted", "residual_fx_x86", "residual_fx_qnnpack_scripted",
                                           "branching_eager_qnnpack_scripted"),
                         [](const auto& folder) { return std::string(folder.param); });

TEST(ConversionFindingTest, OneChangedConstantIsOneFinding) {
  AnalysisModels models = DemoModels("residual_eager_x86");
  WeightOf(*models.converted, "down.0").qparams->scales[1] *= 1.5;
  EXPECT_THAT(Details(models, "QG024"), ::testing::ElementsAre("down.0: weight scales of 1 channel(s), by up to 50 %"));
}

}  // namespace
}  // namespace qatgap::attribution
