// Whatever the bytes: cases or an error that says something, never a crash.
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "analyzers/numerics/target.h"
#include "analyzers/vectors/case.h"
#include "analyzers/vectors/verify.h"
#include "gtest/gtest.h"
#include "tests/analyzers/vectors/case_files.h"
#include "tests/analyzers/vectors/synthetic_cases.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::vectors {
namespace {

void Try(const Files& files) {
  const auto cases = ReadCases(files);
  if (!cases.ok()) {
    ASSERT_FALSE(cases.status().message().empty());
    return;
  }
  // What was read can be computed.
  const auto target = numerics::FindTarget("generic-int32");
  QATGAP_ASSERT_OK(target);
  QATGAP_ASSERT_OK(Verify(*target, *cases));
}

std::vector<Files> Originals() {
  std::vector<Files> originals = {ConvolutionFiles()};
  for (const Case& layer : SyntheticCases(5)) originals.push_back(WriteCase(layer));
  return originals;
}

TEST(ReaderMutationTest, FlippedBytesOfOneFile) {
  constexpr std::uint32_t kSeed = 20240917;
  SCOPED_TRACE(kSeed);
  std::mt19937 random(kSeed);
  for (const Files& original : Originals()) {
    for (const auto& [path, bytes] : original) {
      const bool json = path.ends_with(".json");
      for (int i = 0; i < (json ? 400 : 120); ++i) {
        Files files = original;
        std::string& spoilt = files[path];
        // Of an array only the header is worth spoiling: every element is a code.
        const std::size_t reach = json ? spoilt.size() : std::min<std::size_t>(spoilt.size(), 128);
        for (std::uint_fast32_t flips = 1 + random() % 3; flips > 0; --flips) {
          // Digits, quotes and brackets more often than noise.
          constexpr char kLikely[] = "0123456789-.eE\"[]{},:NaI(";
          spoilt[random() % reach] =
              random() % 2 == 0 ? kLikely[random() % (sizeof kLikely - 1)] : static_cast<char>(random());
        }
        Try(files);
      }
    }
  }
}

TEST(ReaderMutationTest, EveryTruncation) {
  const Files original = ConvolutionFiles();
  for (const auto& [path, bytes] : original) {
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      Files files = original;
      files[path].resize(size);
      const auto cases = ReadCases(files);
      const bool only_the_newline = path == "conv/case.json" && size + 1 == bytes.size();
      EXPECT_EQ(cases.ok(), only_the_newline) << path << " " << size;
    }
  }
}

TEST(ReaderMutationTest, EveryFieldTakenAwayOrReplaced) {
  const Files original = ConvolutionFiles();
  const std::string& text = original.at("conv/case.json");
  for (std::size_t at = text.find('"'); at != std::string::npos; at = text.find('"', at + 1)) {
    const std::size_t end = text.find('"', at + 1);
    if (end == std::string::npos) break;
    for (const char* with : {"\"x\"", "null", "NaN", "[[[]]]", "1e999", "-1", "{}", "\"\""}) {
      Files files = original;
      files["conv/case.json"] = text.substr(0, at) + with + text.substr(end + 1);
      Try(files);
    }
    at = end;
  }
}

}  // namespace
}  // namespace qatgap::vectors
