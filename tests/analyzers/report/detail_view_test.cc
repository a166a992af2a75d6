#include "analyzers/report/detail_view.h"

#include "analyzers/report/detail_tables.h"
#include "analyzers/report/propagation.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/analyzers/report/small_report.h"

namespace qatgap::report {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Report Detailed() {
  Report report = SmallReport();
  report.result.labelled = 4;
  report.result.worst_samples = 2;
  for (TargetResult& target : report.result.targets) {
    target.accuracies = {{.path = Path::kFakeQuant, .correct = 3}, {.path = Path::kTarget, .correct = 2}};
    PathComparison& whole = target.comparisons[0];
    whole.lost = 1;
    whole.worst = {{.sample = 3, .top1_changed = true, .reference_answer = 1, .answer = 7, .changed = 2, .max_absolute = 4,
                    .sum_squares = 17, .differences = {{.output = 0, .element = 9, .reference = 10, .value = 14},
                                                       {.output = 0, .element = 2, .reference = 10, .value = 9}}}};
    target.sensitivities = {{.layer = 0, .outputs = {Moved(4, 3, 3)}},
                            {.layer = 1, .outputs = {Moved(4, 1, 1)}, .top1_changed = 1, .lost = 1}};
  }
  return report;
}

std::string Said(const Report& report) {
  std::string said;
  for (const std::string& sentence : VerdictOf(report, report.result.targets[0]).sentences) said += sentence + "\n";
  return said;
}

TEST(DetailViewTest, RanksLayersByMovedAnswersFirst) {
  const Report report = Detailed();
  const auto ranked = RankedSensitivities(report.result.targets[0]);
  ASSERT_EQ(ranked.size(), 2U);
  EXPECT_EQ(ranked[0]->layer, 1) << "one moved answer weighs more than three codes";
  EXPECT_THAT(Said(report),
              HasSubstr("Quantized alone, the biases that change the model's outputs most are those of b (25.0 % of the output "
                        "values, 1 answer), a (75.0 % of the output values, 0 answers); those of 0 of 2 layers"));
}

TEST(DetailViewTest, SaysSoWhereNoBiasMatters) {
  Report report = Detailed();
  for (LayerSensitivity& layer : report.result.targets[0].sensitivities) layer = {.layer = layer.layer, .outputs = {Moved(4, 0, 0)}};
  EXPECT_THAT(Said(report), HasSubstr("Quantized alone, no layer's bias changes the model's outputs (2 layers)."));
  const std::vector<TextTable> tables = DetailTables(report.result, report.result.targets[0]);
  EXPECT_THAT(tables, Not(Contains(::testing::Field(&TextTable::title, HasSubstr("bias alone")))));
}

TEST(DetailViewTest, AccuracyIsPaired) {
  const Report report = Detailed();
  EXPECT_THAT(Said(report), HasSubstr("target against fake-quant: 1 right answer lost, 0 gained; accuracy changes by -25 points "
                                      "(95 % interval "));
  EXPECT_THAT(Said(report), HasSubstr("exact McNemar p = 1): no more than chance explains."));
}

TEST(DetailViewTest, TheWorstSampleIsNamed) {
  EXPECT_THAT(Said(Detailed()), HasSubstr("is number 3, counted from 0: 2 output values, by at most 4 LSB; its answer is 7 "
                                          "instead of 1."));
}

TEST(DetailViewTest, WorstChannelsAreThoseTheBiasChanges) {
  const Report report = Detailed();
  const std::vector<LayerView> layers = ViewsOf(report.result, report.result.targets[0]);
  const std::vector<WorstChannel> worst = WorstChannels(layers, 10);
  ASSERT_EQ(worst.size(), 1U) << "the others have no code changed by the bias";
  EXPECT_EQ(worst[0].layer->info->name, "a");
  EXPECT_EQ(worst[0].channel, 0);
  EXPECT_EQ(worst[0].bias_changed, 1U);
}

TEST(DetailViewTest, PropagatedIsAccumulatedMinusInjected) {
  const Report report = Detailed();
  // Injected: layer a 3 of 200 codes, b 4 of 100; accumulated: 10 of 200 and 20 of 100.
  const auto a = PropagationOf(report.result.targets[0], 0), b = PropagationOf(report.result.targets[0], 1);
  ASSERT_TRUE(a && b);
  EXPECT_DOUBLE_EQ(a->injected, 0.015);
  EXPECT_DOUBLE_EQ(a->accumulated, 0.05);
  EXPECT_DOUBLE_EQ(b->propagated(), 0.2 - 0.04);
  EXPECT_EQ(PropagationOf(report.result.targets[0], 2), std::nullopt);
  TargetResult alone = report.result.targets[0];
  alone.comparisons.clear();
  EXPECT_EQ(PropagationOf(alone, 0), std::nullopt);
}

TEST(DetailViewTest, HeldOutSamplesAreSetBesideTheOthers) {
  Report report = Detailed();
  report.result.held_out = {.samples = 8, .labelled = 0, .input_ranges = {}, .targets = report.result.targets};
  report.result.held_out.targets[0].layers[0].channels[0] = SmallChannel(1, 2, 50);
  EXPECT_THAT(Said(report), HasSubstr("Held-out samples (8) against calibration samples (4): the bias changes 16.7 % against "
                                      "0.33 % of the layer outputs"));
  const std::vector<TextTable> tables = DetailTables(report.result, report.result.targets[0]);
  ASSERT_EQ(tables.size(), 4U);
  EXPECT_EQ(tables[3].title, "Held-out samples");
  EXPECT_THAT(tables[3].rows[0].cells, ElementsAre("target against fake-quant", "25.0 %", "25.0 %", "12.5 %", "25.0 %"));
}

TEST(DetailViewTest, JsonHasTheSums) {
  Report report = Detailed();
  report.result.held_out = {.samples = 8, .labelled = 0, .input_ranges = {}, .targets = report.result.targets};
  const auto statistics = nlohmann::json::parse(WriteJson(report))["statistics"];
  const auto& target = statistics["targets"][0];
  EXPECT_EQ(target["comparisons"][0]["lost"], 1);
  EXPECT_EQ(target["comparisons"][0]["accuracy_difference"]["value"], -0.25);
  EXPECT_EQ(target["comparisons"][0]["accuracy_difference"]["p_value"], 1);
  EXPECT_EQ(target["comparisons"][0]["worst_samples"][0]["differences"][0]["element"], 9);
  EXPECT_EQ(target["sensitivities"][1]["layer"], "b");
  EXPECT_EQ(target["sensitivities"][1]["top1_changed"], 1);
  EXPECT_EQ(target["layers"][0]["propagation"]["accumulated"], 0.05);
  EXPECT_EQ(target["global_cause"], nullptr);
  EXPECT_EQ(statistics["worst_samples"], 2);
  EXPECT_EQ(statistics["held_out"]["samples"], 8);
  EXPECT_EQ(statistics["held_out"]["targets"][0]["comparisons"][0]["accuracy_difference"], nullptr) << "they have no labels";
  EXPECT_EQ(nlohmann::json::parse(WriteJson(SmallReport()))["statistics"]["held_out"], nullptr);
}

TEST(DetailViewTest, MarkdownHasTheTables) {
  const std::string text = WriteMarkdown(Detailed());
  for (const char* title : {"### What each bias alone does to the outputs", "### Channels that the bias changes most",
                            "### Samples that differ most"}) {
    EXPECT_THAT(text, HasSubstr(title));
  }
  EXPECT_THAT(text, HasSubstr("\\[9\\]: 10 to 14, \\[2\\]: 10 to 9"));
  EXPECT_THAT(text, HasSubstr("-25 points (95 % interval"));
}

}  // namespace
}  // namespace qatgap::report
