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

// Describe without its line breaks.
std::string Described(std::string_view name) {
  std::istringstream words(Describe(Target(name)));
  std::string text;
  for (std::string word; words >> word;) text += text.empty() ? word : " " + word;
  return text;
}

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
  EXPECT_EQ(ToString(Delegate::Weights::kSymmetric), "symmetric");
  EXPECT_EQ(ToString(Delegate::OutputPadding::kNone), "none");
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
          {"Conversion", [](auto& t) { t.requantization.conversion = ConversionOverflow::kClampFloat; }},
          {"Scales", [](auto& t) { t.scales = ScaleRequirement::kPowerOfTwo; }},
          {"Alignment", [](auto& t) {
             t.bias.scale = BiasScale::kOwnPowerOfTwo;
             t.bias.alignment = BiasAlignment::kShiftFloor;
           }},
          {"AlignmentExact", [](auto& t) {
             t.bias.scale = BiasScale::kOwnPowerOfTwo;
             t.bias.alignment = BiasAlignment::kExact;
           }},
          {"AdjustTflite", [](auto& t) { t.bias.overflow = BiasOverflow::kAdjustWeights; }},
          {"AdjustOnnxRuntime", [](auto& t) {
             t.bias.overflow = BiasOverflow::kAdjustWeights;
             t.bias.adjustment = WeightAdjustment::kOnnxRuntime;
           }},
          {"Int32Min", [](auto& t) { t.bias.overflow = BiasOverflow::kInt32Min; }},
          {"Dequantization", [](auto& t) {
             t.bias.mode = BiasMode::kFloatAfterScale;
             t.requantization.dequantization = Dequantization::kProduct;
           }},
          {"ReciprocalScales", [](auto& t) {
             t.bias.mode = BiasMode::kFloatAfterScale;
             t.requantization.reciprocal_scales = true;
           }},
          {"ReciprocalIfPerTensor", [](auto& t) {
             t.bias.mode = BiasMode::kFloatBeforeScale;
             t.bias.division = BiasDivision::kReciprocalIfPerTensor;
           }},
          {"FusedMultiplyAdd", [](auto& t) {
             t.bias.mode = BiasMode::kFloatBeforeScale;
             t.bias.division = BiasDivision::kReciprocalIfPerTensor;
             t.requantization.fused_multiply_add = true;
           }},
          {"ActivationLimit", [](auto& t) { t.requantization.activation_limit = ActivationLimit::kSumHalfToEven; }},
          {"Q31DoubleRounding", [](auto& t) { t.requantization.mode = RequantMode::kQ31DoubleRounding; }},
          {"Q31DoubleRoundingHalfUp", [](auto& t) { t.requantization.mode = RequantMode::kQ31DoubleRoundingHalfUp; }},
          {"Q31SingleRounding", [](auto& t) { t.requantization.mode = RequantMode::kQ31SingleRounding; }},
          {"Tosa", [](auto& t) { t.requantization.mode = RequantMode::kTosa; }},
          {"Q15", [](auto& t) { t.requantization.mode = RequantMode::kQ15; }},
          {"Shift", [](auto& t) { t.requantization.mode = RequantMode::kPowerOfTwoShift; }},
          {"Float64", [](auto& t) { t.requantization.mode = RequantMode::kFloat64; }},
          {"VectorChannels", [](auto& t) {
             t.requantization.mode = RequantMode::kTosa;
             t.requantization.vector_channels = 8;
           }},
          {"TailMode", [](auto& t) {
             t.requantization.mode = RequantMode::kTosa;
             t.requantization.vector_channels = 8;
             t.requantization.tail_mode = RequantMode::kQ15;
           }},
          {"MultiplierMin", [](auto& t) { t.requantization.multiplier_min = 0x1p-32; }},
          {"MultiplierMax", [](auto& t) { t.requantization.multiplier_max = 256; }},
          {"Add", [](auto& t) { t.operators.add = AddRule::kTflite; }},
          {"Mul", [](auto& t) { t.operators.mul = MulRule::kTflite; }},
          {"Concat", [](auto& t) { t.operators.concat = ConcatRule::kTflite; }},
          {"AveragePool", [](auto& t) { t.operators.average_pool = AveragePoolRule::kTflite; }},
          {"Mean", [](auto& t) { t.operators.mean = MeanRule::kTflite; }},
          {"NoOperators", [](auto& t) { t.operators = {}; }},
          {"Delegates", [](auto& t) { t.delegates = {{.target = "pytorch-qnnpack"}}; }},
          {"DelegateTarget", [](auto& t) { t.delegates = {{.target = "generic-int8"}}; }},
          {"DelegateLayers", [](auto& t) {
             t.delegates = {{.layers = Delegate::Layers::kLinear, .target = "generic-int8"}};
           }},
          {"DelegateHost", [](auto& t) {
             t.delegates = {{.host = Delegate::Host::kVnni, .target = "generic-int8"}};
           }},
          {"DelegateActivations", [](auto& t) {
             t.delegates = {{.activations = Delegate::Activations::kInt16, .target = "generic-int8"}};
           }},
          {"DelegateWeights", [](auto& t) {
             t.delegates = {{.weights = Delegate::Weights::kSymmetric, .target = "generic-int8"}};
           }},
          {"DelegateOutputPadding", [](auto& t) {
             t.delegates = {{.output_padding = Delegate::OutputPadding::kNone, .target = "generic-int8"}};
           }},
          {"DelegateMaxGroups", [](auto& t) { t.delegates = {{.max_groups = 1, .target = "generic-int8"}}; }},
          {"DelegateBiasBits", [](auto& t) { t.delegates = {{.bias_bits = 32, .target = "generic-int8"}}; }}};
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
  target.bias.alignment = BiasAlignment::kExact;
  target.bias.adjustment = WeightAdjustment::kOnnxRuntime;
  target.requantization.dequantization = Dequantization::kProduct;
  target.requantization.reciprocal_scales = true;
  target.requantization.tail_mode = RequantMode::kTosa;
  EXPECT_EQ(ArithmeticDigest(target), before);
  target.bias.division = BiasDivision::kMultiplyReciprocal;
  EXPECT_NE(ArithmeticDigest(target), before);
}

