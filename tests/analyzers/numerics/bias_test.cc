#include "analyzers/numerics/bias.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/numerics/layers.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::numerics {
namespace {

using ::qatgap::testing::StatusIs;
using ::testing::AllOf;
using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kInt32Min = std::numeric_limits<std::int32_t>::min();

BiasRule Int32Rule() { return {.scale = BiasScale::kProductDouble, .division = BiasDivision::kDivideDouble}; }

TEST(DivideBiasTest, ReciprocalAndDivisionFallOnDifferentSidesOfATie) {
  const double s = 15 * 0x1p-20;
  EXPECT_EQ(DivideBias(2.5 * s, s, BiasDivision::kDivideFloat), 2.5);
  EXPECT_EQ(DivideBias(2.5 * s, s, BiasDivision::kMultiplyReciprocal), 2.500000238418579);
  const double t = 41 * 0x1p-20;
  EXPECT_EQ(DivideBias(127.5 * t, t, BiasDivision::kDivideFloat), 127.5);
  EXPECT_EQ(DivideBias(127.5 * t, t, BiasDivision::kMultiplyReciprocal), 127.49999237060547);
}

TEST(DivideBiasTest, Binary32StepsByFourBeyondTwoToThe25) {
  const double b = 0x1p25 + 3;
  EXPECT_EQ(DivideBias(b, 1, BiasDivision::kDivideDouble), 33554435);
  EXPECT_EQ(DivideBias(b, 1, BiasDivision::kDivideFloat), 33554436);
  EXPECT_EQ(DivideBias(b, 1, BiasDivision::kMultiplyReciprocal), 33554436);
}

TEST(ProductScaleTest, RoundsWhereTheRuleSays) {
  // 0.1 and 0.3 are not binary32 numbers, and neither are their products.
  EXPECT_EQ(ProductScale(0.1, 0.3, BiasScale::kProductDouble), 0.1 * 0.3);
  EXPECT_EQ(ProductScale(0.1, 0.3, BiasScale::kProductFloat), static_cast<double>(0.1f * 0.3f));
  EXPECT_EQ(ProductScale(0.1, 0.3, BiasScale::kProductDoubleToFloat),
            static_cast<double>(static_cast<float>(0.1 * 0.3)));
  // The two binary32 rules disagree in the last bit here.
  EXPECT_NE(ProductScale(0.1, 0.3, BiasScale::kProductFloat),
            ProductScale(0.1, 0.3, BiasScale::kProductDoubleToFloat));
}

TEST(PowerOfTwoScaleTest, IsTheSmallestThatFits) {
  EXPECT_EQ(PowerOfTwoScale(std::vector<double>{127, -3}, 8), 1);
  EXPECT_EQ(PowerOfTwoScale(std::vector<double>{-127}, 8), 1);
  EXPECT_EQ(PowerOfTwoScale(std::vector<double>{127.0000001}, 8), 2);
  EXPECT_EQ(PowerOfTwoScale(std::vector<double>{1.0}, 8), 0x1p-6);   // 128 steps of 2^-7 do not fit
  EXPECT_EQ(PowerOfTwoScale(std::vector<double>{0.99}, 8), 0x1p-7);  // 126.72 steps do
  EXPECT_EQ(PowerOfTwoScale(std::vector<double>{1e-300}, 8), 0x1p-1003);
  EXPECT_EQ(PowerOfTwoScale(std::vector<double>{0, 0}, 8), 1);
  EXPECT_EQ(PowerOfTwoScale({}, 8), 1);
  EXPECT_EQ(PowerOfTwoScale(std::vector<double>{1.0}, 2), 1);
}

TEST(PowerOfTwoScaleTest, FitsAndHalfOfItDoesNot) {
  for (int i = 1; i < 20000; ++i) {
    const double b = i * 0.00137;
    const double scale = PowerOfTwoScale(std::vector<double>{b}, 8);
    ASSERT_LE(b / scale, 127) << b;
    ASSERT_GT(b / (scale / 2), 127) << b;
  }
}

TEST(StoreIntegerTest, SaturatesAtBothEnds) {
  const BiasRule full = Int32Rule();
  EXPECT_EQ(StoreInteger(0x1p31, full), kInt32Max);
  EXPECT_EQ(StoreInteger(0x1p31 - 1, full), kInt32Max);
  EXPECT_EQ(StoreInteger(-0x1p31, full), kInt32Min);
  EXPECT_EQ(StoreInteger(-0x1p31 - 1, full), kInt32Min);
  EXPECT_EQ(StoreInteger(1e300, full), kInt32Max);
  EXPECT_EQ(StoreInteger(-1e300, full), kInt32Min);
  BiasRule symmetric = full;
  symmetric.symmetric_clamp = true;
  EXPECT_EQ(StoreInteger(-0x1p31, symmetric), -kInt32Max);
  BiasRule wide = full;
  wide.bits = 64;
  EXPECT_EQ(StoreInteger(0x1p63, wide), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(StoreInteger(-0x1p63, wide), std::numeric_limits<std::int64_t>::min());
}

TEST(StoreIntegerTest, WrapsModuloItsWidth) {
  BiasRule rule = Int32Rule();
  rule.overflow = BiasOverflow::kWrap;
  EXPECT_EQ(StoreInteger(0x1p31, rule), kInt32Min);
  EXPECT_EQ(StoreInteger(-0x1p31 - 1, rule), kInt32Max);
  EXPECT_EQ(StoreInteger(0x1p32 + 5, rule), 5);
  EXPECT_EQ(StoreInteger(-0x1p32 - 5, rule), -5);
  rule.bits = 64;
  EXPECT_EQ(StoreInteger(0x1p63, rule), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(StoreInteger(0x1p64 + 4096, rule), 4096);
  rule.bits = 8;
  for (int v = -1000; v <= 1000; ++v) {
    ASSERT_EQ(StoreInteger(v, rule), static_cast<std::int8_t>(v)) << v;
  }
}

TEST(StoreBiasTest, DeadChannelSaturates) {
  // An all-zero channel gets the observer's smallest scale, 2^-23; its bias does not shrink with it.
  const LayerSpec spec{.input_scale = 0.0078125,  // 2^-7
                       .weight_scales = {0.01, 0x1p-23},
                       .output_scale = 0.05,
                       .bias = {3.0, 3.0}};
  const auto bias = StoreBias(Int32Rule(), Constants(spec));
  QATGAP_ASSERT_OK(bias);
  EXPECT_EQ(bias->stored[0].stored, 38400);
  EXPECT_FALSE(bias->stored[0].saturated);
  EXPECT_THAT(bias->stored[0].residual_lsb, DoubleNear(0, 1e-9));
  EXPECT_EQ(bias->stored[1].rounded, 3 * 0x1p30);
  EXPECT_EQ(bias->stored[1].stored, kInt32Max);
  EXPECT_TRUE(bias->stored[1].saturated);
  EXPECT_THAT(bias->stored[1].residual_lsb, DoubleNear(-1.0 / 0.05, 1e-6));  // 2 arrives instead of 3
}

TEST(StoreBiasTest, ResidualIsInOutputSteps) {
  const LayerSpec spec{.input_scale = 0.5, .weight_scales = {0.5}, .output_scale = 0.125, .bias = {0.625}};
  const auto bias = StoreBias(Int32Rule(), Constants(spec));  // 2.5 steps of 0.25 -> 2
  QATGAP_ASSERT_OK(bias);
  EXPECT_EQ(bias->stored[0], (StoredBias{.real = 0.625, .scale = 0.25, .rounded = 2, .stored = 2,
                                         .saturated = false, .residual_lsb = -1.0}));
  EXPECT_THAT(bias->in_accumulator, ElementsAre(2));
}

TEST(StoreBiasTest, SaturatedTellsWhetherTheLimitChangedTheInteger) {
  BiasRule rule = Int32Rule();
  LayerSpec spec{.weight_scales = {1, 1, 1, 1}, .bias = {-0x1p31, 0x1p31, 0x1p30, 0}};
  auto bias = StoreBias(rule, Constants(spec));
  QATGAP_ASSERT_OK(bias);
  EXPECT_FALSE(bias->stored[0].saturated);
  EXPECT_TRUE(bias->stored[1].saturated);
  EXPECT_FALSE(bias->stored[2].saturated);
  rule.symmetric_clamp = true;
  bias = StoreBias(rule, Constants(spec));
  EXPECT_TRUE(bias->stored[0].saturated);
  rule.bits = 64;  // 2^63 - 1 is 2^63 again as a double: the flag must not rely on comparing doubles
  spec.bias = {-0x1p63, 0x1p63, 0x1p62, 0};
  bias = StoreBias(rule, Constants(spec));
  EXPECT_TRUE(bias->stored[0].saturated);
  EXPECT_TRUE(bias->stored[1].saturated);
  EXPECT_FALSE(bias->stored[2].saturated);
}

TEST(StoreBiasTest, RefusesByRule) {
  BiasRule rule = Int32Rule();
  rule.overflow = BiasOverflow::kRefuse;
  EXPECT_THAT(StoreBias(rule, Constants({.weight_scales = {1, 1}, .bias = {5, 3e9}})),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("bias[1]"), HasSubstr("3000000000"), HasSubstr("32 bits"))));
  QATGAP_EXPECT_OK(StoreBias(rule, Constants({.weight_scales = {1, 1}, .bias = {5, 2e9}})));
}

TEST(StoreBiasTest, RefusesAQuotientBeyondBinary32) {
  const BiasRule rule{.scale = BiasScale::kProductFloat, .division = BiasDivision::kDivideFloat};
  EXPECT_THAT(StoreBias(rule, Constants({.input_scale = 1e-20, .weight_scales = {1e-20}, .bias = {1.0}})),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("beyond binary32")));
  QATGAP_EXPECT_OK(StoreBias(rule, Constants({.input_scale = 1e-20, .weight_scales = {1e-20}, .bias = {0.0}})));
}

