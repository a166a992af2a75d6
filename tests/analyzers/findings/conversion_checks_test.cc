// QG024 to QG029: what a converted model's constants should be, and where the models came from.
#include "analyzers/findings/conversion_checks.h"

#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/graph_builder.h"

namespace qatgap::findings {
namespace {

using ::qatgap::testing::PerChannel;
using ::qatgap::testing::PerTensor;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using report::Finding;

// Two channels, input scale 0.5, weight scales 0.25 and 0.5: the bias is stored in steps of 0.125 and 0.25.
class ConversionChecksTest : public ::testing::Test {
 protected:
  ConversionChecksTest() {
    lowered.name = "conv";
    lowered.weight = graph::Tensor::Of<std::int32_t>({2, 1, 1, 2}, std::vector<std::int32_t>{3, -4, 0, 5});
    lowered.weight_params = PerChannel({0.25, 0.5});
    lowered.bias = {1.0, -2.0};
    lowered.shipped_bias = {1.0F, -2.0F};
    lowered.output = PerTensor(0.5, 130);
    lowered.output_channels = 2;
    lowered.input_grids = {PerTensor(0.5, 0)};
    deployed = qat = lowered;
    info.name = "conv";
    info.inputs = deployed.input_grids;
  }

  std::vector<Finding> All(bool weights_lowered = true) const {
    std::vector<Finding> findings;
    const LayerFacts facts{.qat = qat, .deployed = deployed, .info = info, .converted_given = true, .lowered = &lowered,
                           .weights_lowered = weights_lowered};
    CheckConversion(facts, findings);
    CheckStoredIntegers(facts, findings);
    return findings;
  }

  std::string OnlyDetail(const std::string& id) const {
    const std::vector<Finding> findings = All();
    EXPECT_EQ(findings.size(), 1U);
    if (findings.size() != 1) return "";
    EXPECT_EQ(findings[0].id, id);
    EXPECT_EQ(findings[0].layer, "conv");
    EXPECT_FALSE(findings[0].advice.empty());
    return findings[0].detail;
  }

  graph::MacLayer qat, lowered, deployed;
  report::LayerInfo info;
};

TEST_F(ConversionChecksTest, ModelThatConvertMadeIsSilent) { EXPECT_THAT(All(), IsEmpty()); }

TEST_F(ConversionChecksTest, Qg024NamesWeights) {
  deployed.weight = graph::Tensor::Of<std::int32_t>({2, 1, 1, 2}, std::vector<std::int32_t>{3, -4, 2, 4});
  deployed.weight_params = PerChannel({0.25, 0.75});
  deployed.weight_params.zero_points[0] = 1;
  EXPECT_EQ(OnlyDetail("QG024"), "weight scales of 1 channel(s), by up to 50 %; weight zero points of 1 channel(s); "
                                 "2 of 4 weight codes, by up to 2");
}

TEST_F(ConversionChecksTest, Qg024LeavesOutWeightsOfUnknownOrigin) {
  deployed.weight_params = PerChannel({0.25, 0.75});
  EXPECT_THAT(All(/*weights_lowered=*/false), IsEmpty());
}

// One unit in the last place is a difference: the comparison is bit for bit.
TEST_F(ConversionChecksTest, Qg024NamesBiases) {
  deployed.shipped_bias[1] = -2.0F - 0x1p-22F;
  EXPECT_EQ(OnlyDetail("QG024"), "biases of 1 channel(s), by up to 4.77e-07 output steps");
  deployed.shipped_bias.clear();
  EXPECT_EQ(OnlyDetail("QG024"), "biases of 2 channel(s), by up to 4 output steps");
}

TEST_F(ConversionChecksTest, Qg024NamesGrids) {
  deployed.output = PerTensor(0.25, 3);
  deployed.input_grids = {PerTensor(0.5, 0, 0, 127)};
  EXPECT_EQ(OnlyDetail("QG024"), "output scale 0.25 instead of 0.5; output zero point 3 of 0..255 instead of 130 of 0..255; "
                                 "input codes 0..127 instead of 0..255");
}

TEST_F(ConversionChecksTest, Qg024IsBitForBitWhereTheRangesAreKnown) {
  deployed.output = PerTensor(0.5 + 0x1p-24, 130);
  EXPECT_THAT(OnlyDetail("QG024"), ::testing::HasSubstr("output scale"));
  EXPECT_THAT(All(/*weights_lowered=*/false), IsEmpty());
}

TEST_F(ConversionChecksTest, SignedTwinOfAnUnsignedGridIsEqual) {
  deployed.output = PerTensor(0.5, 2, -128, 127);
  deployed.input_grids = {PerTensor(0.5, -128, -128, 127)};
  EXPECT_THAT(All(), IsEmpty());
}

TEST_F(ConversionChecksTest, NothingToCompareWithoutALowering) {
  deployed.output = PerTensor(0.25, 3);
  std::vector<Finding> findings;
  CheckConversion({.qat = qat, .deployed = deployed, .info = info, .converted_given = true}, findings);
  EXPECT_THAT(findings, IsEmpty());
}

TEST_F(ConversionChecksTest, StoredBiasThatIsRoundedIsSilent) {
  deployed.stored_bias = {8, -8};
  deployed.stored_bias_scales = {0.125, 0.25};
  EXPECT_THAT(All(), IsEmpty());
  qat.bias = {1.0625, -2.124};  // 8.5 steps may go either way
  EXPECT_THAT(All(), IsEmpty());
  deployed.stored_bias = {9, -8};
  EXPECT_THAT(All(), IsEmpty());
}

TEST_F(ConversionChecksTest, Qg025StoredBiasIsAnother) {
  deployed.stored_bias = {8, -12};
  deployed.stored_bias_scales = {0.125, 0.25};
  const std::vector<Finding> findings = All();
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].id, "QG025");
  EXPECT_EQ(findings[0].severity, report::Severity::kWarning);
  EXPECT_THAT(findings[0].channels, ElementsAre(1));
  EXPECT_EQ(findings[0].detail, "in 1 channel(s) the stored integer is not round(b / (s_x * s_w)), by up to 4 steps, which is "
                                "2 steps of the output");
}

