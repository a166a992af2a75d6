// CheckTarget and CheckRefusal: the findings that need a target's arithmetic.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analyzers/findings/findings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/graph_builder.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::findings {
namespace {

using ::qatgap::testing::PerChannel;
using ::qatgap::testing::PerTensor;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using report::Finding;

// A convolution of one input channel pair, two output channels.
struct Planted {
  graph::MacLayer layer;
  std::optional<graph::MacLayer> adjusted;
  report::LayerInfo info;
  numerics::TargetDescription target = numerics::FindTarget("generic-int32").value();

  Planted() {
    layer.name = "conv";
    layer.weight = graph::Tensor::Of<std::int32_t>({2, 2, 1, 1}, std::vector<std::int32_t>{3, -4, 100, 5});
    layer.weight_params = PerChannel({0.25, 0.5});
    layer.shipped_bias = {1.0F, -2.0F};
    layer.output = PerTensor(0.5, 3);
    layer.output_channels = 2;
    info.name = "conv";
    info.inputs = {PerTensor(0.5, 10)};
  }

  numerics::MacConstants Constants() const {
    return {.input = info.inputs[0],
            .weight = adjusted ? adjusted->weight_params : layer.weight_params,
            .output = layer.output,
            .bias = {layer.shipped_bias.begin(), layer.shipped_bias.end()},
            .channels = 2};
  }

  // Every check runs, so that a finding too many fails the test.
  std::vector<Finding> Run() const {
    graph::MacLayer qat = layer;
    qat.bias.assign(layer.shipped_bias.begin(), layer.shipped_bias.end());
    const LayerFacts facts{qat, layer, info, true, adjusted ? &*adjusted : nullptr};
    std::vector<Finding> findings;
    CheckPair(facts, findings);
    CheckReachingInputs(facts, target, findings);
    const auto arithmetic = numerics::LayerArithmetic::Create(target, Constants());
    if (!arithmetic.ok()) {
      CheckRefusal(facts, target, info.inputs[0], arithmetic.status(), findings);
      return findings;
    }
    report::LayerResult result;
    result.channels.resize(2);
    for (std::size_t c = 0; c < 2; ++c) {
      result.channels[c].bias = arithmetic->stored_bias(static_cast<std::int64_t>(c));
      result.channels[c].multiplier = arithmetic->multiplier(static_cast<std::int64_t>(c));
    }
    CheckTarget(facts, target, result, findings);
    return findings;
  }

