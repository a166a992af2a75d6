// Every committed golden vector, bit for bit, under the target it was recorded for; and the evidence in the target files
// says how many there are.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "analyzers/numerics/target.h"
#include "analyzers/vectors/case.h"
#include "analyzers/vectors/verify.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/vectors/golden_files.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::vectors {
namespace {

class GoldenTest : public ::testing::TestWithParam<std::string> {};

TEST_P(GoldenTest, EveryElementOfEveryCase) {
  const absl::StatusOr<numerics::TargetDescription> target = numerics::FindTarget(GetParam());
  QATGAP_ASSERT_OK(target);
  const std::vector<Case> cases = ReadGoldenFolder(GetParam());
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
  const std::vector<Case> cases = ReadGoldenFolder(GetParam());
  EXPECT_THAT(target->evidence.detail, ::testing::HasSubstr(absl::StrCat(cases.size(), " vectors")));
  EXPECT_THAT(target->evidence.detail, ::testing::HasSubstr(cases.front().version));
}

INSTANTIATE_TEST_SUITE_P(Targets, GoldenTest, ::testing::ValuesIn(GoldenFolders()),
                         [](const auto& test) { return TestName(test.param); });

TEST(EvidenceTest, OnlyTargetsWithVectorsAreVerified) {
  const std::vector<std::string> folders = GoldenFolders();
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
