// From the captures of every real runtime alone, the target that was recorded is found.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "analyzers/vectors/case.h"
#include "analyzers/vectors/identify.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::vectors {
namespace {

namespace fs = std::filesystem;

const fs::path kVectors = fs::path(QATGAP_SOURCE_DIR) / "tests/golden/vectors";

std::vector<std::string> Folders() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kVectors)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

class IdentifyGoldenTest : public ::testing::TestWithParam<std::string> {};

TEST_P(IdentifyGoldenTest, TheRecordedTargetIsFound) {
  Files files;
  for (const auto& entry : fs::recursive_directory_iterator(kVectors / GetParam())) {
    if (!entry.is_regular_file()) continue;
    std::ifstream stream(entry.path(), std::ios::binary);
    files[fs::relative(entry.path(), kVectors)] = {std::istreambuf_iterator<char>(stream), {}};
  }
  auto cases = ReadCases(files);
  QATGAP_ASSERT_OK(cases);
  // What the files say of themselves is no help.
  for (Case& layer : *cases) {
    layer.name.clear();
    layer.target.clear();
    layer.runtime.clear();
  }
  const auto identification = Identify(*cases);
  QATGAP_ASSERT_OK(identification);
  EXPECT_TRUE(identification->exact());
  EXPECT_THAT(identification->shipped, ::testing::Contains(GetParam())) << ToText(*identification);
}

INSTANTIATE_TEST_SUITE_P(Runtimes, IdentifyGoldenTest, ::testing::ValuesIn(Folders()), [](const auto& test) {
  std::string name = test.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace qatgap::vectors
