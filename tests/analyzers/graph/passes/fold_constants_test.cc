#include "analyzers/graph/passes/fold_constants.h"

#include <cmath>
#include <limits>
#include <random>

#include "analyzers/graph/mac_layers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/graph_builder.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::graph {
namespace {

using testing::GraphBuilder;
using testing::PerChannel;
using testing::PerTensor;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

ValueId Call(GraphBuilder& b, const std::string& name, ValueId x, std::vector<Argument> arguments = {}) {
  arguments.insert(arguments.begin(), TensorArgument{0});
  return b.Op(OpKind::kOperator, {x}, OperatorAttributes{.name = name, .overload = "", .arguments = std::move(arguments)});
}

std::vector<float> FloatsOf(const Graph& graph, ValueId value) {
  const Node* node = graph.producer(value);
  if (node == nullptr || node->kind != OpKind::kConstant) return {};
  const auto values = std::get<ConstantAttributes>(node->attributes).value.data<float>();
  return {values.begin(), values.end()};
}

// x + f, where f is an expression of constants: what the expression folds to.
template <typename Expression>
std::vector<float> Folded(const Expression& expression) {
  GraphBuilder b;
  const ValueId x = b.Input();
  const ValueId folded = expression(b);
  b.Output(b.Op(OpKind::kAdd, {x, folded}));
  Graph graph = b.graph();
  EXPECT_THAT(FoldConstants(graph), testing::IsOk());
  EXPECT_THAT(Verify(graph), testing::IsOk());
  EXPECT_EQ(graph.nodes.size(), 2U) << ToString(graph);
  return FloatsOf(graph, graph.nodes.back().inputs[1]);
}

TEST(FoldConstantsTest, ArithmeticBroadcastsAndRoundsOncePerOperation) {
  EXPECT_THAT(Folded([](GraphBuilder& b) {
                return b.Op(OpKind::kMul, {b.Floats({2, 1}, {2, 3}), b.Floats({3}, {1, 10, 100})});
              }),
              ElementsAre(2, 20, 200, 3, 30, 300));
  EXPECT_THAT(Folded([](GraphBuilder& b) { return b.Op(OpKind::kDiv, {b.Floats({1}, {1}), b.Floats({1}, {3})}); }),
              ElementsAre(1.0F / 3.0F));
  EXPECT_THAT(Folded([](GraphBuilder& b) { return b.Op(OpKind::kSub, {b.Floats({1}, {0x1p24F}), b.Floats({1}, {-1})}); }),
              ElementsAre(0x1p24F));  // 2^24 + 1 is a tie, rounded to even
  EXPECT_THAT(Folded([](GraphBuilder& b) { return b.Op(OpKind::kClamp, {b.Floats({3}, {-1, 3, 9})}, ClampAttributes{0, 6}); }),
              ElementsAre(0, 3, 6));
}

TEST(FoldConstantsTest, SquareRootsAreThoseOfTheFrameworkWhereItSaysThem) {
  GraphBuilder b;
  const ValueId x = b.Input();
  b.Output(b.Op(OpKind::kAdd, {x, Call(b, "aten::sqrt", b.Floats({2}, {4, 9}))}));
  Graph graph = b.graph();
  const auto next_above = [](std::span<float> values) {
    for (float& value : values) value = std::nextafter(std::sqrt(value), 100.0F);
  };
  ASSERT_THAT(FoldConstants(graph, next_above), testing::IsOk());
  EXPECT_THAT(FloatsOf(graph, graph.nodes.back().inputs[1]), ElementsAre(std::nextafter(2.0F, 3.0F), std::nextafter(3.0F, 4.0F)));
}

TEST(FoldConstantsTest, OperatorsByName) {
  EXPECT_THAT(Folded([](GraphBuilder& b) { return Call(b, "aten::sqrt", b.Floats({2}, {2, 9})); }),
              ElementsAre(std::sqrt(2.0F), 3));
  EXPECT_THAT(Folded([](GraphBuilder& b) { return Call(b, "aten::rsqrt", b.Floats({1}, {3})); }),
              ElementsAre(1.0F / std::sqrt(3.0F)));
  EXPECT_THAT(Folded([](GraphBuilder& b) { return Call(b, "aten::zeros_like", b.Floats({2}, {2, 9})); }), ElementsAre(0, 0));
  EXPECT_THAT(Folded([](GraphBuilder& b) {
                return b.Op(OpKind::kAdd, {Call(b, "aten::unsqueeze", b.Floats({2}, {1, 2}), {std::int64_t{-1}}),
                                           b.Floats({2}, {10, 20})});
              }),
              ElementsAre(11, 21, 12, 22));
}

TEST(FoldConstantsTest, MovesAxes) {
  const auto matrix = [](GraphBuilder& b) { return b.Floats({2, 3}, {1, 2, 3, 4, 5, 6}); };
  EXPECT_THAT(Folded([&](GraphBuilder& b) { return b.Op(OpKind::kPermute, {matrix(b)}, SizesAttributes{{1, 0}}); }),
              ElementsAre(1, 4, 2, 5, 3, 6));
  EXPECT_THAT(Folded([&](GraphBuilder& b) {
                return Call(b, "aten::transpose", matrix(b), {std::int64_t{0}, std::int64_t{-1}});
              }),
              ElementsAre(1, 4, 2, 5, 3, 6));
  EXPECT_THAT(Folded([&](GraphBuilder& b) {
                return b.Op(OpKind::kConcat, {matrix(b), b.Floats({2, 1}, {7, 8})}, AxisAttributes{-1});
              }),
              ElementsAre(1, 2, 3, 7, 4, 5, 6, 8));
}

// w * reshape(gamma / sqrt(variance + epsilon)), fake-quantized: codes, and where they came from.
TEST(FoldConstantsTest, FoldedBatchNormKeepsItsOrigin) {
  GraphBuilder b;
  const ValueId x = b.Input();
  const ValueId w = b.Floats({2, 1, 1, 1}, {1, -3});
  const ValueId gamma = b.Floats({2}, {2, 4}), beta = b.Floats({2}, {5, 6}), mean = b.Floats({2}, {7, 8});
  const ValueId variance = b.Floats({2}, {3, 15});
  const ValueId root = Call(b, "aten::sqrt", b.Op(OpKind::kAdd, {variance, b.Floats({}, {1})}));
  const ValueId factor = b.Op(OpKind::kDiv, {gamma, root});
  const ValueId column = b.Op(OpKind::kReshape, {factor}, SizesAttributes{{-1, 1, 1, 1}});
  const ValueId codes = b.Op(OpKind::kQuantize, {b.Op(OpKind::kMul, {w, column})},
                             QuantizeAttributes{.qparams = PerChannel({0.5, 0.5}),
                                                .observed = std::make_shared<ObservedRange>(ObservedRange{.min = {-9}, .max = {9}})});
  const ValueId product = b.Op(OpKind::kConvolution, {b.FakeQuant(x, PerTensor(1, 0)), b.Dequantize(codes)},
                               GraphBuilder::Conv2d(), "conv");
  const ValueId divided = b.Op(OpKind::kDiv, {product, b.Op(OpKind::kReshape, {factor}, SizesAttributes{{1, -1, 1, 1}})});
  const ValueId normed = b.Op(OpKind::kBatchNorm, {divided, gamma, beta, mean, variance}, BatchNormAttributes{1});
  b.Output(b.FakeQuant(normed, PerTensor(1, 0)));
  Graph graph = b.graph();
  QATGAP_ASSERT_OK(FoldConstants(graph));
  QATGAP_ASSERT_OK(Verify(graph));
  const auto layers = FindMacLayers(graph);
  QATGAP_ASSERT_OK(layers);
  ASSERT_EQ(layers->layers.size(), 1U) << ToString(graph);
  const MacLayer& layer = layers->layers[0];
  EXPECT_THAT(layer.weight.data<std::int32_t>(), ElementsAre(2, -6));  // 1 * 2 / 2 = 1, -3 * 4 / 4 = -3, by 0.5
  const Node* weights = graph.producer(graph.producer(graph.nodes[static_cast<std::size_t>(layer.product_node)].inputs[1])->inputs[0]);
  const auto& origin = std::get<ConstantAttributes>(weights->attributes).origin;
  ASSERT_NE(origin, nullptr);
  EXPECT_THAT(origin->real.data<float>(), ElementsAre(1, -3));
  ASSERT_TRUE(origin->batch_norm.has_value());
  EXPECT_THAT(origin->batch_norm->gamma, ElementsAre(2, 4));
  EXPECT_THAT(origin->batch_norm->beta, ElementsAre(5, 6));
  EXPECT_THAT(origin->batch_norm->mean, ElementsAre(7, 8));
  EXPECT_THAT(origin->batch_norm->variance, ElementsAre(3, 15));
  EXPECT_EQ(origin->batch_norm->epsilon, 1);
  ASSERT_TRUE(origin->observed.has_value());
  EXPECT_THAT(origin->observed->max, ElementsAre(9));
}

TEST(FoldConstantsTest, TransposedCodesStayCodes) {
  GraphBuilder b;
  const ValueId x = b.FakeQuant(b.Input(), PerTensor(1, 0));
  const ValueId w = b.Weight({3, 2}, {1, 2, 3, 4, 5, 6}, PerChannel({0.5, 0.25}, /*axis=*/1));
  b.Output(b.FakeQuant(b.Op(OpKind::kLinear, {x, Call(b, "aten::t", w)}, {}, "fc"), PerTensor(1, 0)));
  Graph graph = b.graph();
  QATGAP_ASSERT_OK(FoldConstants(graph));
  QATGAP_ASSERT_OK(Verify(graph));
  const auto layers = FindMacLayers(graph);
  QATGAP_ASSERT_OK(layers);
  ASSERT_EQ(layers->layers.size(), 1U) << ToString(graph);
  EXPECT_THAT(layers->layers[0].weight.data<std::int32_t>(), ElementsAre(1, 3, 5, 2, 4, 6));
  EXPECT_EQ(layers->layers[0].weight_params.axis, 0);
}

TEST(FoldConstantsTest, WhatDependsOnTheInputStays) {
  GraphBuilder b;
  const ValueId x = b.Input();
  b.Output(b.Op(OpKind::kAdd, {b.Op(OpKind::kMul, {x, b.Floats({1}, {2})}), Call(b, "aten::gelu", b.Floats({1}, {2}))}));
  Graph graph = b.graph();
  const std::size_t before = graph.nodes.size();
  QATGAP_ASSERT_OK(FoldConstants(graph));  // gelu is left to the executor
  EXPECT_EQ(graph.nodes.size(), before);
}

TEST(FoldConstantsTest, FoldsInBranches) {
  GraphBuilder b;
  const ValueId x = b.Input();
  const ValueId two = b.Floats({1}, {2});
  const ValueId condition = b.Op(OpKind::kGreater, {x, two});
  b.Output(b.If(condition, [&] { return b.Op(OpKind::kMul, {x, b.Op(OpKind::kAdd, {two, two})}); }, [&] { return x; }));
  Graph graph = b.graph();
  QATGAP_ASSERT_OK(FoldConstants(graph));
  QATGAP_ASSERT_OK(Verify(graph));
  EXPECT_THAT(ToString(graph), ::testing::Not(HasSubstr("add(")));
}

TEST(FoldConstantsTest, NamesTheModuleOfABadConstant) {
  GraphBuilder b;
  const ValueId x = b.Input();
  const ValueId bad = b.Op(OpKind::kMul, {b.Floats({2}, {1, 2}), b.Floats({3}, {1, 2, 3})}, {}, "layer1.conv");
  b.Output(b.Op(OpKind::kAdd, {x, bad}));
  Graph graph = b.graph();
  EXPECT_THAT(FoldConstants(graph), testing::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("layer1.conv")));

  GraphBuilder n;
  const ValueId nan = n.Floats({1}, {std::numeric_limits<float>::quiet_NaN()});
  n.Output(n.Op(OpKind::kAdd, {n.Input(), n.FakeQuant(nan, PerTensor(1, 0))}));
  Graph with_nan = n.graph();
  EXPECT_THAT(FoldConstants(with_nan), testing::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("nan")));
}

}  // namespace
}  // namespace qatgap::graph
