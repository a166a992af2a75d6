#include "analyzers/graph/passes/fake_quant_twin.h"

#include <limits>

#include "analyzers/graph/mac_layers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/graph_builder.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::graph {
namespace {

using ::qatgap::testing::GraphBuilder;
using ::qatgap::testing::PerChannel;
using ::qatgap::testing::PerTensor;
using ::qatgap::testing::StatusIs;
using ::testing::_;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

numerics::QuantParams BiasParams(std::vector<double> scales, int axis) {
  std::vector<std::int64_t> zero_points(scales.size(), 0);
  return {.scales = std::move(scales), .zero_points = std::move(zero_points),
          .quant_min = std::numeric_limits<std::int32_t>::min(), .quant_max = std::numeric_limits<std::int32_t>::max(),
          .axis = axis};
}

// A linear of two channels at input scale 0.5.
Graph Converted(std::vector<ValueId> (*bias)(GraphBuilder&)) {
  GraphBuilder g;
  const ValueId x = g.FakeQuant(g.Input(), PerTensor(0.5, 0));
  std::vector<ValueId> inputs{x, g.Weight({2, 1}, {3, -4}, PerChannel({0.25, 0.125}))};
  for (const ValueId value : bias(g)) inputs.push_back(value);
  g.Output(g.FakeQuant(g.Op(OpKind::kLinear, inputs, {}, "fc"), PerTensor(1, 0)));
  return g.graph();
}

std::vector<ValueId> IntegerBias(GraphBuilder& g) { return {g.Weight({2}, {100, -7}, BiasParams({0.125, 0.0625}, 0))}; }
std::vector<ValueId> FloatBias(GraphBuilder& g) { return {g.Floats({2}, {1.5F, -2})}; }

MacLayer OnlyLayer(const Graph& graph) {
  const auto layers = FindMacLayers(graph);
  QATGAP_EXPECT_OK(layers);
  return layers.ok() && layers->layers.size() == 1 ? layers->layers[0] : MacLayer{};
}

TEST(StoredBiasTest, IntegersBehindADequantizeAreTheStoredBias) {
  const MacLayer layer = OnlyLayer(Converted(IntegerBias));
  EXPECT_THAT(layer.stored_bias, ElementsAre(100, -7));
  EXPECT_THAT(layer.stored_bias_scales, ElementsAre(0.125, 0.0625));
  EXPECT_THAT(layer.bias, ElementsAre(12.5, -0.4375));
  EXPECT_THAT(layer.shipped_bias, ElementsAre(12.5F, -0.4375F));
}

TEST(StoredBiasTest, FloatBiasIsNone) { EXPECT_THAT(OnlyLayer(Converted(FloatBias)).stored_bias, IsEmpty()); }

TEST(FakeQuantTwinTest, IntegerBiasBecomesTheRealsItStandsFor) {
  const auto twin = FakeQuantTwin(Converted(IntegerBias));
  QATGAP_ASSERT_OK(twin);
  const MacLayer layer = OnlyLayer(*twin);
  EXPECT_THAT(layer.stored_bias, IsEmpty());
  EXPECT_THAT(layer.shipped_bias, ElementsAre(12.5F, -0.4375F));
  EXPECT_THAT(layer.weight.data<std::int32_t>(), ElementsAre(3, -4));
  ASSERT_EQ(twin->notices.size(), 1U);
  EXPECT_EQ(twin->notices[0].kind, NoticeKind::kTwinRebuilt);
  EXPECT_THAT(twin->notices[0].detail, HasSubstr("weight conversion cannot be seen"));
  EXPECT_THAT(twin->notices[0].detail, HasSubstr("1 integer bias(es)"));
}

TEST(FakeQuantTwinTest, FloatBiasStays) {
  const Graph converted = Converted(FloatBias);
  const auto twin = FakeQuantTwin(converted);
  QATGAP_ASSERT_OK(twin);
  EXPECT_EQ(ToString(*twin), ToString(converted));
  EXPECT_EQ(twin->notices[0].detail,
            "fake-quant twin rebuilt from the converted model: weight conversion cannot be seen");
}

TEST(FakeQuantTwinTest, InvalidGraphIsInternal) {
  GraphBuilder g;
  g.Output(9);
  EXPECT_THAT(FakeQuantTwin(g.graph()), StatusIs(absl::StatusCode::kInternal, _));
}

TEST(FloatLayersTest, BatchNormIsFoldedIntoTheBias) {
  GraphBuilder g;
  ValueId y = g.Convolution({g.Input(), g.Floats({2, 1, 1, 1}, {1, 2}), g.Floats({2}, {3, 4})}, "conv");
  // factor = gamma / sqrt(variance + epsilon) = -2, 0.5; (bias - mean) * factor + beta = (3 - 1) * -2 + 10, (4 - 2) / 2 + 20
  y = g.Op(OpKind::kBatchNorm,
           {y, g.Floats({2}, {-2, 1}), g.Floats({2}, {10, 20}), g.Floats({2}, {1, 2}), g.Floats({2}, {0.5F, 3.5F})},
           BatchNormAttributes{.epsilon = 0.5});
  g.Output(g.Relu(y));
  const auto layers = FindFloatLayers(g.graph());
  QATGAP_ASSERT_OK(layers);
  ASSERT_EQ(layers->layers.size(), 1U);
  EXPECT_EQ(layers->layers[0].name, "conv");
  EXPECT_THAT(layers->layers[0].bias, ElementsAre(6, 21));
  EXPECT_EQ(layers->layers[0].activation, numerics::Activation::kRelu);
  EXPECT_TRUE(layers->layers[0].weight_params.scales.empty());
}

TEST(FloatLayersTest, WeightThatIsComputedIsUnmatched) {
  GraphBuilder g;
  const ValueId x = g.Input();
  g.Output(g.Op(OpKind::kLinear, {x, x}, {}, "fc"));
  const auto layers = FindFloatLayers(g.graph());
  QATGAP_ASSERT_OK(layers);
  EXPECT_TRUE(layers->layers.empty());
  ASSERT_EQ(layers->unmatched.size(), 1U);
  EXPECT_EQ(layers->unmatched[0].reason, "its weight is not a constant");
}

}  // namespace
}  // namespace qatgap::graph
