#include "analyzers/report/wording.h"

#include <limits>
#include <string>

#include "gtest/gtest.h"

namespace qatgap::report {
namespace {

TEST(WordingTest, Grouped) {
  EXPECT_EQ(Grouped(0), "0");
  EXPECT_EQ(Grouped(999), "999");
  EXPECT_EQ(Grouped(1000), "1,000");
  EXPECT_EQ(Grouped(45678900), "45,678,900");
  EXPECT_EQ(Grouped(18446744073709551615U), "18,446,744,073,709,551,615");
}

TEST(WordingTest, CountedIsSingularForOneOnly) {
  EXPECT_EQ(Counted(0, "sample"), "0 samples");
  EXPECT_EQ(Counted(1, "sample"), "1 sample");
  EXPECT_EQ(Counted(1234, "sample"), "1,234 samples");
}

TEST(WordingTest, ChannelListNamesTheFirstOnes) {
  EXPECT_EQ(ChannelList({3}), "channel 3");
  EXPECT_EQ(ChannelList({3, 4}), "channels 3, 4");
  EXPECT_EQ(ChannelList({3, 4, 5, 6}, 2), "channels 3, 4 and 2 more");
}

TEST(WordingTest, PercentNeverRoundsToNothingOrAll) {
  EXPECT_EQ(Percent(0), "0 %");
  EXPECT_EQ(Percent(1), "100 %");
  EXPECT_EQ(Percent(0.712), "71.2 %");
  EXPECT_EQ(Percent(-0.031), "-3.1 %");
  EXPECT_EQ(PercentOf(1234, 45678900), "0.0027 %");
  EXPECT_EQ(Percent(1e-9), "< 0.0001 %");
  EXPECT_EQ(Percent(0.99993), "99.993 %");
  EXPECT_EQ(Percent(1 - 1e-12), "> 99.999999 %");
  EXPECT_EQ(Percent(1.5), "150.0 %");
  EXPECT_EQ(PercentOf(1, 0), "-");
  EXPECT_EQ(Percent(std::numeric_limits<double>::quiet_NaN()), "-");
}

TEST(WordingTest, DisplayTextKeepsUtf8AndReplacesTheRest) {
  EXPECT_EQ(DisplayText("conv\xC3\xA9 \xE2\x88\x92 \xF0\x9F\x99\x82"),
            "conv\xC3\xA9 \xE2\x88\x92 \xF0\x9F\x99\x82");
  EXPECT_EQ(DisplayText("a\nb\tc"), "a b c");
  const std::string replaced = "\xEF\xBF\xBD";
  EXPECT_EQ(DisplayText("\x1b[31m"), replaced + "[31m");
  EXPECT_EQ(DisplayText("\xff"), replaced);
  EXPECT_EQ(DisplayText("\xC0\xAF"), replaced + replaced) << "overlong";
  EXPECT_EQ(DisplayText("\xE2\x88"), replaced + replaced) << "cut off";
  EXPECT_EQ(DisplayText("\xED\xA0\x80"), replaced + replaced + replaced) << "surrogate";
  EXPECT_EQ(DisplayText("\xE2\x80\xAE"
                        "abc")
                .substr(0, 3),
            replaced)
      << "right-to-left override";
}

TEST(WordingTest, LongNamesLoseTheirMiddle) {
  const std::string name = DisplayName("first" + std::string(5000, 'x') + "last");
  EXPECT_EQ(CharacterCount(name), 80U);
  EXPECT_EQ(name.substr(0, 5), "first");
  EXPECT_EQ(name.substr(name.size() - 4), "last");
  EXPECT_NE(name.find("..."), std::string::npos);
  EXPECT_EQ(DisplayName(std::string(80, 'y')), std::string(80, 'y'));
  std::string accents;
  for (int i = 0; i < 200; ++i) accents += "\xC3\xA9";
  EXPECT_EQ(CharacterCount(DisplayName(accents)), 80U);
  EXPECT_EQ(DisplayText(DisplayName(accents)), DisplayName(accents)) << "cut between characters";
}

}  // namespace
}  // namespace qatgap::report