TEST(DigestTest, FieldsThatAFixedPointModeDoesNotReadDoNotCount) {
  TargetDescription target = Target("tosa");
  const std::string before = ArithmeticDigest(target);
  target.requantization.rounding = Rounding::kFloor;
  target.requantization.zero_point = ZeroPointOrder::kBeforeRounding;
  target.requantization.conversion = ConversionOverflow::kInt32MinPack;
  target.requantization.tail_mode = RequantMode::kQ15;
  EXPECT_EQ(ArithmeticDigest(target), before);
}

TEST(DigestTest, OfATargetThatDelegatesCountsWhatItsDelegatesCompute) {
  TargetDescription target = Target("pytorch-x86");
  const std::string before = ArithmeticDigest(target);
  target.bias.bits = 8;
  target.requantization.mode = RequantMode::kTosa;
  EXPECT_EQ(ArithmeticDigest(target), before);
  target.delegates.back().target = "pytorch-qnnpack";
  EXPECT_NE(ArithmeticDigest(target), before);
}

// Stored reports and gates compare digests: these change only together with what a target computes.
TEST(DigestTest, OfTheShippedTargetsIsStable) {
  EXPECT_EQ(ArithmeticDigest(Target("generic-int16")), "61bf32b7b33cb7ce");
  EXPECT_EQ(ArithmeticDigest(Target("generic-int32")), "047c17a098451e40");
  EXPECT_EQ(ArithmeticDigest(Target("generic-int8")), "ca08ad5404e15799");
  EXPECT_EQ(ArithmeticDigest(Target("pytorch-fbgemm")), "5f77525f8e1dc73c");
  EXPECT_EQ(ArithmeticDigest(Target("pytorch-qnnpack")), "f9e3fbc5c86b6abc");
}

