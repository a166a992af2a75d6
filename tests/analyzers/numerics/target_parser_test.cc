#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "analyzers/numerics/target.h"
#include "analyzers/status/string_view.h"
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
  activation_limit: sum_half_to_even
  multiplier_min: 1e-9
  multiplier_max: 256
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
  EXPECT_EQ(target->requantization.activation_limit, ActivationLimit::kSumHalfToEven);
  EXPECT_EQ(target->requantization.multiplier_min, 1e-9);
  EXPECT_EQ(target->requantization.multiplier_max, 256);
  EXPECT_EQ(target->scales, ScaleRequirement::kAny);
  EXPECT_TRUE(target->delegates.empty());
}

// kFile with the sections from `first` on (to the one before `last`) replaced.
std::string WithSection(std::string_view first, std::string_view last, std::string_view section) {
  std::string text(kFile);
  const std::size_t begin = text.find(first);
  const std::size_t end = last.empty() ? text.size() : text.find(last);
  EXPECT_NE(begin, std::string::npos) << first;
  return text.replace(begin, end - begin, section);
}

std::string WithBias(std::string_view bias) { return WithSection("bias:\n", "accumulator:", bias); }
std::string WithRequantization(std::string_view rule) { return WithSection("requantization:\n", "", rule); }

TEST(ParseTargetTest, FloatAfterScale) {
  const auto target = ParseTarget(WithSection("bias:\n", "", R"(bias: {mode: float_after_scale}
accumulator: {bits: 32, overflow: wrap, int16_pairs: without_vnni}
requantization:
  mode: float32
  multiplier: product_times_reciprocal
  rounding: half_to_even
  zero_point: before_rounding
  conversion: clamp_float
  dequantization: product
  reciprocal_scales: true
  activation_limit: divide_half_away
)"), "my.yaml");
  QATGAP_ASSERT_OK(target);
  EXPECT_EQ(target->bias.mode, BiasMode::kFloatAfterScale);
  EXPECT_EQ(target->requantization.dequantization, Dequantization::kProduct);
  EXPECT_TRUE(target->requantization.reciprocal_scales);
  EXPECT_EQ(target->accumulator.int16_pairs, Int16Pairs::kWithoutVnni);
}

TEST(ParseTargetTest, FusedMultiplyAdd) {
  const auto target = ParseTarget(WithSection("bias:\n", "", R"(
bias: {mode: float_before_scale, scale: product_float, division: reciprocal_if_per_tensor}
accumulator: {bits: 32, overflow: wrap, int16_pairs: never}
requantization: {mode: float32, multiplier: product_then_divide, rounding: half_to_even, zero_point: after_rounding,
                 conversion: clamp_float, fused_multiply_add: true, activation_limit: divide_half_away}
)"), "my.yaml");
  QATGAP_ASSERT_OK(target);
  EXPECT_TRUE(target->requantization.fused_multiply_add);
  EXPECT_EQ(target->bias.division, BiasDivision::kReciprocalIfPerTensor);
}

TEST(ParseTargetTest, OwnPowerOfTwoAndShift) {
  const auto target = ParseTarget(absl::StrCat("scales: power_of_two\n", WithSection("bias:\n", "", R"(
bias: {mode: integer, bits: 8, scale: own_power_of_two, division: divide_double, rounding: half_to_even,
       overflow: wrap, alignment: shift_floor}
accumulator: {bits: 16, overflow: saturate, int16_pairs: never}
requantization: {mode: power_of_two_shift, rounding: half_down, activation_limit: divide_half_away}
)")), "my.yaml");
  QATGAP_ASSERT_OK(target);
  EXPECT_EQ(target->scales, ScaleRequirement::kPowerOfTwo);
  EXPECT_EQ(target->bias.alignment, BiasAlignment::kShiftFloor);
  EXPECT_EQ(target->requantization.mode, RequantMode::kPowerOfTwoShift);
  EXPECT_EQ(target->requantization.rounding, Rounding::kHalfDown);
}

class FixedPointTest : public ::testing::TestWithParam<RequantMode> {};
TEST_P(FixedPointTest, ReadsAMultiplierAndNoRounding) {
  const std::string mode(ToString(GetParam()));
  const auto target = ParseTarget(
      WithRequantization(absl::StrCat("requantization: {mode: ", mode,
                                      ", multiplier: tflite, activation_limit: divide_half_away}\n")), "my.yaml");
  QATGAP_ASSERT_OK(target);
  EXPECT_EQ(target->requantization.mode, GetParam());
  EXPECT_EQ(target->requantization.multiplier, MultiplierForm::kTflite);
  EXPECT_THAT(ParseTarget(WithRequantization(absl::StrCat(
                  "requantization: {mode: ", mode,
                  ", multiplier: double, rounding: half_up, activation_limit: divide_half_away}\n")), "my.yaml"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr(absl::StrCat("requantization.rounding is not read: requantization.mode is ", mode))));
}
INSTANTIATE_TEST_SUITE_P(Target, FixedPointTest,
                         ::testing::Values(RequantMode::kQ31DoubleRounding, RequantMode::kQ31DoubleRoundingHalfUp,
                                           RequantMode::kQ31SingleRounding, RequantMode::kTosa, RequantMode::kQ15),
                         [](const auto& test) { return std::string(ToString(test.param)); });

TEST(ParseTargetTest, VectorChannels) {
  const auto target = ParseTarget(WithRequantization(
      "requantization: {mode: q31_single_rounding, multiplier: double, activation_limit: divide_half_away,\n"
      "  vector_channels: 8, tail_mode: tosa}\n"), "my.yaml");
  QATGAP_ASSERT_OK(target);
  EXPECT_EQ(target->requantization.vector_channels, 8);
  EXPECT_EQ(target->requantization.tail_mode, RequantMode::kTosa);
}

TEST(ParseTargetTest, WeightAdjustment) {
  const auto target = ParseTarget(WithBias(
      "bias: {mode: integer, bits: 32, symmetric_clamp: false, scale: product_float, division: divide_float,\n"
      "  rounding: half_to_even, overflow: adjust_weights, adjustment: onnxruntime}\n"), "my.yaml");
  QATGAP_ASSERT_OK(target);
  EXPECT_EQ(target->bias.overflow, BiasOverflow::kAdjustWeights);
  EXPECT_EQ(target->bias.adjustment, WeightAdjustment::kOnnxRuntime);
}

TEST(ParseTargetTest, Operators) {
  const auto without = ParseTarget(kFile, "my.yaml");
  QATGAP_ASSERT_OK(without);
  EXPECT_EQ(without->operators, OperatorRules{});
  const auto target = ParseTarget(
      absl::StrCat(Text(kFile), "operators: {add: qnnpack, mul: tflite_micro, concat: copy, average_pool: pytorch, "
                                "mean: tflite_vector}\n"), "my.yaml");
  QATGAP_ASSERT_OK(target);
  EXPECT_EQ(target->operators, (OperatorRules{.add = AddRule::kQnnpack,
                                              .mul = MulRule::kTfliteMicro,
                                              .concat = ConcatRule::kCopy,
                                              .average_pool = AveragePoolRule::kPytorch,
                                              .mean = MeanRule::kTfliteVector}));
}

std::string WithDelegates(std::string_view delegates) {
  return absl::StrCat(WithSection("bias:\n", "", ""), "delegates:\n", Text(delegates));
}

TEST(ParseTargetTest, Delegates) {
  const auto target = ParseTarget(WithDelegates(
      "  - {layers: depthwise, host: no_vnni, activations: int16, weights: symmetric, output_padding: none,\n"
      "     max_groups: 100, bias_bits: 64, target: pytorch-qnnpack}\n"
      "  - {target: generic-int32}\n"), "my.yaml");
  QATGAP_ASSERT_OK(target);
  ASSERT_EQ(target->delegates.size(), 2U);
  const Delegate& first = target->delegates[0];
  EXPECT_EQ(first.layers, Delegate::Layers::kDepthwise);
  EXPECT_EQ(first.host, Delegate::Host::kNoVnni);
  EXPECT_EQ(first.activations, Delegate::Activations::kInt16);
  EXPECT_EQ(first.weights, Delegate::Weights::kSymmetric);
  EXPECT_EQ(first.output_padding, Delegate::OutputPadding::kNone);
  EXPECT_EQ(first.max_groups, 100);
  EXPECT_EQ(first.bias_bits, 64);
  EXPECT_EQ(first.target, "pytorch-qnnpack");
  EXPECT_EQ(target->delegates[1].target, "generic-int32");
}

struct SectionErrorCase {
  const char* name;
  std::string file;
  const char* message;
};

class SectionErrorTest : public ::testing::TestWithParam<SectionErrorCase> {};
TEST_P(SectionErrorTest, SaysWhichFieldAndWhy) {
  EXPECT_THAT(ParseTarget(GetParam().file, "my.yaml"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(GetParam().message)));
}

constexpr char kFloat32[] =
    "requantization: {mode: float32, multiplier: product_then_divide, rounding: half_to_even, zero_point: "
    "after_rounding, conversion: clamp_float, activation_limit: divide_half_away";

INSTANTIATE_TEST_SUITE_P(
    Target, SectionErrorTest,
    ::testing::Values(
        SectionErrorCase{"ConversionOfAFixedPointMode",
                         WithRequantization("requantization: {mode: q15, multiplier: double, conversion: clamp_float}"),
                         "requantization.conversion is not read: requantization.mode is q15; remove it"},
        SectionErrorCase{"ZeroPointOfAShift",
                         WithRequantization("requantization: {mode: power_of_two_shift, zero_point: after_rounding}"),
                         "requantization.zero_point is not read: requantization.mode is power_of_two_shift"},
        SectionErrorCase{"MultiplierOfAShift",
                         WithRequantization("requantization: {mode: power_of_two_shift, multiplier: double}"),
                         "requantization.multiplier is not read"},
        SectionErrorCase{"ShiftOfAnyScale",
                         WithRequantization("requantization: {mode: power_of_two_shift, rounding: floor, "
                                            "activation_limit: divide_half_away}"),
                         "requantization.mode is \"power_of_two_shift\", which needs \"scales: power_of_two\""},
        SectionErrorCase{"Binary64MultiplierOfFloat32",
                         WithRequantization("requantization: {mode: float32, multiplier: tflite}"),
                         "requantization.multiplier is \"tflite\", which is not for mode float32; accepted: "
                         "product_then_divide, product_times_reciprocal"},
        SectionErrorCase{"Binary32MultiplierOfTosa",
                         WithRequantization("requantization: {mode: tosa, multiplier: product_then_divide}"),
                         "which is for mode float32; accepted: double, float_product, tflite"},
        SectionErrorCase{"DequantizationOfAnIntegerBias",
                         WithRequantization(absl::StrCat(kFloat32, ", dequantization: product}")),
                         "requantization.dequantization is not read: bias.mode is integer"},
        SectionErrorCase{"FusedIntegerBias", WithRequantization(absl::StrCat(kFloat32, ", fused_multiply_add: true}")),
                         "requantization.fused_multiply_add is not read: only bias.mode float_before_scale with"},
        SectionErrorCase{"MinOfNaN", WithRequantization(absl::StrCat(kFloat32, ", multiplier_min: nan}")),
                         "requantization.multiplier_min is \"nan\"; accepted: a finite number above 0"},
        SectionErrorCase{"MaxOfYamlNaN", WithRequantization(absl::StrCat(kFloat32, ", multiplier_max: .nan}")),
                         "requantization.multiplier_max is \".nan\""},
        SectionErrorCase{"MaxOfInfinity", WithRequantization(absl::StrCat(kFloat32, ", multiplier_max: inf}")),
                         "requantization.multiplier_max is \"inf\""},
        SectionErrorCase{"MinOfZero", WithRequantization(absl::StrCat(kFloat32, ", multiplier_min: 0}")),
                         "requantization.multiplier_min is \"0\""},
        SectionErrorCase{"MaxBelowMin",
                         WithRequantization(absl::StrCat(kFloat32, ", multiplier_min: 2, multiplier_max: 2}")),
                         "requantization.multiplier_max is 2, not above multiplier_min 2"},
        SectionErrorCase{"TailWithoutVector",
                         WithRequantization("requantization: {mode: tosa, multiplier: double, activation_limit: "
                                            "divide_half_away, tail_mode: q15}"),
                         "requantization.tail_mode is not read: requantization.vector_channels is not there"},
        SectionErrorCase{"TailOfItsOwnMode",
                         WithRequantization("requantization: {mode: tosa, multiplier: double, activation_limit: "
                                            "divide_half_away, vector_channels: 8, tail_mode: tosa}"),
                         "requantization.tail_mode is \"tosa\", which must be another fixed-point mode"},
        SectionErrorCase{"VectorChannelsOfFloat32",
                         WithRequantization(absl::StrCat(kFloat32, ", vector_channels: 8}")),
                         "requantization.vector_channels is not read: requantization.mode is float32"},
        SectionErrorCase{"FixedPointWithAFloatBias",
                         WithSection("bias:\n", "", "bias: {mode: float_after_scale}\naccumulator: {bits: 32, overflow: "
                                     "wrap, int16_pairs: never}\nrequantization: {mode: tosa}"),
                         "requantization.mode is \"tosa\", which has no place for a float bias"},
        SectionErrorCase{"AlignmentOfAProductScale",
                         Edited("  overflow: refuse", "  overflow: refuse\n  alignment: exact"),
                         "bias.alignment is not read: bias.scale is product_double"},
        SectionErrorCase{"AdjustmentWithoutAdjusting",
                         Edited("  overflow: refuse", "  overflow: refuse\n  adjustment: tflite"),
                         "bias.adjustment is not read: bias.overflow is refuse"},
        SectionErrorCase{"AdjustmentMissing",
                         WithBias("bias: {mode: integer, bits: 32, symmetric_clamp: false, scale: product_float, "
                                  "division: divide_float, rounding: floor, overflow: adjust_weights}\n"),
                         "bias.adjustment is missing; accepted: tflite, onnxruntime"},
        SectionErrorCase{"AlignmentMissing",
                         WithBias("bias: {mode: integer, bits: 8, symmetric_clamp: false, scale: own_power_of_two, "
                                  "division: divide_float, rounding: floor, overflow: saturate}\n"),
                         "bias.alignment is missing; accepted: shift_half_up, shift_floor, exact"},
        SectionErrorCase{"AdjustmentOfAPowerOfTwo",
                         WithBias("bias: {mode: integer, bits: 32, symmetric_clamp: false, scale: own_power_of_two, "
                                  "division: divide_float, rounding: floor, overflow: adjust_weights, "
                                  "adjustment: tflite}\n"),
                         "bias.overflow is \"adjust_weights\", but with scale own_power_of_two"},
        SectionErrorCase{"AdjustmentOf16Bits",
                         WithBias("bias: {mode: integer, bits: 16, symmetric_clamp: false, scale: product_float, "
                                  "division: divide_float, rounding: floor, overflow: adjust_weights, "
                                  "adjustment: tflite}\n"),
                         "bias.bits is 16; overflow adjust_weights is a rule for 32 bits"},
        SectionErrorCase{"ClampOfAWrappingBias", Edited("overflow: refuse", "overflow: wrap"),
                         "bias.symmetric_clamp is not read: bias.overflow is wrap"},
        SectionErrorCase{"Int32MinOf24Bits",
                         WithBias("bias: {mode: integer, bits: 24, scale: product_float, division: divide_float, "
                                  "rounding: floor, overflow: int32_min}\n"),
                         "bias.bits is 24; overflow int32_min is a rule for 32 bits"},
        SectionErrorCase{"OperatorMissing", absl::StrCat(Text(kFile), "operators: {add: qnnpack}\n"),
                         "operators.mul is missing; accepted: float, pytorch, tflite"},
        SectionErrorCase{"OperatorUnknown", absl::StrCat(Text(kFile), "operators: {add: qnnpack, sub: float}\n"),
                         "operators.\"sub\" is not a field here"},
        SectionErrorCase{"DelegatesAndRules",
                         absl::StrCat(Text(kFile),
                                      "delegates: [{target: generic-int32}]\n"),
                         "bias is not read: the target has delegates"},
        SectionErrorCase{"NoDelegate", WithDelegates("  []\n"), "delegates must be a list of 1 to 32 mappings"},
        SectionErrorCase{"DelegateIsAWord", WithDelegates("  [generic-int32]\n"), "delegates[0] must be a mapping"},
        SectionErrorCase{"DelegateToNothing", WithDelegates("  - {target: nothing}\n"),
                         "delegates[0].target is \"nothing\", which is not shipped; accepted: cmsis-nn"},
        SectionErrorCase{"DelegateOfItself", WithDelegates("  - {target: my-chip}\n"), "which is this target itself"},
        SectionErrorCase{"DelegateNeverReached",
                         WithDelegates("  - {target: generic-int32}\n  - {layers: linear, target: generic-int8}\n"),
                         "delegates[1].target is never reached"},
        SectionErrorCase{"DelegateWithAnotherCondition",
                         WithDelegates("  - {kernel: 3, target: generic-int32}\n"),
                         "delegates[0].\"kernel\" is not a field here; accepted: layers, host"},
        SectionErrorCase{"DelegateOfNoGroups", WithDelegates("  - {max_groups: 0, target: generic-int32}\n"),
                         "delegates[0].max_groups is \"0\"; accepted: 1..1048576"}),
    [](const auto& test) { return std::string(test.param.name); });

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
        ErrorCase{"BadEnum", "half_away_from_zero", "half_odd", "bias.rounding", "is \"half_odd\"; accepted: half_to_even, half_away_from_zero, half_up, half_down, toward_zero, floor, ceiling"},
        ErrorCase{"BadMode", "mode: integer", "mode: int", "bias.mode", "accepted: float_before_scale, float_after_scale, integer"},
        ErrorCase{"BadConversion", "int32_min_pack", "x86", "requantization.conversion", "accepted: clamp_float, int32_min_pack"},
        ErrorCase{"BadEngine", "engine: none", "engine: xnnpack", "engine", "accepted: none, fbgemm, qnnpack, x86, onednn"},
        ErrorCase{"BitsTooFew", "bits: 24", "bits: 1", "bias.bits", "is \"1\"; accepted: 2..64"},
        ErrorCase{"BitsTooMany", "bits: 24", "bits: 65", "bias.bits", "is \"65\"; accepted: 2..64"},
        ErrorCase{"BitsNotANumber", "bits: 24", "bits: many", "bias.bits", "is \"many\"; accepted: 2..64"},
        ErrorCase{"BitsOverflow", "bits: 24", "bits: 99999999999999999999", "bias.bits", "accepted: 2..64"},
        ErrorCase{"AccumulatorBits", "bits: 40", "bits: 4", "accumulator.bits", "is \"4\"; accepted: 8..64"},
        ErrorCase{"BadBool", "symmetric_clamp: true", "symmetric_clamp: maybe", "bias.symmetric_clamp", "is \"maybe\"; accepted: true, false"},
        ErrorCase{"BadName", "name: my-chip", "name: My Chip", "name", "is \"My Chip\"; accepted: up to 64 of lower-case"},
        ErrorCase{"WidthOfAFloat", "mode: integer", "mode: float_before_scale", "bias.bits", "is not read: bias.mode is float_before_scale; remove it"},
        ErrorCase{"MissingLimit", "  activation_limit: sum_half_to_even\n", "", "requantization.activation_limit", "is missing; accepted: reciprocal_half_to_even"},
        ErrorCase{"EscapeInATitle", "title: My chip", "title: \"\\e[31mred\"", "title", "with a control character"},
        ErrorCase{"NotYaml", "name: my-chip", "name: [my-chip", "my.yaml:", ""}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(ParseTargetTest, FloatBiasHasNoScaleOfItsOwn) {
  EXPECT_THAT(ParseTarget(WithBias("bias: {mode: float_before_scale, scale: own_power_of_two, division: "
                                   "divide_float}\n"), "my.yaml"),
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
  EXPECT_THAT(ParseTarget(absl::StrCat(Edited("engine: none", "engine: none"), "---\nname: other\n"), "my.yaml"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("2 YAML documents")));
  // An alias stands for what it names, once: nothing grows, and what holds itself is no text.
  QATGAP_EXPECT_OK(
      ParseTarget(Edited("title: My chip\nsummary: A chip.", "title: &t My chip\nsummary: *t"), "my.yaml"));
  EXPECT_THAT(ParseTarget(Edited("title: My chip", "title: &t [*t, *t]"), "my.yaml"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("my.yaml")));
  EXPECT_THAT(ParseTarget(Edited("title: My chip", "title: *nowhere"), "my.yaml"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("my.yaml")));
  EXPECT_THAT(ParseTarget(WithBias("bias: &b {mode: *b}\n"), "my.yaml"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("my.yaml")));
  std::string nested;
  for (int depth = 0; depth < 8000; ++depth) nested.append("{a: ", 4);
  EXPECT_THAT(ParseTarget(nested, "my.yaml"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("my.yaml")));
  // A long value is cut in the message.
  const auto status = ParseTarget(Edited("half_away_from_zero", std::string(5000, 'x')), "my.yaml").status();
  EXPECT_LT(status.message().size(), 300u);
}

}  // namespace
}  // namespace qatgap::numerics
