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
              ElementsAre("cmsis-nn", "esp-dl", "ethos-u", "executorch-xnnpack", "generic-int16", "generic-int32",
                          "generic-int8", "nnom", "onnxruntime", "onnxruntime-float-bias", "pytorch-fbgemm",
                          "pytorch-onednn", "pytorch-onednn-avx2", "pytorch-onednn-reference", "pytorch-onednn-vnni",
                          "pytorch-qnnpack", "pytorch-x86", "tensorrt-float-bias", "tflite-int16x8",
                          "tflite-int16x8-convolution", "tflite-int16x8-linear", "tflite-micro", "tflite-micro-int8",
                          "tflite-reference", "tflite-reference-convolution", "tflite-reference-linear", "tflite-ruy",
                          "tflite-ruy-gemm", "tflite-ruy-vector", "tflite-xnnpack", "tosa", "vitis-dpu"));
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
  EXPECT_EQ(fbgemm->evidence.kind, EvidenceKind::kVerified);
  EXPECT_EQ(fbgemm->bias.mode, BiasMode::kFloatBeforeScale);
  EXPECT_EQ(fbgemm->bias.division, BiasDivision::kReciprocalIfPerTensor);
  EXPECT_TRUE(fbgemm->requantization.fused_multiply_add);
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
  EXPECT_LT(FindTarget(std::string(100000, 'x')).status().message().size(), 1200u);
}

struct ResolveCase {
  const char* name;
  const char* target;
  MacTraits traits;
  const char* resolved;
};

class ResolveTargetTest : public ::testing::TestWithParam<ResolveCase> {};
TEST_P(ResolveTargetTest, IsTheFirstDelegateThatFits) {
  const auto resolved = ResolveTarget(FindTarget(GetParam().target).value(), GetParam().traits);
  QATGAP_ASSERT_OK(resolved);
  EXPECT_EQ(resolved->name, GetParam().resolved);
  EXPECT_TRUE(resolved->delegates.empty());
}

constexpr MacTraits kUnevenGroups = {.groups = 8, .group_inputs = 4, .group_outputs = 6, .host_has_vnni = false};

