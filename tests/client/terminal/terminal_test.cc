#include <unistd.h>

#include <sstream>
#include <string>
#include <vector>

#include "client/terminal/output.h"
#include "client/terminal/progress.h"
#include "client/terminal/table.h"
#include "client/terminal/text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qatgap::terminal {
namespace {

using ::testing::ElementsAre;

TEST(SanitizeTest, MakesHostileTextVisible) {
  EXPECT_EQ(Sanitize("layer1.0.conv1"), "layer1.0.conv1");
  EXPECT_EQ(Sanitize("schön 層 🙂"), "schön 層 🙂");
  EXPECT_EQ(Sanitize("\x1b[2J\x07"), "\\x1b[2J\\x07");
  EXPECT_EQ(Sanitize("a\r\nb\tc"), "a\\x0d\\x0ab\\x09c");
  EXPECT_EQ(Sanitize(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(Sanitize("\xc2\x9b"
                     "31m"),
            "\\u{9b}31m");  // C1 control sequence introducer
  EXPECT_EQ(Sanitize("a\xe2\x80\xae"
                     "b"),
            "a\\u{202e}b");  // right-to-left override
  EXPECT_EQ(Sanitize("a\xe2\x80\x8b"
                     "b"),
            "a\\u{200b}b");  // zero width space
}

TEST(SanitizeTest, EscapesBytesThatAreNotUtf8) {
  EXPECT_EQ(Sanitize("\xff"), "\\xff");
  EXPECT_EQ(Sanitize("\xc0\x9b"), "\\xc0\\x9b");  // overlong ESC
  EXPECT_EQ(Sanitize("\xe0\x80\x9b"), "\\xe0\\x80\\x9b");
  EXPECT_EQ(Sanitize("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // surrogate
  EXPECT_EQ(Sanitize("\xf5\x80\x80\x80"), "\\xf5\\x80\\x80\\x80");
  EXPECT_EQ(Sanitize("\xe5\xb1"), "\\xe5\\xb1");  // cut off
}

TEST(SanitizeTest, NoByteSequenceLeavesAControlCharacter) {
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const std::string safe = Sanitize(std::string{static_cast<char>(a), static_cast<char>(b)});
      for (const char byte : safe) {
        const auto value = static_cast<unsigned char>(byte);
        ASSERT_TRUE(value >= 0x20 && value != 0x7f) << a << ' ' << b;
      }
      ASSERT_EQ(Sanitize(safe), safe) << a << ' ' << b;
    }
  }
}

TEST(SanitizeTest, LinesKeepTheirEnds) { EXPECT_EQ(SanitizeLines("a\nb\x1b"), "a\nb\\x1b"); }

TEST(DisplayWidthTest, CountsColumns) {
  EXPECT_EQ(DisplayWidth("abc"), 3U);
  EXPECT_EQ(DisplayWidth("schön"), 5U);
  EXPECT_EQ(DisplayWidth("層"), 2U);
  EXPECT_EQ(DisplayWidth("e\xcc\x81"), 1U);
}

TEST(ShortenTest, CutsTheMiddle) {
  EXPECT_EQ(Shorten("features.conv", 13), "features.conv");
  EXPECT_EQ(Shorten("features.18.conv", 9), "feat…conv");
  EXPECT_EQ(Shorten("abcdefghij", 5), "ab…ij");
  EXPECT_EQ(Shorten("abcdefghij", 4), "ab…j");
  EXPECT_EQ(Shorten("abc", 1), "…");
  EXPECT_EQ(Shorten("abc", 0), "");
}

TEST(ShortenTest, NeverSplitsACharacterOrExceedsTheWidth) {
  const std::string text = "層層e\xcc\x81層ab層e\xcc\x81";
  for (std::size_t columns = 0; columns < 16; ++columns) {
    const std::string cut = Shorten(text, columns);
    EXPECT_LE(DisplayWidth(cut), columns);
    EXPECT_EQ(Sanitize(cut), cut);
  }
}

TEST(WrapTest, BreaksAtSpaces) {
  EXPECT_THAT(Wrap("one two three", 7), ElementsAre("one two", "three"));
  EXPECT_THAT(Wrap("unbreakable a", 4), ElementsAre("unbreakable", "a"));
  EXPECT_THAT(Wrap("", 4), ElementsAre(""));
}

Table Layers() {
  Table table({{"layer", Align::kLeft, 8}, {"LSB", Align::kRight, 0}, {"why", Align::kLeft, 0}});
  table.AddRow({"features.0.conv", "7", "bias"});
  table.AddRow({"層", "123", "-"});
  return table;
}

TEST(TableTest, AlignsColumns) {
  EXPECT_THAT(Layers().Lines(0),
              ElementsAre("layer            LSB  why", "features.0.conv    7  bias",
                          "層               123  -"));
}

TEST(TableTest, CutsNamesToFit) {
  EXPECT_THAT(Layers().Lines(20),
              ElementsAre("layer      LSB  why", "feat…conv    7  bias", "層         123  -"));
  // No shorter than its column says.
  EXPECT_EQ(Layers().Lines(1).at(1), "feat…onv    7  bias");
}

TEST(TableTest, SanitizesCells) {
  Table table({{"layer"}});
  table.AddRow({"\x1b]0;owned\x07"});
  EXPECT_THAT(table.Lines(0), ElementsAre("layer", "\\x1b]0;owned\\x07"));
}

class ProgressTest : public ::testing::Test {
 protected:
  Output Plain() { return {&stream_, false, false, 80}; }
  std::ostringstream stream_;
};

TEST_F(ProgressTest, PrintsAtMostOneLineForEveryTenth) {
  const Output output = Plain();
  Progress progress(output, /*quiet=*/false);
  for (std::uint64_t done = 0; done <= 1000; ++done) progress.Update("running", done, 1000);
  EXPECT_EQ(stream_.str(),
            "running: 0 % (0 of 1000 samples)\nrunning: 10 % (100 of 1000 samples)\nrunning: 20 % "
            "(200 of 1000 samples)\n"
            "running: 30 % (300 of 1000 samples)\nrunning: 40 % (400 of 1000 samples)\nrunning: 50 "
            "% (500 of 1000 samples)\n"
            "running: 60 % (600 of 1000 samples)\nrunning: 70 % (700 of 1000 samples)\nrunning: 80 "
            "% (800 of 1000 samples)\n"
            "running: 90 % (900 of 1000 samples)\nrunning: 100 % (1000 of 1000 samples)\n");
}

TEST_F(ProgressTest, SaysOnceWhatItWaitsFor) {
  const Output output = Plain();
  Progress progress(output, /*quiet=*/false);
  progress.Update("waiting", 0, 0);
  progress.Update("waiting", 0, 0);
  EXPECT_EQ(stream_.str(), "waiting\n");
}

TEST_F(ProgressTest, CountsBytesInReadableUnits) {
  const Output output = Plain();
  Progress progress(output, /*quiet=*/false);
  progress.Update("uploading m.pt", 3 << 20, 3 << 20, Progress::Unit::kBytes);
  EXPECT_EQ(stream_.str(), "uploading m.pt: 100 % (3.0 MiB of 3.0 MiB)\n");
  stream_.str("");
  progress.Update("uploading n.pt", 3, 1536, Progress::Unit::kBytes);
  EXPECT_EQ(stream_.str(), "uploading n.pt: 0 % (3 B of 1.5 KiB)\n");
}

TEST_F(ProgressTest, QuietIsSilent) {
  const Output output = Plain();
  Progress progress(output, /*quiet=*/true);
  progress.Update("running", 1, 2);
  EXPECT_EQ(stream_.str(), "");
}

TEST_F(ProgressTest, DrawsABarOnATerminalAndRemovesIt) {
  const Output output = {&stream_, true, true, 80};
  {
    Progress progress(output, /*quiet=*/false);
    progress.Update("running", 29, 100);
    progress.Update("running", 29, 100);
  }
  EXPECT_EQ(stream_.str(),
            "\r\x1b[Krunning [######------------------]  29 %  29 of 100 samples\r\x1b[K");
}

TEST(StyledTest, NoColourNoEscape) {
  std::ostringstream stream;
  EXPECT_EQ(Styled({&stream, true, false, 80}, Style::kBold, "x"), "x");
  EXPECT_EQ(Styled({&stream, true, true, 80}, Style::kBold, "x"), "\x1b[1mx\x1b[0m");
}

TEST(DescribeOutputTest, APipeIsNoTerminal) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  std::ostringstream stream;
  const Output output = DescribeOutput(stream, ends[1]);
  EXPECT_FALSE(output.is_terminal);
  EXPECT_FALSE(output.colour);
  EXPECT_EQ(output.columns, 100U);
  ::close(ends[0]);
  ::close(ends[1]);
}

}  // namespace
}  // namespace qatgap::terminal
