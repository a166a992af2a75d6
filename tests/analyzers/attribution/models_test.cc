// Which pair of graphs is made of what the user has, and what the analysis then says.
#include "analyzers/attribution/models.h"

#include <algorithm>
#include <limits>

#include "analyzers/attribution/pairing.h"
#include "analyzers/graph/mac_layers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/attribution/demo_analysis.h"
#include "tests/testing/graph_builder.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::attribution {
namespace {

using ::qatgap::testing::GraphBuilder;
using ::qatgap::testing::PerChannel;
using ::qatgap::testing::PerTensor;
using ::qatgap::testing::StatusIs;
using ::testing::_;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using graph::OpKind;
using graph::ValueId;

constexpr std::int64_t kInt32Min = std::numeric_limits<std::int32_t>::min(), kInt32Max = std::numeric_limits<std::int32_t>::max();

// A linear of three inputs and two channels at input scale 0.5; the integer bias is `stored` at s_x * s_w.
struct Options {
  bool integer_bias = true;
  std::vector<std::int32_t> stored = {10, -6};
  std::vector<double> bias_scales = {0.125, 0.0625};
  std::string name = "fc";
  bool is_signed = false;
};

graph::Graph Converted(const Options& options = {}) {
  GraphBuilder g;
  const auto grid = [&](double scale, std::int64_t zero_point) {
    return options.is_signed ? PerTensor(scale, zero_point - 128, -128, 127) : PerTensor(scale, zero_point);
  };
  const ValueId x = g.FakeQuant(g.Input(), grid(0.5, 128));
  const ValueId weight = g.Weight({2, 3}, {3, -4, 5, 7, 0, -1}, PerChannel({0.25, 0.125}));
  const ValueId bias = options.integer_bias
                           ? g.Weight({2}, options.stored, {.scales = options.bias_scales, .zero_points = {0, 0},
                                                            .quant_min = kInt32Min, .quant_max = kInt32Max, .axis = 0})
                           : g.Floats({2}, {1.25F, -0.375F});
  g.Output(g.FakeQuant(g.Op(OpKind::kLinear, {x, weight, bias}, {}, options.name), grid(0.5, 120)));
  return g.graph();
}

graph::Graph Float(const std::vector<float>& bias, const std::string& name = "fc", std::int64_t inputs = 3) {
  GraphBuilder g;
  const std::vector<float> weights(static_cast<std::size_t>(2 * inputs), 1.0F);
  g.Output(g.Op(OpKind::kLinear, {g.Input(), g.Floats({2, inputs}, weights), g.Floats({2}, bias)}, {}, name));
  return g.graph();
}

GivenModel Given(graph::Graph graph, GivenKind kind) {
  return {.graph = std::move(graph), .kind = kind, .format = "test", .name = "model.x"};
}

report::AnalysisResult Analysed(AnalysisModels models, const std::string& target = "generic-int32") {
  auto session = AnalysisSession::Create(std::move(models), Targets({target}), {});
  QATGAP_EXPECT_OK(session);
  if (!session.ok()) return {};
  std::vector<float> values(300);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(static_cast<int>(i * 37 % 101) - 50) / 3.0F;
  const graph::Tensor inputs = graph::Tensor::Of<float>({100, 3}, values);
  QATGAP_EXPECT_OK((*session)->RunBatch({&inputs, 1}, {}));
  return (*session)->result();
}

std::vector<std::string> Ids(const report::AnalysisResult& result) {
  std::vector<std::string> ids;
  for (const report::Finding& finding : result.findings) ids.push_back(finding.id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::uint64_t Changed(const report::AnalysisResult& result, report::Cause cause) {
  std::uint64_t changed = 0;
  for (const report::LayerResult& layer : result.targets.at(0).layers) {
    changed += report::MergeChannels(layer)[static_cast<std::size_t>(cause)].changed;
  }
  return changed;
}

TEST(CombineModelsTest, ConvertedAloneHasNoConversion) {
  auto models = CombineModels(std::nullopt, Given(Converted(), GivenKind::kConverted));
  QATGAP_ASSERT_OK(models);
  EXPECT_EQ(models->qat_format, "fake-quant twin of the converted model (test)");
  const report::AnalysisResult result = Analysed(*std::move(models));
  EXPECT_EQ(Changed(result, report::Cause::kConversion), 0U);
  EXPECT_EQ(Changed(result, report::Cause::kBiasRounding), 0U);
  EXPECT_THAT(Ids(result), ElementsAre("QG027"));
  EXPECT_EQ(result.targets[0].layers.at(0).channels.at(0).bias.stored, 10);
  EXPECT_EQ(result.targets[0].layers[0].channels.at(1).bias.stored, -6);
}

// 1.25 and -0.375 are 10 and -6 steps; the stored 14 is half an output step too much.
TEST(CombineModelsTest, StoredIntegersAreKeptAndTheirErrorIsBiasRounding) {
  Options wrong;
  wrong.stored = {14, -6};
  auto models = CombineModels(Given(Converted({.integer_bias = false}), GivenKind::kQat), Given(Converted(wrong), GivenKind::kConverted));
  QATGAP_ASSERT_OK(models);
  const report::AnalysisResult result = Analysed(*std::move(models));
  EXPECT_EQ(Changed(result, report::Cause::kConversion), 0U);
  EXPECT_GT(Changed(result, report::Cause::kBiasRounding), 0U);
  EXPECT_EQ(Changed(result, report::Cause::kBiasSaturation), 0U);
  const numerics::StoredBias& bias = result.targets[0].layers.at(0).channels.at(0).bias;
  EXPECT_EQ(bias.stored, 14);
  EXPECT_EQ(bias.real, 1.25);
  EXPECT_EQ(bias.residual_lsb, 1.0);  // 4 * 0.125 / 0.5
  EXPECT_THAT(Ids(result), ::testing::Contains("QG025"));
}

TEST(CombineModelsTest, FloatBiasTargetTakesTheRealsThatTheIntegersStandFor) {
  Options wrong;
  wrong.stored = {14, -6};
  auto models = CombineModels(Given(Converted({.integer_bias = false}), GivenKind::kQat), Given(Converted(wrong), GivenKind::kConverted));
  QATGAP_ASSERT_OK(models);
  const report::AnalysisResult result = Analysed(*std::move(models), "pytorch-fbgemm");
  EXPECT_GT(Changed(result, report::Cause::kConversion), 0U);
  EXPECT_EQ(Changed(result, report::Cause::kBiasRounding), 0U);
  EXPECT_EQ(Changed(result, report::Cause::kBiasSaturation), 0U);
}

TEST(CombineModelsTest, StoredBiasOfAnotherScaleIsFound) {
  Options scaled;
  scaled.stored = {5, -6};
  scaled.bias_scales = {0.25, 0.0625};  // 5 * 0.25 is the bias, but kernels add 5 * 0.125
  auto models = CombineModels(Given(Converted({.integer_bias = false}), GivenKind::kQat), Given(Converted(scaled), GivenKind::kConverted));
  QATGAP_ASSERT_OK(models);
  const report::AnalysisResult result = Analysed(*std::move(models));
  EXPECT_THAT(Ids(result), ::testing::IsSupersetOf({"QG025", "QG026"}));
  EXPECT_GT(Changed(result, report::Cause::kBiasRounding), 0U);
}

TEST(CombineModelsTest, FloatModelGivesItsBiases) {
  auto models = CombineModels(Given(Float({1.5F, -0.375F}), GivenKind::kFloat), Given(Converted(), GivenKind::kConverted));
  QATGAP_ASSERT_OK(models);
  const report::AnalysisResult result = Analysed(*std::move(models));
  EXPECT_EQ(result.targets[0].layers.at(0).channels.at(0).bias.real, 1.5);
  EXPECT_EQ(result.targets[0].layers[0].channels[0].bias.stored, 10);  // 12 would be right
  EXPECT_THAT(Ids(result), ElementsAre("QG015", "QG025", "QG027"));
  const auto rebuilt = std::find_if(result.findings.begin(), result.findings.end(),
                                    [](const report::Finding& finding) { return finding.id == "QG027"; });
  EXPECT_THAT(rebuilt->detail, HasSubstr("1 of 1 layers have the bias of the float model 'model.x', paired by name"));
}

TEST(CombineModelsTest, FloatModelPairsByOrder) {
  auto models = CombineModels(Given(Float({1.5F, 0}, "other"), GivenKind::kFloat), Given(Converted(), GivenKind::kConverted));
  QATGAP_ASSERT_OK(models);
  EXPECT_THAT(models->qat.notices.at(0).detail, HasSubstr("paired by execution order"));
}

TEST(CombineModelsTest, FloatModelThatDoesNotPairIsRefused) {
  EXPECT_THAT(CombineModels(Given(Float({1.5F, 0}, "other", 4), GivenKind::kFloat), Given(Converted(), GivenKind::kConverted)),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("'model.x' is a float model whose layers do not pair")));
}

TEST(CombineModelsTest, WrongPlacesAreNamed) {
  const auto invalid = absl::StatusCode::kInvalidArgument, failed = absl::StatusCode::kFailedPrecondition;
  EXPECT_THAT(CombineModels(std::nullopt, std::nullopt), StatusIs(failed, _));
  EXPECT_THAT(CombineModels(std::nullopt, Given(Converted(), GivenKind::kQat)), StatusIs(invalid, HasSubstr("still has fake-quants")));
  EXPECT_THAT(CombineModels(std::nullopt, Given(Float({0, 0}), GivenKind::kFloat)), StatusIs(invalid, HasSubstr("no integer weights")));
  EXPECT_THAT(CombineModels(Given(Converted(), GivenKind::kConverted), std::nullopt), StatusIs(invalid, HasSubstr("is a converted one")));
  EXPECT_THAT(CombineModels(Given(Float({0, 0}), GivenKind::kFloat), std::nullopt), StatusIs(failed, HasSubstr("without fake-quants")));
}

// quint8 against int8: the same reals, and not one code differs.
TEST(CombineModelsTest, CodesOfTheTwoBasesAreComparedOnOne) {
  Options signed_codes;
  signed_codes.is_signed = true;
  auto models = CombineModels(Given(Converted({.integer_bias = false}), GivenKind::kQat), Given(Converted(signed_codes), GivenKind::kConverted));
  QATGAP_ASSERT_OK(models);
  const report::AnalysisResult result = Analysed(*std::move(models));
  EXPECT_EQ(result.layers.at(0).output, PerTensor(0.5, -8, -128, 127));
  EXPECT_EQ(Changed(result, report::Cause::kConversion), 0U);
  EXPECT_EQ(Changed(result, report::Cause::kTotal), 0U);
  for (const report::PathComparison& comparison : result.targets[0].comparisons) {
    EXPECT_EQ(comparison.outputs.at(0).changed, 0U);
  }
  EXPECT_THAT(Ids(result), ::testing::IsEmpty());
}

TEST(CombineModelsTest, LayersOfOtherNamesPairInOrder) {
  Options named;
  named.name = "sequential/dense/MatMul";
  auto models = CombineModels(Given(Converted({.integer_bias = false}), GivenKind::kQat), Given(Converted(named), GivenKind::kConverted));
  QATGAP_ASSERT_OK(models);
  const report::AnalysisResult result = Analysed(*std::move(models));
  EXPECT_THAT(Ids(result), ElementsAre("QG029"));
  ASSERT_EQ(result.layers.size(), 1U);
  EXPECT_EQ(result.layers[0].name, "fc");
}

// A file whose operators mix samples declares a batch of one: a larger one would fail in the middle of the run.
TEST(BatchLimitTest, OneSampleWhereAModelTakesOne) {
  AnalysisModels models;
  EXPECT_EQ(models.batch_limit(), 0);
  models.qat.input_shapes = {{-1, 3, 8, 8}};
  EXPECT_EQ(models.batch_limit(), 0);
  models.converted.emplace();
  models.converted->input_shapes = {{1, 8, 8, 3}};
  EXPECT_EQ(models.batch_limit(), 1);
}

}  // namespace
}  // namespace qatgap::attribution
