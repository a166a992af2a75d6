#include <algorithm>
#include <string>
#include <vector>

#include "analyzers/numerics/embedded_targets.h"
#include "analyzers/numerics/target.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::numerics {
namespace {

using ::qatgap::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ShippedTargetsTest, AreSortedByName) {
  std::vector<std::string> names;
  for (const TargetDescription& target : ShippedTargets()) names.push_back(target.name);
  EXPECT_THAT(names,
              ElementsAre("generic-int16", "generic-int32", "generic-int8", "pytorch-fbgemm", "pytorch-qnnpack"));
  EXPECT_EQ(EmbeddedTargets().size(), names.size());
}

TEST(ShippedTargetsTest, FilesNameNoMachinePath) {
  for (const EmbeddedTarget& file : EmbeddedTargets()) {
    EXPECT_EQ(file.yaml.find(": /"), std::string_view::npos) << file.name;
  }
}

TEST(ShippedTargetsTest, SayWhatTheDesignSays) {
  const auto fbgemm = FindTarget("pytorch-fbgemm");
  QATGAP_ASSERT_OK(fbgemm);
  EXPECT_EQ(fbgemm->engine, Engine::kFbgemm);
  EXPECT_EQ(fbgemm->evidence.kind, EvidenceKind::kFromSource);
  EXPECT_EQ(fbgemm->bias.mode, BiasMode::kFloatBeforeScale);
  EXPECT_EQ(fbgemm->bias.division, BiasDivision::kDivideFloat);
  EXPECT_EQ(fbgemm->accumulator.int16_pairs, Int16Pairs::kWithoutVnni);
  EXPECT_EQ(fbgemm->requantization.multiplier, MultiplierForm::kProductThenDivide);
  const auto qnnpack = FindTarget("pytorch-qnnpack");
  QATGAP_ASSERT_OK(qnnpack);
  EXPECT_EQ(qnnpack->engine, Engine::kQnnpack);
  EXPECT_EQ(qnnpack->bias.scale, BiasScale::kProductDoubleToFloat);
  EXPECT_EQ(qnnpack->bias.division, BiasDivision::kMultiplyReciprocal);
  EXPECT_EQ(qnnpack->requantization.multiplier, MultiplierForm::kProductTimesReciprocal);
  EXPECT_EQ(qnnpack->requantization.conversion, ConversionOverflow::kInt32MinPack);
  const auto int8 = FindTarget("generic-int8");
  QATGAP_ASSERT_OK(int8);
  EXPECT_EQ(int8->bias.bits, 8);
  EXPECT_EQ(int8->bias.scale, BiasScale::kOwnPowerOfTwo);
  EXPECT_EQ(int8->evidence.kind, EvidenceKind::kUnverified);
}

TEST(FindTargetTest, NamesTheNearestAndListsAll) {
  EXPECT_THAT(FindTarget("pytorch-fbgem"),
              StatusIs(absl::StatusCode::kNotFound,
                       AllOf(HasSubstr("did you mean \"pytorch-fbgemm\""), HasSubstr("generic-int16, generic-int32"))));
  EXPECT_THAT(FindTarget("generic_int8"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("did you mean \"generic-int8\"")));
  EXPECT_THAT(FindTarget("qnnpack"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("did you mean \"pytorch-qnnpack\"")));
  EXPECT_THAT(FindTarget(""), StatusIs(absl::StatusCode::kNotFound, HasSubstr("no target \"\"")));
  EXPECT_LT(FindTarget(std::string(100000, 'x')).status().message().size(), 400u);
}

}  // namespace
}  // namespace qatgap::numerics
