#include "analyzers/graph/mac_layers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/graph_builder.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::graph {
namespace {

using ::qatgap::testing::GraphBuilder;
using ::qatgap::testing::PerTensor;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ReachingGridsTest : public ::testing::Test {
 protected:
  std::vector<numerics::QuantParams> Grids(ValueId value) {
    g.Output(value);
    QATGAP_EXPECT_OK(Verify(g.graph()));
    return ReachingGrids(g.graph(), value);
  }

  const numerics::QuantParams a = PerTensor(0.5, 3);
  const numerics::QuantParams b = PerTensor(0.25, 7);
  GraphBuilder g;
  const ValueId x = g.Input();
};

TEST_F(ReachingGridsTest, FakeQuantGivesItsGrid) { EXPECT_THAT(Grids(g.FakeQuant(x, a)), ElementsAre(a)); }

TEST_F(ReachingGridsTest, OperatorsThatMoveOrSelectKeepTheGrid) {
  ValueId value = g.Relu(g.MaxPool(g.FakeQuant(x, a)));
  value = g.Op(OpKind::kPermute, {value}, SizesAttributes{.sizes = {0, 2, 3, 1}});
  value = g.Op(OpKind::kReshape, {value}, SizesAttributes{.sizes = {0, -1}});
  value = g.Op(OpKind::kFlatten, {value}, FlattenAttributes{});
  EXPECT_THAT(Grids(value), ElementsAre(a));
}

TEST_F(ReachingGridsTest, AddLeavesTheGrid) {
  const ValueId value = g.FakeQuant(x, a);
  EXPECT_THAT(Grids(g.Op(OpKind::kAdd, {value, value})), IsEmpty());
}

TEST_F(ReachingGridsTest, AveragePoolLeavesTheGrid) { EXPECT_THAT(Grids(g.AveragePool(g.FakeQuant(x, a))), IsEmpty()); }

TEST_F(ReachingGridsTest, GraphInputIsOnNoGrid) { EXPECT_THAT(Grids(g.Relu(x)), IsEmpty()); }

TEST_F(ReachingGridsTest, QuantizeLikeHasTheGridOfItsSecondInput) {
  const ValueId codes = g.Quantize(x, b);
  const ValueId pooled = g.AveragePool(g.Dequantize(codes));
  EXPECT_THAT(Grids(g.Dequantize(g.Op(OpKind::kQuantizeLike, {pooled, codes}))), ElementsAre(b));
}

TEST_F(ReachingGridsTest, QuantizedConstantHasItsGrid) { EXPECT_THAT(Grids(g.Weight({1}, {4}, a)), ElementsAre(a)); }

TEST_F(ReachingGridsTest, IfGivesBothInBranchOrder) {
  EXPECT_THAT(Grids(g.If(x, [&] { return g.FakeQuant(x, b); }, [&] { return g.FakeQuant(x, a); })), ElementsAre(b, a));
}

TEST_F(ReachingGridsTest, IfOfCodesGivesBothInBranchOrder) {
  const ValueId codes = g.If(x, [&] { return g.Quantize(x, b); }, [&] { return g.Quantize(x, a); });
  EXPECT_THAT(Grids(g.Dequantize(codes)), ElementsAre(b, a));
}

TEST_F(ReachingGridsTest, NestedIfsAreReadInOrder) {
  const numerics::QuantParams c = PerTensor(4, 0);
  const ValueId value =
      g.If(x, [&] { return g.If(x, [&] { return g.FakeQuant(x, c); }, [&] { return g.FakeQuant(x, a); }); },
           [&] { return g.FakeQuant(x, b); });
  EXPECT_THAT(Grids(value), ElementsAre(c, a, b));
}

TEST_F(ReachingGridsTest, EqualGridsAreOne) {
  EXPECT_THAT(Grids(g.If(x, [&] { return g.FakeQuant(x, a); }, [&] { return g.FakeQuant(x, a); })), ElementsAre(a));
}

TEST_F(ReachingGridsTest, OneBranchOffTheGridIsOffTheGrid) {
  EXPECT_THAT(Grids(g.If(x, [&] { return g.FakeQuant(x, a); }, [&] { return g.AveragePool(g.FakeQuant(x, a)); })),
              IsEmpty());
}

}  // namespace
}  // namespace qatgap::graph
