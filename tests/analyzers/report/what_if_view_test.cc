#include "analyzers/report/what_if_view.h"

#include "analyzers/report/bias_writer.h"
#include "analyzers/report/html_writer.h"
#include "analyzers/report/report.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/testing/status_matchers.h"

namespace qatgap::report {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

WhatIfRow Row(WhatIf what_if, std::uint64_t changed, bool is_remedy = true) {
  WhatIfRow row{.what_if = what_if, .measured = true, .is_remedy = is_remedy};
  row.against_fake_quant.count = 20'000;
  row.against_fake_quant.changed = changed;
  row.against_fake_quant.sum_squares = changed;
  row.against_float_bias = row.against_fake_quant;
  return row;
}

LayerWhatIfs Layer(std::vector<WhatIfRow> others) {
  LayerWhatIfs layer{.layer = 0, .input_index = 0, .calibration_samples = 8, .rows = {Row(WhatIf::kPlain, 100, false)}};
  layer.rows.insert(layer.rows.end(), others.begin(), others.end());
  return layer;
}

Report ReportOf(std::vector<WhatIfRow> others) {
  Report report;
  LayerInfo& info = report.result.layers.emplace_back();
  info.name = "fc";
  info.kind = "linear";
  info.channels = 2;
  info.output = {.scales = {0.5}, .zero_points = {3}};
  TargetResult& target = report.result.targets.emplace_back();
  target.name = "narrow";
  target.layers.emplace_back().channels.resize(2);
  target.layers[0].channels[0].bias = {
      .real = 1.3, .scale = 0.25, .rounded = 5, .stored = 5, .saturated = false, .residual_lsb = 0};
  target.layers[0].channels[1].bias = {
      .real = -90, .scale = 0.5, .rounded = -180, .stored = -128, .saturated = true, .residual_lsb = 52};
  target.what_ifs.push_back(Layer(std::move(others)));
  return report;
}

TEST(WhatIfViewTest, OneChangedOutputInTenThousandIsTheLeastGain) {
  EXPECT_FALSE(RecommendationOf(Layer({Row(WhatIf::kStorage16, 99)}))) << "1 of 20,000";
  const auto found = RecommendationOf(Layer({Row(WhatIf::kStorage16, 98)}));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->gain(), 2U);
}

