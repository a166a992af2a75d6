// The order of batches, and the split over sessions, change no byte of the statistics.
#include "gtest/gtest.h"
#include "tests/analyzers/attribution/demo_analysis.h"
#include "tests/testing/demo_models.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::attribution {
namespace {

constexpr std::int64_t kBatch = 3, kBatches = 8;

// The batches `order` through one session.
report::AnalysisResult RunOrder(const std::string& folder, const std::vector<std::int64_t>& order) {
  auto session = AnalysisSession::Create(DemoModels(folder), Targets({"pytorch-qnnpack", "generic-int8"}), {});
  EXPECT_THAT(session, testing::IsOk());
  const std::int64_t batch = (*session)->batch_limit() == 0 ? kBatch : (*session)->batch_limit();
  for (const std::int64_t index : order) {
    const graph::Tensor images = testing::Images(index * batch, batch);
    EXPECT_THAT((*session)->RunBatch({&images, 1}, {}), testing::IsOk());
  }
  return (*session)->result();
}

std::string Statistics(report::AnalysisResult result) {
  report::Canonicalize(result);
  report::Report report;
  report.result = std::move(result);
  return report::WriteStatisticsJson(report);
}

class OrderTest : public ::testing::TestWithParam<const char*> {};

TEST_P(OrderTest, ShuffledAndSplitRunsGiveEqualBytes) {
  const std::string folder = GetParam();
  const report::AnalysisResult in_order = RunOrder(folder, {0, 1, 2, 3, 4, 5, 6, 7});
  EXPECT_EQ(in_order.samples, testing::IsBranching(folder) ? 8U : 24U);
  const std::string expected = Statistics(in_order);
  EXPECT_EQ(Statistics(RunOrder(folder, {5, 2, 7, 0, 3, 6, 1, 4})), expected);

  report::AnalysisResult total;
  for (const std::vector<std::int64_t>& part : {std::vector<std::int64_t>{6, 3}, {0}, {7, 1, 5}, {4, 2}}) {
    QATGAP_ASSERT_OK(report::MergeInto(total, RunOrder(folder, part)));
  }
  EXPECT_EQ(Statistics(total), expected);
}

INSTANTIATE_TEST_SUITE_P(Models, OrderTest, ::testing::Values("residual_eager_x86", "branching_eager_qnnpack_scripted"),
                         [](const auto& param) { return std::string(param.param); });

enum class Side { kBoth, kQatAlone, kConvertedAlone };

AnalysisModels Branching(Side side) {
  AnalysisModels models = DemoModels("branching_eager_qnnpack_scripted");
  if (side == Side::kQatAlone) models.converted.reset();
  if (side != Side::kConvertedAlone) return models;
  auto combined = CombineModels(std::nullopt, GivenModel{.graph = *std::move(models.converted),
                                                         .kind = GivenKind::kConverted, .format = "", .name = ""});
  QATGAP_EXPECT_OK(combined);
  return combined.ok() ? *std::move(combined) : AnalysisModels{};
}

class BranchingTest : public ::testing::TestWithParam<Side> {};

// conv3 reads conv1's output or conv2's: one result for each, and every sample in exactly one of them.
TEST_P(BranchingTest, OneResultForEachReachingScale) {
  const report::AnalysisResult result =
      Analyse(Branching(GetParam()), Targets({"pytorch-fbgemm", "pytorch-qnnpack"}), 32);
  EXPECT_EQ(result.samples, 32U);
  for (const report::TargetResult& target : result.targets) {
    std::map<std::string, std::vector<const report::LayerResult*>> layers;
    for (const report::LayerResult& layer : target.layers) {
      layers[result.layers[static_cast<std::size_t>(layer.layer)].name].push_back(&layer);
    }
    ASSERT_EQ(layers["conv3.0"].size(), 2U);
    const report::LayerInfo& info = result.layers[static_cast<std::size_t>(layers["conv3.0"][0]->layer)];
    ASSERT_EQ(info.inputs.size(), 2U);
    EXPECT_NE(info.inputs[0].scale(), info.inputs[1].scale());
    EXPECT_NE(layers["conv3.0"][0]->channels[0].multiplier, layers["conv3.0"][1]->channels[0].multiplier);
    EXPECT_GT(layers["conv3.0"][0]->samples, 0U);
    EXPECT_GT(layers["conv3.0"][1]->samples, 0U);
    EXPECT_EQ(layers["conv3.0"][0]->samples + layers["conv3.0"][1]->samples, 32U);
    EXPECT_EQ(layers["conv1.0"][0]->samples, layers["conv3.0"][0]->samples) << "then-branch first";
    EXPECT_EQ(layers["conv2.0"][0]->samples, layers["conv3.0"][1]->samples);
    EXPECT_EQ(layers["fc"][0]->samples, 32U);
  }
  std::vector<std::string> targets;
  for (const report::Finding& finding : result.findings) {
    if (finding.id != "QG010") continue;
    EXPECT_EQ(finding.layer, "conv3.0");
    targets.push_back(finding.target);
  }
  EXPECT_EQ(targets, std::vector<std::string>{"pytorch-qnnpack"}) << "a float bias serves every scale";
}

INSTANTIATE_TEST_SUITE_P(Models, BranchingTest, ::testing::Values(Side::kBoth, Side::kQatAlone, Side::kConvertedAlone),
                         [](const auto& side) {
                           return side.param == Side::kBoth       ? "QatAndConverted"
                                  : side.param == Side::kQatAlone ? "QatAlone"
                                                                  : "ConvertedAlone";
                         });

TEST(BranchingBatchTest, TakesOneSampleABatch) {
  auto session = AnalysisSession::Create(DemoModels("branching_eager_qnnpack_scripted"), Targets({"generic-int32"}), {});
  QATGAP_ASSERT_OK(session);
  EXPECT_EQ((*session)->batch_limit(), 1);
}

}  // namespace
}  // namespace qatgap::attribution
