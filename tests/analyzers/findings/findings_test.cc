#include "analyzers/findings/findings.h"

#include <limits>
#include <optional>
#include <string>
#include <utility>

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
using ::testing::IsEmpty;
using report::Finding;
using report::Severity;

// A healthy layer of two channels, input scale 0.5, and what a target with an int32 bias makes of it.
// Each test plants one defect; every check runs, so a finding too many fails it.
class FindingsTest : public ::testing::Test {
 protected:
  FindingsTest() {
    qat.name = "conv";
    qat.weight = graph::Tensor::Of<std::int32_t>({2, 1, 1, 2}, std::vector<std::int32_t>{3, -4, 0, 5});
    qat.weight_params = PerChannel({0.25, 0.5});
    qat.bias = {1.0, -2.0};
    qat.shipped_bias = {1.0F, -2.0F};
    qat.output = PerTensor(0.5, 3);
    qat.output_channels = 2;
    deployed = qat;
    info.name = "conv";
    info.channels = 2;
    info.weights = 4;
    info.inputs = {PerTensor(0.5, 0)};
    const auto found = numerics::FindTarget("generic-int32");
    QATGAP_EXPECT_OK(found);
    if (found.ok()) target = *found;
    StoreBiases();
  }

  // What the target stores, worked out by its own library.
  void StoreBiases() {
    const auto arithmetic = numerics::LayerArithmetic::Create(target, {.input = info.inputs[0],
                                                                       .weight = deployed.weight_params,
                                                                       .output = deployed.output,
                                                                       .bias = deployed.bias,
                                                                       .activation = deployed.activation,
                                                                       .channels = 2});
    QATGAP_ASSERT_OK(arithmetic);
    result.channels.assign(2, {});
    for (std::size_t c = 0; c < 2; ++c) {
      result.channels[c].bias = arithmetic->stored_bias(static_cast<std::int64_t>(c));
      result.channels[c].multiplier = arithmetic->multiplier(static_cast<std::int64_t>(c));
    }
  }

  std::vector<Finding> All() const {
    std::vector<Finding> findings;
    const LayerFacts facts{.qat = qat, .deployed = deployed, .info = info, .converted_given = converted_given};
    CheckNotices(model.notices, findings);
    CheckPair(facts, findings);
    CheckTarget(facts, target, result, findings);
    CheckReachingInputs(facts, target, findings);
    return findings;
  }

  // The only finding, with what is common to all of a layer checked.
  Finding Only(const std::string& id, Severity severity) const {
    const std::vector<Finding> findings = All();
    EXPECT_EQ(findings.size(), 1U);
    for (const Finding& finding : findings) EXPECT_EQ(finding.id, id) << finding.detail;
    if (findings.empty()) return {};
    EXPECT_EQ(findings[0].severity, severity);
    EXPECT_EQ(findings[0].layer, "conv");
    EXPECT_FALSE(findings[0].title.empty());
    EXPECT_FALSE(findings[0].advice.empty());
    return findings[0];
  }

  graph::Graph model;
  graph::MacLayer qat, deployed;
  report::LayerInfo info;
  bool converted_given = true;
  numerics::TargetDescription target;
  report::LayerResult result;
};

TEST_F(FindingsTest, CleanLayerIsSilent) { EXPECT_THAT(All(), IsEmpty()); }

TEST_F(FindingsTest, CleanLayerWithoutBiasIsSilent) {
  for (graph::MacLayer* layer : {&qat, &deployed}) {
    layer->bias.clear();
    layer->shipped_bias.clear();
  }
  StoreBiases();
  EXPECT_THAT(All(), IsEmpty());
}

TEST_F(FindingsTest, CleanLayerIsSilentUnderEveryShippedTargetOf32Bits) {
  for (const numerics::TargetDescription& shipped : numerics::ShippedTargets()) {
    if (shipped.bias.mode == numerics::BiasMode::kInteger && shipped.bias.bits < 32) continue;
    target = shipped;
    StoreBiases();
    EXPECT_THAT(All(), IsEmpty()) << shipped.name;
  }
}

