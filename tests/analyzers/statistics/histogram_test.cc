#include "analyzers/statistics/histogram.h"

#include "gtest/gtest.h"

namespace qatgap::statistics {
namespace {

TEST(HistogramTest, BinsEndAtTheLimits) {
  EXPECT_EQ(Histogram::BinOf(-1000), 0U);
  EXPECT_EQ(Histogram::BinOf(-9), 0U);
  EXPECT_EQ(Histogram::BinOf(-8), 1U);
  EXPECT_EQ(Histogram::BinOf(0), 9U);
  EXPECT_EQ(Histogram::BinOf(8), 17U);
  EXPECT_EQ(Histogram::BinOf(9), 18U);
  EXPECT_EQ(Histogram::BinOf(1000), 18U);
}

TEST(HistogramTest, CopiesAreTheirOwn) {
  Histogram a;
  a.Add(9, 5);
  a.Add(10, 2);
  Histogram b = a;
  EXPECT_EQ(a, b);
  b.Add(10, 1);
  EXPECT_NE(a, b);
  EXPECT_EQ(a[10], 2U);
  a = b;
  EXPECT_EQ(a[10], 3U);
  const Histogram& self = a;
  a = self;
  EXPECT_EQ(a[10], 3U);
}

TEST(HistogramTest, AddsAndIsMadeOfBins) {
  Histogram a, b;
  a.Add(9, 5);
  b.Add(0, 1);
  b.Add(18, 7);
  a.Add(b);
  Histogram::Bins bins{};
  bins[0] = 1;
  bins[9] = 5;
  bins[18] = 7;
  EXPECT_EQ(a.bins(), bins);
  EXPECT_EQ(Histogram(bins), a);
  EXPECT_EQ(Histogram(Histogram::Bins{}), Histogram());
}

TEST(HistogramTest, AnEmptyBinIsNoDifference) {
  Histogram a, b;
  a.Add(3, 0);
  EXPECT_EQ(a, b);
  a.Add(3, 4);
  a.Add(3, std::uint64_t{0} - 4);
  EXPECT_EQ(a, b) << "counts are modulo 2^64";
}

}  // namespace
}  // namespace qatgap::statistics