TEST(DescribeTest, GivesFormulaRoundingLimitsAndEvidence) {
  EXPECT_THAT(Described("pytorch-fbgemm"),
              AllOf(HasSubstr("bias = fl(b / s_xw)"), HasSubstr("v = fl(fl(fl(A) + bias) * M)"),
                    HasSubstr("M = fl(fl(s_x * s_w[c]) / s_y)"), HasSubstr("half to even"), HasSubstr("verified: "),
                    HasSubstr("without VNNI"), Not(HasSubstr("q_b"))));
  EXPECT_THAT(Described("pytorch-qnnpack"),
              AllOf(HasSubstr("q_b = round(fl(b * fl(1 / s_b)))"), HasSubstr("-2147483648..2147483647"),
                    HasSubstr("v = fl(fl(A + q_b) * M)"), HasSubstr("fl(1 / s_y)")));
  EXPECT_THAT(Described("generic-int8"),
              AllOf(HasSubstr("-128..127"), HasSubstr("smallest 2^k"), HasSubstr("unverified")));
}

TEST(DescribeTest, SpellsOutBothRoundingsOfTheDoubleRounding) {
  EXPECT_THAT(Described("cmsis-nn"),
              AllOf(HasSubstr("first rounding: to nearest, half up"),
                    HasSubstr("second rounding: to nearest, half away from zero"), HasSubstr("q = v + z_y"),
                    HasSubstr("a = A + q_b"), HasSubstr("-2147483647..2147483647")));
  EXPECT_THAT(Described("tflite-ruy-vector"),
              AllOf(HasSubstr("second rounding: to nearest, half up"), HasSubstr("last multiple of 8"),
                    HasSubstr("second rounding: to nearest, half away from zero")));
}

TEST(DescribeTest, OfTheOtherModes) {
  EXPECT_THAT(Described("tosa"),
              AllOf(HasSubstr("v = (a * m + round) >> (31 - sh), one rounding"), HasSubstr("limits"),
                    HasSubstr("2.32830644e-10 <= M < 536870912")));
  EXPECT_THAT(Described("tflite-int16x8-convolution"),
              AllOf(HasSubstr("r = m / 2^16 to nearest, half up, at most 32767"), HasSubstr("64 bits, wraps"),
                    HasSubstr("v = a * r / 2^(15 - sh)")));
  EXPECT_THAT(Described("tflite-reference-linear"), HasSubstr("q = round(a * M) + z_y in binary64"));
  EXPECT_THAT(Described("nnom"),
              AllOf(HasSubstr("every scale must be a power of two"), HasSubstr("v = a / 2^n by a shift"),
                    HasSubstr("half up: a shift")));
  EXPECT_THAT(Described("vitis-dpu"),
              AllOf(HasSubstr("bias = fl(q_b * s_b / (s_x * s_w[c]))"), HasSubstr("v = fl(fl(fl(A) + bias) * M)")));
  EXPECT_THAT(Described("pytorch-onednn-vnni"),
              AllOf(HasSubstr("d = fl(fl(fl(fl(A) * s_x) * s_w[c]) + b)"), HasSubstr("q = round(fl(v + z_y))"),
                    HasSubstr("stored as reciprocals")));
  EXPECT_THAT(Described("onnxruntime"), HasSubstr("where s_b < 1.0001 * 2 * |b| / (2^32 - 2), s_w[c] := that"));
}

TEST(DescribeTest, ListsDelegatesInsteadOfRules) {
  EXPECT_THAT(Described("pytorch-x86"),
              AllOf(HasSubstr("1. convolutions, symmetric weights, no output padding, at most 100 groups, on hosts with "
                              "AVX512-VNNI:"),
                    HasSubstr("2. any layer: pytorch-fbgemm"), Not(HasSubstr("accumulator")),
                    Not(HasSubstr("requantize"))));
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
