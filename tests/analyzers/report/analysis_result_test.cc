#include "analyzers/report/analysis_result.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "analyzers/report/report.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/report/sample_report.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::report {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

std::vector<TargetRecipe> TwoTargets() {
  TargetRecipe integer;
  integer.engine = numerics::Engine::kQnnpack;
  for (const char* name : {"conv1", "conv2", "fc"}) {
    LayerRecipe layer;
    layer.name = name;
    layer.causes = {Rate(2000), Rate(40000), Rate(3000), Rate(500, 4),
                    Rate(0),    Rate(20000), Rate(0)};
    layer.saturated = {1};
    integer.layers.push_back(layer);
  }
  TargetRecipe other = integer;
  other.name = "other";
  return {integer, other};
}

AnalysisResult Unit(std::uint32_t unit) {
  AnalysisResult result = SampleUnit(TwoTargets(), unit);
  // A layer with two producers: each unit saw other branches.
  result.layers[2].inputs.push_back(result.layers[2].inputs[0]);
  result.layers[2].inputs[1].scales[0] *= 2;
  LayerResult second = result.targets[0].layers[2];
  second.input_index = 1;
  if (unit != 0) result.targets[0].layers.push_back(second);
  if (unit == 1) std::swap(result.targets[0].layers[0], result.targets[0].layers[3]);
  if (unit == 2)
    std::reverse(result.targets[0].comparisons.begin(), result.targets[0].comparisons.end());
  result.findings = {{"QG002", Severity::kInfo, "b", "conv1", "", {}, "", ""},
                     {"QG001", Severity::kError, "a", "conv2", "", {3}, "", ""}};
  if (unit == 2) std::reverse(result.findings.begin(), result.findings.end());
  result.unmeasured = {{"softmax", "aten::softmax", "float", false}};
  return result;
}

AnalysisResult Merged(const std::vector<std::uint32_t>& units) {
  AnalysisResult total;
  for (const std::uint32_t unit : units) QATGAP_EXPECT_OK(MergeInto(total, Unit(unit)));
  return total;
}

