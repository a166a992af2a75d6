#include <string>
#include <string_view>

#include "analyzers/numerics/target.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::numerics {
namespace {

using ::qatgap::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::string_view kFile = R"(name: my-chip
title: My chip
summary: A chip.
source: Its manual
evidence: {kind: unverified, detail: none}
engine: none
bias:
  mode: integer
  bits: 24
  symmetric_clamp: true
  scale: product_double
  division: divide_double
  rounding: half_away_from_zero
  overflow: refuse
accumulator:
  bits: 40
  overflow: saturate
  int16_pairs: never
requantization:
  mode: float32
  multiplier: product_times_reciprocal
  rounding: half_up
  zero_point: before_rounding
  conversion: int32_min_pack
)";

// kFile with the one occurrence of `from` replaced.
std::string Edited(std::string_view from, std::string_view to) {
  std::string text(kFile);
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  EXPECT_EQ(text.find(from, at + 1), std::string::npos) << from << " is ambiguous";
  return text.replace(at, from.size(), to);
}

TEST(ParseTargetTest, ReadsEveryField) {
  const auto target = ParseTarget(kFile, "my.yaml");
  QATGAP_ASSERT_OK(target);
  EXPECT_EQ(target->name, "my-chip");
  EXPECT_EQ(target->title, "My chip");
  EXPECT_EQ(target->summary, "A chip.");
  EXPECT_EQ(target->source, "Its manual");
  EXPECT_EQ(target->evidence.kind, EvidenceKind::kUnverified);
  EXPECT_EQ(target->evidence.detail, "none");
  EXPECT_EQ(target->engine, Engine::kNone);
  EXPECT_EQ(target->bias.mode, BiasMode::kInteger);
  EXPECT_EQ(target->bias.bits, 24);
  EXPECT_TRUE(target->bias.symmetric_clamp);
  EXPECT_EQ(target->bias.scale, BiasScale::kProductDouble);
  EXPECT_EQ(target->bias.division, BiasDivision::kDivideDouble);
  EXPECT_EQ(target->bias.rounding, Rounding::kHalfAwayFromZero);
  EXPECT_EQ(target->bias.overflow, BiasOverflow::kRefuse);
  EXPECT_EQ(target->accumulator.bits, 40);
  EXPECT_EQ(target->accumulator.overflow, AccumulatorOverflow::kSaturate);
  EXPECT_EQ(target->accumulator.int16_pairs, Int16Pairs::kNever);
  EXPECT_EQ(target->requantization.multiplier, MultiplierForm::kProductTimesReciprocal);
  EXPECT_EQ(target->requantization.rounding, Rounding::kHalfUp);
  EXPECT_EQ(target->requantization.zero_point, ZeroPointOrder::kBeforeRounding);
  EXPECT_EQ(target->requantization.conversion, ConversionOverflow::kInt32MinPack);
}

TEST(ParseTargetTest, FloatModesNeedOnlyWhatTheyRead) {
  const std::size_t bias = kFile.find("bias:\n");
  const std::size_t accumulator = kFile.find("accumulator:");
  std::string text(kFile);
  text.replace(bias, accumulator - bias, "bias: {mode: float_after_scale}\n");
  const auto after = ParseTarget(text, "my.yaml");
  QATGAP_ASSERT_OK(after);
  EXPECT_EQ(after->bias.mode, BiasMode::kFloatAfterScale);
}

struct ErrorCase {
  const char* name;
  const char* from;
  const char* to;
  const char* field;
  const char* message;
};

class ParseErrorTest : public ::testing::TestWithParam<ErrorCase> {};

TEST_P(ParseErrorTest, NamesFileFieldValueAndAcceptedOnes) {
  EXPECT_THAT(ParseTarget(Edited(GetParam().from, GetParam().to), "my.yaml"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("my.yaml"), HasSubstr(GetParam().field), HasSubstr(GetParam().message))));
}

