#include "analyzers/numerics/rounding.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qatgap::numerics {
namespace {

constexpr std::int64_t kInt64Max = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kInt64Min = std::numeric_limits<std::int64_t>::min();

struct TieCase {
  const char* name;
  Rounding rounding;
  double expected[6];  // of -2.5, -1.5, -0.5, 0.5, 1.5, 2.5
};

class TieTest : public ::testing::TestWithParam<TieCase> {};

TEST_P(TieTest, RoundsTiesAsNamed) {
  constexpr double kTies[] = {-2.5, -1.5, -0.5, 0.5, 1.5, 2.5};
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(Round(kTies[i], GetParam().rounding), GetParam().expected[i]) << kTies[i];
  }
}

INSTANTIATE_TEST_SUITE_P(
    Rounding, TieTest,
    ::testing::Values(TieCase{"HalfToEven", Rounding::kHalfToEven, {-2, -2, 0, 0, 2, 2}},
                      TieCase{"HalfAwayFromZero", Rounding::kHalfAwayFromZero, {-3, -2, -1, 1, 2, 3}},
                      TieCase{"HalfUp", Rounding::kHalfUp, {-2, -1, 0, 1, 2, 3}},
                      TieCase{"TowardZero", Rounding::kTowardZero, {-2, -1, 0, 0, 1, 2}},
                      TieCase{"Floor", Rounding::kFloor, {-3, -2, -1, 0, 1, 2}}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(RoundHalfToEvenSmallTest, EqualsNearbyintOnEveryQuarterOfInt16) {
  for (int quarters = -4 * 32768; quarters <= 4 * 32768; ++quarters) {
    const double v = quarters / 4.0;
    ASSERT_EQ(RoundHalfToEvenSmall(v), std::nearbyint(v)) << v;
  }
}

TEST(RoundHalfToEvenSmallTest, HoldsBesideTiesAndUpToItsLimit) {
  for (const double integer : {0.0, 1.0, 2.0, 127.0, 16777215.0, 0x1p31, 0x1p40, 0x1p50 - 1}) {
    const double tie = integer + 0.5;
    for (const double v : {tie, std::nextafter(tie, 0.0), std::nextafter(tie, 0x1p60), integer}) {
      EXPECT_EQ(RoundHalfToEvenSmall(v), std::nearbyint(v)) << v;
      EXPECT_EQ(RoundHalfToEvenSmall(-v), std::nearbyint(-v)) << -v;
    }
  }
}

TEST(RoundHalfUpTest, IsNotFloorOfVPlusOneHalf) {
  EXPECT_EQ(RoundHalfUp(0.49999999999999994), 0);  // + 0.5 would round to 1.0
  EXPECT_EQ(RoundHalfUp(-0.49999999999999994), 0);
  EXPECT_EQ(RoundHalfUp(-0.5000000000000001), -1);
  EXPECT_EQ(RoundHalfUp(-1e-20), 0);
  EXPECT_EQ(RoundHalfUp(4503599627370497.0), 4503599627370497.0);  // 2^52 + 1: + 0.5 would round to 2^52 + 2
}

TEST(WidthTest, LimitsOfSignedIntegers) {
  static_assert(SignedMax(2) == 1 && SignedMin(2) == -2);
  static_assert(SignedMax(8) == 127 && SignedMin(8) == -128);
  static_assert(SignedMax(32) == 2147483647 && SignedMin(32) == -2147483648);
  static_assert(SignedMax(64) == kInt64Max && SignedMin(64) == kInt64Min);
}

TEST(WrapToBitsTest, WrapsAtTheWidth) {
  EXPECT_EQ(WrapToBits(std::int64_t{1} << 31, 32), -2147483648);
  EXPECT_EQ(WrapToBits(-(std::int64_t{1} << 31) - 1, 32), 2147483647);
  EXPECT_EQ(WrapToBits(128, 8), -128);
  EXPECT_EQ(WrapToBits(kInt64Min, 64), kInt64Min);
  for (std::int64_t v = -70000; v <= 70000; ++v) {
    ASSERT_EQ(WrapToBits(v, 16), static_cast<std::int16_t>(v)) << v;
    ASSERT_EQ(WrapToBits(v, 8), static_cast<std::int8_t>(v)) << v;
  }
}

TEST(SaturatingTest, StopsAtTheEndsOfInt64) {
  EXPECT_EQ(SaturatingAdd(kInt64Max, 1), kInt64Max);
  EXPECT_EQ(SaturatingAdd(kInt64Min, -1), kInt64Min);
  EXPECT_EQ(SaturatingAdd(kInt64Max, kInt64Min), -1);
  EXPECT_EQ(SaturatingSubtract(kInt64Min, 1), kInt64Min);
  EXPECT_EQ(SaturatingSubtract(kInt64Max, -1), kInt64Max);
  EXPECT_EQ(SaturatingSubtract(-5, -7), 2);
  EXPECT_EQ(WrappingAdd(kInt64Max, 1), kInt64Min);
}

}  // namespace
}  // namespace qatgap::numerics
