// The documentation against the sources: findings, targets, links.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "analyzers/numerics/target.h"
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

TEST(DocsTest, EveryFindingIsDocumentedAndEveryDocumentedOneExists) {
  const auto in_code = Matches(ReadFile(kRoot / "analyzers/findings/findings.cc"), "\"(QG[0-9]{3})\"");
  const auto documented = Matches(ReadFile(kRoot / "docs/findings.md"), "\n## (QG[0-9]{3}) ");
  EXPECT_GE(in_code.size(), 13U);
  EXPECT_THAT(documented, ::testing::ContainerEq(in_code));
}

TEST(DocsTest, EveryShippedTargetIsDocumented) {
  const std::string text = ReadFile(kRoot / "docs/targets.md");
  EXPECT_GE(numerics::ShippedTargets().size(), 5U);
  for (const numerics::TargetDescription& target : numerics::ShippedTargets()) {
    EXPECT_THAT(text, ::testing::HasSubstr("`" + target.name + "`"));
  }
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
