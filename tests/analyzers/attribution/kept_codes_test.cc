#include "analyzers/attribution/kept_codes.h"

#include <ostream>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace qatgap::attribution {
namespace {

using statistics::DifferenceStatistics;

struct Range {
  const char* name;
  std::int32_t low, high;        // of the kept codes
  std::int32_t other_low, other_high;
};

void PrintTo(const Range& range, std::ostream* stream) { *stream << range.name; }

class KeptCodesTest : public ::testing::TestWithParam<Range> {};

// Kept in three parts and compared in two, against all at once.
TEST_P(KeptCodesTest, AddsWhatTheStatisticsAdd) {
  constexpr std::size_t kSize = 7001;
  std::mt19937 random(2);
  std::uniform_int_distribution<std::int32_t> code(GetParam().low, GetParam().high);
  std::uniform_int_distribution<std::int32_t> other_code(GetParam().other_low, GetParam().other_high);
  std::vector<std::int32_t> kept(kSize), other(kSize);
  for (std::size_t i = 0; i < kSize; ++i) {
    kept[i] = code(random);
    other[i] = i % 3 == 0 ? other_code(random) : kept[i];
  }
  const std::span<const std::int32_t> all_kept(kept), all_other(other);
  KeptCodes codes(kSize);
  codes.Set(0, all_kept.first(10));
  codes.Set(10, all_kept.subspan(10, 4000));
  codes.Set(4010, all_kept.subspan(4010));
  for (const bool kept_is_reference : {true, false}) {
    DifferenceStatistics expected, sums;
    expected.AddOneByOne(kept_is_reference ? all_kept : all_other, kept_is_reference ? all_other : all_kept);
    codes.AddDifference(3000, all_other.subspan(3000), kept_is_reference, sums);
    codes.AddDifference(0, all_other.first(3000), kept_is_reference, sums);
    EXPECT_EQ(sums, expected);
    EXPECT_GT(sums.changed, 0U);
  }
  DifferenceStatistics expected, sums, none;
  expected.AddOneByOne(all_kept, all_kept);
  codes.AddEqual(sums);
  EXPECT_EQ(sums, expected);
  codes.AddDifference(kSize - 1, all_other.first(2), true, none);
  EXPECT_EQ(none, DifferenceStatistics{}) << "there is no twin";
}

INSTANTIATE_TEST_SUITE_P(Ranges, KeptCodesTest,
                         ::testing::Values(Range{"Unsigned", 0, 255, 0, 255}, Range{"Signed", -128, 127, -128, 127},
                                           Range{"SixteenBits", -32768, 32767, -32768, 32767},
                                           Range{"SignedAfterUnsigned", -1, 255, -1, 255},
                                           Range{"OtherBeyondNarrow", 0, 255, 0, 60000}),
                         [](const ::testing::TestParamInfo<Range>& param) { return param.param.name; });

}  // namespace
}  // namespace qatgap::attribution
