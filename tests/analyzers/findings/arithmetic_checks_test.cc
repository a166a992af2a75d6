#include "analyzers/findings/arithmetic_checks.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "analyzers/findings/bias_bound.h"
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
            .weight = layer.weight_params,
            .output = layer.output,
            .bias = {layer.shipped_bias.begin(), layer.shipped_bias.end()},
            .channels = 2};
  }

  std::vector<Finding> Run() const {
    std::vector<Finding> findings;
    const LayerFacts facts{layer, layer, info, true};
    const auto arithmetic = numerics::LayerArithmetic::Create(target, Constants());
    if (!arithmetic.ok()) {
      CheckRefusal(facts, target, arithmetic.status(), findings);
      return findings;
    }
    report::LayerResult result;
    result.channels.resize(2);
    for (std::size_t c = 0; c < 2; ++c) {
      result.channels[c].bias = arithmetic->stored_bias(static_cast<std::int64_t>(c));
      result.channels[c].multiplier = arithmetic->multiplier(static_cast<std::int64_t>(c));
    }
    CheckArithmetic(facts, target, result, findings);
    return findings;
  }

  std::vector<std::string> Ids() const {
    std::vector<std::string> ids;
    for (const Finding& finding : Run()) ids.push_back(finding.id);
    return ids;
  }
};

TEST(AccumulatorIntervalsTest, AreTheReachableExtremes) {
  // Codes 0..255, z_x = 10: x - z_x is -10..245. Channel 0: 3 and -4.
  const Planted planted;
  const auto intervals = AccumulatorIntervals(planted.layer, planted.info.inputs[0]);
  EXPECT_EQ(intervals[0].min, 3 * -10 + -4 * 245);
  EXPECT_EQ(intervals[0].max, 3 * 245 + -4 * -10);
  EXPECT_EQ(intervals[1].min, 105 * -10);
  EXPECT_EQ(intervals[1].max, 105 * 245);
}

TEST(ArithmeticChecksTest, AHealthyLayerIsSilent) { EXPECT_THAT(Planted().Ids(), ::testing::IsEmpty()); }

