#include "analyzers/graph/passes/lower.h"

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

TEST(LowerTest, SignedRangeAndWeightCodesStay) {
  GraphBuilder g;
  g.Output(g.FakeQuant(g.Input(), PerTensor(0.5, 3, -64, 63)));
  g.Output(g.Weight({2}, {1, 2}, PerTensor(0.5, 3, 0, 127)));
  const Graph lowered = Lowered(g.graph());
  EXPECT_THAT(ReachingGrids(lowered, lowered.body.outputs[0]), ElementsAre(PerTensor(0.5, 3, -64, 63)));
  EXPECT_THAT(ReachingGrids(lowered, lowered.body.outputs[1]), ElementsAre(PerTensor(0.5, 3, 0, 127)));
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
