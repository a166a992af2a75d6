#include "analyzers/handoff/handoff.h"

#include <cstdint>
#include <string>
#include <vector>

#include "analyzers/numerics/target.h"
#include "analyzers/vectors/case.h"
#include "analyzers/vectors/verify.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/analyzers/handoff/reference_bench.h"
#include "tests/testing/graph_builder.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::handoff {
namespace {

using ::nlohmann::json;
using ::qatgap::testing::GraphBuilder;
using ::qatgap::testing::PerTensor;
using ::qatgap::testing::StatusIs;
using ::testing::Contains;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::Not;
using graph::OpKind;
using graph::ValueId;
using numerics::QuantParams;

// How a model's activations and weights are quantized.
struct Style {
  const char* name;
  QuantParams input, hidden, output;
  bool per_channel;
};

const Style kUnsigned = {"Unsigned", PerTensor(0.0213, 3), PerTensor(0.0471, 10), PerTensor(0.093, 120), true};
const Style kUnsignedPerTensor = {"UnsignedPerTensor", kUnsigned.input, kUnsigned.hidden, kUnsigned.output, false};
const Style kSigned = {"Signed", PerTensor(0.0213, -5, -128, 127), PerTensor(0.0471, -20, -128, 127),
                       PerTensor(0.093, 7, -128, 127), true};
const Style kInt16 = {"Int16", PerTensor(0.00021, 0, -32768, 32767), PerTensor(0.00031, 0, -32768, 32767),
                      PerTensor(0.0007, 0, -32768, 32767), true};
const Style kPowerOfTwo = {"PowerOfTwo", PerTensor(0x1p-5, 0, -128, 127), PerTensor(0x1p-4, 0, -128, 127),
                           PerTensor(0x1p-3, 0, -128, 127), false};

class ModelBuilder {
 public:
  explicit ModelBuilder(const Style& style) : style_(style) { x = g.FakeQuant(g.Input(), style.input); }

  // Weights and biases of a fixed sequence: every call gives others.
  ValueId Weight(const graph::Shape& shape, std::int64_t channels, int axis) {
    std::vector<std::int32_t> codes(static_cast<std::size_t>(graph::ElementCount(shape)));
    for (std::int32_t& code : codes) code = static_cast<std::int32_t>(Next() % 255) - 127;
    QuantParams params = PerTensor(0x1p-8, 0, -128, 127);
    if (style_.per_channel) {
      params = {.scales = {}, .zero_points = std::vector<std::int64_t>(static_cast<std::size_t>(channels), 0),
                .quant_min = -128, .quant_max = 127, .axis = axis};
      for (int c = 0; c < channels; ++c) params.scales.push_back(0.0021 + 0.00037 * (c % 5));
    }
    return g.Weight(shape, codes, params);
  }
  ValueId Bias(std::int64_t channels) {
    std::vector<float> values(static_cast<std::size_t>(channels));
    for (float& value : values) value = static_cast<float>(Next() % 2000) / 500.0F - 2.0F;
    return g.Floats({channels}, values);
  }
  ValueId Convolution(const char* path, const graph::Shape& weight, graph::ConvolutionAttributes attributes) {
    const std::int64_t channels = attributes.transposed ? weight[1] * attributes.groups : weight[0];
    const ValueId w = Weight(weight, channels, attributes.transposed ? 1 : 0);
    return g.Convolution({x, w, Bias(channels)}, path, std::move(attributes));
  }
  void Then(ValueId product, const QuantParams& output) { x = g.FakeQuant(product, output); }

  GraphBuilder g;
  ValueId x = -1;

 private:
  std::uint32_t Next() { return (state_ = state_ * 1664525 + 1013904223) >> 8; }

