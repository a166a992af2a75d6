#include "analyzers/attribution/network_summary.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/graph_builder.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::attribution {
namespace {

using graph::OpKind;
using graph::ValueId;
using report::NetworkNode;
using testing::GraphBuilder;
using ::testing::ElementsAre;
using testing::PerTensor;

const numerics::QuantParams kGrid = PerTensor(0.5, 3);

ValueId OneByOne(GraphBuilder& builder, ValueId x, const std::string& path) {
  const ValueId w = builder.Weight({1, 1, 1, 1}, {3}, testing::PerChannel({0.1}));
  return builder.Convolution({x, w}, path);
}

// Every MAC layer that the graph has is an analysed one, in order.
report::NetworkGraph Summarize(const graph::Graph& graph) {
  const auto found = graph::FindMacLayers(graph);
  EXPECT_TRUE(found.ok()) << found.status();
  std::vector<report::LayerInfo> infos;
  for (const graph::MacLayer& layer : found->layers) {
    infos.push_back({.name = layer.name, .kind = "conv2d", .weight_shape = {}, .output = {}, .inputs = {}});
  }
  std::vector<DeployedLayer> layers;
  for (std::size_t i = 0; i < infos.size(); ++i) {
    layers.push_back({.layer = &found->layers[i], .info = &infos[i], .index = static_cast<std::int64_t>(i)});
  }
  return SummarizeNetwork(graph, layers);
}

TEST(NetworkSummaryTest, CodesActivationAndConstantsArePartOfTheirOperator) {
  GraphBuilder builder;
  const ValueId x = builder.FakeQuant(builder.Input("image"), kGrid);
  const ValueId a = builder.FakeQuant(builder.Relu(OneByOne(builder, x, "features.0")), kGrid);
  const ValueId b = builder.FakeQuant(OneByOne(builder, a, "features.1"), kGrid);
  const ValueId sum = builder.FakeQuant(builder.Op(OpKind::kAdd, {a, b}, {}, "features.add"), kGrid);
  const ValueId scaled = builder.Op(OpKind::kMul, {sum, builder.Floats({1}, {2})});
  builder.Output(scaled);
  EXPECT_THAT(Summarize(builder.graph()),
              ElementsAre(NetworkNode{.name = "image", .kind = "input"},
                          NetworkNode{.name = "features.0", .kind = "conv2d", .layer = 0, .inputs = {0}},
                          NetworkNode{.name = "features.1", .kind = "conv2d", .layer = 1, .inputs = {1}},
                          NetworkNode{.name = "features.add", .kind = "add", .inputs = {1, 2}},
                          NetworkNode{.name = "mul", .kind = "mul", .inputs = {3}}));
}

TEST(NetworkSummaryTest, AnActivationBehindTheCodesIsANodeOfItsOwn) {
  GraphBuilder builder;
  const ValueId x = builder.FakeQuant(builder.Input("x"), kGrid);
  const ValueId y = builder.FakeQuant(OneByOne(builder, x, "conv"), kGrid);
  builder.Output(builder.Op(OpKind::kRelu, {y}, {}, "relu"));
  EXPECT_THAT(Summarize(builder.graph()),
              ElementsAre(NetworkNode{.name = "x", .kind = "input"},
                          NetworkNode{.name = "conv", .kind = "conv2d", .layer = 0, .inputs = {0}},
                          NetworkNode{.name = "relu", .kind = "relu", .inputs = {1}}));
}

TEST(NetworkSummaryTest, ALibraryOperatorIsCalledByItsName) {
  GraphBuilder builder;
  const ValueId x = builder.Input("x");
  builder.Output(builder.Op(OpKind::kOperator, {x},
                            graph::OperatorAttributes{.name = "aten::layer_norm", .overload = "", .arguments = {graph::TensorArgument{0}}},
                            "norm"));
  EXPECT_THAT(SummarizeNetwork(builder.graph(), {}),
              ElementsAre(NetworkNode{.name = "x", .kind = "input"},
                          NetworkNode{.name = "norm", .kind = "layer_norm", .inputs = {0}}));
}

TEST(NetworkSummaryTest, BranchesAreMarkedAndMeetBehindThem) {
  GraphBuilder builder;
  const ValueId x = builder.Input("x");
  const ValueId large = builder.Op(OpKind::kGreater, {x, builder.Floats({1}, {0})}, {}, "large");
  const ValueId y = builder.If(
      large, [&] { return builder.Op(OpKind::kSigmoid, {x}, {}, "a"); },
      [&] {
        return builder.If(
            large, [&] { return builder.Op(OpKind::kHardswish, {x}, {}, "b"); }, [&] { return x; });
      });
  builder.Output(builder.Op(OpKind::kRelu, {y}, {}, "end"));
  EXPECT_THAT(SummarizeNetwork(builder.graph(), {}),
              ElementsAre(NetworkNode{.name = "x", .kind = "input"},
                          NetworkNode{.name = "large", .kind = "greater", .inputs = {0}},
                          NetworkNode{.name = "a", .kind = "sigmoid", .inputs = {0}, .branch = "if 1 then"},
                          NetworkNode{.name = "b", .kind = "hardswish", .inputs = {0}, .branch = "if 1 else, if 2 then"},
                          NetworkNode{.name = "end", .kind = "relu", .inputs = {0, 2, 3}}));
}

TEST(NetworkSummaryTest, WhatConstantsAloneGiveIsLeftOut) {
  GraphBuilder builder;
  const ValueId x = builder.Input("x");
  const ValueId two = builder.Op(OpKind::kAdd, {builder.Floats({1}, {1}), builder.Floats({1}, {1})}, {}, "two");
  builder.Output(builder.Op(OpKind::kMul, {x, two}, {}, "double"));
  EXPECT_THAT(SummarizeNetwork(builder.graph(), {}),
              ElementsAre(NetworkNode{.name = "x", .kind = "input"},
                          NetworkNode{.name = "double", .kind = "mul", .inputs = {0}}));
}

}  // namespace
}  // namespace qatgap::attribution
