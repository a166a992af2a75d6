// From the captures of every real runtime alone, the target that was recorded is found.
#include <string>
#include <vector>

#include "analyzers/vectors/case.h"
#include "analyzers/vectors/identify.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/vectors/golden_files.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::vectors {
namespace {

class IdentifyGoldenTest : public ::testing::TestWithParam<std::string> {};

TEST_P(IdentifyGoldenTest, TheRecordedTargetIsFound) {
  std::vector<Case> cases = ReadGoldenFolder(GetParam());
  ASSERT_FALSE(cases.empty());
  // What the files say of themselves is no help.
  for (Case& layer : cases) {
    layer.name.clear();
    layer.target.clear();
    layer.runtime.clear();
  }
  const auto identification = Identify(cases);
  QATGAP_ASSERT_OK(identification);
  EXPECT_TRUE(identification->exact());
  EXPECT_THAT(identification->shipped, ::testing::Contains(GetParam())) << ToText(*identification);
}

INSTANTIATE_TEST_SUITE_P(Runtimes, IdentifyGoldenTest, ::testing::ValuesIn(GoldenFolders()),
                         [](const auto& test) { return TestName(test.param); });

}  // namespace
}  // namespace qatgap::vectors