  const Style& style_;
  std::uint32_t state_ = 7;
};

graph::ConvolutionAttributes Attributes(std::vector<std::int64_t> stride, std::vector<std::int64_t> padding,
                                        std::vector<std::int64_t> dilation, std::int64_t groups = 1) {
  return {.stride = std::move(stride), .padding = std::move(padding), .dilation = std::move(dilation), .groups = groups,
          .transposed = false, .output_padding = {}};
}

// A convolution with a ReLU, a depthwise one with a ReLU6 and a linear layer.
graph::Graph SmallModel(const Style& style) {
  ModelBuilder m(style);
  m.Then(m.g.Relu(m.Convolution("conv", {6, 3, 3, 3}, Attributes({1, 1}, {1, 1}, {1, 1}))), style.hidden);
  const ValueId depthwise = m.Convolution("depthwise", {6, 1, 3, 3}, Attributes({1, 1}, {1, 1}, {1, 1}, 6));
  m.Then(m.g.Op(OpKind::kClamp, {depthwise}, graph::ClampAttributes{}), style.output);
  const ValueId flat = m.g.Op(OpKind::kFlatten, {m.x}, graph::FlattenAttributes{.start_axis = 1});
  m.Then(m.g.Op(OpKind::kLinear, {flat, m.Weight({10, 24}, 10, 0), m.Bias(10)}, {}, "classifier"), style.hidden);
  m.g.Output(m.x);
  return std::move(m.g.graph());
}

// Every shape of a layer.
graph::Graph ShapesModel() {
  ModelBuilder m(kUnsigned);
  m.Then(m.Convolution("conv1d", {4, 3, 5}, Attributes({2}, {2}, {1})), kUnsigned.hidden);
  m.Then(m.Convolution("conv3d", {4, 2, 2, 3, 3}, Attributes({1, 2, 1}, {1, 0, 1}, {1, 1, 2})), kUnsigned.hidden);
  m.Then(m.Convolution("grouped", {6, 2, 3, 3}, Attributes({2, 1}, {1, 2}, {2, 1}, 3)), kUnsigned.hidden);
  graph::ConvolutionAttributes up = Attributes({2, 3}, {1, 0}, {1, 2}, 2);
  up.transposed = true;
  up.output_padding = {1, 0};
  m.Then(m.Convolution("up", {4, 3, 3, 2}, up), kUnsigned.hidden);
  m.Then(m.g.Convolution({m.x, m.Weight({2, 2, 1, 1}, 2, 0)}, "no_bias", GraphBuilder::Conv2d()),
         kUnsigned.output);
  m.g.Output(m.x);
  return std::move(m.g.graph());
}

numerics::TargetDescription Target(std::string_view name) {
  auto target = numerics::FindTarget(name);
  EXPECT_TRUE(target.ok()) << target.status();
  return *std::move(target);
}

Files Make(const graph::Graph& model, const numerics::TargetDescription& target) {
  auto files = MakeHandoff(model, target);
  EXPECT_TRUE(files.ok()) << files.status();
  return files.ok() ? *std::move(files) : Files{};
}

// The golden vectors are the target's own, and the C header with the reference loop reproduces them.
void ExpectReproduced(const Files& files, const numerics::TargetDescription& target) {
  const auto cases = vectors::ReadCases(files);
  QATGAP_ASSERT_OK(cases);
  EXPECT_EQ(cases->size(), LayerFolders(files).size());
  const auto verification = vectors::Verify(target, *cases);
  QATGAP_ASSERT_OK(verification);
  EXPECT_TRUE(verification->exact()) << vectors::ToText(*verification, target);
  const ReferenceBench bench(files);
  for (const std::string& folder : LayerFolders(files)) {
    EXPECT_THAT(bench.Run(folder), ::testing::AllOf(HasSubstr("0 of "), HasSubstr("exit 0"), Not(HasSubstr("error"))))
        << folder;
  }
}

class EveryTarget : public ::testing::TestWithParam<std::string> {};
TEST_P(EveryTarget, ReproducesItsGoldenVectorsInC) {
  const numerics::TargetDescription target = Target(GetParam());
  int taken = 0;
  for (const Style* style : {&kUnsigned, &kUnsignedPerTensor, &kSigned, &kInt16, &kPowerOfTwo}) {
    SCOPED_TRACE(style->name);
    const auto files = MakeHandoff(SmallModel(*style), target);
    EXPECT_TRUE(files.ok() || absl::IsFailedPrecondition(files.status())) << files.status();
    if (!files.ok()) continue;
    ++taken;
    ExpectReproduced(*files, target);
  }
  EXPECT_GT(taken, 0) << "no model was taken";
}

std::vector<std::string> ShippedNames() {
  std::vector<std::string> names;
  for (const numerics::TargetDescription& target : numerics::ShippedTargets()) names.push_back(target.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Handoff, EveryTarget, ::testing::ValuesIn(ShippedNames()), [](const auto& target) {
  std::string name = target.param;
  for (char& letter : name) letter = letter == '-' ? '_' : letter;
  return name;
});

// Modes that no shipped target has, and each rounding.
TEST(HandoffTest, EveryRuleReproducesItsGoldenVectorsInC) {
  const numerics::TargetDescription base = Target("generic-int32");
  const auto with = [&](auto change) {
    numerics::TargetDescription target = base;
    target.name = "own-device";
    change(target);
    ExpectReproduced(Make(SmallModel(kSigned), target), target);
  };
  for (const auto mode : {numerics::RequantMode::kQ31SingleRounding, numerics::RequantMode::kQ31DoubleRounding,
                          numerics::RequantMode::kTosa, numerics::RequantMode::kFloat64}) {
    with([&](auto& target) {
      target.requantization.mode = mode;
      target.requantization.multiplier = numerics::MultiplierForm::kDouble;
      target.accumulator = {.bits = 20, .overflow = numerics::AccumulatorOverflow::kSaturate};
    });
  }
  // Six channels: four by the vector kernel, two by scalar code.
  with([](auto& target) {
    target.requantization.mode = numerics::RequantMode::kQ31DoubleRounding;
    target.requantization.multiplier = numerics::MultiplierForm::kDouble;
    target.requantization.vector_channels = 4;
    target.requantization.tail_mode = numerics::RequantMode::kQ15;
  });
  with([](auto& target) { target.requantization.zero_point = numerics::ZeroPointOrder::kBeforeRounding; });
  for (const auto dequantization : {numerics::Dequantization::kSuccessive, numerics::Dequantization::kProduct}) {
    with([&](auto& target) {
      target.bias.mode = numerics::BiasMode::kFloatAfterScale;
      target.requantization.dequantization = dequantization;
      target.requantization.multiplier = numerics::MultiplierForm::kProductTimesReciprocal;
      target.requantization.rounding = numerics::Rounding::kHalfDown;
    });
  }
  using numerics::Rounding;
  for (const auto rounding : {Rounding::kHalfAwayFromZero, Rounding::kHalfUp, Rounding::kFloor, Rounding::kTowardZero,
                              Rounding::kCeiling}) {
    numerics::TargetDescription target = base;
    target.requantization.mode = numerics::RequantMode::kPowerOfTwoShift;
    target.requantization.multiplier = numerics::MultiplierForm::kDouble;
    target.requantization.rounding = rounding;
    target.accumulator.bits = 48;
    ExpectReproduced(Make(SmallModel(kPowerOfTwo), target), target);
  }
}

TEST(HandoffTest, EveryShapeReproducesItsGoldenVectorsInC) {
  const numerics::TargetDescription target = Target("pytorch-qnnpack");
  const Files files = Make(ShapesModel(), target);
  EXPECT_THAT(LayerFolders(files), ElementsAre("layers/00_conv1d", "layers/01_conv3d", "layers/02_grouped",
                                               "layers/03_up", "layers/04_no_bias"));
  ExpectReproduced(files, target);
  EXPECT_THAT(files, Not(Contains(Key("layers/04_no_bias/bias.npy"))));
}

TEST(HandoffTest, AFlippedWeightFails) {
  Files files = Make(SmallModel(kUnsigned), Target("generic-int32"));
  std::string& header = files["layers/00_conv/layer.h"];
  const std::size_t array = header.find("_weight[162] = {");
  ASSERT_NE(array, std::string::npos);
  // "    -90, -9, ...": the sign of the first weight.
  const std::size_t first = header.find_first_of("-123456789", header.find('\n', array));
  if (header[first] == '-') header.erase(first, 1);
  else header.insert(first, "-");
  EXPECT_THAT(ReferenceBench(files).Run("layers/00_conv"),
              ::testing::AllOf(HasSubstr(": accumulator"), HasSubstr("exit 1")));
}

TEST(HandoffTest, AChangedMultiplierFailsInTheOutputOnly) {
  Files files = Make(SmallModel(kUnsigned), Target("tflite-reference"));
  std::string& header = files["layers/00_conv/layer.h"];
  const std::size_t array = header.find("_mantissa[6] = {");
  ASSERT_NE(array, std::string::npos);
  char& first = header[header.find_first_of("123456789", header.find('\n', array))];
  first = first == '1' ? '2' : '1';
  EXPECT_THAT(ReferenceBench(files).Run("layers/00_conv"),
              ::testing::AllOf(HasSubstr("code"), Not(HasSubstr(": accumulator")), HasSubstr("exit 1")));
}

TEST(HandoffTest, EqualCallsGiveEqualBytes) {
  const graph::Graph model = SmallModel(kUnsigned);
  const numerics::TargetDescription target = Target("pytorch-fbgemm");
  EXPECT_EQ(Make(model, target), Make(model, target));
}

TEST(HandoffTest, HeadersOfAllLayersFitIntoOneFile) {
  Files files = Make(SmallModel(kUnsigned), Target("generic-int32"));
  std::string& first = files["layers/00_conv/layer.h"];
  for (const char* other : {"layers/01_depthwise/layer.h", "layers/02_classifier/layer.h"}) first += files[other];
  EXPECT_THAT(ReferenceBench(files).Run("layers/00_conv"), HasSubstr("exit 0"));
}

TEST(HandoffTest, LargeWeightsStayInTheNpyFile) {
  ModelBuilder m(kUnsigned);
  m.Then(m.g.Op(OpKind::kLinear, {m.x, m.Weight({70, 1000}, 70, 0), m.Bias(70)}, {}, "wide"), kUnsigned.output);
  m.g.Output(m.x);
  const numerics::TargetDescription target = Target("pytorch-qnnpack");
  const Files files = Make(m.g.graph(), target);
  EXPECT_THAT(files.at("layers/00_wide/layer.h"), HasSubstr("#define LAYER00_WIDE_HAS_WEIGHT 0"));
  EXPECT_LT(files.at("layers/00_wide/layer.h").size(), 300000U);
  ExpectReproduced(files, target);
}

// gamma = 2, beta = 3, mean = 0.5, variance + epsilon = 0.25: s = 4, b' = (1 - 0.5) * 4 + 3 = 5.
TEST(HandoffTest, ShowsTheBatchNormFold) {
  ModelBuilder m(kUnsigned);
  const ValueId weight = m.g.Weight({1, 1, 1, 1}, {3}, PerTensor(0.25, 0, -128, 127));
  const ValueId product = m.g.Convolution({m.x, weight, m.g.Floats({1}, {1})}, "conv");
  const ValueId normed = m.g.Op(OpKind::kBatchNorm, {product, m.g.Floats({1}, {2}), m.g.Floats({1}, {3}),
                                                     m.g.Floats({1}, {0.5}), m.g.Floats({1}, {0.125})},
                                graph::BatchNormAttributes{.epsilon = 0.125});
  m.Then(normed, kUnsigned.output);
  m.g.Output(m.x);
  const numerics::TargetDescription target = Target("generic-int32");
  const Files files = Make(m.g.graph(), target);
  const json fold = json::parse(files.at("layers/00_conv/layer.json"))["batch_norms"][0];
  EXPECT_EQ(fold["gamma"], json({2.0}));
  EXPECT_EQ(fold["bias"], json({1.0}));
  EXPECT_EQ(fold["s"], json({4.0}));
  EXPECT_EQ(fold["folded_bias"], json({5.0}));
  EXPECT_THAT(files.at("layers/00_conv/layer.h"), HasSubstr("layer00_conv_batch_norm_gamma[1]"));
  EXPECT_THAT(files.at("README.md"), HasSubstr("2 / sqrt(0.125 + 0.125)"));
  EXPECT_THAT(files.at("README.md"), HasSubstr("(1 - 0.5) * 4 + 3"));
  ExpectReproduced(files, target);
}

// s_x = 0.5, z_x = 0; w = 2 at 0.25; s_y = 0.125, z_y = 10: M = 1; b = 1 is 8 steps of s_b = 0.125.
TEST(HandoffTest, LayerJsonHoldsTheHandComputedConstants) {
  GraphBuilder g;
  const ValueId x = g.FakeQuant(g.Input(), PerTensor(0.5, 0));
  const ValueId weight = g.Weight({1, 1, 1, 1}, {2}, PerTensor(0.25, 0, -128, 127));
  g.Output(g.FakeQuant(g.Relu(g.Convolution({x, weight, g.Floats({1}, {1})}, "a.b")), PerTensor(0.125, 10)));
  const Files files = Make(g.graph(), Target("tflite-reference"));
  const json layer = json::parse(files.at("layers/00_a_b/layer.json"));
  EXPECT_EQ(layer["name"], "a.b");
  EXPECT_EQ(layer["bias"]["stored"], json({8}));
  EXPECT_EQ(layer["bias"]["scale"], json({0.125}));
  EXPECT_EQ(layer["requantization"]["multiplier_real"], json({1.0}));
  EXPECT_EQ(layer["requantization"]["mantissa_q31"], json({1 << 30}));
  EXPECT_EQ(layer["requantization"]["shift"], json({1}));
  EXPECT_EQ(layer["clamp"], (json{{"min", 10}, {"max", 255}}));
  const json& example = layer["example"];
  EXPECT_EQ(example["sum"], example["accumulator"].get<int>() + 8);
  EXPECT_EQ(example["code"], example["sum"].get<int>() + 10);
  EXPECT_THAT(files.at("README.md"), HasSubstr("mantissa = 1073741824, shift = 1"));
}

TEST(HandoffTest, WhatIsNotHandedOverIsListed) {
  ModelBuilder m(kUnsigned);
  m.Then(m.Convolution("conv", {3, 3, 1, 1}, GraphBuilder::Conv2d()), kUnsigned.hidden);
  const ValueId sigmoid = m.g.Op(OpKind::kSigmoid, {m.x}, {}, "gate");
  const ValueId weight = m.Weight({3, 3, 1, 1}, 3, 0);
  m.g.Output(m.g.FakeQuant(m.g.Convolution({sigmoid, weight}, "off_grid"), kUnsigned.output));
  m.g.Output(m.g.Convolution({m.x, weight}, "float_output"));
  const Files files = Make(m.g.graph(), Target("generic-int32"));
  const json model = json::parse(files.at("model.json"));
  EXPECT_EQ(model["layers"].size(), 1U);
  EXPECT_EQ(model["layers"][0]["folder"], "layers/00_conv");
  EXPECT_EQ(model["target"]["name"], "generic-int32");
  EXPECT_EQ(model["mac_operators_left_out"].size(), 2U);
  EXPECT_THAT(model.dump(), HasSubstr("not on an integer grid"));
  EXPECT_EQ(model["other_operators"][0]["name"], "gate");
  EXPECT_EQ(model["other_operators"][0]["reason"], "runs in float");
  EXPECT_THAT(files.at("README.md"), HasSubstr("not on an integer grid"));
}

TEST(HandoffTest, ALayerHasAFolderForEachInputThatReachesIt) {
  ModelBuilder m(kUnsigned);
  const ValueId predicate = m.g.Op(OpKind::kGreater, {m.g.Floats({}, {1}), m.g.Floats({}, {0})});
  m.x = m.g.If(predicate, [&] { return m.g.FakeQuant(m.x, PerTensor(0.5, 0)); },
               [&] { return m.g.FakeQuant(m.x, PerTensor(0.25, 0)); });
  m.Then(m.Convolution("conv", {3, 3, 1, 1}, GraphBuilder::Conv2d()), kUnsigned.hidden);
  m.g.Output(m.x);
  const numerics::TargetDescription target = Target("generic-int32");
  const Files files = Make(m.g.graph(), target);
  EXPECT_THAT(LayerFolders(files), ElementsAre("layers/00_conv_input1", "layers/01_conv_input2"));
  const auto stored = [&](const char* folder) {
    return json::parse(files.at(std::string(folder) + "/layer.json"))["bias"]["stored"];
  };
  EXPECT_NE(stored("layers/00_conv_input1"), stored("layers/01_conv_input2"));
  ExpectReproduced(files, target);
}

TEST(HandoffTest, NoLayerIsAnError) {
  GraphBuilder g;
  g.Output(g.FakeQuant(g.Input(), PerTensor(0.5, 0)));
  EXPECT_THAT(MakeHandoff(g.graph(), Target("generic-int32")),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("no convolution")));
}

TEST(HandoffTest, ARefusedLayerIsNamed) {
  EXPECT_THAT(MakeHandoff(SmallModel(kUnsigned), Target("vitis-dpu")),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("layer 'conv'")));
}

