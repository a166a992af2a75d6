#include "analyzers/numerics/target.h"

#include <functional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qatgap::numerics {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TargetDescription Target(std::string_view name) { return FindTarget(name).value(); }

TEST(ToStringTest, IsTheWordOfTheTargetFiles) {
  EXPECT_EQ(ToString(BiasMode::kFloatBeforeScale), "float_before_scale");
  EXPECT_EQ(ToString(Rounding::kHalfUp), "half_up");
  EXPECT_EQ(ToString(BiasScale::kOwnPowerOfTwo), "own_power_of_two");
  EXPECT_EQ(ToString(BiasDivision::kMultiplyReciprocal), "multiply_reciprocal");
  EXPECT_EQ(ToString(BiasOverflow::kRefuse), "refuse");
  EXPECT_EQ(ToString(AccumulatorOverflow::kSaturate), "saturate");
  EXPECT_EQ(ToString(Int16Pairs::kWithoutVnni), "without_vnni");
  EXPECT_EQ(ToString(RequantMode::kFloat32), "float32");
  EXPECT_EQ(ToString(MultiplierForm::kProductThenDivide), "product_then_divide");
  EXPECT_EQ(ToString(ZeroPointOrder::kBeforeRounding), "before_rounding");
  EXPECT_EQ(ToString(ConversionOverflow::kInt32MinPack), "int32_min_pack");
  EXPECT_EQ(ToString(Engine::kFbgemm), "fbgemm");
  EXPECT_EQ(ToString(EvidenceKind::kFromSource), "from_source");
}

struct Edit {
  const char* name;
  std::function<void(TargetDescription&)> apply;
};

std::vector<Edit> ProseEdits() {
  return {{"Name", [](auto& t) { t.name = "other"; }},
          {"Title", [](auto& t) { t.title = "x"; }},
          {"Summary", [](auto& t) { t.summary = "x"; }},
          {"Source", [](auto& t) { t.source = "x"; }},
          {"Evidence", [](auto& t) { t.evidence = {EvidenceKind::kVerified, "x"}; }}};
}

class ProseTest : public ::testing::TestWithParam<Edit> {};
TEST_P(ProseTest, DoesNotChangeTheDigest) {
  TargetDescription target = Target("pytorch-qnnpack");
  const std::string before = ArithmeticDigest(target);
  GetParam().apply(target);
  EXPECT_EQ(ArithmeticDigest(target), before);
}
INSTANTIATE_TEST_SUITE_P(Digest, ProseTest, ::testing::ValuesIn(ProseEdits()),
                         [](const auto& test) { return std::string(test.param.name); });

std::vector<Edit> ArithmeticEdits() {
  return {{"Engine", [](auto& t) { t.engine = Engine::kNone; }},
          {"BiasMode", [](auto& t) { t.bias.mode = BiasMode::kFloatBeforeScale; }},
          {"BiasModeAfter", [](auto& t) { t.bias.mode = BiasMode::kFloatAfterScale; }},
          {"BiasBits", [](auto& t) { t.bias.bits = 31; }},
          {"SymmetricClamp", [](auto& t) { t.bias.symmetric_clamp = true; }},
          {"BiasScale", [](auto& t) { t.bias.scale = BiasScale::kProductFloat; }},
          {"BiasDivision", [](auto& t) { t.bias.division = BiasDivision::kDivideFloat; }},
          {"BiasRounding", [](auto& t) { t.bias.rounding = Rounding::kHalfUp; }},
          {"BiasOverflow", [](auto& t) { t.bias.overflow = BiasOverflow::kWrap; }},
          {"AccumulatorBits", [](auto& t) { t.accumulator.bits = 31; }},
          {"AccumulatorOverflow", [](auto& t) { t.accumulator.overflow = AccumulatorOverflow::kSaturate; }},
          {"Int16Pairs", [](auto& t) { t.accumulator.int16_pairs = Int16Pairs::kWithoutVnni; }},
          {"Multiplier", [](auto& t) { t.requantization.multiplier = MultiplierForm::kProductThenDivide; }},
          {"RequantRounding", [](auto& t) { t.requantization.rounding = Rounding::kHalfUp; }},
          {"ZeroPoint", [](auto& t) { t.requantization.zero_point = ZeroPointOrder::kBeforeRounding; }},
          {"Conversion", [](auto& t) { t.requantization.conversion = ConversionOverflow::kClampFloat; }}};
}