TEST(ArithmeticChecksTest, Qg014SumCanWrap) {
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

TEST(ArithmeticChecksTest, Qg015BiasRoundingMovesCodes) {
  // b / s_b = 8.5: half a step of 0.125 is an eighth of s_y = 0.5.
  Planted planted;
  planted.layer.shipped_bias = {8.5F * 0.125F, -2.0F};
  EXPECT_THAT(planted.Ids(), ElementsAre("QG015"));
  EXPECT_THAT(planted.Run()[0].detail, HasSubstr("by up to 0.125 of a code"));
}

TEST(ArithmeticChecksTest, Qg016TinyWeightScale) {
  Planted planted;
  planted.layer.weight_params = PerChannel({0x1p-23, 0.5});
  planted.layer.shipped_bias = {0.0F, -2.0F};
  EXPECT_THAT(planted.Ids(), ElementsAre("QG016"));
  EXPECT_THAT(planted.Run()[0].channels, ElementsAre(0));
}

TEST(ArithmeticChecksTest, Qg017ScaleSpread) {
  Planted planted;
  planted.layer.weight_params = PerChannel({0x1p-12, 0.5});
  planted.layer.shipped_bias = {0.0F, -2.0F};
  EXPECT_THAT(planted.Ids(), ElementsAre("QG017"));
  EXPECT_THAT(planted.Run()[0].detail, HasSubstr("11.0 bits less headroom"));
}

TEST(ArithmeticChecksTest, Qg018MultiplierBecomesZero) {
  Planted planted;
  planted.target = numerics::FindTarget("tosa").value();
  planted.layer.output = PerTensor(0x1p31, 3);
  planted.layer.shipped_bias = {0.0F, 0.0F};
  EXPECT_THAT(planted.Ids(), ElementsAre("QG018"));
}

TEST(ArithmeticChecksTest, Qg018MultiplierOutOfRangeIsRefused) {
  Planted planted;
  planted.target.requantization.multiplier_max = 0.3;
  EXPECT_THAT(planted.Ids(), ElementsAre("QG018"));
}

TEST(ArithmeticChecksTest, Qg019CoarseMultiplier) {
  // 15 bits of 0.75 * (1 + 2^-16): up to 2^-17 relative, of 16-bit codes a quarter and more.
  Planted planted;
  planted.target.requantization.mode = numerics::RequantMode::kQ15;
  planted.target.requantization.multiplier = numerics::MultiplierForm::kDouble;
  planted.layer.output = {.scales = {0.25}, .zero_points = {0}, .quant_min = -32768, .quant_max = 32767};
  planted.info.inputs[0] = {.scales = {0.5}, .zero_points = {0}, .quant_min = -32768, .quant_max = 32767};
  planted.layer.weight_params = PerChannel({0.25 * (1 + 0x1p-15), 0.5});
  EXPECT_THAT(planted.Ids(), ElementsAre("QG019"));
  EXPECT_THAT(planted.Run()[0].channels, ElementsAre(0));
}

TEST(ArithmeticChecksTest, Qg020PowerOfTwoScales) {
  Planted planted;
  planted.target = numerics::FindTarget("vitis-dpu").value();
  planted.layer.output = PerTensor(0.3, 3);
  EXPECT_THAT(planted.Ids(), ElementsAre("QG020"));
}

TEST(ArithmeticChecksTest, Qg021Int16Pairs) {
  Planted planted;
  planted.target = numerics::FindTarget("pytorch-fbgemm").value();
  EXPECT_THAT(planted.Ids(), ::testing::IsEmpty()) << "100 * 255 + 5 * 255 = 26775 fits";
  planted.layer.weight = graph::Tensor::Of<std::int32_t>({2, 2, 1, 1}, std::vector<std::int32_t>{3, -4, 100, 29});
  EXPECT_THAT(planted.Ids(), ElementsAre("QG021")) << "129 * 255 = 32895";
  EXPECT_THAT(planted.Run()[0].channels, ElementsAre(1));
  planted.info.inputs[0].quant_max = 127;
  EXPECT_THAT(planted.Ids(), ::testing::IsEmpty());
}

TEST(ArithmeticChecksTest, Qg022AnyOtherRefusal) {
  Planted planted;
  planted.target.bias.overflow = numerics::BiasOverflow::kRefuse;
  planted.target.bias.bits = 4;
  planted.layer.shipped_bias = {100.0F, 0.0F};
  EXPECT_THAT(planted.Ids(), ElementsAre("QG022"));
  EXPECT_THAT(planted.Run()[0].detail, HasSubstr("4 bits"));
}

// RNE(v + d) against RNE(v) for every v on a fine grid: never beyond the bound, and the bound is reached.
TEST(BiasBoundTest, IsNeverExceededAndIsReached) {
  for (const double d : {0.001, 0.25, 0.5, 0.6, 1.0, 1.5, 2.7, 3.0, 17.25}) {
    const numerics::StoredBias bias{.real = 0, .scale = 0.5, .rounded = 2 * d, .stored = 0};
    const BiasRoundingBound bound = BoundBiasRounding(bias, 1.0);
    EXPECT_EQ(bound.displacement_lsb, d);
    std::int64_t largest = 0;
    for (int i = -4096; i <= 4096; ++i) {
      const double v = i / 256.0;
      largest = std::max(largest, static_cast<std::int64_t>(std::abs(std::nearbyint(v + d) - std::nearbyint(v))));
    }
    EXPECT_LE(largest, bound.codes) << d;
    if (d >= 0.25) {
      EXPECT_EQ(largest, bound.codes) << d;
    }
  }
  EXPECT_EQ(BoundBiasRounding({.real = 3, .scale = 0.5, .rounded = 6}, 1.0).codes, 0) << "nothing was rounded";
  EXPECT_EQ(BoundBiasRounding({.real = 3}, 1.0).codes, 0) << "a float bias";
}

}  // namespace
}  // namespace qatgap::findings