INSTANTIATE_TEST_SUITE_P(
    Target, ResolveTargetTest,
    ::testing::Values(
        ResolveCase{"ItselfWithoutDelegates", "pytorch-qnnpack", {.linear = true}, "pytorch-qnnpack"},
        ResolveCase{"X86Vnni", "pytorch-x86", {}, "pytorch-onednn-vnni"},
        ResolveCase{"X86Avx2", "pytorch-x86", {.host_has_vnni = false}, "pytorch-fbgemm"},
        ResolveCase{"X86Linear", "pytorch-x86", {.linear = true}, "pytorch-fbgemm"},
        ResolveCase{"X86HundredGroups", "pytorch-x86", {.groups = 100}, "pytorch-onednn-vnni"},
        ResolveCase{"X86MoreGroups", "pytorch-x86", {.groups = 101}, "pytorch-fbgemm"},
        ResolveCase{"X86AsymmetricWeights", "pytorch-x86", {.symmetric_weights = false}, "pytorch-fbgemm"},
        ResolveCase{"X86OutputPadding", "pytorch-x86", {.transposed = true, .output_padding = true}, "pytorch-fbgemm"},
        ResolveCase{"OnednnAvx2", "pytorch-onednn", {.host_has_vnni = false}, "pytorch-onednn-avx2"},
        ResolveCase{"OnednnUnevenGroups", "pytorch-onednn", kUnevenGroups, "pytorch-onednn-reference"},
        ResolveCase{"OnednnEvenGroups", "pytorch-onednn",
                    {.groups = 8, .group_inputs = 4, .group_outputs = 8, .host_has_vnni = false},
                    "pytorch-onednn-avx2"},
        ResolveCase{"OnednnDepthwise", "pytorch-onednn",
                    {.depthwise = true, .groups = 8, .group_inputs = 1, .group_outputs = 1, .host_has_vnni = false},
                    "pytorch-onednn-avx2"},
        ResolveCase{"OnednnDepthwiseOfMultiplier2", "pytorch-onednn",
                    {.depthwise = true, .groups = 8, .group_inputs = 1, .group_outputs = 2, .host_has_vnni = false},
                    "pytorch-onednn-reference"},
        ResolveCase{"ReferenceLinear", "tflite-reference", {.linear = true}, "tflite-reference-linear"},
        ResolveCase{"ReferenceDepthwise", "tflite-reference", {.depthwise = true, .groups = 8},
                    "tflite-reference-convolution"},
        ResolveCase{"RuyConvolution", "tflite-ruy", {.unsigned_activations = false}, "tflite-ruy-gemm"},
        ResolveCase{"RuyGrouped", "tflite-ruy", {.groups = 2, .unsigned_activations = false},
                    "tflite-reference-convolution"},
        ResolveCase{"RuyDepthwise", "tflite-ruy",
                    {.depthwise = true, .groups = 12, .unsigned_activations = false}, "tflite-ruy-vector"},
        ResolveCase{"RuyDepthwiseUnsigned", "tflite-ruy", {.depthwise = true, .groups = 12},
                    "tflite-reference-convolution"},
        ResolveCase{"RuyTransposed", "tflite-ruy", {.transposed = true, .unsigned_activations = false},
                    "tflite-ruy-vector"},
        ResolveCase{"RuyTransposedUnsigned", "tflite-ruy", {.transposed = true}, "tflite-ruy-gemm"},
        ResolveCase{"Int16Int64Bias", "tflite-int16x8", {.unsigned_activations = false, .wide_activations = true},
                    "tflite-int16x8-convolution"},
        ResolveCase{"Int16Int32Bias", "tflite-int16x8",
                    {.unsigned_activations = false, .wide_activations = true, .bias_bits = 32},
                    "tflite-reference-convolution"},
        ResolveCase{"Int16LinearInt64Bias", "tflite-int16x8",
                    {.linear = true, .unsigned_activations = false, .wide_activations = true, .bias_bits = 64},
                    "tflite-int16x8-linear"},
        ResolveCase{"MicroInt8", "tflite-micro", {.linear = true, .unsigned_activations = false, .bias_bits = 32},
                    "tflite-micro-int8"},
        ResolveCase{"MicroInt16", "tflite-micro",
                    {.linear = true, .unsigned_activations = false, .wide_activations = true},
                    "tflite-int16x8-convolution"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(ResolveTargetTest, SaysWhatNoDelegateTakes) {
  TargetDescription target;
  target.name = "mine";
  target.delegates = {{.layers = Delegate::Layers::kLinear, .target = "generic-int8"}};
  EXPECT_THAT(ResolveTarget(target, {.transposed = true, .groups = 3, .unsigned_activations = false}),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("mine delegates a transposed convolution of 3 groups with int8 activations on a host "
                                 "with VNNI to no target")));
}

// A shipped target that takes only some layers would make an analysis fail for a reason nobody sees coming.
TEST(ResolveTargetTest, EveryShippedTargetTakesEveryLayer) {
  for (const TargetDescription& target : ShippedTargets()) {
    for (unsigned bits = 0; bits < 256; ++bits) {
      const MacTraits traits{.linear = (bits & 1U) != 0, .transposed = (bits & 2U) != 0, .depthwise = (bits & 4U) != 0,
                             .groups = (bits & 8U) != 0 ? 200 : 1, .symmetric_weights = (bits & 16U) != 0,
                             .unsigned_activations = (bits & 32U) != 0, .wide_activations = (bits & 64U) != 0,
                             .host_has_vnni = (bits & 128U) != 0};
      QATGAP_EXPECT_OK(ResolveTarget(target, traits)) << target.name << " " << bits;
    }
  }
}

}  // namespace
}  // namespace qatgap::numerics
