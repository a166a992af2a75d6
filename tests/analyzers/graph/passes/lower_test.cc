#include "analyzers/graph/passes/lower.h"

#include <limits>
#include <memory>

#include "analyzers/graph/mac_layers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/graph_builder.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::graph {
namespace {

using ::qatgap::testing::GraphBuilder;
using ::qatgap::testing::PerTensor;
using ::qatgap::testing::StatusIs;
using ::testing::_;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const numerics::QuantParams kGrid = PerTensor(0.5, 3);

Graph Lowered(const Graph& graph) {
  auto lowered = Lower(graph);
  QATGAP_EXPECT_OK(lowered);
  return lowered.ok() ? *std::move(lowered) : Graph{};
}

TEST(LowerTest, WithoutPoolsNothingChanges) {
  GraphBuilder g;
  const ValueId x = g.FakeQuant(g.Input(), kGrid);
  g.Output(g.FakeQuant(g.Relu(g.Op(OpKind::kAdd, {x, x})), PerTensor(1, 0, -128, 127)));
  EXPECT_EQ(ToString(Lowered(g.graph())), ToString(g.graph()));
}

class LowerAverages : public ::testing::TestWithParam<OpKind> {};

TEST_P(LowerAverages, RoundsToTheGridOfItsInput) {
  GraphBuilder g;
  Attributes attributes = GraphBuilder::Pool();
  if (GetParam() == OpKind::kAdaptiveAvgPool2d) attributes = SizesAttributes{.sizes = {1, 1}};
  if (GetParam() == OpKind::kMean) attributes = ReduceAttributes{.axes = {2, 3}};
  const ValueId pooled = g.Op(GetParam(), {g.FakeQuant(g.Input(), kGrid)}, std::move(attributes));
  g.Output(g.Relu(pooled));
  const Graph lowered = Lowered(g.graph());
  EXPECT_THAT(ReachingGrids(g.graph(), g.graph().body.outputs[0]), IsEmpty());
  EXPECT_THAT(ReachingGrids(lowered, lowered.body.outputs[0]), ElementsAre(kGrid));
  EXPECT_EQ(lowered.nodes.size(), g.graph().nodes.size() + 2);
}

INSTANTIATE_TEST_SUITE_P(Kinds, LowerAverages,
                         ::testing::Values(OpKind::kAvgPool2d, OpKind::kAdaptiveAvgPool2d, OpKind::kMean),
                         [](const auto& kind) {
                           return kind.param == OpKind::kMean        ? "Mean"
                                  : kind.param == OpKind::kAvgPool2d ? "AvgPool2d"
                                                                     : "AdaptiveAvgPool2d";
                         });

TEST(LowerTest, PoolThatIsTheOutputIsRounded) {
  GraphBuilder g;
  g.Output(g.AveragePool(g.FakeQuant(g.Input(), kGrid)));
  const Graph lowered = Lowered(g.graph());
  EXPECT_THAT(ReachingGrids(lowered, lowered.body.outputs[0]), ElementsAre(kGrid));
}

TEST(LowerTest, PoolBehindPoolIsRoundedToo) {
  GraphBuilder g;
  g.Output(g.AveragePool(g.AveragePool(g.FakeQuant(g.Input(), kGrid))));
  const Graph lowered = Lowered(g.graph());
  EXPECT_THAT(ReachingGrids(lowered, lowered.body.outputs[0]), ElementsAre(kGrid));
  EXPECT_EQ(lowered.nodes.size(), 8U);  // quantize, dequantize, and of each pool the average and its rounding
}

TEST(LowerTest, PoolOfRealsAndMeanOverEverythingStay) {
  GraphBuilder g;
  const ValueId x = g.Input();
  g.Output(g.AveragePool(x));
  g.Output(g.Op(OpKind::kMean, {g.FakeQuant(x, kGrid)}, ReduceAttributes{}));
  EXPECT_EQ(ToString(Lowered(g.graph())), ToString(g.graph()));
}

TEST(LowerTest, ReducedRangeIsStoredInEightBits) {
  GraphBuilder g;
  g.Output(g.FakeQuant(g.Input(), PerTensor(0.5, 3, 0, 127)));
  const Graph lowered = Lowered(g.graph());
  EXPECT_THAT(ReachingGrids(lowered, lowered.body.outputs[0]), ElementsAre(PerTensor(0.5, 3, 0, 255)));
}

TEST(LowerTest, SignedRangeIsStoredInEightBitsToo) {
  GraphBuilder g;
  g.Output(g.FakeQuant(g.Input(), PerTensor(0.5, 3, -64, 63)));
  const Graph lowered = Lowered(g.graph());
  EXPECT_THAT(ReachingGrids(lowered, lowered.body.outputs[0]), ElementsAre(PerTensor(0.5, 3, -128, 127)));
}

TEST(LowerTest, WiderRangesAndWeightCodesStay) {
  GraphBuilder g;
  g.Output(g.FakeQuant(g.Input(), PerTensor(0.5, 3, -32768, 32767)));
  g.Output(g.Weight({2}, {1, 2}, PerTensor(0.5, 3, 0, 127)));
  const Graph lowered = Lowered(g.graph());
  EXPECT_THAT(ReachingGrids(lowered, lowered.body.outputs[0]), ElementsAre(PerTensor(0.5, 3, -32768, 32767)));
  EXPECT_THAT(ReachingGrids(lowered, lowered.body.outputs[1]), ElementsAre(PerTensor(0.5, 3, 0, 127)));
}

TEST(LowerTest, Pt2eKeepsRangesAndAverages) {
  GraphBuilder g;
  g.graph().convert_style = ConvertStyle::kPt2e;
  g.Output(g.AveragePool(g.FakeQuant(g.Input(), PerTensor(0.5, 3, 0, 127))));
  EXPECT_EQ(ToString(Lowered(g.graph())), ToString(g.graph()));
}

TEST(LowerTest, AsIsChangesNothing) {
  GraphBuilder g;
  g.graph().convert_style = ConvertStyle::kAsIs;
  const ValueId x = g.FakeQuant(g.Input(), PerTensor(0.5, 3, 0, 127));
  const ValueId weight = g.Weight({1, 1}, {2}, PerTensor(1, 0, -128, 127));
  g.Output(g.FakeQuant(g.Op(OpKind::kLinear, {x, weight}, {}, "fc"), PerTensor(0.5, 3, 0, 127)));
  const Graph lowered = Lowered(g.graph());
  EXPECT_EQ(ToString(lowered), ToString(g.graph()));
  EXPECT_THAT(lowered.notices, IsEmpty());
}

// What a weight of one output channel and one input lowers to.
MacLayer LoweredLinear(WeightOrigin origin, ConvertStyle style = ConvertStyle::kEager) {
  GraphBuilder g;
  g.graph().convert_style = style;
  const ValueId x = g.FakeQuant(g.Input(), kGrid);
  const auto count = origin.real.elements();
  const ValueId weight = g.Dequantize(
      g.Op(OpKind::kConstant, {},
           ConstantAttributes{.value = Tensor(DType::kInt32, {1, count}), .qparams = PerTensor(1, 0, -128, 127),
                              .origin = std::make_shared<const WeightOrigin>(std::move(origin))}));
  g.Output(g.FakeQuant(g.Op(OpKind::kLinear, {x, weight}, {}, "fc"), kGrid));
  const auto layers = FindMacLayers(Lowered(g.graph()));
  QATGAP_EXPECT_OK(layers);
  return layers.ok() && layers->layers.size() == 1 ? layers->layers[0] : MacLayer{};
}

// -1 and 1 at 1 / 127.5: the converted scale is not the fused fake-quant's 1 / 127.
TEST(LowerTest, SymmetricScaleIsAbsMaxOverHalfTheCodes) {
  const std::vector<float> weights{-1, 1, 0.5F};
  const MacLayer layer = LoweredLinear({.real = Tensor::Of<float>({1, 3}, weights), .batch_norm = {},
                                        .observed = ObservedRange{.min = {-1}, .max = {1}, .symmetric = true,
                                                                  .quant_min = -128, .quant_max = 127, .is_signed = true}});
  // fl(1 / fl(1 / 127.5)) is a little less than 127.5: -1 is -127, not -128.
  EXPECT_THAT(layer.weight.data<std::int32_t>(), ElementsAre(-127, 127, 64));
  EXPECT_EQ(layer.weight_params, PerTensor(static_cast<double>(1.0F / 127.5F), 0, -128, 127));
}

TEST(LowerTest, ObserverThatIsOnSeesTheWeightOnceMore) {
  const std::vector<float> weights{-3, 3};
  ObservedRange range{.min = {-1}, .max = {1}, .symmetric = true, .quant_min = -128, .quant_max = 127, .is_signed = true,
                      .averaging = 0.5F};
  const WeightOrigin origin{.real = Tensor::Of<float>({1, 2}, weights), .batch_norm = {}, .observed = range};
  EXPECT_EQ(LoweredLinear(origin).weight_params.scale(), static_cast<double>(2.0F / 127.5F));
  EXPECT_EQ(LoweredLinear(origin, ConvertStyle::kPt2e).weight_params.scale(), static_cast<double>(1.0F / 127.5F));
}

TEST(LowerTest, EagerClampsToTheObserversCodesAndFxDoesNot) {
  const std::vector<float> weights{-1.02F, 1};
  const WeightOrigin origin{.real = Tensor::Of<float>({1, 2}, weights), .batch_norm = {},
                            .observed = ObservedRange{.min = {-1}, .max = {1}, .symmetric = true, .quant_min = -127,
                                                      .quant_max = 127, .is_signed = true}};
  EXPECT_THAT(LoweredLinear(origin).weight.data<std::int32_t>(), ElementsAre(-127, 127));
  EXPECT_THAT(LoweredLinear(origin, ConvertStyle::kFx).weight.data<std::int32_t>(), ElementsAre(-128, 127));
  const MacLayer pt2e = LoweredLinear(origin, ConvertStyle::kPt2e);
  EXPECT_THAT(pt2e.weight.data<std::int32_t>(), ElementsAre(-127, 127));
  EXPECT_EQ(pt2e.weight_params.quant_min, -127);
}

TEST(LowerTest, FixedScaleRoundsAsTheConverterDoes) {
  const std::vector<float> weights{2.5F, -3.5F};
  const MacLayer layer = LoweredLinear({.real = Tensor::Of<float>({1, 2}, weights), .batch_norm = {}, .observed = {}});
  EXPECT_THAT(layer.weight.data<std::int32_t>(), ElementsAre(2, -4));
  EXPECT_EQ(layer.weight_params, PerTensor(1, 0, -128, 127));
}

class LowerBadOrigins : public ::testing::TestWithParam<WeightOrigin> {};

TEST_P(LowerBadOrigins, AreInvalidAndNamed) {
  GraphBuilder g;
  const ValueId weight = g.Dequantize(
      g.Op(OpKind::kConstant, {},
           ConstantAttributes{.value = Tensor(DType::kInt32, {1, 1}), .qparams = PerTensor(1, 0, -128, 127),
                              .origin = std::make_shared<const WeightOrigin>(GetParam())}));
  g.Output(g.Op(OpKind::kLinear, {g.Input(), weight}, {}, "fc"));
  EXPECT_THAT(Lower(g.graph()), StatusIs(absl::StatusCode::kInvalidArgument, ::testing::HasSubstr("module 'fc'")));
}

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
WeightOrigin Origin(float weight, std::vector<float> min, std::vector<float> max) {
  return {.real = Tensor::Of<float>({1, 1}, std::vector<float>{weight}), .batch_norm = {},
          .observed = ObservedRange{.min = std::move(min), .max = std::move(max), .quant_min = -128, .quant_max = 127}};
}
INSTANTIATE_TEST_SUITE_P(All, LowerBadOrigins,
                         ::testing::Values(Origin(kNan, {-1}, {1}), Origin(1, {kNan}, {1}), Origin(1, {2}, {1}),
                                           Origin(1, {-1, -1}, {1, 1}), Origin(1, {}, {}), Origin(1, {-1}, {1, 2})));

TEST(LowerTest, UnknownOriginKeepsCodesAndSaysSo) {
  GraphBuilder g;
  const ValueId x = g.FakeQuant(g.Input(), kGrid);
  g.Output(g.Op(OpKind::kLinear, {x, g.Weight({1, 1}, {2}, PerTensor(1, 0, -128, 127))}, {}, "fc"));
  const Graph lowered = Lowered(g.graph());
  ASSERT_EQ(lowered.notices.size(), 1U);
  EXPECT_EQ(lowered.notices[0].kind, NoticeKind::kWeightsKept);
  EXPECT_THAT(lowered.notices[0].detail, ::testing::HasSubstr("1 layer(s)"));
  EXPECT_THAT(lowered.notices[0].detail, ::testing::HasSubstr("'fc'"));
}

TEST(LowerTest, ObservedRangeGivesTheActivationItsScale) {
  GraphBuilder g;
  g.Output(g.Dequantize(g.Op(OpKind::kQuantize, {g.Input()},
                             QuantizeAttributes{.qparams = PerTensor(0.5, 3, 0, 127),
                                                .observed = std::make_shared<const ObservedRange>(ObservedRange{
                                                    .min = {-1}, .max = {3}, .quant_min = 0, .quant_max = 127})})));
  const Graph lowered = Lowered(g.graph());
  // 4 / 127; -1 / scale = -31.75 -> zero point 32; and the codes of quint8.
  EXPECT_THAT(ReachingGrids(lowered, lowered.body.outputs[0]),
              ElementsAre(PerTensor(static_cast<double>(4.0F / 127.0F), 32, 0, 255)));
}

TEST(LowerTest, BodiesOfAnIfAreLowered) {
  GraphBuilder g;
  const ValueId x = g.Input();
  const ValueId grid = g.FakeQuant(x, kGrid);
  g.Output(g.Relu(g.If(x, [&] { return g.AveragePool(grid); },
                       [&] { return g.FakeQuant(x, PerTensor(0.25, 1, 0, 127)); })));
  const Graph lowered = Lowered(g.graph());
  EXPECT_THAT(ReachingGrids(lowered, lowered.body.outputs[0]), ElementsAre(kGrid, PerTensor(0.25, 1, 0, 255)));
}

TEST(LowerTest, InvalidGraphIsInternal) {
  GraphBuilder g;
  g.Output(9);
  EXPECT_THAT(Lower(g.graph()), StatusIs(absl::StatusCode::kInternal, _));
}

}  // namespace
}  // namespace qatgap::graph
