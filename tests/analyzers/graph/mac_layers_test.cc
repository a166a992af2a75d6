#include "analyzers/graph/mac_layers.h"

#include <cmath>
#include <functional>
#include <string>

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

const numerics::QuantParams kInput = PerTensor(0.5, 3);
const numerics::QuantParams kOutput = PerTensor(0.125, 10);

class FindMacLayersTest : public ::testing::Test {
 protected:
  MacLayers Find() {
    auto found = FindMacLayers(g.graph());
    QATGAP_EXPECT_OK(found);
    return found.ok() ? *std::move(found) : MacLayers{};
  }
  MacLayer FindOne() {
    MacLayers found = Find();
    EXPECT_EQ(found.layers.size(), 1U);
    for (const UnmatchedMac& unmatched : found.unmatched) ADD_FAILURE() << unmatched.reason;
    return found.layers.empty() ? MacLayer{} : found.layers[0];
  }
  ValueId ConvWeight() { return g.Weight({2, 1, 1, 1}, {3, -4}, PerChannel({0.25, 0.5})); }
  ValueId Conv(std::string path = "conv") { return g.Convolution({x, ConvWeight()}, std::move(path)); }
  ValueId PerChannelConstant(float first, float second) { return g.Floats({1, 2, 1, 1}, {first, second}); }
  ValueId BatchNorm(ValueId value, std::vector<float> gamma, std::vector<float> beta, std::vector<float> mean,
                    std::vector<float> variance, double epsilon) {
    const ValueId gamma_id = g.Floats({2}, gamma), beta_id = g.Floats({2}, beta);
    const ValueId mean_id = g.Floats({2}, mean), variance_id = g.Floats({2}, variance);
    return g.Op(OpKind::kBatchNorm, {value, gamma_id, beta_id, mean_id, variance_id},
                BatchNormAttributes{.epsilon = epsilon});
  }

  GraphBuilder g;
  const ValueId input = g.Input();
  const ValueId x = g.FakeQuant(input, kInput);
};

TEST_F(FindMacLayersTest, PlainConvolution) {
  const ValueId product = Conv();
  const ValueId codes = g.Quantize(product, kOutput);
  g.Output(g.Dequantize(codes));
  const MacLayer layer = FindOne();
  EXPECT_EQ(layer.name, "conv");
  EXPECT_EQ(layer.kind, OpKind::kConvolution);
  EXPECT_EQ(layer.output_channels, 2);
  EXPECT_THAT(layer.weight.data<std::int32_t>(), ElementsAre(3, -4));
  EXPECT_EQ(layer.weight_params, PerChannel({0.25, 0.5}));
  EXPECT_THAT(layer.bias, IsEmpty());
  EXPECT_THAT(layer.shipped_bias, IsEmpty());
  EXPECT_EQ(layer.activation, numerics::Activation::kNone);
  EXPECT_EQ(layer.output, kOutput);
  EXPECT_EQ(layer.input, x);
  EXPECT_EQ(layer.product, product);
  EXPECT_EQ(layer.output_codes, codes);
  EXPECT_THAT(layer.input_grids, ElementsAre(kInput));
}

// The eager QAT module ConvBn: conv / sf + bias, batch norm, relu. Every constant is a power of two, so the fold is
// exact: factor = gamma / sqrt(var + eps) = {2, 0.5} / sqrt({0.25, 4}) = {4, 0.25};
// gain = factor / {2, 4} = {2, 1/16}; bias = (b - mean) * factor + beta = {(1 - 0.5) * 4 + 3, (8 + 4) * 0.25 - 1}.
TEST_F(FindMacLayersTest, FoldsDivisionBiasBatchNormAndRelu) {
  ValueId value = g.Op(OpKind::kDiv, {Conv(), PerChannelConstant(2, 4)});
  value = g.Op(OpKind::kAdd, {value, PerChannelConstant(1, 8)});
  value = g.Relu(BatchNorm(value, {2, 0.5}, {3, -1}, {0.5, -4}, {0.125, 3.875}, 0.125));
  g.Output(g.FakeQuant(value, kOutput));
  const MacLayer layer = FindOne();
  EXPECT_EQ(layer.weight_params, PerChannel({0.25 * 2, 0.5 / 16}));
  EXPECT_THAT(layer.bias, ElementsAre(5.0, 2.0));
  EXPECT_THAT(layer.shipped_bias, ElementsAre(5.0F, 2.0F));
  EXPECT_EQ(layer.activation, numerics::Activation::kRelu);
}

