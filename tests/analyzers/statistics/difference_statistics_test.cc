#include "analyzers/statistics/difference_statistics.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qatgap::statistics {
namespace {

using ::testing::DoubleNear;
using ::testing::Optional;

using Codes = std::vector<std::int32_t>;

DifferenceStatistics Of(const Codes& reference, const Codes& value, const Codes& whole = {}) {
  DifferenceStatistics s;
  s.Add(reference, value, whole);
  return s;
}

std::uint64_t Bin(const DifferenceStatistics& s, int difference) {
  return s.histogram[static_cast<std::size_t>(difference + kHistogramLimit + 1)];
}

TEST(DifferenceStatisticsTest, WitnessValues) {
  // d = 0, 1, -2, 3
  const DifferenceStatistics s = Of({10, 20, 30, 40}, {10, 21, 28, 43});
  EXPECT_EQ(s.count, 4U);
  EXPECT_EQ(s.changed, 3U);
  EXPECT_EQ(s.sum, 2);
  EXPECT_EQ(s.sum_absolute, 6U);
  EXPECT_EQ(s.sum_squares, 14U);
  EXPECT_EQ(s.max_absolute, 3U);
  EXPECT_EQ(s.reference_sum, 100);
  EXPECT_EQ(s.reference_sum_squares, 3000U);
  EXPECT_EQ(s.cross_sum, 20 - 60 + 120);
  EXPECT_EQ(s.cross_total, 14) << "no whole: equal to the sum of squares";
  EXPECT_EQ(Bin(s, 0), 1U);
  EXPECT_EQ(Bin(s, 1), 1U);
  EXPECT_EQ(Bin(s, -2), 1U);
  EXPECT_EQ(Bin(s, 3), 1U);
  EXPECT_FALSE(BitExact(s));
  EXPECT_THAT(ChangedRate(s), Optional(0.75));
  EXPECT_THAT(MeanLsb(s), Optional(0.5));
  EXPECT_THAT(MeanAbsoluteLsb(s), Optional(1.5));
  EXPECT_THAT(RmsLsb(s), Optional(std::sqrt(3.5)));
}

TEST(DifferenceStatisticsTest, CrossTotalIsTheProductWithTheWhole) {
  const DifferenceStatistics s = Of({0, 0, 0}, {1, -1, 0}, {3, 2, 7});
  EXPECT_EQ(s.cross_total, 3 - 2);
}

TEST(DifferenceStatisticsTest, OuterBinsCatchEverythingBeyondEight) {
  const DifferenceStatistics s = Of({0, 0, 0, 0, 0, 0}, {-9, -8, 8, 9, 255, -255});
  EXPECT_EQ(s.histogram[0], 2U);
  EXPECT_EQ(Bin(s, -8), 1U);
  EXPECT_EQ(Bin(s, 8), 1U);
  EXPECT_EQ(s.histogram[kHistogramBins - 1], 2U);
  EXPECT_EQ(Bin(s, 0), 0U);
}

TEST(DifferenceStatisticsTest, EmptyHasNoDerivedFigures) {
  const DifferenceStatistics s = Of({}, {});
  EXPECT_EQ(s, DifferenceStatistics{});
  EXPECT_TRUE(BitExact(s));
  EXPECT_EQ(ChangedRate(s), std::nullopt);
  EXPECT_EQ(MeanLsb(s), std::nullopt);
  EXPECT_EQ(MeanAbsoluteLsb(s), std::nullopt);
  EXPECT_EQ(RmsLsb(s), std::nullopt);
  EXPECT_EQ(SqnrDecibel(s, 3), std::nullopt);
  EXPECT_EQ(Cosine(s, 3), std::nullopt);
}

TEST(DifferenceStatisticsTest, IdenticalStreamsAreBitExactWithoutSqnr) {
  const DifferenceStatistics s = Of({5, 6, 7}, {5, 6, 7});
  EXPECT_TRUE(BitExact(s));
  EXPECT_EQ(SqnrDecibel(s, 0), std::nullopt);
  EXPECT_THAT(Cosine(s, 0), Optional(DoubleNear(1.0, 1e-15)));
  EXPECT_THAT(RmsLsb(s), Optional(0.0));
}

TEST(DifferenceStatisticsTest, AllZeroSignalHasNeitherSqnrNorCosine) {
  const DifferenceStatistics s = Of({4, 4}, {5, 4});
  EXPECT_EQ(SqnrDecibel(s, 4), std::nullopt);
  EXPECT_EQ(Cosine(s, 4), std::nullopt);
  EXPECT_NE(SqnrDecibel(s, 3), std::nullopt);
}

TEST(DifferenceStatisticsTest, OppositeSignalsHaveCosineMinusOne) {
  EXPECT_THAT(Cosine(Of({3, -3}, {-3, 3}), 0), Optional(DoubleNear(-1.0, 1e-15)));
}

struct Streams {
  Codes reference, value, whole;
};

Streams RandomStreams(std::uint32_t seed, std::size_t count, std::int32_t low, std::int32_t high) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<std::int32_t> code(low, high);
  Streams streams;
  for (std::size_t i = 0; i < count; ++i) {
    streams.reference.push_back(code(random));
    streams.value.push_back(random() % 2 == 0 ? streams.reference.back() : code(random));
    streams.whole.push_back(code(random) - code(random));
  }
  return streams;
}

