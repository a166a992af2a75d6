#include "analyzers/numerics/fixed_point.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

#include "gtest/gtest.h"

namespace qatgap::numerics {
namespace {

constexpr std::int32_t kHalf = 1 << 30;
constexpr FixedPointMultiplier kOneHalf{.mantissa = kHalf, .shift = 0};
constexpr FixedPointMultiplier kOneQuarter{.mantissa = kHalf, .shift = -1};

TEST(QuantizeMultiplierTest, Witnesses) {
  EXPECT_EQ(QuantizeMultiplier(1), (FixedPointMultiplier{.mantissa = kHalf, .shift = 1}));
  EXPECT_EQ(QuantizeMultiplier(0.5), kOneHalf);
  EXPECT_EQ(QuantizeMultiplier(0.25), kOneQuarter);
  EXPECT_EQ(QuantizeMultiplier(0.75), (FixedPointMultiplier{.mantissa = 3 << 29, .shift = 0}));
  // Rounds up to 2^31, which becomes 2^30 and one more shift.
  EXPECT_EQ(QuantizeMultiplier(1 - 0x1p-40), (FixedPointMultiplier{.mantissa = kHalf, .shift = 1}));
  EXPECT_EQ(QuantizeMultiplier(0), FixedPointMultiplier{});
  EXPECT_EQ(QuantizeMultiplier(0x1p-32), (FixedPointMultiplier{.mantissa = kHalf, .shift = -31}));
  EXPECT_EQ(QuantizeMultiplier(0x1.8p-33), FixedPointMultiplier{});
  EXPECT_EQ(QuantizeMultiplier(0x1p40).shift, 30);
}

TEST(QuantizeMultiplierTest, IsWithinHalfAStepOf31Bits) {
  std::mt19937_64 generator(7);
  std::uniform_real_distribution<double> exponent(-30, 25);
  for (int i = 0; i < 10'000; ++i) {
    const double m = std::exp2(exponent(generator));
    EXPECT_LE(std::abs(ToReal(QuantizeMultiplier(m)) - m), m * 0x1p-31);
  }
}

TEST(RoundingTest, NegativeTies) {
  // -1.5: the high product rounds up.
  EXPECT_EQ(SaturatingRoundingDoublingHighMul(-3, kHalf), -1);
  EXPECT_EQ(SaturatingRoundingDoublingHighMul(3, kHalf), 2);
  EXPECT_EQ(SaturatingRoundingDoublingHighMul(INT32_MIN, INT32_MIN), INT32_MAX);
  EXPECT_EQ(RoundingDivideByPowerOfTwo(-3, 1), -2);
  EXPECT_EQ(RoundingDivideByPowerOfTwo(3, 1), 2);
  EXPECT_EQ(RoundingDivideByPowerOfTwo(-1, 1), -1);
  EXPECT_EQ(RoundingDivideByPowerOfTwo(5, 0), 5);
  // x = -3, M = 1/2: all three say -1. x = -6, M = 1/4: -1.5 is -2 by two roundings, -1 by one.
  EXPECT_EQ(MultiplyDoubleRounding(-3, kOneHalf), -1);
  EXPECT_EQ(MultiplySingleRounding(-3, kOneHalf), -1);
  EXPECT_EQ(MultiplyTosa(-3, kOneHalf), -1);
  EXPECT_EQ(MultiplyDoubleRounding(-6, kOneQuarter), -2);
  EXPECT_EQ(MultiplySingleRounding(-6, kOneQuarter), -1);
  EXPECT_EQ(MultiplyDoubleRoundingHalfUp(-6, kOneQuarter), -1);
  EXPECT_EQ(MultiplyDoubleRoundingHalfUp(-5, kOneQuarter), -1);  // -2.5 is -2, then -1; one rounding of -1.25 says so too

  EXPECT_EQ(MultiplyTosa(-6, kOneQuarter), -2);
}

TEST(RoundingTest, ALeftShiftOf32BitsLosesTheUpperOnes) {
  const FixedPointMultiplier four = QuantizeMultiplier(4);  // shift 3: x * 8 * 0.5
  EXPECT_EQ(MultiplyDoubleRounding(1 << 27, four), 1 << 29);
  EXPECT_EQ(MultiplyDoubleRounding(1 << 29, four), 0);
  EXPECT_EQ(MultiplyTosa(1 << 28, four), 1 << 30);
  EXPECT_EQ(MultiplyDoubleRoundingWide(std::int64_t{1} << 29, four), std::int64_t{1} << 31);
}

TEST(Q15Test, Witnesses) {
  EXPECT_EQ(ReduceToQ15(kOneHalf), 1 << 14);
  EXPECT_EQ(ReduceToQ15({.mantissa = INT32_MAX, .shift = 0}), 0x7FFF);
  EXPECT_EQ(ReduceToQ15({.mantissa = kHalf + 0x8000, .shift = 0}), (1 << 14) + 1);
  EXPECT_EQ(MultiplyQ15(3, kOneHalf), 2);   // 1.5, half up
  EXPECT_EQ(MultiplyQ15(-3, kOneHalf), -1);
  EXPECT_EQ(MultiplyQ15(std::int64_t{1} << 40, kOneQuarter), std::int64_t{1} << 38);
}

TEST(WideTest, EqualsTheNarrowFormsWhereTheseAreDefined) {
  std::mt19937_64 generator(11);
  std::uniform_int_distribution<std::int32_t> mantissa(kHalf, INT32_MAX);
  std::uniform_int_distribution<int> shift(-31, 0);
  std::uniform_int_distribution<std::int32_t> value(std::numeric_limits<std::int32_t>::min(), INT32_MAX);
  for (int i = 0; i < 200'000; ++i) {
    const FixedPointMultiplier m{.mantissa = mantissa(generator), .shift = shift(generator)};
    const std::int32_t x = value(generator) >> (i % 24);
    ASSERT_EQ(MultiplyDoubleRoundingWide(x, m), MultiplyDoubleRounding(x, m)) << x << " " << m.mantissa << " " << m.shift;
    ASSERT_EQ(MultiplyDoubleRoundingHalfUpWide(x, m), MultiplyDoubleRoundingHalfUp(x, m));
    ASSERT_EQ(MultiplySingleRoundingWide(x, m), MultiplySingleRounding(x, m));
    ASSERT_EQ(MultiplyTosaWide(x, m), MultiplyTosa(x, m));
    // TOSA's double_round is TFLite's double rounding.
    ASSERT_EQ(MultiplyTosa(x, m), MultiplyDoubleRounding(x, m)) << x << " " << m.mantissa << " " << m.shift;
  }
}

}  // namespace
}  // namespace qatgap::numerics