INSTANTIATE_TEST_SUITE_P(
    Target, ParseErrorTest,
    ::testing::Values(
        ErrorCase{"UnknownKey", "engine: none", "motor: none", "\"motor\"", "accepted: name, title"},
        ErrorCase{"UnknownBiasKey", "  bits: 24", "  bits: 24\n  width: 24", "bias.\"width\"", "accepted: mode, bits"},
        ErrorCase{"DuplicateKey", "  bits: 24", "  bits: 24\n  bits: 24", "bias.bits", "twice"},
        ErrorCase{"MissingTitle", "title: My chip\n", "", "title", "is missing"},
        ErrorCase{"EmptySummary", "summary: A chip.", "summary: \"\"", "summary", "non-empty"},
        ErrorCase{"MissingBits", "  bits: 24\n", "", "bias.bits", "is missing"},
        ErrorCase{"MissingRounding", "  rounding: half_up\n", "", "requantization.rounding", "is missing; accepted: half_to_even"},
        ErrorCase{"MissingSection", "evidence: {kind: unverified, detail: none}\n", "", "evidence", "is missing"},
        ErrorCase{"SectionIsText", "evidence: {kind: unverified, detail: none}", "evidence: none", "evidence", "must be a mapping"},
        ErrorCase{"BadEnum", "half_away_from_zero", "half_odd", "bias.rounding", "is \"half_odd\"; accepted: half_to_even, half_away_from_zero, half_up, toward_zero, floor"},
        ErrorCase{"BadMode", "mode: integer", "mode: int", "bias.mode", "accepted: float_before_scale, float_after_scale, integer"},
        ErrorCase{"BadConversion", "int32_min_pack", "x86", "requantization.conversion", "accepted: clamp_float, int32_min_pack"},
        ErrorCase{"BadEngine", "engine: none", "engine: xnnpack", "engine", "accepted: none, fbgemm, qnnpack"},
        ErrorCase{"BitsTooFew", "bits: 24", "bits: 1", "bias.bits", "is \"1\"; accepted: 2..64"},
        ErrorCase{"BitsTooMany", "bits: 24", "bits: 65", "bias.bits", "is \"65\"; accepted: 2..64"},
        ErrorCase{"BitsNotANumber", "bits: 24", "bits: many", "bias.bits", "is \"many\"; accepted: 2..64"},
        ErrorCase{"BitsOverflow", "bits: 24", "bits: 99999999999999999999", "bias.bits", "accepted: 2..64"},
        ErrorCase{"AccumulatorBits", "bits: 40", "bits: 4", "accumulator.bits", "is \"4\"; accepted: 8..64"},
        ErrorCase{"BadBool", "symmetric_clamp: true", "symmetric_clamp: maybe", "bias.symmetric_clamp", "is \"maybe\"; accepted: true, false"},
        ErrorCase{"BadName", "name: my-chip", "name: My Chip", "name", "is \"My Chip\"; accepted: up to 64 of lower-case"},
        ErrorCase{"WidthOfAFloat", "mode: integer", "mode: float_before_scale", "bias.\"bits\"", "accepted: mode, scale, division"},
        ErrorCase{"NotYaml", "name: my-chip", "name: [my-chip", "my.yaml:", ""}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(ParseTargetTest, FloatBiasHasNoScaleOfItsOwn) {
  const std::size_t bias = kFile.find("bias:\n");
  const std::size_t accumulator = kFile.find("accumulator:");
  std::string text(kFile);
  text.replace(bias, accumulator - bias,
               "bias: {mode: float_before_scale, scale: own_power_of_two, division: divide_float}\n");
  EXPECT_THAT(ParseTarget(text, "my.yaml"),
              StatusIs(absl::StatusCode::kInvalidArgument, AllOf(HasSubstr("bias.scale"), HasSubstr("product_float"))));
}

TEST(ParseTargetTest, RefusesWhatIsNoMapping) {
  for (const char* text : {"", "just words", "[1, 2]", "~"}) {
    EXPECT_THAT(ParseTarget(text, "my.yaml"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("mapping")));
  }
}

TEST(ParseTargetTest, HostileInputIsAnError) {
  EXPECT_THAT(ParseTarget(std::string(70000, 'a'), "my.yaml"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("70000 bytes")));
  EXPECT_THAT(ParseTarget(std::string(60000, '['), "my.yaml"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("my.yaml")));
  EXPECT_THAT(ParseTarget("? [a, b]\n: c\n", "my.yaml"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("must be a word")));
  EXPECT_THAT(ParseTarget(std::string("name: \"a\x01\x7f\0\"", 13), "my.yaml"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("my.yaml")));
  // A long value is cut in the message.
  const auto status = ParseTarget(Edited("half_away_from_zero", std::string(5000, 'x')), "my.yaml").status();
  EXPECT_LT(status.message().size(), 300u);
}

}  // namespace
}  // namespace qatgap::numerics
