#include "client/commands/figures.h"

#include <cmath>
#include <cstdint>
#include <limits>

#include "gtest/gtest.h"

namespace qatgap::cli {
namespace {

v1::DifferenceStatistics Difference(std::uint64_t count, std::uint64_t changed) {
  v1::DifferenceStatistics difference;
  difference.set_count(count);
  difference.set_changed(changed);
  difference.set_sum_squares(changed);
  return difference;
}

TEST(SqnrTest, SubtractsTheZeroPoint) {
  // Two codes, 20 and 12, zero point 10: signal 100 + 4, noise 1.
  auto difference = Difference(2, 1);
  difference.set_reference_sum(32);
  difference.set_reference_sum_squares(544);
  ASSERT_TRUE(SqnrDb(difference, 10).has_value());
  EXPECT_DOUBLE_EQ(*SqnrDb(difference, 10), 10.0 * std::log10(104.0));
  v1::QuantParams output;
  output.add_zero_points(10);
  EXPECT_EQ(SqnrText(difference, output), "20.2");
}

TEST(SqnrTest, DoesNotOverflow) {
  // 2^40 codes of 127 with zero point 127 + 2^31: the signal is 2^62 for each.
  auto difference = Difference(std::uint64_t{1} << 40, 1);
  difference.set_reference_sum(std::int64_t{127} << 40);
  difference.set_reference_sum_squares(std::uint64_t{127 * 127} << 40);
  const auto sqnr = SqnrDb(difference, 127 + (std::int64_t{1} << 31));
  ASSERT_TRUE(sqnr.has_value());
  EXPECT_DOUBLE_EQ(*sqnr, 10.0 * std::log10(std::ldexp(1.0, 102)));
}

TEST(SqnrTest, HasWordsForWhatIsNoRatio) {
  v1::QuantParams output;
  output.add_zero_points(0);
  EXPECT_EQ(SqnrText(Difference(0, 0), output), "-");
  EXPECT_EQ(SqnrText(Difference(5, 0), output), "exact");
  EXPECT_EQ(SqnrText(Difference(5, 1), output), "-");  // an all-zero reference
  EXPECT_EQ(SqnrText(Difference(5, 1), {}), "-");
}

TEST(ChangedPercentTest, NeverRoundsToAClaim) {
  EXPECT_EQ(ChangedPercentText(Difference(0, 0)), "-");
  EXPECT_EQ(ChangedPercentText(Difference(10, 0)), "0");
  EXPECT_EQ(ChangedPercentText(Difference(10'000'000, 1)), "<0.01");
  EXPECT_EQ(ChangedPercentText(Difference(10'000, 321)), "3.21");
  EXPECT_EQ(ChangedPercentText(Difference(10'000'000, 9'999'999)), ">99.99");
  EXPECT_EQ(ChangedPercentText(Difference(10, 10)), "100");
}

v1::LayerSummary Layer(std::int64_t conversion, std::int64_t bias, std::uint64_t total) {
  v1::LayerSummary layer;
  for (int i = 0; i < 8; ++i) layer.add_causes()->set_count(10);
  layer.mutable_causes(1)->set_cross_total(conversion);
  layer.mutable_causes(2)->set_cross_total(bias);
  layer.mutable_causes(2)->set_changed(bias != 0 ? 1 : 0);
  layer.mutable_causes(7)->set_sum_squares(total);
  return layer;
}

TEST(CausesTest, NamesTheTwoLargest) {
  EXPECT_EQ(CausesText(Layer(71, 29, 100)), "conversion 71 %, bias rounding 29 %");
  EXPECT_EQ(CausesText(Layer(2, 98, 100)), "bias rounding 98 %");
  // One part works against the whole.
  EXPECT_EQ(CausesText(Layer(-20, 120, 100)), "bias rounding 120 %");
  EXPECT_EQ(CausesText(Layer(0, 0, 0)), "-");
  EXPECT_EQ(CausesText(Layer(0, 3, 0)), "causes cancel out");
  EXPECT_EQ(CausesText({}), "-");
}

}  // namespace
}  // namespace qatgap::cli