TEST_F(FindMacLayersTest, KeepsThePartsOfABatchNormFold) {
  ValueId value = g.Op(OpKind::kAdd, {Conv(), PerChannelConstant(1, 8)});
  value = BatchNorm(value, {2, 0.5}, {3, -1}, {0.5, -4}, {0.125, 3.875}, 0.125);
  g.Output(g.FakeQuant(value, kOutput));
  const MacLayer layer = FindOne();
  ASSERT_EQ(layer.batch_norms.size(), 1U);
  const BatchNormFold& fold = layer.batch_norms[0];
  EXPECT_EQ(fold.epsilon, 0.125);
  EXPECT_THAT(fold.gamma, ElementsAre(2, 0.5));
  EXPECT_THAT(fold.beta, ElementsAre(3, -1));
  EXPECT_THAT(fold.mean, ElementsAre(0.5, -4));
  EXPECT_THAT(fold.variance, ElementsAre(0.125, 3.875));
  EXPECT_THAT(fold.bias, ElementsAre(1, 8));
  EXPECT_THAT(fold.factor, ElementsAre(4, 0.25));
  EXPECT_THAT(fold.folded_bias, ElementsAre(5, 2));
}

TEST_F(FindMacLayersTest, WithoutABatchNormThereIsNoFold) {
  g.Output(g.FakeQuant(Conv(), kOutput));
  EXPECT_THAT(FindOne().batch_norms, IsEmpty());
}

// convert(): (b - mean) * rsqrt(var + eps) * gamma + beta with b = 0.3, mean = 0.1, var = 2, eps = 1e-5, gamma = 0.7,
// beta = 0.05, each step rounded to binary32, worked out outside this code with exact rationals; the fold in binary64
// is another number.
TEST_F(FindMacLayersTest, ShippedBiasIsTheBinary32FormulaOfConvert) {
  ValueId value = g.Op(OpKind::kAdd, {Conv(), PerChannelConstant(0.3F, -0.6F)});
  value = BatchNorm(value, {0.7F, 1.3F}, {0.05F, 0.2F}, {0.1F, 0.9F}, {2.0F, 0.37F}, 1e-5);
  g.Output(g.FakeQuant(value, kOutput));
  const MacLayer layer = FindOne();
  EXPECT_THAT(layer.shipped_bias, ElementsAre(0x1.312422p-3F, -0x1.80bbfcp1F));
  ASSERT_EQ(layer.bias.size(), 2U);
  const double exact = (static_cast<double>(0.3F) - static_cast<double>(0.1F)) *
                           (static_cast<double>(0.7F) / std::sqrt(2.0 + 1e-5)) +
                       static_cast<double>(0.05F);
  EXPECT_EQ(layer.bias[0], exact);
  EXPECT_NE(layer.bias[0], static_cast<double>(layer.shipped_bias[0]));
  EXPECT_EQ(layer.weight_params.scale(1), 0.5 * (static_cast<double>(1.3F) / std::sqrt(static_cast<double>(0.37F) + 1e-5)));
}

TEST_F(FindMacLayersTest, StoredBiasSubMulAndConstantFirst) {
  const ValueId bias = g.Floats({2}, {1, -2});
  ValueId value = g.Convolution({x, ConvWeight(), bias}, "conv");
  value = g.Op(OpKind::kSub, {value, PerChannelConstant(0.5, 1)});   // {0.5, -3}
  value = g.Op(OpKind::kMul, {g.Floats({}, {4}), value});            // {2, -12}
  value = g.Op(OpKind::kAdd, {PerChannelConstant(1, 2), value});     // {3, -10}
  value = g.Op(OpKind::kClamp, {value}, ClampAttributes{.min = 0, .max = 6});
  g.Output(g.FakeQuant(value, kOutput));
  const MacLayer layer = FindOne();
  EXPECT_THAT(layer.bias, ElementsAre(3.0, -10.0));
  EXPECT_THAT(layer.shipped_bias, ElementsAre(3.0F, -10.0F));
  EXPECT_EQ(layer.weight_params, PerChannel({1.0, 2.0}));
  EXPECT_EQ(layer.activation, numerics::Activation::kRelu6);
}

TEST_F(FindMacLayersTest, UnitGainWithinTheToleranceLeavesTheScale) {
  g.Output(g.FakeQuant(g.Op(OpKind::kMul, {Conv(), PerChannelConstant(1 + 0x1p-21F, 1 - 0x1p-20F)}), kOutput));
  EXPECT_EQ(FindOne().weight_params, PerChannel({0.25, 0.5}));
}

TEST_F(FindMacLayersTest, GainBeyondTheToleranceIsFolded) {
  g.Output(g.FakeQuant(g.Op(OpKind::kMul, {Conv(), PerChannelConstant(1, 1 + 0x1p-19F)}), kOutput));
  EXPECT_EQ(FindOne().weight_params, PerChannel({0.25, 0.5 * (1 + 0x1p-19)}));
}

