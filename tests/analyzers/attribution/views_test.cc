// Sensitivities, held-out samples, worst samples and input ranges of whole networks.
#include <algorithm>

#include "analyzers/attribution/layer_analysis.h"
#include "analyzers/attribution/output_comparison.h"
#include "analyzers/execution/graph_executor.h"
#include "analyzers/graph/mac_layers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/attribution/demo_analysis.h"
#include "tests/testing/demo_models.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::attribution {
namespace {

using report::Path;

constexpr std::int64_t kBatch = 3;
constexpr AnalysisOptions kAll = {.sensitivity = true, .worst_samples = 4, .held_out = true};

AnalysisModels Labelled(const std::string& folder) {
  AnalysisModels models = DemoModels(folder);
  models.has_labels = true;
  return models;
}

// Labels that some paths get right.
std::vector<std::int64_t> Labels(std::int64_t first, std::int64_t count) {
  std::vector<std::int64_t> labels;
  for (std::int64_t i = first; i < first + count; ++i) labels.push_back(i % 10);
  return labels;
}

struct Step {
  std::int64_t batch = 0;
  bool held_out = false;
};

report::AnalysisResult Measured(AnalysisModels models, std::vector<numerics::TargetDescription> targets,
                           const std::vector<Step>& steps, const AnalysisOptions& options = kAll) {
  auto session = AnalysisSession::Create(std::move(models), std::move(targets), {}, options);
  QATGAP_EXPECT_OK(session);
  const std::int64_t batch = (*session)->batch_limit() == 0 ? kBatch : (*session)->batch_limit();
  for (const Step& step : steps) {
    const std::int64_t first = step.batch * batch;
    const graph::Tensor images = testing::Images(first, batch);
    const std::vector<std::int64_t> labels = Labels(first, batch);
    const auto index = static_cast<std::uint64_t>(first);
    QATGAP_EXPECT_OK(step.held_out ? (*session)->RunHeldOut({&images, 1}, labels, index)
                                   : (*session)->RunBatch({&images, 1}, labels, index));
  }
  return (*session)->result();
}

std::string Statistics(report::AnalysisResult result) {
  report::Canonicalize(result);
  report::Report report;
  report.result = std::move(result);
  return report::WriteStatisticsJson(report);
}

// Biases of so many bits at s_x * s_w saturate.
numerics::TargetDescription Narrow(int bits) {
  numerics::TargetDescription target = Targets({"generic-int32"})[0];
  target.name = "narrow";
  target.bias.bits = bits;
  return target;
}

class ViewsTest : public ::testing::TestWithParam<const char*> {};

TEST_P(ViewsTest, NeitherOrderNorSplitChangesAByte) {
  const std::vector<std::string> names = {"generic-int32", "generic-int8"};
  const std::vector<Step> in_order = {{0}, {1}, {2}, {3}, {4, true}, {5, true}};
  const report::AnalysisResult whole = Measured(Labelled(GetParam()), Targets(names), in_order);
  const std::string expected = Statistics(whole);
  EXPECT_EQ(Statistics(Measured(Labelled(GetParam()), Targets(names), {{5, true}, {3}, {1}, {4, true}, {0}, {2}})), expected);
  report::AnalysisResult total;
  for (const std::vector<Step>& part : {std::vector<Step>{{3}, {5, true}}, {}, {{4, true}}, {{2}, {0}, {1}}}) {
    QATGAP_ASSERT_OK(report::MergeInto(total, Measured(Labelled(GetParam()), Targets(names), part)));
  }
  EXPECT_EQ(Statistics(total), expected);
  EXPECT_NE(total.held_out.samples, 0U);
  EXPECT_FALSE(total.targets[0].sensitivities.empty());
}

TEST_P(ViewsTest, HeldOutSamplesAreTheAnalysisOfThemAlone) {
  const std::vector<numerics::TargetDescription> targets = Targets({"generic-int8"});
  const report::AnalysisResult both = Measured(Labelled(GetParam()), targets, {{0}, {1}, {2, true}, {3, true}});
  const report::AnalysisResult first = Measured(Labelled(GetParam()), targets, {{0}, {1}});
  const report::AnalysisResult second = Measured(Labelled(GetParam()), targets, {{2}, {3}});
  EXPECT_EQ(both.targets, first.targets);
  EXPECT_EQ(both.held_out.targets, second.targets);
  EXPECT_EQ(both.held_out.samples, second.samples);
  EXPECT_EQ(both.held_out.labelled, second.labelled);
  EXPECT_EQ(both.held_out.input_ranges, second.input_ranges);
  EXPECT_NE(both.targets, both.held_out.targets);
}

// Accuracies are counted path by path, lost and gained answers pair by pair.
TEST_P(ViewsTest, LostAndGainedAnswersAreTheDifferenceOfAccuracies) {
  std::vector<Step> steps;
  for (std::int64_t batch = 0; batch < 24; ++batch) steps.push_back({batch});
  const report::AnalysisResult result = Measured(Labelled(GetParam()), {Narrow(6)}, steps);
  const auto correct = [&](Path path) {
    for (const report::PathAccuracy& accuracy : result.targets[0].accuracies) {
      if (accuracy.path == path) return static_cast<std::int64_t>(accuracy.correct);
    }
    return std::int64_t{-1};
  };
  std::uint64_t moved = 0;
  for (const report::PathComparison& comparison : result.targets[0].comparisons) {
    EXPECT_EQ(static_cast<std::int64_t>(comparison.gained) - static_cast<std::int64_t>(comparison.lost),
              correct(comparison.path) - correct(comparison.reference));
    EXPECT_LE(comparison.gained + comparison.lost, comparison.top1_changed);
    moved += comparison.gained + comparison.lost;
  }
  EXPECT_GT(moved, 0U) << "a bias of 6 bits moves answers";
}

TEST_P(ViewsTest, WorstSamplesAreTheWorst) {
  const std::vector<Step> steps = {{0}, {1}, {2}, {3}};
  AnalysisOptions all = kAll;
  all.worst_samples = 1000;
  const report::AnalysisResult whole = Measured(Labelled(GetParam()), Targets({"generic-int8"}), steps, all);
  const report::AnalysisResult few = Measured(Labelled(GetParam()), Targets({"generic-int8"}), steps);
  for (std::size_t c = 0; c < few.targets[0].comparisons.size(); ++c) {
    const report::PathComparison& bounded = few.targets[0].comparisons[c];
    const report::PathComparison& unbounded = whole.targets[0].comparisons[c];
    ASSERT_LE(bounded.worst.size(), 4U);
    EXPECT_TRUE(std::is_sorted(unbounded.worst.begin(), unbounded.worst.end(), report::IsWorse));
    EXPECT_TRUE(std::equal(bounded.worst.begin(), bounded.worst.end(), unbounded.worst.begin()));
    std::uint64_t changed = 0, squares = 0, answers = 0;
    for (const report::WorstSample& sample : unbounded.worst) {
      EXPECT_LT(sample.sample, few.samples);
      EXPECT_EQ(sample.differences.size(), std::min<std::size_t>(sample.changed, report::kKeptDifferences));
      changed += sample.changed;
      squares += sample.sum_squares;
      answers += sample.top1_changed ? 1U : 0U;
    }
    // All samples that differ are there: their sums are the comparison's.
    EXPECT_EQ(changed, unbounded.outputs[0].changed);
    EXPECT_EQ(squares, unbounded.outputs[0].sum_squares);
    EXPECT_EQ(answers, unbounded.top1_changed);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, ViewsTest, ::testing::Values("residual_eager_x86", "branching_eager_qnnpack_scripted"),
                         [](const auto& param) { return std::string(param.param); });

// The definition: a whole run in which one layer has the stored bias and all others the real one.
class SensitivityTest : public ::testing::TestWithParam<std::tuple<const char*, int>> {
 protected:
  static numerics::TargetDescription Target() { return Narrow(std::get<1>(GetParam())); }
  static std::string Folder() { return std::get<0>(GetParam()); }
};

TEST_P(SensitivityTest, IsAWholeRunWithOneStoredBias) {
  const std::vector<numerics::TargetDescription> targets = {Target()};
  const report::AnalysisResult result = Measured(Labelled(Folder()), targets, {{0}, {1}, {2}});
  ASSERT_EQ(result.targets[0].sensitivities.size(), result.layers.size());

  const AnalysisModels models = Labelled(Folder());
  const graph::Graph& deployed = *models.converted;
  const auto layers = graph::FindMacLayers(deployed);
  QATGAP_ASSERT_OK(layers);
  const std::int64_t batch = models.batch_limit() == 0 ? kBatch : models.batch_limit();
  std::uint64_t changed = 0;
  for (const report::LayerSensitivity& sensitivity : result.targets[0].sensitivities) {
    const std::string& name = result.layers[static_cast<std::size_t>(sensitivity.layer)].name;
    report::LayerSensitivity expected{.layer = sensitivity.layer, .outputs = {{}}};
    auto executor = execution::GraphExecutor::Create(deployed, layers->layers, execution::ExecutionMode::kInteger);
    QATGAP_ASSERT_OK(executor);
    for (std::int64_t first = 0; first < 3 * batch; first += batch) {
      const graph::Tensor images = testing::Images(first, batch);
      const auto run = [&](const std::string& stored) {
        return executor->Run({&images, 1}, nullptr,
                             [&](std::size_t layer, const numerics::QuantParams& input,
                                 const graph::Tensor& accumulators) -> absl::StatusOr<graph::Tensor> {
                               const graph::MacLayer& mac = layers->layers[layer];
                               const auto arithmetic = numerics::LayerArithmetic::Create(
                                   targets[0], DeployedConstants(mac, input, targets[0]));
                               if (!arithmetic.ok()) return arithmetic.status();
                               graph::Tensor codes(graph::DType::kInt32, accumulators.shape());
                               const auto n = static_cast<std::size_t>(accumulators.dim(1));
                               for (std::int64_t c = 0; c < accumulators.dim(0); ++c) {
                                 const auto begin = static_cast<std::size_t>(c) * n;
                                 arithmetic->Codes(mac.name == stored ? numerics::ArithmeticStage::kBiasStored
                                                                      : numerics::ArithmeticStage::kReal,
                                                   c, accumulators.data<std::int32_t>().subspan(begin, n),
                                                   codes.mutable_data<std::int32_t>().subspan(begin, n));
                               }
                               return codes;
                             });
      };
      const auto value = run(name), reference = run("");
      QATGAP_ASSERT_OK(value);
      QATGAP_ASSERT_OK(reference);
      const std::vector<std::int64_t> labels = Labels(first, batch);
      CompareOutputs(*value, *reference, {.labels = labels}, expected);
    }
    EXPECT_EQ(sensitivity, expected) << name;
    changed += expected.outputs[0].changed;
  }
  EXPECT_GT(changed, 0U);
}

INSTANTIATE_TEST_SUITE_P(
    Models, SensitivityTest,
    ::testing::Combine(::testing::Values("residual_eager_x86", "branching_eager_qnnpack_scripted"), ::testing::Values(32, 8)),
    [](const auto& param) { return std::string(std::get<0>(param.param)) + "_" + std::to_string(std::get<1>(param.param)); });

TEST(ViewsOptionsTest, NothingIsKeptUnlessAskedFor) {
  const report::AnalysisResult result = Measured(DemoModels("residual_eager_x86"), Targets({"generic-int32"}), {}, {});
  EXPECT_TRUE(result.targets[0].sensitivities.empty());
  EXPECT_TRUE(result.held_out.targets.empty());
  const report::AnalysisResult plain = Analyse(DemoModels("residual_eager_x86"), Targets({"generic-int8"}));
  for (const report::PathComparison& comparison : plain.targets[0].comparisons) EXPECT_TRUE(comparison.worst.empty());
  const report::AnalysisResult of_float_bias =
      Measured(DemoModels("residual_eager_x86"), Targets({"pytorch-fbgemm"}), {{0}}, {.sensitivity = true});
  EXPECT_TRUE(of_float_bias.targets[0].sensitivities.empty()) << "a float bias has no effect to rank";
}

TEST(ViewsOptionsTest, HeldOutSamplesMustBeAskedFor) {
  auto session = AnalysisSession::Create(DemoModels("residual_eager_x86"), Targets({"generic-int32"}), {});
  QATGAP_ASSERT_OK(session);
  const graph::Tensor images = testing::Images(0, 1);
  EXPECT_THAT((*session)->RunHeldOut({&images, 1}, {}), testing::StatusIs(absl::StatusCode::kFailedPrecondition, ::testing::HasSubstr("not asked for")));
}

TEST(InputRangesTest, CountWhatTheQuantizerClips) {
  auto session = AnalysisSession::Create(DemoModels("residual_eager_x86"), Targets({"generic-int32"}), {});
  QATGAP_ASSERT_OK(session);
  graph::Tensor images(graph::DType::kFloat32, testing::Images(0, 2).shape());
  ASSERT_EQ((*session)->result().input_ranges.size(), 1U);
  const numerics::QuantParams grid = (*session)->result().input_ranges[0].grid;
  const double scale = grid.scale();
  const auto edge = [&](std::int64_t code, double steps) {
    return static_cast<float>(scale * (static_cast<double>(code - grid.zero_point()) + steps));
  };
  const auto values = images.mutable_data<float>();
  std::fill(values.begin(), values.end(), 0.0F);
  values[0] = edge(grid.quant_max, 0.4);
  values[1] = edge(grid.quant_max, 0.6);   // clipped
  values[2] = edge(grid.quant_min, -0.4);
  values[3] = edge(grid.quant_min, -0.6);  // clipped
  values[4] = edge(grid.quant_max, 100);   // clipped
  QATGAP_ASSERT_OK((*session)->RunBatch({&images, 1}, {}));
  const report::InputRange& range = (*session)->result().input_ranges[0];
  EXPECT_EQ(range.count, values.size());
  EXPECT_EQ(range.clipped, 3U);
  EXPECT_EQ(range.greatest, values[4]);
  EXPECT_EQ(range.least, values[3]);
}

}  // namespace
}  // namespace qatgap::attribution