TEST(MergeTest, EveryOrderOfUnitsGivesTheSameBytes) {
  std::vector<std::uint32_t> order{0, 1, 2, 3};
  const AnalysisResult first = Merged(order);
  const std::string json = WriteStatisticsJson(WithProvenance(first));
  do {
    const AnalysisResult other = Merged(order);
    ASSERT_EQ(other, first);
    ASSERT_EQ(WriteStatisticsJson(WithProvenance(other)), json);
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(MergeTest, GroupingDoesNotMatter) {
  AnalysisResult left = Merged({0, 1});
  const AnalysisResult right = Merged({2, 3});
  QATGAP_ASSERT_OK(MergeInto(left, right));
  EXPECT_EQ(left, Merged({0, 1, 2, 3}));
}

TEST(MergeTest, DefaultIsTheNeutralElementOnBothSides) {
  AnalysisResult total = Merged({1});
  QATGAP_ASSERT_OK(MergeInto(total, AnalysisResult{}));
  EXPECT_EQ(total, Merged({1}));
  AnalysisResult canonical = Unit(1);
  Canonicalize(canonical);
  EXPECT_EQ(total, canonical);
}

TEST(MergeTest, SumsAreAdded) {
  const AnalysisResult one = Merged({0});
  const AnalysisResult both = Merged({0, 1});
  EXPECT_EQ(both.samples, 16U);
  EXPECT_EQ(both.labelled, 16U);
  const auto& target = both.targets[0];
  EXPECT_EQ(target.layers[0].samples, 16U);
  EXPECT_EQ(target.layers[0].channels[0].causes[kCauseCount - 1].count,
            2 * one.targets[0].layers[0].channels[0].causes[kCauseCount - 1].count);
  EXPECT_EQ(target.accuracies[0].correct, 14U);
  EXPECT_EQ(target.comparisons[0].outputs[0].count, 160U);
}

TEST(MergeTest, LayerResultsAreUnitedByLayerAndInput) {
  EXPECT_EQ(Merged({0}).targets[0].layers.size(), 3U);
  const AnalysisResult merged = Merged({0, 1});
  ASSERT_EQ(merged.targets[0].layers.size(), 4U);
  EXPECT_EQ(merged.targets[0].layers[3].layer, 2);
  EXPECT_EQ(merged.targets[0].layers[3].input_index, 1);
  EXPECT_EQ(merged.targets[0].layers[3].samples, 8U);
}

TEST(MergeTest, NotesThatDifferAreKeptSortedAndOnce) {
  const auto with_note = [](const std::string& note) {
    AnalysisResult result = Unit(0);
    result.targets[0].layers[0].engine_note = note;
    return result;
  };
  AnalysisResult total;
  for (const char* note : {"no vnni", "", "old driver", "no vnni"}) {
    QATGAP_ASSERT_OK(MergeInto(total, with_note(note)));
  }
  EXPECT_EQ(total.targets[0].layers[0].engine_note, "no vnni\nold driver");
}

TEST(MergeTest, WhatAnyUnitDidNotMeasureIsKept) {
  AnalysisResult total = Unit(0);
  AnalysisResult other = Unit(1);
  other.unmeasured.push_back({"conv2", "conv2d", "NaN in its input", true});
  QATGAP_ASSERT_OK(MergeInto(total, other));
  ASSERT_EQ(total.unmeasured.size(), 2U);
  EXPECT_EQ(total.unmeasured[0].name, "conv2") << "what counts against coverage first";
}

struct Difference {
  std::string name;
  std::function<void(AnalysisResult&)> change;
  std::string message;
};

class DifferentAnalysesTest : public ::testing::TestWithParam<Difference> {};

TEST_P(DifferentAnalysesTest, AreRefusedByNameAndLeaveTheTotalAlone) {
  AnalysisResult total = Merged({0});
  const AnalysisResult before = total;
  AnalysisResult unit = Unit(1);
  GetParam().change(unit);
  EXPECT_THAT(MergeInto(total, unit),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(GetParam().message)));
  EXPECT_EQ(total, before);
}

INSTANTIATE_TEST_SUITE_P(
    StaticParts, DifferentAnalysesTest,
    ::testing::Values(
        Difference{"BatchSize", [](auto& r) { r.environment.batch_size = 9; },
                   "batch size is \"8\" in one unit and \"9\" in another"},
        Difference{"CpuFeatures", [](auto& r) { r.environment.cpu_features = {"neon"}; },
                   "CPU features"},
        Difference{"LibTorch", [](auto& r) { r.environment.libtorch_version = "2.6"; },
                   "LibTorch version"},
        Difference{"Format", [](auto& r) { r.qat_format = "ONNX"; }, "model format"},
        Difference{"ConvertedFormat", [](auto& r) { r.converted_format = "ONNX"; }, "converted model's format"},
        Difference{"Notes", [](auto& r) { r.notes = {"rebuilt"}; }, "the notes on the models"},
        Difference{"Layers", [](auto& r) { r.layers.pop_back(); }, "number of analysed layers"},
        Difference{"LayerName", [](auto& r) { r.layers[0].name = "x"; }, "layer name is \"conv1\""},
        Difference{"LayerGrid", [](auto& r) { r.layers[1].output.scales[0] = 1; },
                   "static facts of layer conv2"},
        Difference{"Outputs", [](auto& r) { r.outputs.clear(); }, "model's outputs"},
        Difference{"Findings", [](auto& r) { r.findings.pop_back(); }, "the findings"},
        Difference{"TargetCount", [](auto& r) { r.targets.pop_back(); }, "number of targets"},
        Difference{"TargetName", [](auto& r) { r.targets[1].name = "y"; }, "target is \"other\""},
        Difference{"Digest", [](auto& r) { r.targets[0].digest = "1"; },
                   "digest of target pytorch-qnnpack"},
        Difference{"Evidence", [](auto& r) { r.targets[0].evidence.detail = "z"; }, "evidence"},
        Difference{"StoredBias",
                   [](auto& r) { r.targets[1].layers[1].channels[2].bias.stored = 7; },
                   "stored biases of layer conv2 under target other, channel 2"},
        Difference{"Multiplier", [](auto& r) { r.targets[1].layers[1].channels[2].multiplier = 7; },
                   "multiplier of layer conv2"},
        Difference{"Channels", [](auto& r) { r.targets[1].layers[0].channels.pop_back(); },
                   "number of channels of layer conv1"},
        Difference{"LayerIndex", [](auto& r) { r.targets[1].layers[0].layer = 77; }, "index 77"},
        Difference{"NegativeIndex", [](auto& r) { r.targets[1].layers[0].layer = -1; }, "index -1"},
        Difference{"ComparedLayers", [](auto& r) { r.targets[0].comparisons[0].layers.clear(); },
                   "number of layers of"},
        Difference{"ComparedOutputs", [](auto& r) { r.targets[0].comparisons[0].outputs.clear(); },
                   "number of outputs of"}),
    [](const auto& test) { return test.param.name; });

TEST(CoverageTest, CountsLayersThatSamplesReachedAndThatWereMeasured) {
  AnalysisResult result = Merged({0});
  result.mac_layers = 5;
  EXPECT_EQ(CoverageOf(result, result.targets[0]).analysed, 3);
  EXPECT_EQ(CoverageOf(result, result.targets[0]).mac_layers, 5);
  result.targets[0].layers[0].samples = 0;
  EXPECT_EQ(CoverageOf(result, result.targets[0]).analysed, 2);
  result.unmeasured.push_back({"conv2", "conv2d", "NaN in its input", true});
  EXPECT_EQ(CoverageOf(result, result.targets[0]).analysed, 1);
  EXPECT_EQ(CoverageOf(result, result.targets[1]).analysed, 2);
}

TEST(MergeChannelsTest, AddsTheChannels) {
  const LayerResult layer = Merged({0}).targets[0].layers[0];
  const CauseStatistics merged = MergeChannels(layer);
  std::uint64_t changed = 0;
  for (const ChannelResult& channel : layer.channels) changed += channel.causes[1].changed;
  EXPECT_EQ(merged[1].changed, changed);
  EXPECT_EQ(merged[kCauseCount - 1].count, 4U * 512U);
}

TEST(SharesTest, AddUpToOne) {
  const AnalysisResult result = Merged({0, 1, 2});
  const CauseShares shares = SharesOf(result.targets[0]);
  ASSERT_TRUE(shares.defined);
  // Seven quotients by one number, each within half an ulp of 1.
  EXPECT_NEAR(std::accumulate(shares.share.begin(), shares.share.end() - 1, 0.0), 1.0, 1e-14);
  EXPECT_EQ(shares.share.back(), 1.0);
}

TEST(SharesTest, UndefinedWhereNothingDiffers) { EXPECT_FALSE(SharesOf(TargetResult{}).defined); }

TEST(NamesTest, OfCausesPathsSeverities) {
  EXPECT_EQ(ToString(Cause::kBiasRounding), "bias_rounding");
  EXPECT_EQ(ToString(Cause::kTotal), "total");
  EXPECT_EQ(ToString(Path::kQuantizedBias), "quantized_bias");
  EXPECT_EQ(ToString(Severity::kWarning), "warning");
}

}  // namespace
}  // namespace qatgap::report
