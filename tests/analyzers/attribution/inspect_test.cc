// What is said without samples: the same findings as with them, and a target that refuses a layer stops nothing else.
#include <algorithm>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/attribution/demo_analysis.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::attribution {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kFolder[] = "residual_eager_x86";

report::AnalysisResult InspectModels(AnalysisModels models, std::vector<numerics::TargetDescription> targets) {
  auto result = AnalysisSession::Inspect(std::move(models), std::move(targets), {});
  QATGAP_EXPECT_OK(result);
  return result.ok() ? *std::move(result) : report::AnalysisResult{};
}

TEST(InspectTest, SaysWhatASessionSaysBeforeItsFirstBatch) {
  for (const char* folder : {kFolder, "branching_eager_qnnpack_scripted"}) {
    const std::vector<std::string> names = {"pytorch-x86", "generic-int8", "onnxruntime", "tflite-reference"};
    const auto session = AnalysisSession::Create(DemoModels(folder), Targets(names), {});
    QATGAP_ASSERT_OK(session);
    const report::AnalysisResult& created = (*session)->result();
    const report::AnalysisResult inspected = InspectModels(DemoModels(folder), Targets(names));
    EXPECT_EQ(inspected.samples, 0U);
    EXPECT_EQ(inspected.findings, created.findings) << folder;
    EXPECT_EQ(inspected.layers, created.layers);
    EXPECT_EQ(inspected.unmeasured, created.unmeasured);
    ASSERT_EQ(inspected.targets.size(), created.targets.size());
    for (std::size_t t = 0; t < created.targets.size(); ++t) {
      ASSERT_EQ(inspected.targets[t].layers.size(), created.targets[t].layers.size());
      for (std::size_t i = 0; i < created.targets[t].layers.size(); ++i) {
        EXPECT_EQ(inspected.targets[t].layers[i].channels, created.targets[t].layers[i].channels) << names[t];
      }
    }
  }
}

TEST(InspectTest, AQatModelAloneIsEnough) {
  AnalysisModels models = DemoModels(kFolder);
  models.converted.reset();
  const report::AnalysisResult result = InspectModels(std::move(models), Targets({"generic-int32"}));
  EXPECT_FALSE(result.converted_given);
  EXPECT_EQ(result.targets[0].layers.size(), result.layers.size());
  EXPECT_EQ(Alarms(result), std::vector<std::string>{});
}

// The demo network's scales are no powers of two: the DPU runs no layer of it, the other target all.
TEST(InspectTest, ATargetThatRefusesEveryLayerStopsNoOther) {
  const report::AnalysisResult result = InspectModels(DemoModels(kFolder), Targets({"generic-int32", "vitis-dpu"}));
  ASSERT_EQ(result.targets.size(), 2U);
  EXPECT_EQ(result.targets[0].layers.size(), result.layers.size());
  EXPECT_TRUE(result.targets[1].layers.empty());
  ASSERT_EQ(result.unmeasured.size(), result.layers.size());
  std::vector<std::string> refused;
  for (const report::Finding& finding : result.findings) {
    if (finding.severity == report::Severity::kInfo) continue;
    EXPECT_EQ(finding.id, "QG020");
    EXPECT_EQ(finding.target, "vitis-dpu");
    refused.push_back(finding.layer);
  }
  ASSERT_EQ(refused.size(), result.layers.size());
  for (std::size_t i = 0; i < refused.size(); ++i) {
    EXPECT_EQ(refused[i], result.layers[i].name);
    EXPECT_EQ(result.unmeasured[i].name, refused[i]);
    EXPECT_EQ(result.unmeasured[i].what, "target vitis-dpu");
    EXPECT_THAT(result.unmeasured[i].reason, HasSubstr("needs power-of-two scales"));
  }
}

// One layer refused, for its bias: listed with its reason, the others computed.
TEST(InspectTest, ALayerThatATargetRefusesIsListed) {
  AnalysisModels models = DemoModels(kFolder);
  WeightOf(*models.converted, "mix").qparams->scales[3] = 1e-12;
  BiasOf(*models.converted, "mix")[3] = 0.5F;
  std::vector<numerics::TargetDescription> targets = Targets({"generic-int32"});
  targets[0].bias.overflow = numerics::BiasOverflow::kRefuse;
  const report::AnalysisResult result = InspectModels(std::move(models), targets);
  EXPECT_EQ(result.targets[0].layers.size() + 1, result.layers.size());
  EXPECT_THAT(Alarms(result), Contains("QG022 mix"));
  ASSERT_EQ(result.unmeasured.size(), 1U);
  EXPECT_EQ(result.unmeasured[0].name, "mix");
  EXPECT_THAT(result.unmeasured[0].reason, HasSubstr("bias[3] = 0.5"));
}

// What a target makes of the weights is what is checked: the raised scale is neither tiny nor does the bias saturate.
TEST(InspectTest, ATargetThatAdjustsWeightsSaysSo) {
  AnalysisModels models = DemoModels(kFolder);
  WeightOf(*models.converted, "mix").qparams->scales[3] = 1e-12;
  BiasOf(*models.converted, "mix")[3] = 0.5F;
  const std::vector<numerics::TargetDescription> targets = Targets({"tflite-reference"});
  const report::AnalysisResult result = InspectModels(models, targets);
  const std::vector<std::string> alarms = Alarms(result);
  EXPECT_THAT(alarms, Contains("QG023 mix"));
  for (const char* id : {"QG001 mix", "QG002 mix", "QG014 mix", "QG016 mix"}) EXPECT_THAT(alarms, Not(Contains(id)));
  for (const report::Finding& finding : result.findings) {
    if (finding.id == "QG023") {
      EXPECT_THAT(finding.channels, ::testing::ElementsAre(3));
    }
  }
  const auto session = AnalysisSession::Create(models, targets, {});
  QATGAP_ASSERT_OK(session);
  EXPECT_EQ((*session)->result().findings, result.findings);
}

}  // namespace
}  // namespace qatgap::attribution