  std::vector<std::string> Ids() const {
    std::vector<std::string> ids;
    for (const Finding& finding : Run()) ids.push_back(finding.id);
    return ids;
  }
};

TEST(TargetChecksTest, AHealthyLayerIsSilent) { EXPECT_THAT(Planted().Ids(), ::testing::IsEmpty()); }

TEST(TargetChecksTest, Qg014SumCanWrap) {
  // Channel 1 reaches 25725 above its bias: 2^31 - 1 - 25725 is the last bias that cannot wrap.
  Planted planted;
  planted.target.bias.bits = 40;
  planted.target.bias.division = numerics::BiasDivision::kDivideDouble;
  planted.layer.output = PerTensor(0x1p20, 3);
  planted.layer.shipped_bias = {1.0F, 0x1p29F};  // 2^31 steps of 0.25
  EXPECT_THAT(planted.Ids(), ElementsAre("QG014"));
  EXPECT_THAT(planted.Run()[0].channels, ElementsAre(1));
  EXPECT_THAT(planted.Run()[0].detail, HasSubstr("outside the accumulator's 32 bits"));
  planted.layer.shipped_bias = {1.0F, 0x1p28F};
  EXPECT_THAT(planted.Ids(), ::testing::IsEmpty());
}

// An int8 bias at a step of its own, 2^23, is small where it is stored and 2^31 where it is added.
TEST(TargetChecksTest, Qg014CountsTheBiasAsItIsAdded) {
  Planted planted;
  planted.target = numerics::FindTarget("generic-int8").value();
  planted.layer.output = PerTensor(0x1p20, 3);
  planted.layer.shipped_bias = {1.0F, 0x1p29F};
  EXPECT_THAT(planted.Ids(), ElementsAre("QG014"));
  EXPECT_THAT(planted.Run()[0].channels, ElementsAre(1));
  planted.layer.shipped_bias = {1.0F, 0x1p28F};
  EXPECT_THAT(planted.Ids(), ::testing::IsEmpty());
}

TEST(TargetChecksTest, Qg014IsExact) {
  // Channel 1: A <= 105 * 245 = 25725. Biases are exact in binary32 up to 2^24 steps, so the accumulator is narrow here.
  Planted planted;
  planted.target.accumulator.bits = 24;
  planted.layer.output = PerTensor(0x1p20, 3);
  planted.layer.shipped_bias = {1.0F, 0.25F * (8388607 - 25725)};
  EXPECT_THAT(planted.Ids(), ElementsAre("QG002")) << "the largest sum is 2^23 - 1";
  planted.layer.shipped_bias = {1.0F, 0.25F * (8388607 - 25724)};
  EXPECT_THAT(planted.Ids(), ElementsAre("QG014")) << "and here 2^23";
  EXPECT_THAT(planted.Run()[0].detail, HasSubstr("reaches a sum of 8.38861e+06"));
  planted.target.accumulator.overflow = numerics::AccumulatorOverflow::kSaturate;
  EXPECT_THAT(planted.Run()[0].detail, HasSubstr("which saturates from 1 of the largest products on"));
}

// Without an integer bias the products alone can leave the accumulator: 2^23 * 256.
TEST(TargetChecksTest, Qg014OfAFloatBiasIsAboutTheProducts) {
  Planted planted;
  planted.target = numerics::FindTarget("pytorch-fbgemm").value();
  planted.target.accumulator.int16_pairs = numerics::Int16Pairs::kNever;
  planted.info.inputs[0] = PerTensor(0.5, 0, 0, 256);
  planted.layer.weight = graph::Tensor::Of<std::int32_t>({2, 2, 1, 1}, std::vector<std::int32_t>{3, -4, 1 << 23, 0});
  EXPECT_THAT(planted.Ids(), ElementsAre("QG014"));
  planted.layer.weight =
      graph::Tensor::Of<std::int32_t>({2, 2, 1, 1}, std::vector<std::int32_t>{3, -4, (1 << 23) - 1, 0});
  EXPECT_THAT(planted.Ids(), ::testing::IsEmpty());
}

// 20000 steps of 0.25 in 16 bits: log2(32767 / 20000) = 0.71.
TEST(TargetChecksTest, Qg002HeadroomOfANarrowBias) {
  Planted planted;
  planted.target = numerics::FindTarget("generic-int16").value();
  planted.layer.output = PerTensor(0x1p20, 3);
  planted.layer.shipped_bias = {1.0F, -5000.0F};
  EXPECT_THAT(planted.Ids(), ElementsAre("QG002"));
  EXPECT_THAT(planted.Run()[0].detail, HasSubstr("beyond 2^14: 0.71 bits of headroom are left in 16 bits"));
  planted.layer.shipped_bias = {1.0F, -4096.0F};
  EXPECT_THAT(planted.Ids(), ::testing::IsEmpty());
}

TEST(TargetChecksTest, Qg015BiasRoundingMovesCodes) {
  // b / s_b = 8.5: half a step of 0.125 is an eighth of s_y = 0.5.
  Planted planted;
  planted.layer.shipped_bias = {8.5F * 0.125F, -2.0F};
  EXPECT_THAT(planted.Ids(), ElementsAre("QG015"));
  EXPECT_THAT(planted.Run()[0].detail, HasSubstr("by up to 0.125 of a code"));
}

TEST(TargetChecksTest, Qg016TinyWeightScale) {
  Planted planted;
  planted.layer.weight_params = PerChannel({0x1p-23, 0.5});
  planted.layer.shipped_bias = {0.0F, -2.0F};
  EXPECT_THAT(planted.Ids(), ElementsAre("QG016"));
  EXPECT_THAT(planted.Run()[0].channels, ElementsAre(0));
}

TEST(TargetChecksTest, Qg017ScaleSpread) {
  Planted planted;
  planted.layer.weight_params = PerChannel({0x1p-12, 0.5});
  planted.layer.shipped_bias = {0.0F, -2.0F};
  EXPECT_THAT(planted.Ids(), ElementsAre("QG017"));
  EXPECT_THAT(planted.Run()[0].detail, HasSubstr("11.0 bits less headroom"));
}

TEST(TargetChecksTest, Qg018MultiplierBecomesZero) {
  Planted planted;
  planted.target = numerics::FindTarget("tosa").value();
  planted.layer.output = PerTensor(0x1p31, 3);
  planted.layer.shipped_bias = {0.0F, 0.0F};
  EXPECT_THAT(planted.Ids(), ElementsAre("QG018"));
}

TEST(TargetChecksTest, Qg018MultiplierOutOfRangeIsRefused) {
  Planted planted;
  planted.target.requantization.multiplier_max = 0.3;
  EXPECT_THAT(planted.Ids(), ElementsAre("QG018"));
  EXPECT_THAT(planted.Run()[0].channels, ElementsAre(1)) << "M is 0.25 and 0.5";
}

TEST(TargetChecksTest, Qg019CoarseMultiplier) {
  // 15 bits of 0.75 * (1 + 2^-16): up to 2^-17 relative, of 16-bit codes a quarter and more.
  Planted planted;
  planted.target.requantization.mode = numerics::RequantMode::kQ15;
  planted.target.requantization.multiplier = numerics::MultiplierForm::kDouble;
  planted.layer.output = {.scales = {0.25}, .zero_points = {0}, .quant_min = -32768, .quant_max = 32767};
  planted.info.inputs[0] = {.scales = {0.5}, .zero_points = {0}, .quant_min = -32768, .quant_max = 32767};
  planted.layer.weight_params = PerChannel({0.25 * (1 + 0x1p-15), 0.25});
  EXPECT_THAT(planted.Ids(), ElementsAre("QG019"));
  EXPECT_THAT(planted.Run()[0].channels, ElementsAre(0));
}

TEST(TargetChecksTest, Qg020PowerOfTwoScales) {
  Planted planted;
  planted.target = numerics::FindTarget("vitis-dpu").value();
  planted.layer.output = PerTensor(0.3, 3);
  EXPECT_THAT(planted.Ids(), ElementsAre("QG020"));
  EXPECT_THAT(planted.Run()[0].channels, ::testing::IsEmpty()) << "the output is at fault";
  EXPECT_THAT(planted.Run()[0].detail, HasSubstr("the output scale is 0.3"));
  planted.layer.output = PerTensor(0.5, 3);
  planted.layer.weight_params = PerChannel({0.25, 0.3});
  EXPECT_THAT(planted.Run()[0].channels, ElementsAre(1));
}

TEST(TargetChecksTest, Qg021Int16Pairs) {
  Planted planted;
  planted.target = numerics::FindTarget("pytorch-fbgemm").value();
  EXPECT_THAT(planted.Ids(), ::testing::IsEmpty()) << "100 * 255 + 5 * 255 = 26775 fits";
  planted.layer.weight = graph::Tensor::Of<std::int32_t>({2, 2, 1, 1}, std::vector<std::int32_t>{3, -4, 100, 29});
  EXPECT_THAT(planted.Ids(), ElementsAre("QG021")) << "129 * 255 = 32895";
  EXPECT_THAT(planted.Run()[0].channels, ElementsAre(1));
  planted.info.inputs[0].quant_max = 127;
  EXPECT_THAT(planted.Ids(), ::testing::IsEmpty());
}

TEST(TargetChecksTest, Qg022AnyOtherRefusal) {
  Planted planted;
  planted.target.bias.overflow = numerics::BiasOverflow::kRefuse;
  planted.target.bias.bits = 4;
  planted.layer.shipped_bias = {100.0F, 0.0F};
  EXPECT_THAT(planted.Ids(), ElementsAre("QG022"));
  EXPECT_THAT(planted.Run()[0].detail, HasSubstr("4 bits"));
}

// Channel 0's bias needs 2^31 steps of 2^-32 * 0.5; at a scale 8 times as large they fit.
TEST(TargetChecksTest, Qg023WeightsAreAdjusted) {
  Planted planted;
  planted.target.bias.overflow = numerics::BiasOverflow::kAdjustWeights;
  planted.layer.weight_params = PerChannel({0x1p-30, 0.5});
  planted.adjusted = planted.layer;
  planted.adjusted->weight_params = PerChannel({0x1p-27, 0.5});
  planted.adjusted->weight = graph::Tensor::Of<std::int32_t>({2, 2, 1, 1}, std::vector<std::int32_t>{0, 0, 100, 5});
  EXPECT_THAT(planted.Ids(), ElementsAre("QG023"));
  EXPECT_THAT(planted.Run()[0].channels, ElementsAre(0));
  EXPECT_THAT(planted.Run()[0].detail, HasSubstr("by a factor of up to 8, and their weights are rounded to it: 3.0 bits"));
}

}  // namespace
}  // namespace qatgap::findings
