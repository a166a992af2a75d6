#include "analyzers/report/sample_detail.h"

#include <algorithm>

#include "analyzers/report/analysis_result.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qatgap::report {
namespace {

using ::testing::ElementsAre;

WorstSample Sample(std::uint64_t index, bool moved, std::uint64_t squares) {
  return {.sample = index, .top1_changed = moved, .changed = 1, .sum_squares = squares, .differences = {}};
}

TEST(WorstSampleTest, MovedAnswersFirstThenSquaresThenIndex) {
  std::vector<WorstSample> samples = {Sample(5, false, 9), Sample(4, false, 9), Sample(9, true, 1), Sample(1, false, 100),
                                      Sample(2, true, 1)};
  KeepWorst(samples, 4);
  std::vector<std::uint64_t> order;
  for (const WorstSample& sample : samples) order.push_back(sample.sample);
  EXPECT_THAT(order, ElementsAre(2, 9, 1, 4));
  KeepWorst(samples, 0);
  EXPECT_TRUE(samples.empty());
}

TEST(WorstSampleTest, KeepsTheLargestDifferences) {
  std::vector<std::int32_t> reference(40, 100), value(40, 100);
  for (std::size_t i = 0; i < 30; ++i) value[i] = 100 + (i % 2 == 0 ? 1 : -1) * static_cast<std::int32_t>(i / 2);
  WorstSample sample;
  EXPECT_TRUE(AddDifferences(1, reference, value, sample));
  EXPECT_FALSE(AddDifferences(0, reference, reference, sample));
  EXPECT_EQ(sample.changed, 28U);  // the first two moved by 0
  EXPECT_EQ(sample.max_absolute, 14U);
  EXPECT_EQ(sample.sum_squares, 2U * (14 * 15 * 29 / 6));
  ASSERT_EQ(sample.differences.size(), kKeptDifferences);
  for (std::size_t i = 0; i < kKeptDifferences; ++i) {
    const auto size = 14 - static_cast<std::int64_t>(i / 2);
    const CodeDifference& d = sample.differences[i];
    EXPECT_EQ(std::abs(d.value - d.reference), size);
    EXPECT_EQ(d.element, 2 * size + static_cast<std::int64_t>(i % 2)) << "equal ones by element";
    EXPECT_EQ(d.output, 1);
  }
}

TEST(InputRangeTest, EmptyOnesChangeNothing) {
  InputRange total{.name = "x", .grid = {}};
  Merge(total, {.name = "x", .grid = {}, .count = 3, .clipped = 1, .least = 2, .greatest = 5});
  EXPECT_EQ(total.least, 2) << "0 is no sample";
  Merge(total, {.name = "x", .grid = {}});
  Merge(total, {.name = "x", .grid = {}, .count = 1, .clipped = 0, .least = -7, .greatest = -7});
  EXPECT_EQ(total, (InputRange{.name = "x", .grid = {}, .count = 4, .clipped = 1, .least = -7, .greatest = 5}));
}

}  // namespace
}  // namespace qatgap::report
