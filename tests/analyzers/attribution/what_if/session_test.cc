// What-ifs of whole networks: properties of the rows, and that neither order nor split changes a byte.
#include "analyzers/report/what_if_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/attribution/demo_analysis.h"
#include "tests/testing/demo_models.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::attribution {
namespace {

using report::WhatIf;
using report::WhatIfRow;
using ::testing::HasSubstr;

constexpr std::int64_t kBatch = 3, kBatches = 6;
constexpr char kFolder[] = "residual_eager_x86";

using Order = std::vector<std::int64_t>;

report::AnalysisResult Measured(AnalysisModels models, std::vector<numerics::TargetDescription> targets,
                                const Order& calibrated = {0, 1, 2, 3, 4, 5},
                                const Order& measured = {0, 1, 2, 3, 4, 5}) {
  auto session = AnalysisSession::Create(std::move(models), std::move(targets), {}, {.what_if = true});
  QATGAP_EXPECT_OK(session);
  const std::int64_t batch = (*session)->batch_limit() == 0 ? kBatch : (*session)->batch_limit();
  const auto images = [&](std::int64_t index) { return testing::Images(index * batch, batch); };
  for (const std::int64_t index : calibrated) {
    const graph::Tensor rows = images(index);
    QATGAP_EXPECT_OK((*session)->Calibrate({&rows, 1}));
  }
  for (const std::int64_t index : measured) {
    const graph::Tensor rows = images(index);
    QATGAP_EXPECT_OK((*session)->RunBatch({&rows, 1}, {}));
  }
  return (*session)->result();
}

numerics::TargetDescription WithBits(int bits) {
  numerics::TargetDescription target = Targets({"generic-int32"})[0];
  target.name = "narrow";
  target.bias.bits = bits;
  return target;
}

std::string Statistics(report::AnalysisResult result) {
  report::Report report;
  report.result = std::move(result);
  return report::WriteStatisticsJson(report);
}

std::string Sentences(const report::AnalysisResult& result) {
  std::string all;
  for (const std::string& sentence : report::WhatIfSentences(result, result.targets[0])) all += sentence + "\n";
  return all;
}

class WhatIfSessionTest : public ::testing::TestWithParam<const char*> {};

TEST_P(WhatIfSessionTest, NeitherOrderNorSplitChangesAByte) {
  const AnalysisModels models = DemoModels(GetParam());
  const auto targets = Targets({"pytorch-qnnpack", "generic-int8", "pytorch-fbgemm"});
  const std::string expected = Statistics(Measured(models, targets));
  EXPECT_THAT(expected, HasSubstr("\"error_aware_rounding\""));
  EXPECT_EQ(Statistics(Measured(models, targets, {4, 2, 0, 5, 1, 3}, {3, 5, 0, 4, 2, 1})), expected);
  report::AnalysisResult total;
  for (const Order& part : {Order{5, 1}, Order{0}, Order{2, 4, 3}}) {
    QATGAP_ASSERT_OK(report::MergeInto(total, Measured(models, targets, {0, 1, 2, 3, 4, 5}, part)));
  }
  EXPECT_EQ(Statistics(total), expected);
  EXPECT_THAT(report::MergeInto(total, Measured(models, targets, {0, 1}, {0})),
              testing::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("what-ifs")));
}