TEST(StoreBiasTest, OwnPowerOfTwoIsShiftedIntoTheAccumulatorHalfUp) {
  // max |b| = 127: s_b = 1. At s_x * s_w = 2 the stored 1 is half a step: up to 1; the stored -1 up to 0.
  BiasRule rule = Target("generic-int8").bias;
  const auto bias =
      StoreBias(rule, Constants({.weight_scales = {2, 2, 2, 0.25}, .bias = {127, 1, -1, -1}}));
  QATGAP_ASSERT_OK(bias);
  EXPECT_EQ(bias->stored[0].scale, 1);
  EXPECT_EQ(bias->stored[0].stored, 127);
  EXPECT_EQ(bias->stored[1].stored, 1);
  EXPECT_EQ(bias->stored[1].residual_lsb, 0);  // the alignment belongs to the requantization stage
  EXPECT_THAT(bias->in_accumulator, ElementsAre(64, 1, 0, -4));
}

TEST(StoreBiasTest, OwnPowerOfTwoOnADeadChannelStaysAnInteger) {
  const auto bias = StoreBias(Target("generic-int8").bias,
                              Constants({.input_scale = 1e-30, .weight_scales = {1e-30}, .bias = {-1.0}}));
  QATGAP_ASSERT_OK(bias);
  EXPECT_EQ(bias->in_accumulator[0], -(std::int64_t{1} << 62));
}

TEST(StoreBiasTest, NoBiasAndFloatBiasStoreNothing) {
  const auto none = StoreBias(Int32Rule(), Constants({.input_scale = 0.5, .weight_scales = {0.5, 1}}));
  QATGAP_ASSERT_OK(none);
  EXPECT_EQ(none->stored[1], (StoredBias{.scale = 0.5}));
  const auto real = StoreBias(Target("pytorch-fbgemm").bias, Constants({.bias = {0.3}}));
  QATGAP_ASSERT_OK(real);
  EXPECT_EQ(real->stored[0], (StoredBias{.real = 0.3}));
  EXPECT_THAT(real->in_accumulator, ElementsAre(0));
}

}  // namespace
}  // namespace qatgap::numerics
