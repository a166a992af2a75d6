#include "analyzers/statistics/paired_proportions.h"

#include <cmath>

#include "gtest/gtest.h"

namespace qatgap::statistics {
namespace {

double PValue(std::uint64_t lost, std::uint64_t gained) {
  return CompareAccuracies({.samples = 100'000'000, .lost = lost, .gained = gained})->p_value;
}

// Sums of binomial coefficients over 2^n: exact in double, up to the exponential of the logarithm of a factorial, whose
// error is a few units of 2^-52 times that logarithm (below 100 here).
constexpr double kTolerance = 1e-12;

TEST(PairedProportionsTest, ExactMcNemarByHand) {
  EXPECT_EQ(PValue(0, 0), 1);
  EXPECT_EQ(PValue(7, 7), 1);
  EXPECT_NEAR(PValue(1, 0), 1, kTolerance);                        // 2 * 1/2
  EXPECT_NEAR(PValue(0, 5), 2.0 / 32, kTolerance);
  EXPECT_NEAR(PValue(1, 9), 2.0 * (1 + 10) / 1024, kTolerance);
  EXPECT_NEAR(PValue(9, 1), 2.0 * (1 + 10) / 1024, kTolerance);
  EXPECT_NEAR(PValue(2, 8), 2.0 * (1 + 10 + 45) / 1024, kTolerance);
  EXPECT_NEAR(PValue(5, 6), 1, kTolerance);                        // twice the half of an odd number
}

TEST(PairedProportionsTest, LargeCountsKeepTheirOrder) {
  double before = 1;
  for (const std::uint64_t lost : {500'000U, 498'000U, 495'000U, 400'000U}) {
    const double p = PValue(lost, 1'000'000 - lost);
    EXPECT_LE(p, before);
    EXPECT_GE(p, 0);
    before = p;
  }
  EXPECT_EQ(before, 0) << "below the least double";
  // The normal approximation with continuity correction, which is good to some per mille here: z = 1999 / sqrt(10^6).
  const double normal = std::erfc(1.999 / std::sqrt(2.0));
  EXPECT_NEAR(PValue(499'000, 501'000), normal, 0.005 * normal);
}

TEST(PairedProportionsTest, IntervalByHand) {
  // up = 3/12, down = 1/12: centre 1/6, half 1.959964 * sqrt((1/3 - 1/36) / 12) = 1.959964 * sqrt(11/432).
  const auto ten = CompareAccuracies({.samples = 10, .lost = 0, .gained = 2});
  const double half = 1.959963984540054 * std::sqrt(11.0 / 432);
  EXPECT_DOUBLE_EQ(ten->value, 0.2);
  EXPECT_NEAR(ten->low, 1.0 / 6 - half, kTolerance);
  EXPECT_NEAR(ten->high, 1.0 / 6 + half, kTolerance);
  // Nothing disagrees: the interval has a width all the same.
  const auto none = CompareAccuracies({.samples = 98, .lost = 0, .gained = 0});
  EXPECT_EQ(none->value, 0);
  EXPECT_NEAR(none->high, 1.959963984540054 * std::sqrt(2.0 / 100 / 100), kTolerance);
  EXPECT_EQ(none->low, -none->high);
  const auto all = CompareAccuracies({.samples = 1, .lost = 1, .gained = 0});
  EXPECT_EQ(all->value, -1);
  EXPECT_EQ(all->low, -1);
  EXPECT_LE(all->high, 1);
}

TEST(PairedProportionsTest, RefusesWhatNoAnswersGive) {
  EXPECT_EQ(CompareAccuracies({.samples = 0, .lost = 0, .gained = 0}), std::nullopt);
  EXPECT_EQ(CompareAccuracies({.samples = 3, .lost = 2, .gained = 2}), std::nullopt);
  EXPECT_EQ(CompareAccuracies({.samples = 3, .lost = 4, .gained = 0}), std::nullopt);
}

}  // namespace
}  // namespace qatgap::statistics