// 1 / (0.5 * 2^-33) = 2^34 = 1.718e10 steps.
TEST_F(FindingsTest, Qg001BiasSaturates) {
  qat.weight_params = deployed.weight_params = PerChannel({0x1p-33, 0.5});
  StoreBiases();
  const Finding finding = Only("QG001", Severity::kError);
  EXPECT_THAT(finding.channels, ElementsAre(0));
  EXPECT_EQ(finding.target, "generic-int32");
  EXPECT_EQ(finding.detail, "1 channel(s) need up to 1.718e+10 steps, 3.0 bits more than the 32 there are");
}

// -2 / (0.5 * 2^-28.8) is between 2^30 and 2^31.
TEST_F(FindingsTest, Qg002NoHeadroom) {
  qat.weight_params = deployed.weight_params = PerChannel({0.25, 0x1.8p-29});
  StoreBiases();
  const Finding finding = Only("QG002", Severity::kWarning);
  EXPECT_THAT(finding.channels, ElementsAre(1));
  EXPECT_EQ(finding.target, "generic-int32");
  EXPECT_THAT(finding.detail, HasSubstr("1 channel(s) store up to 1.432e+09"));
}

TEST_F(FindingsTest, Qg002IsAboutMoreThanTwoToTheThirty) {
  qat.weight_params = deployed.weight_params = PerChannel({0.25, 0x1p-28});  // exactly 2^30
  StoreBiases();
  EXPECT_THAT(All(), IsEmpty());
}

// 0.5 * 1 / 0.5 = 1.
TEST_F(FindingsTest, Qg003MultiplierOfOne) {
  qat.weight_params = deployed.weight_params = PerChannel({0.25, 1.0});
  StoreBiases();
  const Finding finding = Only("QG003", Severity::kWarning);
  EXPECT_THAT(finding.channels, ElementsAre(1));
  EXPECT_THAT(finding.detail, HasSubstr("up to M = 1 in 1 channel(s)"));
}

TEST_F(FindingsTest, Qg004DeadChannelWithBias) {
  deployed.weight = graph::Tensor::Of<std::int32_t>({2, 1, 1, 2}, std::vector<std::int32_t>{3, -4, 0, 0});
  const Finding finding = Only("QG004", Severity::kWarning);
  EXPECT_THAT(finding.channels, ElementsAre(1));
  EXPECT_THAT(finding.detail, HasSubstr("all weights of 1 channel(s) are 0"));
  EXPECT_THAT(finding.detail, HasSubstr("smallest weight scale is 0.5"));
}

TEST_F(FindingsTest, Qg004DeadIsEqualToTheZeroPoint) {
  for (graph::MacLayer* layer : {&qat, &deployed}) {
    layer->weight = graph::Tensor::Of<std::int32_t>({2, 1, 1, 2}, std::vector<std::int32_t>{0, 0, 7, 7});
    layer->weight_params.zero_points = {1, 7};
  }
  EXPECT_THAT(Only("QG004", Severity::kWarning).channels, ElementsAre(1));
}

TEST_F(FindingsTest, DeadChannelWithoutBiasIsSilent) {
  deployed.weight = graph::Tensor::Of<std::int32_t>({2, 1, 1, 2}, std::vector<std::int32_t>{3, -4, 0, 0});
  for (graph::MacLayer* layer : {&qat, &deployed}) {
    layer->bias = {1.0, 0.0};
    layer->shipped_bias = {1.0F, 0.0F};
  }
  StoreBiases();
  EXPECT_THAT(All(), IsEmpty());
}

TEST_F(FindingsTest, Qg005ObserverFrozen) {
  model.notices = {{graph::NoticeKind::kObserverFrozen, "conv", "range 0..6 frozen"}};
  EXPECT_EQ(Only("QG005", Severity::kWarning).detail, "range 0..6 frozen");
}

TEST_F(FindingsTest, Qg006FakeQuantDisabled) {
  model.notices = {{graph::NoticeKind::kFakeQuantDisabled, "conv", "values pass unrounded"}};
  EXPECT_EQ(Only("QG006", Severity::kWarning).detail, "values pass unrounded");
}

TEST_F(FindingsTest, Qg007WeightCodesDiffer) {
  info.weight_codes_changed = 3;
  EXPECT_EQ(Only("QG007", Severity::kInfo).detail, "3 of 4 weight codes; QAT scale 0.25, converted scale 0.25 (channel 0)");
}

