#include "analyzers/attribution/float_islands.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/graph_builder.h"

namespace qatgap::attribution {
namespace {

using graph::OpKind;
using graph::ValueId;
using ::testing::ElementsAre;
using testing::GraphBuilder;
using ::testing::IsEmpty;
using testing::PerTensor;

const numerics::QuantParams kGrid = PerTensor(0.5, 3);

ValueId Operator(GraphBuilder& builder, const std::string& name, ValueId input, const std::string& path) {
  return builder.Op(OpKind::kOperator, {input},
                    graph::OperatorAttributes{.name = name, .overload = "", .arguments = {graph::TensorArgument{0}}},
                    path);
}

std::vector<std::string> Names(GraphBuilder& builder) {
  std::vector<std::string> names;
  for (const report::Unmeasured& island : FloatIslands(builder.graph())) {
    EXPECT_FALSE(island.is_mac_layer);
    EXPECT_EQ(island.reason, "runs in float by LibTorch's operator");
    EXPECT_EQ(island.what, "test");
    names.push_back(island.name);
  }
  return names;
}

TEST(FloatIslandsTest, BetweenQuantizedValuesIsNone) {
  GraphBuilder builder;
  const ValueId x = builder.FakeQuant(builder.Input(), kGrid);
  const ValueId sum = builder.Op(OpKind::kAdd, {x, x}, {}, "add");
  const ValueId y = builder.FakeQuant(builder.Op(OpKind::kRelu, {sum}, {}, "relu"), kGrid);
  builder.Output(builder.Op(OpKind::kFlatten, {y}, graph::FlattenAttributes{}, "flatten"));
  EXPECT_THAT(Names(builder), IsEmpty());
}

TEST(FloatIslandsTest, ALayerWithItsActivationIsNone) {
  GraphBuilder builder;
  const ValueId x = builder.FakeQuant(builder.Input(), kGrid);
  const ValueId w = builder.Weight({1, 1, 1, 1}, {3}, testing::PerChannel({0.1}));
  const ValueId y = builder.Op(OpKind::kHardswish, {builder.Convolution({x, w}, "conv")}, {}, "act");
  builder.Output(builder.FakeQuant(y, kGrid));
  EXPECT_THAT(Names(builder), IsEmpty());
}

TEST(FloatIslandsTest, InFrontOfTheFirstAndBehindTheLastCodes) {
  GraphBuilder builder;
  const ValueId scaled = builder.Op(OpKind::kMul, {builder.Input(), builder.Floats({1}, {2})}, {}, "scale");
  const ValueId y = builder.FakeQuant(scaled, kGrid);
  builder.Output(builder.Op(OpKind::kSigmoid, {y}, {}, "head"));
  EXPECT_THAT(Names(builder), ElementsAre("scale", "head"));
}

TEST(FloatIslandsTest, WhatOneOfItsOperandsDoesNotComeFromCodes) {
  GraphBuilder builder;
  const ValueId a = builder.FakeQuant(builder.Input("a"), kGrid);
  builder.Output(builder.FakeQuant(builder.Op(OpKind::kAdd, {a, builder.Input("b")}, {}, "add"), kGrid));
  EXPECT_THAT(Names(builder), ElementsAre("add"));
}

// Also in a quantized neighbourhood, and what is fused to it: no target has its arithmetic.
TEST(FloatIslandsTest, OperatorsByNameThatCompute) {
  GraphBuilder builder;
  const ValueId x = builder.FakeQuant(builder.Input(), kGrid);
  const ValueId norm = Operator(builder, "aten::layer_norm", x, "norm");
  const ValueId moved = Operator(builder, "aten::transpose", norm, "transpose");
  builder.Output(builder.FakeQuant(builder.Op(OpKind::kRelu, {moved}, {}, "relu"), kGrid));
  EXPECT_THAT(Names(builder), ElementsAre("norm", "relu"));
}

TEST(FloatIslandsTest, MovingElementsOfCodesIsNone) {
  GraphBuilder builder;
  const ValueId x = builder.FakeQuant(builder.Input(), kGrid);
  const ValueId moved = Operator(builder, "aten::transpose", x, "transpose");
  builder.Output(builder.FakeQuant(builder.Op(OpKind::kAdd, {moved, x}, {}, "add"), kGrid));
  EXPECT_THAT(Names(builder), IsEmpty());
}

TEST(FloatIslandsTest, OneEntryForEachModule) {
  GraphBuilder builder;
  ValueId x = builder.FakeQuant(builder.Input(), kGrid);
  for (int i = 0; i < 3; ++i) x = builder.FakeQuant(Operator(builder, "aten::softmax", x, "block.softmax"), kGrid);
  builder.Output(Operator(builder, "aten::gelu", x, "gelu"));
  EXPECT_THAT(Names(builder), ElementsAre("block.softmax", "gelu"));
}

TEST(FloatIslandsTest, WhatNoOutputNeedsAndWhatIsConstantAreNone) {
  GraphBuilder builder;
  const ValueId input = builder.Input();
  builder.Op(OpKind::kSigmoid, {input}, {}, "dead");
  const ValueId table = builder.Op(OpKind::kMul, {builder.Floats({1}, {2}), builder.Floats({1}, {3})}, {}, "constant");
  const ValueId x = builder.FakeQuant(input, kGrid);
  builder.Output(builder.FakeQuant(builder.Op(OpKind::kAdd, {x, table}, {}, "add"), kGrid));
  EXPECT_THAT(Names(builder), IsEmpty());
}

// What a branch computes counts, what decides it does not.
TEST(FloatIslandsTest, BothBranches) {
  GraphBuilder builder;
  const ValueId input = builder.Input();
  const ValueId mean = builder.Op(OpKind::kMean, {input}, graph::ReduceAttributes{}, "mean");
  const ValueId predicate = builder.Op(OpKind::kGreater, {mean, builder.Floats({}, {0})}, {}, "greater");
  const ValueId x = builder.FakeQuant(input, kGrid);
  const ValueId y = builder.If(
      predicate, [&] { return Operator(builder, "aten::gelu", x, "then"); },
      [&] { return builder.Op(OpKind::kHardswish, {x}, {}, "else"); });
  builder.Output(builder.FakeQuant(y, kGrid));
  EXPECT_THAT(Names(builder), ElementsAre("then"));
}

}  // namespace
}  // namespace qatgap::attribution
