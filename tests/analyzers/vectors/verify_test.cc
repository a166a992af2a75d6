#include "analyzers/vectors/verify.h"

#include <cstdint>
#include <string>
#include <vector>

#include "analyzers/numerics/target.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/vectors/synthetic_cases.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::vectors {
namespace {

using numerics::TargetDescription;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TargetDescription Shipped(const std::string& name) {
  const auto target = numerics::FindTarget(name);
  QATGAP_EXPECT_OK(target);
  return *target;
}

Verification Verified(const TargetDescription& target, const std::vector<Case>& cases) {
  const auto verification = Verify(target, cases);
  QATGAP_EXPECT_OK(verification);
  return *verification;
}

class SyntheticTest : public ::testing::TestWithParam<const char*> {};

TEST_P(SyntheticTest, CapturesOfATargetAreReproduced) {
  const TargetDescription target = Shipped(GetParam());
  const std::vector<Case> cases = Captured(target, SyntheticCases(21));
  const Verification verification = Verified(target, cases);
  EXPECT_EQ(verification.mismatches, 0) << ToText(verification, target);
  EXPECT_EQ(verification.exact_cases, kSyntheticCases);
  EXPECT_TRUE(verification.exact());
}

// One element of one case, changed by one: that element is reported, and nothing else.
TEST_P(SyntheticTest, OneChangedElementIsFound) {
  const TargetDescription target = Shipped(GetParam());
  const std::vector<Case> good = Captured(target, SyntheticCases(21));
  for (std::size_t i = 0; i < good.size(); ++i) {
    SCOPED_TRACE(good[i].name);
    std::vector<Case> cases = good;
    graph::Tensor& output = cases[i].output_codes;
    output = graph::Tensor::Of<std::int32_t>(output.shape(), good[i].output_codes.data<std::int32_t>());
    const std::size_t at = 17 + 13 * i;
    std::int32_t& code = output.mutable_data<std::int32_t>()[at];
    const std::int32_t computed = code;
    code = computed == cases[i].output.quant_max ? computed - 1 : computed + 1;
    const Verification verification = Verified(target, cases);
    EXPECT_FALSE(verification.exact());
    EXPECT_EQ(verification.mismatches, 1);
    EXPECT_EQ(verification.exact_cases, kSyntheticCases - 1);
    for (const CaseOutcome& outcome : verification.cases) {
      if (outcome.name != good[i].name) {
        EXPECT_TRUE(outcome.exact());
        continue;
      }
      ASSERT_THAT(outcome.first, SizeIs(1));
      const Mismatch& m = outcome.first.front();
      std::int64_t flat = 0;
      for (std::size_t axis = 0; axis < m.index.size(); ++axis) flat = flat * output.dim(axis) + m.index[axis];
      EXPECT_EQ(flat, static_cast<std::int64_t>(at));
      EXPECT_EQ(m.expected, code);
      EXPECT_EQ(m.computed, computed);
      EXPECT_TRUE(m.traced);
      EXPECT_EQ(m.trace.code, computed);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, SyntheticTest,
                         ::testing::Values("pytorch-fbgemm", "pytorch-qnnpack", "onnxruntime", "generic-int8",
                                           "tflite-xnnpack", "pytorch-onednn-vnni", "tflite-ruy", "tosa"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// A = 7 * 3 = 21, b = 2.5 at s_b = 0.25 * 0.5 gives q_b = 20; A' = 41, M = 0.125 / 0.25 = 0.5, v = 20.5, even 20, z_y
// = 10.
Case OneProduct() {
  Case layer;
  layer.name = "one";
  layer.op = CaseOp::kLinear;
  layer.inputs = {{.scales = {0.25}, .zero_points = {3}, .quant_min = 0, .quant_max = 255}};
  layer.weight = {.scales = {0.5}, .zero_points = {0}, .quant_min = -128, .quant_max = 127};
  layer.output = {.scales = {0.25}, .zero_points = {10}, .quant_min = 0, .quant_max = 255};
  layer.input_codes = {graph::Tensor::Of<std::int32_t>({1, 1}, std::vector<std::int32_t>{10})};
  layer.weight_codes = graph::Tensor::Of<std::int32_t>({1, 1}, std::vector<std::int32_t>{3});
  layer.output_codes = graph::Tensor::Of<std::int32_t>({1, 1}, std::vector<std::int32_t>{31});
  layer.bias = {2.5};
  return layer;
}

TEST(VerifyTextTest, ShowsEveryStepOfAMismatch) {
  const TargetDescription target = Shipped("generic-int32");
  const Verification verification = Verified(target, {OneProduct()});
  EXPECT_EQ(ToText(verification, target), R"(generic-int32 against 1 case

  one   linear         1 elements  1 differs

one (linear): 1 differs

  output[0, 0]: the vectors say 31, the target gives 30
    A         21                sum of (x - z_x)(w - z_w)
    b         2.5               the bias as a real number
    q_b       20                the bias as it is stored: 32 bits
    A'        41                A + q_b, 32 bits, wrapping
    M         0.5               binary32 0x3f000000
    v         20.5              fl(fl(A') * M)
    rounded   20                half to even
    + z_y     30                z_y = 10
    code      30                clamped to 0..255

not exact: generic-int32 reproduces 0 of 1 case; 1 of 1 element differ
)");
}

TEST(VerifyTextTest, EveryRequantizationHasItsSteps) {
  Case layer = OneProduct();
  const auto text = [&](const std::string& name) {
    const TargetDescription target = Shipped(name);
    layer.output_codes.mutable_data<std::int32_t>()[0] = 99;
    return ToText(Verified(target, {layer}), target);
  };
  EXPECT_THAT(text("pytorch-onednn-vnni"), HasSubstr("fl(fl(fl(fl(A') * s_x) * s_w) + b)"));
  EXPECT_THAT(text("pytorch-fbgemm"), HasSubstr("1 / s_xw"));
  EXPECT_THAT(text("tosa"), HasSubstr("0x40000000, shift 0"));
  EXPECT_THAT(text("tflite-reference-linear"), HasSubstr("A' * M in binary64"));
}

TEST(VerifyTest, IntegerBiasIsTakenAndHeldAgainstTheReal) {
  const TargetDescription target = Shipped("generic-int32");
  Case layer = OneProduct();
  layer.bias_integer = {22};
  const Verification verification = Verified(target, {layer});
  // A' = 43, v = 21.5, even 22, code 32: the file's integer was used.
  const CaseOutcome& outcome = verification.cases.front();
  ASSERT_THAT(outcome.first, SizeIs(1));
  EXPECT_EQ(outcome.first.front().computed, 32);
  EXPECT_EQ(outcome.bias_mismatches, 1);
  ASSERT_THAT(outcome.first_bias, SizeIs(1));
  EXPECT_EQ(outcome.first_bias.front().expected, 22);
  EXPECT_EQ(outcome.first_bias.front().computed.stored, 20);
  EXPECT_THAT(ToText(verification, target),
              HasSubstr("bias of channel 0: bias_int.npy says 22, the target makes 20 of 2.5"));
  // Right outputs do not make up for it.
  layer.output_codes.mutable_data<std::int32_t>()[0] = 32;
  EXPECT_FALSE(Verified(target, {layer}).exact());
  layer.bias.clear();
  EXPECT_TRUE(Verified(target, {layer}).exact());
}

TEST(VerifyTest, FloatBiasTargetsTakeTheIntegerAtItsScale) {
  Case layer = OneProduct();
  layer.bias.clear();
  layer.bias_integer = {20};
  // t = 21 + 20, as above.
  EXPECT_EQ(Verified(Shipped("pytorch-fbgemm"), {layer}).cases.front().first.front().computed, 30);
}

TEST(VerifyTest, ALayerThatTheTargetRefusesIsAnOutcome) {
  Case layer = OneProduct();
  layer.weight.scales = {0.3};
  const TargetDescription target = Shipped("vitis-dpu");
  const Verification verification = Verified(target, {layer});
  EXPECT_FALSE(verification.exact());
  EXPECT_EQ(verification.mismatches, 1);
  EXPECT_THAT(verification.cases.front().refused, HasSubstr("power-of-two"));
  EXPECT_THAT(ToText(verification, target), HasSubstr("not computed: "));
}

TEST(VerifyTest, TheHostThatFitsBestIsTaken) {
  TargetDescription target = Shipped("pytorch-fbgemm");
  Case layer = OneProduct();
  layer.inputs.front().zero_points = {0};
  layer.input_codes = {graph::Tensor::Of<std::int32_t>({1, 2}, std::vector<std::int32_t>{255, 255})};
  layer.weight_codes = graph::Tensor::Of<std::int32_t>({1, 2}, std::vector<std::int32_t>{127, 127});
  layer.bias.clear();
  // 64770 and 32767 in steps of s_y = 64.
  layer.output.scales = {64};
  layer.output.zero_points = {0};
  layer.output_codes.mutable_data<std::int32_t>()[0] = 64;  // 32767 * 0.125 / 64 = 63.998
  EXPECT_EQ(Verified(target, {layer}).host, "host without VNNI");
  EXPECT_TRUE(Verified(target, {layer}).exact());
  layer.output_codes.mutable_data<std::int32_t>()[0] = 127;  // 64770 * 0.125 / 64 = 126.5
  layer.output.scales = {63.9};
  EXPECT_EQ(Verified(target, {layer}).host, "host with VNNI");
  EXPECT_TRUE(Verified(target, {layer}).exact());
  layer.host = {{"vnni", false}};
  EXPECT_EQ(Verified(target, {layer}).host, "");
  EXPECT_FALSE(Verified(target, {layer}).exact());
}

TEST(VerifyTest, NoCaseIsNotExact) {
  const Verification verification = Verified(Shipped("generic-int32"), {});
  EXPECT_FALSE(verification.exact());
  EXPECT_THAT(verification.cases, IsEmpty());
}

}  // namespace
}  // namespace qatgap::vectors