TEST(WhatIfViewTest, TheBestRemedyIsRecommended) {
  const auto best =
      RecommendationOf(Layer({Row(WhatIf::kStorage16, 50), Row(WhatIf::kErrorAwareRounding, 20),
                              Row(WhatIf::kExplicitAdd, 20), Row(WhatIf::kStorage8, 0, /*is_remedy=*/false)}));
  ASSERT_TRUE(best);
  EXPECT_EQ(best->what_if, WhatIf::kErrorAwareRounding);
  EXPECT_FALSE(RecommendationOf(Layer({Row(WhatIf::kExplicitAdd, 5'000)}))) << "worse";
  EXPECT_FALSE(RecommendationOf(Layer({}))) << "nothing to compare with";
  EXPECT_FALSE(RecommendationOf(LayerWhatIfs{})) << "no sample";
}

TEST(WhatIfViewTest, OfEqualCountsTheSmallerErrorsWin) {
  WhatIfRow large = Row(WhatIf::kStorage16, 20);
  large.against_fake_quant.sum_squares = 500;
  const auto best = RecommendationOf(Layer({large, Row(WhatIf::kExplicitAdd, 20)}));
  ASSERT_TRUE(best);
  EXPECT_EQ(best->what_if, WhatIf::kExplicitAdd);
}

TEST(WhatIfViewTest, EveryWriterSaysIt) {
  const Report report = ReportOf({Row(WhatIf::kStorage16, 40), Row(WhatIf::kExplicitAdd, 9'000)});
  const std::vector<std::string> sentences = WhatIfSentences(report.result, report.result.targets[0]);
  ASSERT_EQ(sentences.size(), 2U);
  EXPECT_THAT(sentences[0],
              HasSubstr("changes 9,000 of 20,000 (45.0 %) layer outputs against the trained model where "
                        "100 of 20,000 (0.50 %) change as deployed: worse in 1 of 1 layer, better in 0."));
  EXPECT_EQ(sentences[1],
            "What would help, layer by layer: store the bias in 16 bits in 1 layer (most in fc: 40 of 20,000 "
            "(0.20 %) outputs change instead of 100).");
  EXPECT_THAT(HtmlContent(report), HasSubstr("What would help</h3>"));
  EXPECT_THAT(WriteMarkdown(report), HasSubstr("### What would help"));
  EXPECT_THAT(WriteMarkdown(report), HasSubstr("store the bias in 16 bits: 60 of 20,000 fewer (0.30 %)"));
  const auto json = nlohmann::json::parse(WriteStatisticsJson(report))["targets"][0]["what_ifs"][0];
  EXPECT_EQ(json["layer"], "fc");
  EXPECT_EQ(json["recommendation"]["what_if"], "storage_16_bits");
  EXPECT_EQ(json["recommendation"]["gain_rate"], 0.003);
  EXPECT_EQ(json["rows"][2]["against_fake_quant"]["changed"], 9'000);
}

TEST(WhatIfViewTest, AGainOnTheSamplesThatChoseItSaysSo) {
  Report report = ReportOf({Row(WhatIf::kErrorAwareRounding, 40)});
  report.result.samples = 64;
  report.result.targets[0].what_ifs[0].calibration_samples = 16;
  const std::vector<std::string> sentences = WhatIfSentences(report.result, report.result.targets[0]);
  EXPECT_THAT(sentences, Contains("The integers with the least output error were chosen on 16 of the 64 samples that their "
                                  "gain is measured on; new samples may gain less."));
}

TEST(WhatIfViewTest, WithoutWhatIfsNothingIsSaid) {
  Report report = ReportOf({});
  report.result.targets[0].what_ifs.clear();
  EXPECT_THAT(WhatIfSentences(report.result, report.result.targets[0]), ElementsAre());
  EXPECT_THAT(HtmlContent(report), Not(HasSubstr("What would help")));
  EXPECT_THAT(WriteMarkdown(report), Not(HasSubstr("What would help")));
}

TEST(BiasWriterTest, WritesIntegersScalesAndTheValuesToTrainWith) {
  WhatIfRow aware = Row(WhatIf::kErrorAwareRounding, 40);
  aware.stored = {6, -128};
  const auto json = nlohmann::json::parse(WriteBiases(ReportOf({aware})));
  const auto& target = json["targets"][0];
  EXPECT_EQ(target["name"], "narrow");
  const auto& layer = target["layers"][0];
  EXPECT_EQ(layer["layer"], "fc");
  EXPECT_EQ(layer["scales"], nlohmann::json({0.25, 0.5}));
  EXPECT_EQ(layer["stored"], nlohmann::json({5, -128}));
  EXPECT_EQ(layer["values"], nlohmann::json({1.25, -64.0}));
  EXPECT_EQ(layer["saturated_channels"], nlohmann::json({1}));
  EXPECT_EQ(layer["error_aware_stored"], nlohmann::json({6, -128}));
}

TEST(BiasWriterTest, ATargetWithAFloatBiasHasNoLayers) {
  Report report = ReportOf({});
  report.result.targets[0].bias_mode = numerics::BiasMode::kFloatAfterScale;
  const auto json = nlohmann::json::parse(WriteBiases(report));
  EXPECT_TRUE(json["targets"][0]["layers"].empty());
}

TEST(WhatIfMergeTest, RowsOfAnotherCalibrationDoNotAddUp) {
  LayerWhatIfs one = Layer({Row(WhatIf::kErrorAwareRounding, 1)});
  LayerWhatIfs other = one;
  QATGAP_ASSERT_OK(CheckMergeable(one, other));
  Merge(one, other);
  EXPECT_EQ(one.rows[1].against_fake_quant.count, 40'000U);
  EXPECT_EQ(one.rows[1].against_fake_quant.changed, 2U);
  other.rows[1].stored = {3};
  EXPECT_THAT(CheckMergeable(one, other), testing::StatusIs(absl::StatusCode::kFailedPrecondition,
                                                            HasSubstr("the stored biases of error_aware_rounding")));
}

}  // namespace
}  // namespace qatgap::report
