#include "analyzers/numerics/layer_arithmetic.h"

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/numerics/layers.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::numerics {
namespace {

using ::qatgap::testing::StatusIs;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Le;

constexpr std::int32_t kInt32Max = std::numeric_limits<std::int32_t>::max();
constexpr std::int32_t kInt32Min = std::numeric_limits<std::int32_t>::min();
using Stage = ArithmeticStage;

// --- Witnesses ---

TEST(WitnessTest, ABiasOfHalfAStepVanishesOnlyWhereItIsRounded) {
  // A + b / s_b = 1.5 -> 2; with the bias rounded to 0 it is 1.
  const LayerSpec spec{.bias = {0.5}};
  EXPECT_THAT(Codes(Layer(Target("pytorch-fbgemm"), spec), Stage::kRequantized, {1}), ElementsAre(2));
  const LayerArithmetic qnnpack = Layer(Target("pytorch-qnnpack"), spec);
  EXPECT_THAT(Codes(qnnpack, Stage::kReal, {1}), ElementsAre(2));
  EXPECT_THAT(Codes(qnnpack, Stage::kBiasRounded, {1}), ElementsAre(1));
  EXPECT_THAT(Codes(qnnpack, Stage::kRequantized, {1}), ElementsAre(1));
  EXPECT_EQ(qnnpack.stored_bias(0).residual_lsb, -0.5);
}

TEST(WitnessTest, ReciprocalMovesATieOfTheBias) {
  // s_b = 15 * 2^-20, b = 2.5 s_b: QNNPACK stores 3, a dividing target 2.
  const LayerSpec spec{.input_scale = 15 * 0x1p-10,
                       .weight_scales = {0x1p-10},
                       .output_scale = 15 * 0x1p-20,
                       .bias = {2.5 * 15 * 0x1p-20}};
  EXPECT_EQ(Layer(Target("pytorch-qnnpack"), spec).stored_bias(0).stored, 3);
  EXPECT_EQ(Layer(Target("generic-int32"), spec).stored_bias(0).stored, 2);
}

TEST(WitnessTest, SumWrapsAlthoughTheBiasFits) {
  // q_b = 2^31 - 128 fits, q_b + 200 does not: the wrapped sum is very negative.
  const LayerSpec spec{.output_scale = 0x1p24, .bias = {0x1p31 - 128}};
  const LayerArithmetic layer = Layer(Target("pytorch-qnnpack"), spec);
  EXPECT_FALSE(layer.stored_bias(0).saturated);
  EXPECT_THAT(Codes(layer, Stage::kBiasStored, {100, 200}), ElementsAre(128, 128));
  EXPECT_THAT(Codes(layer, Stage::kAccumulated, {100, 200}), ElementsAre(128, 0));
  EXPECT_THAT(Codes(layer, Stage::kRequantized, {100, 200}), ElementsAre(128, 0));
  TargetDescription saturating = Target("pytorch-qnnpack");
  saturating.accumulator.overflow = AccumulatorOverflow::kSaturate;
  EXPECT_THAT(Codes(Layer(saturating, spec), Stage::kAccumulated, {100, 200}), ElementsAre(128, 128));
  EXPECT_THAT(Codes(Layer(saturating, spec), Stage::kRequantized, {100, 200}), ElementsAre(128, 128));
}

TEST(WitnessTest, DeadChannelLosesItsBiasToSaturation) {
  // s_w = 2^-23 of an all-zero channel: 2^31 - 1 steps of 2^-30 are 2, not the 3 that was trained.
  const LayerSpec spec{.input_scale = 0x1p-7, .weight_scales = {0x1p-23}, .output_scale = 0.05, .bias = {3.0}};
  const LayerArithmetic int32 = Layer(Target("generic-int32"), spec);
  EXPECT_TRUE(int32.stored_bias(0).saturated);
  EXPECT_THAT(Codes(int32, Stage::kBiasRounded, {0}), ElementsAre(60));
  EXPECT_THAT(Codes(int32, Stage::kBiasStored, {0}), ElementsAre(40));
  EXPECT_THAT(Codes(int32, Stage::kRequantized, {0}), ElementsAre(40));
  const LayerArithmetic int16 = Layer(Target("generic-int16"), spec);
  EXPECT_EQ(int16.stored_bias(0).stored, 32767);
  EXPECT_THAT(Codes(int16, Stage::kBiasStored, {0}), ElementsAre(0));
  EXPECT_THAT(Codes(Layer(Target("pytorch-fbgemm"), spec), Stage::kRequantized, {0}), ElementsAre(60));
}

TEST(WitnessTest, MultiplierAboveOne) {
  const LayerSpec spec{.output_scale = 0.5, .bias = {1.0}};
  const LayerArithmetic layer = Layer(Target("pytorch-qnnpack"), spec);
  EXPECT_EQ(layer.multiplier(0), 2);
  EXPECT_THAT(Codes(layer, Stage::kRequantized, {10, (1 << 30) - 1}), ElementsAre(22, 0));  // 2^31: INT32_MIN
  EXPECT_THAT(Codes(layer, Stage::kReal, {10, (1 << 30) - 1}), ElementsAre(22, 255));
}

TEST(WitnessTest, ReluIsAClampAtTheZeroPoint) {
  for (const char* name : {"pytorch-fbgemm", "pytorch-qnnpack", "generic-int32"}) {
    for (const std::int64_t zero_point : {0, 7}) {
      LayerSpec spec{.output_zero_point = zero_point, .activation = Activation::kRelu};
      const LayerArithmetic relu = Layer(Target(name), spec);
      spec.activation = Activation::kNone;
      const LayerArithmetic none = Layer(Target(name), spec);
      const auto z = static_cast<std::int32_t>(zero_point);
      for (const Stage stage : kAllStages) {
        EXPECT_THAT(Codes(relu, stage, {-300, -2, 0, 2, 300}), ElementsAre(z, z, z, z + 2, 255)) << name;
        EXPECT_THAT(Codes(none, stage, {-300, -2, 0, 2, 300}), ElementsAre(0, z == 0 ? 0 : z - 2, z, z + 2, 255))
            << name;
      }
    }
  }
}

TEST(WitnessTest, Relu6ClampsAtTheCodeOfSix) {
  const LayerSpec spec{.output_scale = 0.05, .output_zero_point = 3, .activation = Activation::kRelu6};
  for (const Stage stage : kAllStages) {
    EXPECT_THAT(Codes(Layer(Target("generic-int32"), spec), stage, {-1, 5, 6, 7, 1000}),
                ElementsAre(3, 103, 123, 123, 123));
  }
}

TEST(WitnessTest, ReferenceStagesRoundHalfToEvenBeforeAnOddZeroPoint) {
  const LayerArithmetic layer = Layer(Target("generic-int32"), {.output_scale = 2, .output_zero_point = 1});
  EXPECT_THAT(Codes(layer, Stage::kReal, {1, 3, 5}), ElementsAre(1, 3, 3));
}

TEST(WitnessTest, EightBitBiasIsCoarse) {
  // b = 1.0 needs 2^-6 to fit, the small channel's 0.01 is then 0.64 steps: 1 step, 0.015625.
  const LayerSpec spec{
      .input_scale = 0x1p-10, .weight_scales = {1, 1}, .output_scale = 0x1p-10, .bias = {1.0, 0.01}};
  const LayerArithmetic layer = Layer(Target("generic-int8"), spec);
  EXPECT_EQ(layer.stored_bias(0).stored, 64);
  EXPECT_EQ(layer.stored_bias(1).stored, 1);
  EXPECT_THAT(Codes(layer, Stage::kReal, {0}, 1), ElementsAre(10));
  EXPECT_THAT(Codes(layer, Stage::kBiasStored, {0}, 1), ElementsAre(16));
  EXPECT_THAT(Codes(layer, Stage::kRequantized, {0}, 1), ElementsAre(16));
}

TEST(WitnessTest, AlignmentOfAnOwnScaleCountsAsRequantization) {
  // s_b = 1, s_x * s_w = 2: the stored 1 is half an accumulator step, added as 1 step = 2.
  const LayerSpec spec{.weight_scales = {2, 2}, .output_scale = 1, .bias = {127, 1}};
  const LayerArithmetic layer = Layer(Target("generic-int8"), spec);
  EXPECT_THAT(Codes(layer, Stage::kReal, {5}, 1), ElementsAre(11));
  EXPECT_THAT(Codes(layer, Stage::kBiasStored, {5}, 1), ElementsAre(11));
  EXPECT_THAT(Codes(layer, Stage::kAccumulated, {5}, 1), ElementsAre(11));
  EXPECT_THAT(Codes(layer, Stage::kRequantized, {5}, 1), ElementsAre(12));
}

TEST(WitnessTest, LayerWithoutBias) {
  for (const TargetDescription& target : ShippedTargets()) {
    for (const Stage stage : kAllStages) {
      EXPECT_THAT(Codes(Layer(target, {}), stage, {0, 5, 300}), ElementsAre(0, 5, 255)) << target.name;
    }
  }
}

// --- Errors ---

struct BadLayer {
  const char* name;
  std::function<void(MacConstants&)> spoil;
  absl::StatusCode code;
  const char* message;
};

class CreateErrorTest : public ::testing::TestWithParam<BadLayer> {};

TEST_P(CreateErrorTest, SaysWhat) {
  MacConstants constants = Constants({.weight_scales = {1, 2}, .bias = {0.5, 0.25}});
  GetParam().spoil(constants);
  EXPECT_THAT(LayerArithmetic::Create(Target("pytorch-fbgemm"), constants),
              StatusIs(GetParam().code, HasSubstr(GetParam().message)));
}

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kRefused = absl::StatusCode::kFailedPrecondition;
INSTANTIATE_TEST_SUITE_P(
    LayerArithmetic, CreateErrorTest,
    ::testing::Values(
        BadLayer{"Input", [](MacConstants& c) { c.input.scales[0] = 0; }, kInvalid, "input: scale is 0"},
        BadLayer{"Weight", [](MacConstants& c) { c.weight.scales[1] = -1; }, kInvalid, "weight: scale[1] is -1"},
        BadLayer{"Output", [](MacConstants& c) { c.output.zero_points[0] = 256; }, kInvalid, "output: zero_point"},
        BadLayer{"InputPerChannel",
                 [](MacConstants& c) {
                   c.input = {.scales = {1, 1}, .zero_points = {0, 0}, .axis = 0};
                 },
                 kInvalid, "per tensor"},
        BadLayer{"NoChannels", [](MacConstants& c) { c.channels = 0; }, kInvalid, "channels is 0"},
        BadLayer{"WeightCount", [](MacConstants& c) { c.channels = 3; }, kInvalid, "2 scales for 3"},
        BadLayer{"BiasCount", [](MacConstants& c) { c.bias.push_back(1); }, kInvalid, "3 values for 2"},
        BadLayer{"BiasNan", [](MacConstants& c) { c.bias[1] = std::nan(""); }, kInvalid, "bias[1] is nan"},
        BadLayer{"BiasHuge", [](MacConstants& c) { c.bias[0] = 1e39; }, kInvalid, "bias[0] is 1e+39"},
        BadLayer{"TinyMultiplier", [](MacConstants& c) { c.input.scales[0] = 1e-40; }, kRefused,
                 "multiplier of channel 0"},
        BadLayer{"HugeMultiplier", [](MacConstants& c) { c.output.scales[0] = 1e-42; }, kRefused,
                 "multiplier of channel 0"},
        BadLayer{"SixteenBitOutput", [](MacConstants& c) { c.output.quant_max = 65535; }, kRefused, "int16"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(CreateTest, RefusesByTheTargetsOverflowRule) {
  TargetDescription target = Target("generic-int16");
  target.bias.overflow = BiasOverflow::kRefuse;
  EXPECT_THAT(LayerArithmetic::Create(target, Constants({.bias = {40000}})),
              StatusIs(absl::StatusCode::kFailedPrecondition, AllOf(HasSubstr("40000"), HasSubstr("16 bits"))));
}

TEST(CreateTest, AcceptsOnePerTensorWeightScaleForManyChannels) {
  MacConstants constants = Constants({.weight_scales = {0.5}});
  constants.weight.axis = QuantParams::kPerTensor;
  constants.channels = 3;
  constants.bias = {1, 2, 3};
  const auto layer = LayerArithmetic::Create(Target("generic-int32"), constants);
  QATGAP_ASSERT_OK(layer);
  EXPECT_EQ(layer->stored_bias(2).stored, 6);
  EXPECT_EQ(layer->multiplier(2), 0.5);
  EXPECT_EQ(layer->constants().channels, 3);
  EXPECT_EQ(layer->target().name, "generic-int32");
}

// --- Properties ---

constexpr std::uint32_t kSeed = 7281;

// Random layers of ordinary magnitudes: M between 0.0005 and 0.5, |q_b| below 2^20.
LayerSpec RandomSpec(std::mt19937& random, Activation activation) {
  std::uniform_real_distribution<double> exponent(-7.5, -0.7);
  std::uniform_real_distribution<double> unit(-1, 1);
  LayerSpec spec{.input_scale = 0.011 * (2 + unit(random)),
                 .weight_scales = {},
                 .output_scale = 0.037 * (2 + unit(random)),
                 .output_zero_point = static_cast<std::int64_t>(random() % 256),
                 .bias = {},
                 .activation = activation};
  for (int c = 0; c < 8; ++c) {
    const double weight_scale = std::exp(exponent(random)) * spec.output_scale / spec.input_scale;
    spec.weight_scales.push_back(weight_scale);
    const double bias = 2 * spec.output_scale * 100 * unit(random);
    spec.bias.push_back(static_cast<double>(static_cast<float>(bias)));
  }
  return spec;
}

std::vector<std::int32_t> RandomAccumulators(std::mt19937& random, std::size_t count) {
  std::vector<std::int32_t> accumulators(count);
  for (std::int32_t& a : accumulators) a = static_cast<std::int32_t>(random() % 200001) - 100000;
  return accumulators;
}

TEST(PropertyTest, FloatBiasIsNeitherRoundedNorStored) {
  std::mt19937 random(kSeed);
  for (int i = 0; i < 50; ++i) {
    const LayerArithmetic layer = Layer(Target("pytorch-fbgemm"), RandomSpec(random, Activation::kRelu));
    for (std::int64_t c = 0; c < 8; ++c) {
      const std::vector<std::int32_t> accumulators = RandomAccumulators(random, 1000);
      const std::vector<std::int32_t> real = Codes(layer, Stage::kReal, accumulators, c);
      ASSERT_EQ(Codes(layer, Stage::kBiasRounded, accumulators, c), real);
      ASSERT_EQ(Codes(layer, Stage::kBiasStored, accumulators, c), real);
      ASSERT_EQ(Codes(layer, Stage::kAccumulated, accumulators, c), real);
    }
  }
}

TEST(PropertyTest, StagesDifferByNoMoreThanTheirCauseAllows) {
  std::mt19937 random(kSeed);
  for (const char* name : {"pytorch-qnnpack", "generic-int32", "pytorch-fbgemm"}) {
    for (int i = 0; i < 50; ++i) {
      const LayerArithmetic layer = Layer(Target(name), RandomSpec(random, Activation::kNone));
      for (std::int64_t c = 0; c < 8; ++c) {
        ASSERT_FALSE(layer.stored_bias(c).saturated);
        // Rounding the bias moves the real result by at most M / 2 (and the binary32 of s_b), so a code by one more.
        ASSERT_LE(std::abs(layer.stored_bias(c).residual_lsb), layer.multiplier(c) / 2 * (1 + 1e-3) + 1e-4);
        const std::vector<std::int32_t> accumulators = RandomAccumulators(random, 1000);
        const auto real = Codes(layer, Stage::kReal, accumulators, c);
        const auto rounded = Codes(layer, Stage::kBiasRounded, accumulators, c);
        const auto stored = Codes(layer, Stage::kBiasStored, accumulators, c);
        const auto requantized = Codes(layer, Stage::kRequantized, accumulators, c);
        ASSERT_EQ(stored, rounded);
        ASSERT_EQ(Codes(layer, Stage::kAccumulated, accumulators, c), stored);
        for (std::size_t k = 0; k < accumulators.size(); ++k) {
          ASSERT_LE(std::abs(rounded[k] - real[k]), std::floor(layer.multiplier(c) / 2 + 1)) << name;
          ASSERT_LE(std::abs(requantized[k] - stored[k]), 1) << name;
        }
      }
    }
  }
}

TEST(PropertyTest, BiasRoundingChangesAQuarterOfMOfTheCodes) {
  // Over uniform rounding errors e in [-1/2, 1/2] the rate M * |e| averages M / 4.
  std::mt19937 random(kSeed);
  const double multiplier = 0.0213719;
  LayerSpec spec{.output_scale = 1 / multiplier, .output_zero_point = 128, .bias = {0}};
  double changed = 0;
  double total = 0;
  for (int i = 0; i < 400; ++i) {
    spec.bias[0] = std::uniform_real_distribution<double>(-100, 100)(random);
    const LayerArithmetic layer = Layer(Target("generic-int32"), spec);
    std::vector<std::int32_t> accumulators(2000);
    for (std::int32_t& a : accumulators) a = static_cast<std::int32_t>(random() % 10000) - 5000;
    const auto real = Codes(layer, Stage::kReal, accumulators);
    const auto rounded = Codes(layer, Stage::kBiasRounded, accumulators);
    for (std::size_t k = 0; k < real.size(); ++k) changed += real[k] != rounded[k] ? 1 : 0;
    total += static_cast<double>(real.size());
  }
  EXPECT_NEAR(changed / total / (multiplier / 4), 1.0, 0.15);
}

// The others refuse the random scales of these tests.
std::vector<TargetDescription> TargetsOfAnyScale() {
  std::vector<TargetDescription> targets = ShippedTargets();
  std::erase_if(targets, [](const TargetDescription& t) { return t.scales != ScaleRequirement::kAny; });
  return targets;
}

TEST(PropertyTest, CodesStayInRangeForEveryAccumulator) {
  std::mt19937 random(kSeed);
  const std::vector<std::int32_t> accumulators = {kInt32Min, kInt32Min + 1, -1, 0, 1, kInt32Max - 1, kInt32Max};
  for (const TargetDescription& target : TargetsOfAnyScale()) {
    for (const Activation activation : {Activation::kNone, Activation::kRelu, Activation::kRelu6}) {
      for (const double huge : {1.0, 1e10, 1e32}) {
        LayerSpec spec = RandomSpec(random, activation);
        for (double& b : spec.bias) b *= huge / 1000;
        if (target.bias.overflow == BiasOverflow::kRefuse && huge > 1) continue;
        const LayerArithmetic layer = Layer(target, spec);
        const auto low = static_cast<std::int32_t>(activation == Activation::kNone ? 0 : spec.output_zero_point);
        for (std::int64_t c = 0; c < 8; ++c) {
          for (const Stage stage : kAllStages) {
            ASSERT_THAT(Codes(layer, stage, accumulators, c), Each(AllOf(Ge(low), Le(255)))) << target.name;
          }
        }
      }
    }
  }
}

TEST(PropertyTest, CodesDoNotDependOnTheBatch) {
  std::mt19937 random(kSeed);
  const LayerSpec spec = RandomSpec(random, Activation::kNone);
  const std::vector<std::int32_t> accumulators = RandomAccumulators(random, 1500);
  for (const TargetDescription& target : TargetsOfAnyScale()) {
    const LayerArithmetic layer = Layer(target, spec);
    for (const Stage stage : kAllStages) {
      const auto together = Codes(layer, stage, accumulators);
      for (std::size_t i = 0; i < accumulators.size(); i += 7) {
        ASSERT_THAT(Codes(layer, stage, {accumulators[i]}), ElementsAre(together[i])) << target.name;
      }
    }
  }
}

// Every int16 accumulator against the stage's definition, written with nearbyint and no blocks.
TEST(ExhaustiveTest, ReferenceStagesEqualTheirDefinition) {
  const LayerSpec spec{.input_scale = 0.0235,
                       .weight_scales = {0.0071},
                       .output_scale = 0.041,
                       .output_zero_point = 101,
                       .bias = {static_cast<double>(0.7123f)}};
  std::vector<std::int32_t> accumulators;
  for (std::int32_t a = -32768; a <= 32767; ++a) accumulators.push_back(a);
  for (const TargetDescription& target : TargetsOfAnyScale()) {
    const LayerArithmetic layer = Layer(target, spec);
    const StoredBias& bias = layer.stored_bias(0);
    const bool is_float = layer.target().bias.mode != BiasMode::kInteger;
    const double multiplier = 0.0235 * 0.0071 / 0.041;
    const auto check = [&](Stage stage, double real_bias) {
      const auto codes = Codes(layer, stage, accumulators);
      for (std::size_t i = 0; i < codes.size(); ++i) {
        const double real = accumulators[i] * multiplier + real_bias / 0.041;
        const double code = std::fmin(std::fmax(std::nearbyint(real) + 101, 0), 255);
        ASSERT_EQ(codes[i], code) << target.name << " " << accumulators[i];
      }
    };
    check(Stage::kReal, bias.real);
    check(Stage::kBiasRounded, is_float ? bias.real : bias.rounded * bias.scale);
    check(Stage::kBiasStored, is_float ? bias.real : static_cast<double>(bias.stored) * bias.scale);
  }
}

TEST(RealCodesTest, EqualTheRealStageOnIntegerInputs) {
  // s_x is a power of two, so s_x * A loses nothing and M factors exactly.
  std::mt19937 random(kSeed);
  LayerSpec spec = RandomSpec(random, Activation::kRelu);
  spec.input_scale = 0x1p-6;
  const LayerArithmetic layer = Layer(Target("generic-int32"), spec);
  const std::vector<std::int32_t> accumulators = RandomAccumulators(random, 5000);
  std::vector<double> sums;
  for (const std::int32_t a : accumulators) sums.push_back(a * 0x1p-6);
  for (std::int64_t c = 0; c < 8; ++c) {
    std::vector<std::int32_t> codes(sums.size());
    layer.RealCodes(c, sums, codes);
    EXPECT_EQ(codes, Codes(layer, Stage::kReal, accumulators, c));
  }
}

TEST(RealCodesTest, DefinedForAnything) {
  const LayerArithmetic layer = Layer(Target("generic-int32"), {.output_zero_point = 7});
  const double inf = std::numeric_limits<double>::infinity();
  std::vector<std::int32_t> codes(4);
  layer.RealCodes(0, std::vector<double>{inf, -inf, 1e300, std::nan("")}, codes);
  EXPECT_THAT(codes, ElementsAre(255, 0, 255, 0));
}

}  // namespace
}  // namespace qatgap::numerics
