#include "server/metrics/tracked_figures.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qatgap::server {
namespace {

using report::Cause;
using report::Path;
using statistics::DifferenceStatistics;
using ::testing::ElementsAre;

// `count` codes of 30 on a grid with the zero point 10; the first `changed` of them are `step` higher afterwards.
DifferenceStatistics Sums(int count, int changed, int step) {
  std::vector<std::int32_t> reference(static_cast<std::size_t>(count), 30), value = reference;
  for (int i = 0; i < changed; ++i) value[static_cast<std::size_t>(i)] += step;
  DifferenceStatistics sums;
  sums.Add(reference, value);
  return sums;
}

report::LayerInfo Info(const std::string& name) {
  report::LayerInfo info;
  info.name = name;
  info.output = {.scales = {0.5}, .zero_points = {10}, .quant_min = 0, .quant_max = 255};
  info.inputs.resize(1);
  return info;
}

// One channel whose causes are all bit exact but conversion and the total.
report::LayerResult Layer(std::int64_t index, const DifferenceStatistics& sums, bool engine_measured = true) {
  report::LayerResult layer;
  layer.layer = index;
  layer.engine_measured = engine_measured;
  report::ChannelResult& channel = layer.channels.emplace_back();
  channel.causes.fill(Sums(static_cast<int>(sums.count), 0, 0));
  channel.causes[static_cast<std::size_t>(Cause::kConversion)] = sums;
  channel.causes[static_cast<std::size_t>(Cause::kTotal)] = sums;
  return layer;
}

Analysis Tracked() {
  Analysis analysis;
  analysis.id = "a1";
  analysis.spec.track = "net";
  analysis.create_time = absl::FromUnixSeconds(100);
  analysis.end_time = absl::FromUnixSeconds(160);
  return analysis;
}

report::AnalysisResult ResultOf(std::vector<report::LayerInfo> infos, std::vector<report::LayerResult> layers) {
  report::AnalysisResult result;
  result.layers = std::move(infos);
  result.mac_layers = 4;
  result.samples = 8;
  report::TargetResult& target = result.targets.emplace_back();
  target.name = "tosa";
  target.layers = std::move(layers);
  return result;
}

std::vector<std::string> Names(const TargetFigures& target) {
  std::vector<std::string> names;
  for (const LayerFigures& layer : target.layers) names.push_back(layer.name);
  return names;
}

TEST(TrackedFiguresTest, FiguresOfACause) {
  // 5 of 20 codes are 2 higher: signal 20 * 20^2, noise 5 * 2^2, so 10 log10(8000 / 20) dB.
  const TrackedFigures figures = FiguresOf(Tracked(), ResultOf({Info("conv")}, {Layer(0, Sums(20, 5, 2))}), 10);
  EXPECT_EQ(figures.track, "net");
  EXPECT_EQ(figures.analysis_id, "a1");
  EXPECT_EQ(figures.samples, 8U);
  EXPECT_EQ(figures.end_time, absl::FromUnixSeconds(160));
  ASSERT_EQ(figures.targets.size(), 1U);
  EXPECT_EQ(figures.targets[0].name, "tosa");
  ASSERT_EQ(figures.targets[0].layers.size(), 1U);
  const LayerFigures& layer = figures.targets[0].layers[0];
  for (const Cause cause : {Cause::kConversion, Cause::kTotal}) {
    const CauseFigures& part = layer.causes[static_cast<std::size_t>(cause)];
    EXPECT_EQ(part.changed_ratio, 0.25);
    EXPECT_EQ(part.max_error_lsb, 2);
    EXPECT_EQ(part.sqnr_decibels, 10 * std::log10(400.0));
  }
  const CauseFigures& exact = layer.causes[static_cast<std::size_t>(Cause::kBiasRounding)];
  EXPECT_EQ(exact.changed_ratio, 0);
  EXPECT_EQ(exact.max_error_lsb, 0);
  EXPECT_EQ(exact.sqnr_decibels, std::nullopt) << "infinite";
}

TEST(TrackedFiguresTest, InputsOfALayerCountTogether) {
  std::vector<report::LayerResult> layers = {Layer(0, Sums(10, 1, 1)), Layer(0, Sums(30, 9, 3))};
  layers[1].input_index = 1;
  report::LayerInfo info = Info("conv");
  info.inputs.resize(2);
  const TrackedFigures figures = FiguresOf(Tracked(), ResultOf({info}, layers), 10);
  ASSERT_THAT(Names(figures.targets[0]), ElementsAre("conv"));
  const CauseFigures& total = figures.targets[0].layers[0].causes[static_cast<std::size_t>(Cause::kTotal)];
  EXPECT_EQ(total.changed_ratio, 0.25);
  EXPECT_EQ(total.max_error_lsb, 3);
}

TEST(TrackedFiguresTest, AnEngineThatDidNotRunHasNoResidual) {
  const TrackedFigures figures = FiguresOf(
      Tracked(), ResultOf({Info("a"), Info("b")}, {Layer(0, Sums(4, 0, 0)), Layer(1, Sums(4, 0, 0), false)}), 10);
  const auto residual = static_cast<std::size_t>(Cause::kEngineResidual);
  EXPECT_EQ(figures.targets[0].layers[0].causes[residual].changed_ratio, 0);
  EXPECT_EQ(figures.targets[0].layers[1].causes[residual].changed_ratio, std::nullopt);
  EXPECT_EQ(figures.targets[0].layers[1].causes[residual].max_error_lsb, std::nullopt);
}

// Root mean squares: a 1, b 3, c 0, d 1.
TEST(TrackedFiguresTest, TheWorstLayersStayInTheirOrder) {
  const report::AnalysisResult result =
      ResultOf({Info("a"), Info("b"), Info("c"), Info("d")}, {Layer(0, Sums(9, 9, 1)), Layer(1, Sums(9, 9, 3)),
                                                              Layer(2, Sums(9, 0, 0)), Layer(3, Sums(9, 9, 1))});
  const auto kept = [&](std::size_t max_layers) { return FiguresOf(Tracked(), result, max_layers).targets[0]; };
  EXPECT_THAT(Names(kept(4)), ElementsAre("a", "b", "c", "d"));
  EXPECT_EQ(kept(4).dropped_layers, 0U);
  EXPECT_THAT(Names(kept(3)), ElementsAre("a", "b", "d"));
  EXPECT_THAT(Names(kept(2)), ElementsAre("a", "b"));
  EXPECT_THAT(Names(kept(1)), ElementsAre("b"));
  EXPECT_EQ(kept(1).dropped_layers, 3U);
  EXPECT_THAT(Names(kept(0)), ElementsAre());
  EXPECT_EQ(kept(0).dropped_layers, 4U);
}

TEST(TrackedFiguresTest, NoTwoLayersHaveOneName) {
  const std::string long_name(200, 'x');
  const TrackedFigures figures = FiguresOf(
      Tracked(),
      ResultOf({Info("fc"), Info("fc"), Info("fc #2"), Info(long_name), Info(long_name + "y"), Info("\xff\n")},
               {Layer(0, Sums(1, 0, 0)), Layer(1, Sums(1, 0, 0)), Layer(2, Sums(1, 0, 0)), Layer(3, Sums(1, 0, 0)),
                Layer(4, Sums(1, 0, 0)), Layer(5, Sums(1, 0, 0))}),
      10);
  const std::string head(38, 'x'), tail(39, 'x');
  EXPECT_THAT(Names(figures.targets[0]),
              ElementsAre("fc", "fc #2", "fc #2 #2", head + "..." + tail, head + "..." + tail.substr(1) + "y",
                          "\xEF\xBF\xBD "));
}

TEST(TrackedFiguresTest, OutputsAccuraciesAndCoverage) {
  report::AnalysisResult result = ResultOf({Info("a"), Info("b")}, {Layer(0, Sums(9, 0, 0)), Layer(1, Sums(9, 0, 0))});
  result.labelled = 4;
  for (report::LayerResult& layer : result.targets[0].layers) layer.samples = 8;
  report::PathComparison& comparison = result.targets[0].comparisons.emplace_back();
  comparison.path = Path::kTarget;
  comparison.reference = Path::kFakeQuant;
  comparison.outputs = {Sums(10, 1, 5), Sums(10, 4, 2)};
  comparison.top1_changed = 2;
  result.targets[0].accuracies = {{.path = Path::kTarget, .correct = 3}};
  const TargetFigures target = FiguresOf(Tracked(), result, 10).targets[0];
  ASSERT_EQ(target.outputs.size(), 1U);
  EXPECT_EQ(target.outputs[0].path, Path::kTarget);
  EXPECT_EQ(target.outputs[0].reference, Path::kFakeQuant);
  EXPECT_EQ(target.outputs[0].changed_ratio, 0.25);
  EXPECT_EQ(target.outputs[0].max_error_lsb, 5);
  EXPECT_EQ(target.outputs[0].top1_changed_ratio, 0.25);
  ASSERT_EQ(target.accuracies.size(), 1U);
  EXPECT_EQ(target.accuracies[0].ratio, 0.75);
  EXPECT_EQ(target.coverage_ratio, 0.5);

  result.labelled = 0;
  EXPECT_TRUE(FiguresOf(Tracked(), result, 10).targets[0].accuracies.empty()) << "no labels, no accuracy";
}

}  // namespace
}  // namespace qatgap::server