class ArithmeticTest : public ::testing::TestWithParam<Edit> {};
TEST_P(ArithmeticTest, ChangesTheDigest) {
  TargetDescription target = Target("pytorch-qnnpack");
  const std::string before = ArithmeticDigest(target);
  GetParam().apply(target);
  EXPECT_NE(ArithmeticDigest(target), before);
}
INSTANTIATE_TEST_SUITE_P(Digest, ArithmeticTest, ::testing::ValuesIn(ArithmeticEdits()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(DigestTest, EveryEditGivesItsOwn) {
  std::set<std::string> digests = {ArithmeticDigest(Target("pytorch-qnnpack"))};
  for (const Edit& edit : ArithmeticEdits()) {
    TargetDescription target = Target("pytorch-qnnpack");
    edit.apply(target);
    EXPECT_TRUE(digests.insert(ArithmeticDigest(target)).second) << edit.name;
  }
}

TEST(DigestTest, FieldsThatTheBiasModeDoesNotReadDoNotCount) {
  TargetDescription target = Target("pytorch-fbgemm");
  const std::string before = ArithmeticDigest(target);
  target.bias.bits = 8;
  target.bias.rounding = Rounding::kFloor;
  target.bias.overflow = BiasOverflow::kWrap;
  target.bias.symmetric_clamp = true;
  EXPECT_EQ(ArithmeticDigest(target), before);
  target.bias.division = BiasDivision::kMultiplyReciprocal;
  EXPECT_NE(ArithmeticDigest(target), before);
}

// Stored reports and gates compare digests: these change only together with what a target computes.
TEST(DigestTest, OfTheShippedTargetsIsStable) {
  EXPECT_EQ(ArithmeticDigest(Target("generic-int16")), "61bf32b7b33cb7ce");
  EXPECT_EQ(ArithmeticDigest(Target("generic-int32")), "047c17a098451e40");
  EXPECT_EQ(ArithmeticDigest(Target("generic-int8")), "ca08ad5404e15799");
  EXPECT_EQ(ArithmeticDigest(Target("pytorch-fbgemm")), "4f574b4b9f172b3b");
  EXPECT_EQ(ArithmeticDigest(Target("pytorch-qnnpack")), "f9f8379f3e44e360");
}

TEST(DescribeTest, GivesFormulaRoundingLimitsAndEvidence) {
  EXPECT_THAT(Describe(Target("pytorch-fbgemm")),
              AllOf(HasSubstr("bias = fl(b / s_xw)"), HasSubstr("v = fl(fl(fl(A) + bias) * M)"),
                    HasSubstr("M = fl(fl(s_x * s_w[c]) / s_y)"), HasSubstr("half to even"), HasSubstr("from_source"),
                    HasSubstr("without VNNI"), Not(HasSubstr("q_b"))));
  EXPECT_THAT(Describe(Target("pytorch-qnnpack")),
              AllOf(HasSubstr("q_b = round(fl(b * fl(1 / s_b)))"), HasSubstr("-2147483648..2147483647"),
                    HasSubstr("v = fl(fl(A + q_b) * M)"), HasSubstr("fl(1 / s_y)")));
  EXPECT_THAT(Describe(Target("generic-int8")),
              AllOf(HasSubstr("-128..127"), HasSubstr("smallest 2^k"), HasSubstr("unverified")));
}

TEST(DescribeTest, LinesFitAHundredColumns) {
  for (const TargetDescription& shipped : ShippedTargets()) {
    for (const Edit& edit : ArithmeticEdits()) {
      TargetDescription target = shipped;
      edit.apply(target);
      target.summary.append(" and so on and on, at some length", 33);
      const std::string text = Describe(target);
      EXPECT_EQ(text.back(), '\n');
      std::istringstream lines(text);
      for (std::string line; std::getline(lines, line);) {
        EXPECT_LE(line.size(), 100u) << line;
        EXPECT_NE(line.back(), ' ') << line;
      }
    }
  }
}

}  // namespace
}  // namespace qatgap::numerics