TEST(DifferenceStatisticsTest, MergeOfPartsInAnyOrderIsOnePass) {
  constexpr std::uint32_t kSeed = 20240611;
  const Streams all = RandomStreams(kSeed, 1000, 0, 255);
  const DifferenceStatistics one_pass = Of(all.reference, all.value, all.whole);
  std::vector<DifferenceStatistics> parts;
  std::size_t at = 0;
  for (const std::size_t size : {1U, 0U, 499U, 37U, 463U}) {
    const auto part = [&](const Codes& codes) {
      const auto begin = codes.begin() + static_cast<std::ptrdiff_t>(at);
      return Codes(begin, begin + static_cast<std::ptrdiff_t>(size));
    };
    parts.push_back(Of(part(all.reference), part(all.value), part(all.whole)));
    at += size;
  }
  ASSERT_EQ(at, all.reference.size());
  std::vector<std::size_t> order{0, 1, 2, 3, 4};
  do {
    DifferenceStatistics merged;
    for (const std::size_t i : order) merged.Merge(parts[i]);
    ASSERT_EQ(merged, one_pass) << "seed " << kSeed;
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(DifferenceStatisticsTest, AddingInPiecesIsAddingAtOnce) {
  const Streams all = RandomStreams(7, 256, -128, 127);
  DifferenceStatistics pieces;
  for (std::size_t i = 0; i < all.reference.size(); ++i) {
    const Codes r{all.reference[i]}, v{all.value[i]}, w{all.whole[i]};
    pieces.Add(r, v, w);
  }
  EXPECT_EQ(pieces, Of(all.reference, all.value, all.whole));
}

TEST(DifferenceStatisticsTest, HistogramCountsEveryElementOnce) {
  const DifferenceStatistics s = [] {
    const Streams all = RandomStreams(11, 5000, 0, 255);
    return Of(all.reference, all.value);
  }();
  std::uint64_t binned = 0;
  for (const std::uint64_t n : s.histogram.bins()) binned += n;
  EXPECT_EQ(binned, s.count);
  EXPECT_EQ(s.count - Bin(s, 0), s.changed);
}

// Shares: the causes of one ladder have cross totals that sum to the sum of squares of the whole.
TEST(DifferenceStatisticsTest, CrossTotalsOfALadderAddUpToTheWhole) {
  std::mt19937 random(3);
  constexpr std::size_t kCount = 700;
  std::vector<Codes> stages(5, Codes(kCount));
  for (Codes& stage : stages) {
    for (std::int32_t& code : stage) code = static_cast<std::int32_t>(random() % 256);
  }
  Codes whole(kCount);
  for (std::size_t i = 0; i < kCount; ++i) whole[i] = stages.back()[i] - stages.front()[i];
  std::int64_t crosses = 0;
  for (std::size_t stage = 1; stage < stages.size(); ++stage) {
    crosses += Of(stages[stage - 1], stages[stage], whole).cross_total;
  }
  const DifferenceStatistics total = Of(stages.front(), stages.back());
  EXPECT_EQ(crosses, static_cast<std::int64_t>(total.sum_squares));
}

class DerivedTest : public ::testing::TestWithParam<std::int64_t> {};

TEST_P(DerivedTest, SqnrAndCosineMatchBruteForce) {
  const std::int64_t zero_point = GetParam();
  const Streams all = RandomStreams(99, 2000, 0, 255);
  double signal = 0, noise = 0, dot = 0, value_norm = 0;
  for (std::size_t i = 0; i < all.reference.size(); ++i) {
    const double r = static_cast<double>(all.reference[i] - zero_point);
    const double v = static_cast<double>(all.value[i] - zero_point);
    signal += r * r;
    noise += (v - r) * (v - r);
    dot += r * v;
    value_norm += v * v;
  }
  const DifferenceStatistics s = Of(all.reference, all.value);
  // All sums are integers below 2^53, so only the last operations round: a few ulp.
  EXPECT_THAT(SqnrDecibel(s, zero_point),
              Optional(DoubleNear(10 * std::log10(signal / noise), 1e-12)));
  EXPECT_THAT(Cosine(s, zero_point),
              Optional(DoubleNear(dot / std::sqrt(signal * value_norm), 1e-14)));
}

INSTANTIATE_TEST_SUITE_P(ZeroPoints, DerivedTest, ::testing::Values(0, 3, 128, 255, -128));

// The stated limit for 16-bit codes: 2^31 - 1 elements at the largest difference. Built by
// doubling, not by adding.
TEST(DifferenceStatisticsTest, SixteenBitSumsAreExactUpToTheStatedLimit) {
  DifferenceStatistics power = Of({65535}, {0});
  DifferenceStatistics s;
  for (int bit = 0; bit < 31; ++bit) {
    s.Merge(power);
    const DifferenceStatistics same = power;
    power.Merge(same);
  }
  const std::uint64_t n = (std::uint64_t{1} << 31) - 1;
  EXPECT_EQ(s.count, n);
  EXPECT_EQ(s.sum_squares, n * 65535U * 65535U);
  EXPECT_EQ(s.cross_sum, -static_cast<std::int64_t>(n * 65535U * 65535U));
  EXPECT_EQ(s.cross_total, static_cast<std::int64_t>(n * 65535U * 65535U));
  EXPECT_THAT(SqnrDecibel(s, 0), Optional(DoubleNear(0.0, 1e-12)));
  // 2 * zero_point * reference_sum alone would pass 63 bits; the result must not.
  EXPECT_THAT(SqnrDecibel(s, 65534), Optional(DoubleNear(-20 * std::log10(65535.0), 1e-9)));
  EXPECT_EQ(SqnrDecibel(s, 65535), std::nullopt);
  EXPECT_EQ(Cosine(s, 0), std::nullopt) << "every value is zero";
  EXPECT_THAT(Cosine(s, 32767), Optional(DoubleNear(-1.0, 1e-15)));
}

}  // namespace
}  // namespace qatgap::statistics
