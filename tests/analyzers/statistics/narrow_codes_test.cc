#include "analyzers/statistics/narrow_codes.h"

#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace qatgap::statistics {
namespace {

using Codes = std::vector<std::int32_t>;

// Codes of one grid and what is added to them; a fraction of the elements stays equal.
struct DifferenceCase {
  const char* name;
  std::int32_t low, high, least, greatest;
  double equal;
};

const DifferenceCase kCases[] = {
    {"AllEqual", 0, 255, 0, 0, 0.0},
    {"Units", 0, 255, -1, 1, 0.3},
    {"OnlyUp", 0, 255, 1, 1, 0.9},
    {"OnlyDown", -128, 127, -1, -1, 0.5},
    {"UpToTwo", 0, 127, -2, 2, 0.5},
    {"UpToEight", 0, 255, -8, 8, 0.1},
    {"UpToNine", 0, 255, -9, 9, 0.1},
    {"Far", 0, 255, -255, 255, 0.5},
    {"WholeNarrowRange", -1000, 1000, -23, 23, 0.2},
    {"LargestNarrowDifference", -1023, -1023, 2046, 2046, 0.0},
    {"BeyondNarrow", -1023, 1024, -1, 1, 0.5},
    {"SixteenBits", -32768, 32767, -3, 3, 0.5},
};

class NarrowCodesTest : public ::testing::TestWithParam<DifferenceCase> {};

// Sizes around one and several vectors and blocks.
TEST_P(NarrowCodesTest, AddsWhatIsAddedOneByOne) {
  const DifferenceCase& c = GetParam();
  std::mt19937 random(5);
  std::uniform_int_distribution<std::int32_t> code(c.low, c.high), difference(c.least, c.greatest);
  std::bernoulli_distribution equal(c.equal);
  for (const std::size_t size : {0U, 1U, 7U, 33U, 2047U, 2048U, 2049U, 5000U}) {
    Codes reference(size), value(size);
    for (std::size_t i = 0; i < size; ++i) {
      reference[i] = code(random);
      value[i] = reference[i] + (equal(random) ? 0 : difference(random));
    }
    DifferenceStatistics fast, plain;
    for (int round = 0; round < 2; ++round) {  // sums are added to what is there
      fast.Add(reference, value);
      plain.AddOneByOne(reference, value);
    }
    EXPECT_EQ(fast, plain) << size << " elements";
  }
}

INSTANTIATE_TEST_SUITE_P(Codes, NarrowCodesTest, ::testing::ValuesIn(kCases),
                         [](const ::testing::TestParamInfo<DifferenceCase>& param) { return param.param.name; });

TEST(NarrowTest, RefusesCodesBeyondItsLimit) {
  std::vector<std::int16_t> narrow(40);
  for (const std::int32_t far : {1024, -1024, 65536, -65536, 65537, INT32_MAX, INT32_MIN}) {
    Codes codes(40, 17);
    EXPECT_TRUE(Narrow(codes, narrow));
    EXPECT_EQ(narrow[39], 17);
    codes[39] = far;
    EXPECT_FALSE(Narrow(codes, narrow)) << far;
    codes[39] = far > 0 ? 1023 : -1023;
    EXPECT_TRUE(Narrow(codes, narrow)) << far;
    EXPECT_EQ(narrow[39], codes[39]);
  }
}

TEST(NarrowTest, SumsOfALargestBlockDoNotOverflow) {
  const std::vector<std::int16_t> most(kNarrowBlock, 1023), least(kNarrowBlock, -1023);
  EXPECT_EQ(Sums(most).sum, 2048 * 1023);
  EXPECT_EQ(Sums(least).squares, 2048LL * 1023 * 1023);
  EXPECT_EQ(Dot(most, least), -2048LL * 1023 * 1023);
}

}  // namespace
}  // namespace qatgap::statistics