// 2^30 steps: the quotient of two binary32 numbers is known to some 2^8 steps, not to half a step.
TEST_F(ConversionChecksTest, Qg025AllowsForTheRoundingOfTheQuotient) {
  qat.bias = lowered.bias = {0x1p27, -2.0};
  lowered.shipped_bias = deployed.shipped_bias = {0x1p27F, -2.0F};
  deployed.stored_bias = {(1 << 30) + 200, -8};
  deployed.stored_bias_scales = {0.125, 0.25};
  EXPECT_THAT(All(), IsEmpty());
  deployed.stored_bias = {(1 << 30) + 300, -8};
  EXPECT_THAT(OnlyDetail("QG025"), ::testing::HasSubstr("by up to 300 steps"));
}

TEST_F(ConversionChecksTest, Qg025CountsABiasThatTheModelLacks) {
  qat.bias.clear();
  lowered.shipped_bias.clear();
  deployed.stored_bias = {0, 1};
  deployed.stored_bias_scales = {0.125, 0.25};
  EXPECT_THAT(OnlyDetail("QG025"), ::testing::HasSubstr("in 1 channel(s)"));
}

TEST_F(ConversionChecksTest, Qg026StoredBiasHasAScaleOfItsOwn) {
  deployed.stored_bias = {8, -8};
  deployed.stored_bias_scales = {0.125, 0.125};
  EXPECT_THAT(OnlyDetail("QG026"), ::testing::HasSubstr("in 1 channel(s) the stored bias has not the scale s_x * s_w, by a "
                                                        "factor of up to 2"));
}

TEST_F(ConversionChecksTest, Qg024ComparesStoredWithStored) {
  lowered.stored_bias = {8, -8};
  deployed.stored_bias = {8, -7};
  lowered.stored_bias_scales = deployed.stored_bias_scales = {0.125, 0.25};
  qat.bias = {1.0, -1.875};  // half way: QG025 is silent
  EXPECT_EQ(OnlyDetail("QG024"), "stored biases of 1 channel(s), by up to 1");
}

struct NoticeCase {
  graph::NoticeKind kind;
  const char* id;
};
class NoticeTest : public ::testing::TestWithParam<NoticeCase> {};

TEST_P(NoticeTest, BecomesAFinding) {
  const graph::Notice notice{GetParam().kind, "layer1", "what happened"};
  std::vector<Finding> findings;
  CheckNotices({&notice, 1}, findings);
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].id, GetParam().id);
  EXPECT_EQ(findings[0].layer, "layer1");
  EXPECT_EQ(findings[0].detail, "what happened");
  EXPECT_FALSE(findings[0].advice.empty());
}

INSTANTIATE_TEST_SUITE_P(Kinds, NoticeTest,
                         ::testing::Values(NoticeCase{graph::NoticeKind::kObserverFrozen, "QG005"},
                                           NoticeCase{graph::NoticeKind::kFakeQuantDisabled, "QG006"},
                                           NoticeCase{graph::NoticeKind::kTwinRebuilt, "QG027"},
                                           NoticeCase{graph::NoticeKind::kFloatBiases, "QG027"},
                                           NoticeCase{graph::NoticeKind::kWeightsKept, "QG028"},
                                           NoticeCase{graph::NoticeKind::kPairedByOrder, "QG029"}),
                         [](const auto& test) {
                           return std::string(test.param.id) + "_" + std::to_string(static_cast<int>(test.param.kind));
                         });

}  // namespace
}  // namespace qatgap::findings