// The plain row is the ladder's total where no engine stands behind it.
TEST_P(WhatIfSessionTest, ThePlainRowIsTheLaddersTotal) {
  const report::AnalysisResult result = Measured(DemoModels(GetParam()), Targets({"generic-int32"}));
  const report::TargetResult& target = result.targets[0];
  ASSERT_EQ(target.what_ifs.size(), target.layers.size());
  for (std::size_t i = 0; i < target.layers.size(); ++i) {
    EXPECT_EQ(target.what_ifs[i].layer, target.layers[i].layer);
    const auto causes = report::MergeChannels(target.layers[i]);
    EXPECT_EQ(target.what_ifs[i].rows[0].against_fake_quant, causes[static_cast<std::size_t>(report::Cause::kTotal)]);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, WhatIfSessionTest,
                         ::testing::Values("residual_eager_x86", "branching_eager_qnnpack_scripted"),
                         [](const auto& param) { return std::string(param.param); });

TEST(WhatIfNetworkTest, StorageOfTheTargetsOwnWidthIsThePlainRow) {
  for (const int bits : {8, 16, 24, 32}) {
    const report::AnalysisResult result = Measured(DemoModels(kFolder), {WithBits(bits)});
    const WhatIf own = bits == 8    ? WhatIf::kStorage8
                       : bits == 16 ? WhatIf::kStorage16
                       : bits == 24 ? WhatIf::kStorage24
                                    : WhatIf::kStorage32;
    for (const report::LayerWhatIfs& layer : result.targets[0].what_ifs) {
      const WhatIfRow* row = report::FindRow(layer, own);
      ASSERT_NE(row, nullptr);
      EXPECT_EQ(row->against_fake_quant, layer.rows[0].against_fake_quant) << bits;
      EXPECT_EQ(row->against_float_bias, layer.rows[0].against_float_bias) << bits;
      EXPECT_FALSE(row->is_remedy) << bits;
    }
  }
}

TEST(WhatIfNetworkTest, TheWorkaroundIsWorseAndTheReportSaysSo) {
  const report::AnalysisResult result = Measured(DemoModels(kFolder), Targets({"pytorch-qnnpack"}));
  const auto sum = report::SumOf(result.targets[0], WhatIf::kExplicitAdd);
  ASSERT_TRUE(sum);
  EXPECT_EQ(sum->layers, result.targets[0].layers.size());
  EXPECT_GT(sum->after, sum->before);
  EXPECT_GT(sum->worse, sum->better);
  EXPECT_THAT(Sentences(result), HasSubstr("worse in"));
}

TEST(WhatIfNetworkTest, WhatErrorAwareRoundingChoseOnSomeSamplesHoldsOnOthers) {
  const report::AnalysisResult result =
      Measured(DemoModels(kFolder), Targets({"pytorch-qnnpack"}), {0, 1, 2, 3}, {4, 5, 6, 7});
  const auto sum = report::SumOf(result.targets[0], WhatIf::kErrorAwareRounding);
  ASSERT_TRUE(sum);
  EXPECT_LT(sum->after, sum->before);
}

TEST(WhatIfNetworkTest, ASaturatedBiasIsHelpedByWidth) {
  for (const int bits : {8, 12}) {
    const report::AnalysisResult result = Measured(DemoModels(kFolder), {WithBits(bits)});
    const auto wide = report::SumOf(result.targets[0], WhatIf::kStorage32);
    ASSERT_TRUE(wide);
    EXPECT_LT(wide->after, wide->before) << bits;
    EXPECT_THAT(Sentences(result), HasSubstr("store the bias in")) << bits;
  }
}

// The converted model against its own fake-quant twin: of all that differs, only the bias and float32 are left.
AnalysisModels Twin(graph::Graph converted) {
  auto twin = CombineModels(
      std::nullopt, GivenModel{.graph = std::move(converted), .kind = GivenKind::kConverted, .format = "", .name = ""});
  QATGAP_EXPECT_OK(twin);
  return twin.ok() ? *std::move(twin) : AnalysisModels{};
}

TEST(WhatIfNetworkTest, ANetworkWithTheBiasesThatAreStoredIsCleanAndGetsNoRecommendation) {
  graph::Graph converted = *DemoModels(kFolder).converted;
  const report::AnalysisResult before = Measured(Twin(converted), Targets({"generic-int32"}));
  EXPECT_THAT(Sentences(before), HasSubstr("train on with the bias that is stored"));
  for (const report::LayerResult& layer : before.targets[0].layers) {
    const std::span<float> biases = BiasOf(converted, before.layers[static_cast<std::size_t>(layer.layer)].name);
    for (std::size_t c = 0; c < layer.channels.size(); ++c) {
      const numerics::StoredBias& bias = layer.channels[c].bias;
      biases[c] = static_cast<float>(static_cast<double>(bias.stored) * bias.scale);
    }
  }
  const report::AnalysisResult clean = Measured(Twin(std::move(converted)), Targets({"generic-int32"}));
  ASSERT_FALSE(clean.targets[0].what_ifs.empty());
  for (const report::LayerWhatIfs& layer : clean.targets[0].what_ifs) {
    const auto found = report::RecommendationOf(layer);
    EXPECT_FALSE(found) << report::TitleOf(clean, layer) << ": " << report::Words(found->what_if) << " saves "
                        << found->gain() << " of " << found->count;
  }
  EXPECT_THAT(Sentences(clean), HasSubstr("none is recommended"));
}

TEST(WhatIfNetworkTest, NothingIsSaidWhereNothingWasAsked) {
  const report::AnalysisResult result = Analyse(DemoModels(kFolder), Targets({"generic-int32"}));
  EXPECT_TRUE(result.targets[0].what_ifs.empty());
  EXPECT_EQ(Sentences(result), "");
}

TEST(WhatIfNetworkTest, CalibrationComesFirst) {
  auto session = AnalysisSession::Create(DemoModels(kFolder), Targets({"generic-int32"}), {}, {.what_if = true});
  QATGAP_ASSERT_OK(session);
  const graph::Tensor rows = testing::Images(0, 2);
  QATGAP_ASSERT_OK((*session)->RunBatch({&rows, 1}, {}));
  EXPECT_THAT((*session)->Calibrate({&rows, 1}),
              testing::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("calibration")));
}

}  // namespace
}  // namespace qatgap::attribution
