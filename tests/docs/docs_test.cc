// The documentation against the sources: findings, targets, links.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "analyzers/findings/catalogue.h"
#include "analyzers/numerics/target.h"
#include "analyzers/numerics/target_names.h"
#include "analyzers/status/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qatgap {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = QATGAP_SOURCE_DIR;

std::string ReadFile(const fs::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

// The first group of every match.
std::set<std::string> Matches(const std::string& text, const char* pattern) {
  const std::regex regex(pattern);
  std::set<std::string> found;
  for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it) found.insert((*it)[1].str());
  return found;
}

TEST(DocsTest, EveryFindingHasAPageAndEveryPageAFinding) {
  const std::string index = ReadFile(kRoot / "docs/findings.md");
  std::set<std::string> in_code;
  for (const findings::FindingKind& kind : findings::Catalogue()) {
    const std::string id(kind.id), severity(report::ToString(kind.severity));
    EXPECT_TRUE(in_code.insert(id).second) << id << " twice";
    EXPECT_THAT(index, ::testing::HasSubstr(absl::StrCat("\n| [", id, "](findings/", id, ".md) | ", severity, " | ",
                                                         Text(kind.title), " | ")));
    const std::string page = ReadFile(kRoot / "docs/findings" / absl::StrCat(id, ".md"));
    const std::string head = absl::StrCat("# ", id, " ", Text(kind.title), "\n\nSeverity: ", severity, ".");
    EXPECT_THAT(page, ::testing::StartsWith(head));
    EXPECT_THAT(page, ::testing::HasSubstr("\n*Example:* "));
  }
  EXPECT_THAT(Matches(index, "\n\\| \\[(QG[0-9]{3})\\]"), ::testing::ContainerEq(in_code));
  std::set<std::string> pages;
  for (const auto& entry : fs::directory_iterator(kRoot / "docs/findings")) {
    const std::string name = entry.path().stem();
    if (name.starts_with("QG")) pages.insert(name);
  }
  EXPECT_THAT(pages, ::testing::ContainerEq(in_code));
}

// The catalogue is complete: no check makes a finding of an id of its own.
TEST(DocsTest, IdsOfFindingsAreInTheCatalogueAlone) {
  for (const auto& entry : fs::directory_iterator(kRoot / "analyzers/findings")) {
    if (entry.path().filename() == "catalogue.h" || entry.path().extension() == ".txt") continue;
    EXPECT_THAT(Matches(ReadFile(entry.path()), "\"(QG[0-9]+)\""), ::testing::IsEmpty()) << entry.path();
  }
}

// The part of a page below a heading, to the next one of that depth.
std::string Section(const std::string& text, const std::string& heading) {
  const std::size_t begin = text.find(absl::StrCat("\n", heading, "\n"));
  EXPECT_NE(begin, std::string::npos) << heading;
  if (begin == std::string::npos) return "";
  const std::string depth = absl::StrCat("\n", heading.substr(0, heading.find(' ') + 1));
  return text.substr(begin, text.find(depth, begin + 1) - begin);
}

TEST(DocsTest, TheListOfTargetsIsTheShippedOnes) {
  const std::string list = Section(ReadFile(kRoot / "docs/targets.md"), "## The shipped targets");
  std::set<std::string> shipped;
  for (const numerics::TargetDescription& target : numerics::ShippedTargets()) shipped.insert(target.name);
  EXPECT_THAT(Matches(list, "\n\\| `([a-z0-9-]+)` \\|"), ::testing::ContainerEq(shipped));
}

TEST(DocsTest, TheExampleOfATargetIsOne) {
  const std::string text = ReadFile(kRoot / "docs/targets.md");
  const std::string fence = "```yaml\n";
  const std::size_t begin = text.find(fence);
  ASSERT_NE(begin, std::string::npos);
  const std::size_t first = begin + fence.size();
  const std::string example = text.substr(first, text.find("```", first) - first);
  const auto target = numerics::ParseTarget(example, "docs/targets.md");
  ASSERT_TRUE(target.ok()) << target.status();
  EXPECT_EQ(target->name, "my-npu");
  EXPECT_EQ(target->requantization.multiplier_max, 1);
}

template <typename Names>
void ExpectWords(const std::string& fields, const Names& names) {
  for (const auto& entry : names) {
    EXPECT_THAT(fields, ::testing::HasSubstr(absl::StrCat("`", Text(entry.name), "`")));
  }
}

TEST(DocsTest, EveryWordOfTheTargetFilesIsDocumented) {
  const std::string fields = Section(ReadFile(kRoot / "docs/targets.md"), "### Fields");
  ExpectWords(fields, numerics::kBiasModeNames);
  ExpectWords(fields, numerics::kRoundingNames);
  ExpectWords(fields, numerics::kBiasScaleNames);
  ExpectWords(fields, numerics::kBiasDivisionNames);
  ExpectWords(fields, numerics::kBiasOverflowNames);
  ExpectWords(fields, numerics::kBiasAlignmentNames);
  ExpectWords(fields, numerics::kWeightAdjustmentNames);
  ExpectWords(fields, numerics::kAccumulatorOverflowNames);
  ExpectWords(fields, numerics::kInt16PairsNames);
  ExpectWords(fields, numerics::kRequantModeNames);
  ExpectWords(fields, numerics::kMultiplierFormNames);
  ExpectWords(fields, numerics::kDequantizationNames);
  ExpectWords(fields, numerics::kZeroPointOrderNames);
  ExpectWords(fields, numerics::kConversionOverflowNames);
  ExpectWords(fields, numerics::kActivationLimitNames);
  ExpectWords(fields, numerics::kScaleRequirementNames);
  ExpectWords(fields, numerics::kDelegateLayersNames);
  ExpectWords(fields, numerics::kDelegateHostNames);
  ExpectWords(fields, numerics::kDelegateActivationsNames);
  ExpectWords(fields, numerics::kDelegateWeightsNames);
  ExpectWords(fields, numerics::kDelegateOutputPaddingNames);
  ExpectWords(fields, numerics::kAddRuleNames);
  ExpectWords(fields, numerics::kMulRuleNames);
  ExpectWords(fields, numerics::kConcatRuleNames);
  ExpectWords(fields, numerics::kAveragePoolRuleNames);
  ExpectWords(fields, numerics::kMeanRuleNames);
  ExpectWords(fields, numerics::kEngineNames);
  ExpectWords(fields, numerics::kEvidenceKindNames);
}

TEST(DocsTest, EveryRelativeLinkHasAFile) {
  std::vector<fs::path> pages;
  if (fs::exists(kRoot / "README.md")) pages.push_back(kRoot / "README.md");
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / "docs")) {
    if (entry.path().extension() == ".md") pages.push_back(entry.path());
  }
  std::size_t links = 0;
  for (const fs::path& page : pages) {
    for (const std::string& link : Matches(ReadFile(page), R"(\]\(([^)#\s]+)[^)]*\))")) {
      if (link.find("://") != std::string::npos || link.rfind("mailto:", 0) == 0) continue;
      ++links;
      EXPECT_TRUE(fs::exists(page.parent_path() / link)) << page << " links to " << link;
    }
  }
  EXPECT_GT(links, 5U);
}

}  // namespace
}  // namespace qatgap