TEST_F(FindMacLayersTest, GainMakesAPerTensorWeightPerChannel) {
  const ValueId weight = g.Weight({2, 1, 1, 1}, {3, -4}, PerTensor(0.25, 1, -128, 127));
  const ValueId product = g.Convolution({x, weight}, "conv");
  g.Output(g.FakeQuant(g.Op(OpKind::kMul, {product, PerChannelConstant(2, 4)}), kOutput));
  const numerics::QuantParams params = FindOne().weight_params;
  EXPECT_THAT(params.scales, ElementsAre(0.5, 1.0));
  EXPECT_THAT(params.zero_points, ElementsAre(1, 1));
  EXPECT_EQ(params.axis, 0);
}

TEST_F(FindMacLayersTest, TransposedConvolutionCountsChannelsOnItsSecondAxis) {
  const ValueId weight = g.Weight({2, 3, 1, 1}, {1, 2, 3, 4, 5, 6}, PerTensor(0.25, 0, -128, 127));
  const ValueId product = g.Convolution({x, weight}, "up", GraphBuilder::Conv2d(2, true));
  g.Output(g.FakeQuant(g.Op(OpKind::kMul, {product, g.Floats({}, {2})}), kOutput));
  const MacLayer layer = FindOne();
  EXPECT_EQ(layer.output_channels, 6);
  EXPECT_EQ(layer.weight_params.axis, 1);
  EXPECT_EQ(layer.weight_params.scales, std::vector<double>(6, 0.5));
}

TEST_F(FindMacLayersTest, LinearHasItsChannelsLast) {
  const ValueId weight = g.Weight({2, 3}, {1, 2, 3, 4, 5, 6}, PerChannel({0.25, 0.5}));
  const ValueId product = g.Op(OpKind::kLinear, {x, weight}, {}, "fc");
  g.Output(g.FakeQuant(g.Op(OpKind::kAdd, {product, g.Floats({2}, {1, 2})}), kOutput));
  const MacLayer layer = FindOne();
  EXPECT_EQ(layer.kind, OpKind::kLinear);
  EXPECT_THAT(layer.bias, ElementsAre(1.0, 2.0));
}

TEST_F(FindMacLayersTest, ModuleCalledTwiceIsTwoLayers) {
  const ValueId first = g.FakeQuant(Conv(), kOutput);
  g.Output(g.FakeQuant(g.Convolution({first, ConvWeight()}, "conv"), kOutput));
  const MacLayers found = Find();
  ASSERT_EQ(found.layers.size(), 2U);
  EXPECT_EQ(found.layers[0].name, "conv");
  EXPECT_EQ(found.layers[1].name, "conv#2");
}

TEST_F(FindMacLayersTest, LayersInBothBranchesAreFound) {
  g.Output(g.If(input, [&] { return g.FakeQuant(Conv("a"), kOutput); },
                [&] { return g.FakeQuant(Conv("b"), kOutput); }));
  const MacLayers found = Find();
  ASSERT_EQ(found.layers.size(), 2U);
  EXPECT_EQ(found.layers[0].name, "a");
  EXPECT_EQ(found.layers[1].name, "b");
}

TEST_F(FindMacLayersTest, InvalidGraphIsInternal) {
  g.Output(99);
  EXPECT_THAT(FindMacLayers(g.graph()), StatusIs(absl::StatusCode::kInternal, _));
}

struct Unmatched {
  const char* name;
  std::function<ValueId(GraphBuilder&, ValueId x)> build;  // returns the value behind the product
  const char* reason;
};

ValueId Weighted(GraphBuilder& g, ValueId x) {
  return g.Convolution({x, g.Weight({2, 1, 1, 1}, {3, -4}, PerChannel({0.25, 0.5}))}, "conv");
}

class UnmatchedMacTest : public ::testing::TestWithParam<Unmatched> {};

TEST_P(UnmatchedMacTest, SaysWhy) {
  GraphBuilder g;
  g.Output(GetParam().build(g, g.FakeQuant(g.Input(), kInput)));
  const auto found = FindMacLayers(g.graph());
  QATGAP_ASSERT_OK(found);
  EXPECT_THAT(found->layers, IsEmpty());
  ASSERT_EQ(found->unmatched.size(), 1U);
  EXPECT_EQ(found->unmatched[0].name, "conv");
  EXPECT_EQ(found->unmatched[0].source_op, "test");
  EXPECT_THAT(found->unmatched[0].reason, HasSubstr(GetParam().reason));
}

ValueId Scaled(GraphBuilder& g, ValueId x, float gain) {
  return g.FakeQuant(g.Op(OpKind::kMul, {Weighted(g, x), g.Floats({1, 2, 1, 1}, {1, gain})}), kOutput);
}

