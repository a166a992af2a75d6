#include "analyzers/vectors/identify.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "analyzers/numerics/target.h"
#include "analyzers/vectors/knobs.h"
#include "analyzers/vectors/verify.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/vectors/synthetic_cases.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::vectors {
namespace {

using numerics::TargetDescription;
using ::qatgap::testing::StatusIs;
using ::testing::Contains;
using ::testing::HasSubstr;

Identification Identified(const std::vector<Case>& cases) {
  const auto identification = Identify(cases);
  QATGAP_EXPECT_OK(identification);
  return *identification;
}

// Every knob of `target` has the found value or one that is open.
void ExpectContains(const Identification& identification, const TargetDescription& target) {
  ASSERT_TRUE(identification.exact()) << ToText(identification);
  for (const Knob& knob : Knobs()) {
    const auto value = knob.value(target);
    if (!value) continue;
    std::vector<std::string> possible;
    for (const OpenKnob& open : identification.open) {
      if (open.field == knob.field) possible = open.values;
    }
    // Not open, it has one value in every description that has it at all.
    for (std::size_t i = 0; possible.empty() && i < identification.best.size(); ++i) {
      const auto found = knob.value(identification.best[i].target);
      if (found) possible = {*found};
    }
    EXPECT_THAT(possible, Contains(*value)) << knob.field << "\n" << ToText(identification);
  }
}

struct Planted {
  const char* name;
  bool powers_of_two;
  TargetDescription target;
};

std::vector<Planted> PlantedTargets() {
  using namespace numerics;
  const auto make = [](BiasRule bias, AccumulatorRule accumulator, RequantRule requantization) {
    TargetDescription target;
    target.name = "planted";
    target.bias = bias;
    target.accumulator = accumulator;
    target.requantization = requantization;
    return target;
  };
  const BiasRule int32{};
  return {
      {"HalfUpBiasAndFloat", false,
       make({.division = BiasDivision::kDivideDouble, .rounding = Rounding::kHalfUp}, {},
            {.rounding = Rounding::kHalfAwayFromZero})},
      {"FloorBiasOfSixteenBits", false, make({.bits = 16, .rounding = Rounding::kFloor}, {}, {})},
      {"SymmetricEightBits", false, make({.bits = 8, .symmetric_clamp = true}, {}, {})},
      {"WrappingEightBits", false, make({.bits = 8, .overflow = BiasOverflow::kWrap}, {}, {})},
      {"NarrowSaturatingAccumulator", false,
       make(int32, {.bits = 16, .overflow = AccumulatorOverflow::kSaturate},
            {.zero_point = ZeroPointOrder::kBeforeRounding})},
      {"NarrowWrappingAccumulator", false, make(int32, {.bits = 16}, {})},
      {"SingleRounding", false,
       make({.rounding = Rounding::kHalfAwayFromZero}, {},
            {.mode = RequantMode::kQ31SingleRounding, .multiplier = MultiplierForm::kDouble})},
      {"DoubleRounding", false,
       make(int32, {}, {.mode = RequantMode::kQ31DoubleRounding, .multiplier = MultiplierForm::kTflite})},
      {"FifteenBitMultiplier", false,
       make(int32, {.bits = 64}, {.mode = RequantMode::kQ15, .multiplier = MultiplierForm::kDouble})},
      {"Binary64", false,
       make(int32, {},
            {.mode = RequantMode::kFloat64,
             .multiplier = MultiplierForm::kDouble,
             .rounding = Rounding::kHalfAwayFromZero})},
      {"FloatBiasBefore", false,
       make({.mode = BiasMode::kFloatBeforeScale, .division = BiasDivision::kMultiplyReciprocal}, {},
            {.multiplier = MultiplierForm::kProductTimesReciprocal, .conversion = ConversionOverflow::kInt32MinPack})},
      {"FloatBiasAfter", false,
       make({.mode = BiasMode::kFloatAfterScale}, {},
            {.zero_point = ZeroPointOrder::kBeforeRounding,
             .dequantization = Dequantization::kProduct,
             .reciprocal_scales = true})},
      {"ShiftWithOwnBiasScale", true,
       make({.bits = 8, .scale = BiasScale::kOwnPowerOfTwo, .division = BiasDivision::kDivideDouble}, {},
            {.mode = RequantMode::kPowerOfTwoShift,
             .multiplier = MultiplierForm::kDouble,
             .rounding = Rounding::kHalfUp})},
      {"TruncatingShift", true,
       make(int32, {},
            {.mode = RequantMode::kPowerOfTwoShift,
             .multiplier = MultiplierForm::kDouble,
             .rounding = Rounding::kFloor})},
  };
}

class PlantedTest : public ::testing::TestWithParam<Planted> {};

TEST_P(PlantedTest, IsAmongTheFound) {
  const Planted& planted = GetParam();
  const std::vector<Case> cases =
      Captured(planted.target, planted.powers_of_two ? PowerOfTwoCases(31) : SyntheticCases(31));
  const Identification identification = Identified(cases);
  ExpectContains(identification, planted.target);
  EXPECT_EQ(identification.cases, kSyntheticCases);
  // What is printed is a target file, and it reproduces the vectors.
  const std::string text = ToText(identification);
  const std::size_t begin = text.find("name: "), end = text.find("\n\n", begin);
  ASSERT_NE(begin, std::string::npos) << text;
  const auto parsed = numerics::ParseTarget(text.substr(begin, end - begin + 1), "identified.yaml");
  QATGAP_ASSERT_OK(parsed) << text;
  const auto verification = Verify(*parsed, cases);
  QATGAP_ASSERT_OK(verification);
  EXPECT_EQ(verification->mismatches, 0);
}

// Each proposed layer, captured from what was planted, leaves fewer values of its knob.
TEST_P(PlantedTest, ProposalsDecide) {
  const Planted& planted = GetParam();
  std::vector<Case> cases = Captured(planted.target, planted.powers_of_two ? PowerOfTwoCases(31) : SyntheticCases(31));
  const Identification before = Identified(cases);
  std::size_t values_before = 0, values_after = 0, captured = 0;
  for (const OpenKnob& open : before.open) values_before += open.values.size();
  for (const Proposal& proposal : before.proposals) {
    Case layer = proposal.layer;
    EXPECT_THAT(proposal.reason, HasSubstr("give"));
    if (planted.powers_of_two) continue;  // proposals are free in their scales, such hardware is not
    layer.output_codes =
        graph::Tensor(graph::DType::kInt32, {layer.input_codes.front().dim(0), layer.weight_codes.dim(0)});
    cases.push_back(Captured(planted.target, layer));
    ++captured;
  }
  if (captured == 0) GTEST_SKIP() << "nothing proposed";
  const Identification after = Identified(cases);
  ExpectContains(after, planted.target);
  for (const OpenKnob& open : after.open) values_after += open.values.size();
  EXPECT_LT(values_after, values_before);
}

INSTANTIATE_TEST_SUITE_P(Targets, PlantedTest, ::testing::ValuesIn(PlantedTargets()),
                         [](const auto& planted) { return std::string(planted.param.name); });

TEST(IdentifyTest, NamesShippedTargets) {
  const auto target = numerics::FindTarget("pytorch-qnnpack");
  QATGAP_ASSERT_OK(target);
  const Identification identification = Identified(Captured(*target, SyntheticCases(5)));
  EXPECT_THAT(identification.shipped, Contains("pytorch-qnnpack"));
  EXPECT_THAT(ToText(identification), HasSubstr("identified: "));
}

TEST(IdentifyTest, TheClosestIsWhatWasCapturedButForTheSpoiltElements) {
  const auto target = numerics::FindTarget("onnxruntime");
  QATGAP_ASSERT_OK(target);
  std::vector<Case> cases = Captured(*target, SyntheticCases(5));
  for (Case& layer : cases) layer.output_codes.mutable_data<std::int32_t>()[3] ^= 64;
  const Identification identification = Identified(cases);
  EXPECT_FALSE(identification.exact());
  ASSERT_FALSE(identification.best.empty());
  EXPECT_LE(identification.best.size(), 5U);
  EXPECT_EQ(identification.best.front().mismatches, kSyntheticCases);
  EXPECT_TRUE(std::is_sorted(identification.best.begin(), identification.best.end(),
                             [](const auto& a, const auto& b) { return a.mismatches < b.mismatches; }));
  EXPECT_THAT(identification.shipped, ::testing::IsEmpty());
  EXPECT_THAT(ToText(identification), HasSubstr("not identified: "));
}

TEST(IdentifyTest, NeedsALayer) {
  Case add;
  add.op = CaseOp::kAdd;
  EXPECT_THAT(Identify({add}), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("none of the 1 cases")));
  EXPECT_THAT(Identify({}), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("none of the 0 cases")));
}

TEST(IdentifyTest, IsTheSameEveryTime) {
  const auto target = numerics::FindTarget("generic-int16");
  QATGAP_ASSERT_OK(target);
  const std::vector<Case> cases = Captured(*target, SyntheticCases(8));
  EXPECT_EQ(ToText(Identified(cases)), ToText(Identified(cases)));
}

}  // namespace
}  // namespace qatgap::vectors
