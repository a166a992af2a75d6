// Every committed golden vector, bit for bit, under the target it was recorded for; and the evidence in the target files
// says how many there are.
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "analyzers/numerics/target.h"
#include "analyzers/vectors/case.h"
#include "analyzers/vectors/verify.h"
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

std::vector<Case> ReadFolder(const std::string& name) {
  Files files;
  for (const auto& entry : fs::recursive_directory_iterator(kVectors / name)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream stream(entry.path(), std::ios::binary);
    files[fs::relative(entry.path(), kVectors / name)] = {std::istreambuf_iterator<char>(stream), {}};
  }
  absl::StatusOr<std::vector<Case>> cases = ReadCases(files);
  QATGAP_EXPECT_OK(cases);
  return cases.ok() ? *std::move(cases) : std::vector<Case>{};
}

class GoldenTest : public ::testing::TestWithParam<std::string> {};

TEST_P(GoldenTest, EveryElementOfEveryCase) {
  const absl::StatusOr<numerics::TargetDescription> target = numerics::FindTarget(GetParam());
  QATGAP_ASSERT_OK(target);
  const std::vector<Case> cases = ReadFolder(GetParam());
  ASSERT_FALSE(cases.empty());
  const absl::StatusOr<Verification> verification = Verify(*target, cases);
  QATGAP_ASSERT_OK(verification);
  EXPECT_EQ(verification->mismatches, 0);
  for (const CaseOutcome& outcome : verification->cases) {
    EXPECT_EQ(outcome.mismatches, 0) << outcome.name << " " << outcome.refused;
    EXPECT_EQ(outcome.bias_mismatches, 0) << outcome.name;
    EXPECT_GT(outcome.elements, 0) << outcome.name;
  }
  EXPECT_TRUE(verification->exact()) << ToText(*verification, *target);
}

TEST_P(GoldenTest, TheEvidenceCountsThem) {
  const absl::StatusOr<numerics::TargetDescription> target = numerics::FindTarget(GetParam());
  QATGAP_ASSERT_OK(target);
  EXPECT_EQ(target->evidence.kind, numerics::EvidenceKind::kVerified);
  const std::vector<Case> cases = ReadFolder(GetParam());
  EXPECT_THAT(target->evidence.detail, ::testing::HasSubstr(absl::StrCat(cases.size(), " vectors")));
  EXPECT_THAT(target->evidence.detail, ::testing::HasSubstr(cases.front().version));
}

INSTANTIATE_TEST_SUITE_P(Targets, GoldenTest, ::testing::ValuesIn(Folders()), [](const auto& test) {
  std::string name = test.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(EvidenceTest, OnlyTargetsWithVectorsAreVerified) {
  const std::vector<std::string> folders = Folders();
  for (const numerics::TargetDescription& target : numerics::ShippedTargets()) {
    // A part of another target, to which that one delegates, is verified by the vectors of the whole.
    const bool part = std::any_of(
        numerics::ShippedTargets().begin(), numerics::ShippedTargets().end(), [&](const auto& other) {
          return std::any_of(other.delegates.begin(), other.delegates.end(),
                             [&](const auto& delegate) { return delegate.target == target.name; });
        });
    const bool has_vectors = std::find(folders.begin(), folders.end(), target.name) != folders.end();
    if (part && !has_vectors) continue;
    EXPECT_EQ(target.evidence.kind == numerics::EvidenceKind::kVerified, has_vectors) << target.name;
  }
}

}  // namespace
}  // namespace qatgap::vectors