TEST_F(FindingsTest, Qg008NarrowerRangeInTraining) {
  qat.output = PerTensor(0.5, 3, 0, 127);
  EXPECT_THAT(Only("QG008", Severity::kInfo).detail, HasSubstr("codes 0..127 in training, 0..255 when deployed"));
}

TEST_F(FindingsTest, Qg009InputOffGrid) {
  info.input_off_grid = true;
  Only("QG009", Severity::kInfo);
}

TEST_F(FindingsTest, Qg010SeveralInputScales) {
  info.inputs = {PerTensor(0.5, 0), PerTensor(0.125, 4)};
  const Finding finding = Only("QG010", Severity::kWarning);
  EXPECT_EQ(finding.target, "generic-int32");
  EXPECT_THAT(finding.detail, HasSubstr("2 input scales from 0.125 to 0.5"));
  EXPECT_THAT(finding.detail, HasSubstr("by a factor of up to 4 "));
}

TEST_F(FindingsTest, InputsOfOneScaleOrAFloatBiasAreServed) {
  info.inputs = {PerTensor(0.5, 0), PerTensor(0.5, 4)};
  EXPECT_THAT(All(), IsEmpty());
  info.inputs = {PerTensor(0.5, 0), PerTensor(0.125, 4)};
  target.bias.mode = numerics::BiasMode::kFloatBeforeScale;
  EXPECT_THAT(All(), IsEmpty());
}

TEST_F(FindingsTest, Qg011OutputScaleDiffers) {
  qat.output = PerTensor(0.25, 3);
  EXPECT_EQ(Only("QG011", Severity::kWarning).detail,
            "QAT: scale 0.25, zero point 3; converted: scale 0.5, zero point 3");
}

TEST_F(FindingsTest, Qg011OutputZeroPointDiffers) {
  qat.output = PerTensor(0.5, 4);
  EXPECT_THAT(Only("QG011", Severity::kWarning).detail, HasSubstr("zero point 4; converted: scale 0.5, zero point 3"));
}

// The bias 1000 in 8 bits at a step of its own, 2^3: 1003 is stored as 125 * 8 = 1000, 3 / 0.5 = 6 codes off.
TEST_F(FindingsTest, Qg012CoarseBias) {
  for (graph::MacLayer* layer : {&qat, &deployed}) {
    layer->bias = {1003.0, 8.0};
    layer->shipped_bias = {1003.0F, 8.0F};
  }
  target.bias.bits = 8;
  target.bias.scale = numerics::BiasScale::kOwnPowerOfTwo;
  StoreBiases();
  const Finding finding = Only("QG012", Severity::kWarning);
  EXPECT_THAT(finding.channels, ElementsAre(0));
  EXPECT_THAT(finding.detail, HasSubstr("in 1 channel(s) rounding the bias moves the output by up to 6 codes"));
}

// (1.5 - 1) / 0.5 = 1 step.
TEST_F(FindingsTest, Qg013BiasDiffers) {
  deployed.shipped_bias[0] = 1.5F;
  const Finding finding = Only("QG013", Severity::kError);
  EXPECT_THAT(finding.channels, ElementsAre(0));
  EXPECT_THAT(finding.detail, HasSubstr("in 1 channel(s)"));
  EXPECT_THAT(finding.detail, HasSubstr("at most by 1 steps"));
}

TEST_F(FindingsTest, Qg013MissingBiasIsABiasOfZero) {
  deployed.shipped_bias.clear();
  const Finding finding = Only("QG013", Severity::kError);
  EXPECT_THAT(finding.channels, ElementsAre(0, 1));
  EXPECT_THAT(finding.detail, HasSubstr("at most by 4 steps"));
}

TEST_F(FindingsTest, Qg013NaNDiffers) {
  deployed.shipped_bias[1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(Only("QG013", Severity::kError).channels, ElementsAre(1));
}

TEST_F(FindingsTest, HalfAStepOrNoConvertedModelIsSilent) {
  deployed.shipped_bias[0] = 1.25F;
  EXPECT_THAT(All(), IsEmpty());
  deployed.shipped_bias[0] = 100.0F;
  converted_given = false;
  EXPECT_THAT(All(), IsEmpty());
}

}  // namespace
}  // namespace qatgap::findings