// Names are a client's: they become paths, C names, C comments and Markdown.
TEST(HandoffTest, HostileNamesStayNames) {
  ModelBuilder m(kUnsigned);
  m.Then(m.Convolution("../../etc/*/ \"x\n| `\xff", {3, 3, 1, 1}, GraphBuilder::Conv2d()), kUnsigned.hidden);
  m.g.Output(m.x);
  const numerics::TargetDescription target = Target("generic-int32");
  const Files files = Make(m.g.graph(), target);
  for (const auto& [path, bytes] : files) EXPECT_THAT(path, Not(ContainsRegex("[^A-Za-z0-9_./]|\\.\\.")));
  ExpectReproduced(files, target);
}

// A bias of 2000 needs more than half of an int32 at s_x * s_w = 0.0213 * 1e-8: the weight scale is raised, and the
// header holds the weights on it.
TEST(HandoffTest, AdjustedWeightsAreHandedOver) {
  ModelBuilder m(kSigned);
  const ValueId weight = m.g.Weight({1, 1, 1, 1}, {100}, PerTensor(1e-8, 0, -128, 127));
  m.Then(m.g.Convolution({m.x, weight, m.g.Floats({1}, {2000})}, "conv"), PerTensor(20, 0, -128, 127));
  m.g.Output(m.x);
  numerics::TargetDescription target = Target("generic-int32");
  target.bias.overflow = numerics::BiasOverflow::kAdjustWeights;
  const Files files = Make(m.g.graph(), target);
  const json layer = json::parse(files.at("layers/00_conv/layer.json"));
  EXPECT_EQ(layer["weights_adjusted_channels"], json({0}));
  // The quotient is a binary32: at 2^30 its steps are 128.
  EXPECT_NEAR(layer["bias"]["stored"][0].get<double>(), 0x1p30, 128);
  EXPECT_THAT(files.at("README.md"), HasSubstr("raised the weight scale of 1 channel(s)"));
  ExpectReproduced(files, target);
}

}  // namespace
}  // namespace qatgap::handoff