const Unmatched kUnmatched[] = {
    {"FloatWeight",
     [](GraphBuilder& g, ValueId x) {
       return g.FakeQuant(g.Convolution({x, g.Floats({2, 1, 1, 1}, {1, 2})}, "conv"), kOutput);
     },
     "its weight is not a quantized constant"},
    {"ComputedWeight",
     [](GraphBuilder& g, ValueId x) { return g.FakeQuant(g.Convolution({x, g.FakeQuant(x, kInput)}, "conv"), kOutput); },
     "its weight is not a quantized constant"},
    {"FlatWeight",
     [](GraphBuilder& g, ValueId x) {
       return g.FakeQuant(g.Convolution({x, g.Weight({2}, {1, 2}, PerTensor(1, 0))}, "conv"), kOutput);
     },
     "its weight has fewer than two axes"},
    {"ScalesAlongTheInputChannelsOfASquareTransposedWeight",
     [](GraphBuilder& g, ValueId x) {
       const ValueId weight = g.Weight({2, 2, 1, 1}, {1, 2, 3, 4}, PerChannel({1, 2}, 0));
       return g.FakeQuant(g.Convolution({x, weight}, "conv", GraphBuilder::Conv2d(1, true)), kOutput);
     },
     "its weight scales lie along axis 0, which is not that of its output channels"},
    {"ScalesOfTheInputChannels",
     [](GraphBuilder& g, ValueId x) {
       const ValueId weight = g.Weight({2, 3, 1, 1}, {1, 2, 3, 4, 5, 6}, PerChannel({1, 2, 3}, 1));
       return g.FakeQuant(g.Convolution({x, weight}, "conv"), kOutput);
     },
     "its weight scales are not one per output channel"},
    {"ComputedBias",
     [](GraphBuilder& g, ValueId x) {
       const ValueId weight = g.Weight({2, 1, 1, 1}, {3, -4}, PerTensor(1, 0, -128, 127));
       return g.FakeQuant(g.Convolution({x, weight, g.Relu(x)}, "conv"), kOutput);
     },
     "its bias is not a constant"},
    {"TwoReaders",
     [](GraphBuilder& g, ValueId x) {
       const ValueId product = Weighted(g, x);
       g.Output(g.FakeQuant(product, kOutput));
       return g.FakeQuant(product, kOutput);
     },
     "its output is not used by exactly one operator"},
    {"OutputOfTheModel", Weighted, "its output is not used by exactly one operator"},
    {"QuantizedPerChannel",
     [](GraphBuilder& g, ValueId x) { return g.FakeQuant(Weighted(g, x), PerChannel({1, 2}, 1)); },
     "its output is quantized per channel"},
    {"Sigmoid",
     [](GraphBuilder& g, ValueId x) { return g.FakeQuant(g.Op(OpKind::kSigmoid, {Weighted(g, x)}), kOutput); },
     "its output goes through 'sigmoid'"},
    {"OtherClamp",
     [](GraphBuilder& g, ValueId x) {
       return g.FakeQuant(g.Op(OpKind::kClamp, {Weighted(g, x)}, ClampAttributes{.min = -1, .max = 1}), kOutput);
     },
     "its output goes through 'clamp'"},
    {"AddOfData",
     [](GraphBuilder& g, ValueId x) { return g.FakeQuant(g.Op(OpKind::kAdd, {Weighted(g, x), x}), kOutput); },
     "its output goes through 'add'"},
    {"ConstantMinusProduct",
     [](GraphBuilder& g, ValueId x) {
       return g.FakeQuant(g.Op(OpKind::kSub, {g.Floats({}, {1}), Weighted(g, x)}), kOutput);
     },
     "its output goes through 'sub'"},
    {"BiasBehindRelu",
     [](GraphBuilder& g, ValueId x) {
       return g.FakeQuant(g.Op(OpKind::kAdd, {g.Relu(Weighted(g, x)), g.Floats({}, {1})}), kOutput);
     },
     "its output goes through 'add'"},
    // A [2] broadcasts along the width of [n, 2, h, 2]: not one constant per channel.
    {"ConstantAlongTheWidth",
     [](GraphBuilder& g, ValueId x) {
       return g.FakeQuant(g.Op(OpKind::kAdd, {Weighted(g, x), g.Floats({2}, {1, 2})}), kOutput);
     },
     "its output goes through 'add'"},
    {"NegativeGain", [](GraphBuilder& g, ValueId x) { return Scaled(g, x, -2); }, "is scaled by -2 in channel 1"},
    {"ZeroGain", [](GraphBuilder& g, ValueId x) { return Scaled(g, x, 0); }, "is scaled by 0 in channel 1"},
};

INSTANTIATE_TEST_SUITE_P(Reasons, UnmatchedMacTest, ::testing::ValuesIn(kUnmatched),
                         [](const auto& rule) { return std::string(rule.param.name); });

}  // namespace
}  // namespace qatgap::graph
