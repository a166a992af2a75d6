// QG030 to QG032: whose weights the deployed channels have.
#include "analyzers/findings/weight_identity.h"

#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/graph_builder.h"

namespace qatgap::findings {
namespace {

using ::qatgap::testing::PerChannel;
using ::qatgap::testing::PerTensor;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using report::Finding;

// Four channels of three weights that are orthogonal or nearly so.
class WeightIdentityTest : public ::testing::Test {
 protected:
  WeightIdentityTest() {
    qat.name = "fc";
    qat.kind = graph::OpKind::kLinear;
    qat.weight = Weights({100, 0, 0, 0, 90, 0, 0, 0, 80, 70, -70, 0});
    qat.weight_params = PerChannel({0.1, 0.2, 0.3, 0.4});
    qat.bias = {0, 0, 0, 0};
    qat.shipped_bias = {0, 0, 0, 0};
    qat.output = PerTensor(0.5, 0);
    qat.output_channels = 4;
    qat.input_grids = {PerTensor(0.5, 0)};
    deployed = qat;
    info.name = "fc";
    info.inputs = qat.input_grids;
  }

  static graph::Tensor Weights(std::vector<std::int32_t> codes) { return graph::Tensor::Of<std::int32_t>({4, 3}, codes); }

  std::vector<Finding> All(bool converted_given = true) {
    info.weight_codes_changed = 1;
    std::vector<Finding> findings;
    CheckWeightIdentity({.qat = qat, .deployed = deployed, .info = info, .converted_given = converted_given}, findings);
    return findings;
  }
  void Scale(std::size_t channels, double factor) {
    for (std::size_t c = 0; c < channels; ++c) deployed.weight_params.scales[c] *= factor;
  }

  graph::MacLayer qat, deployed;
  report::LayerInfo info;
};

TEST_F(WeightIdentityTest, TheSameWeightsOnAnotherGridAreSilent) {
  deployed.weight = Weights({50, 0, 0, 0, 45, 0, 0, 0, 40, 35, -35, 0});
  deployed.weight_params = PerChannel({0.2, 0.4, 0.6, 0.8});
  EXPECT_THAT(All(), IsEmpty());
}

TEST_F(WeightIdentityTest, ACycleOfThreeChannels) {
  deployed.weight = Weights({0, 0, 80, 100, 0, 0, 0, 90, 0, 70, -70, 0});
  deployed.weight_params = PerChannel({0.3, 0.1, 0.2, 0.4});
  const std::vector<Finding> findings = All();
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].id, "QG030");
  EXPECT_THAT(findings[0].channels, ElementsAre(0, 1, 2));
  EXPECT_THAT(findings[0].detail, HasSubstr("0 has those of trained channel 2, 1 has those of trained channel 0"));
}

TEST_F(WeightIdentityTest, WeightsOfNoChannelAreNotSaidToBeMoved) {
  deployed.weight = Weights({60, 60, 60, 0, 90, 0, 0, 0, 80, 70, -70, 0});
  EXPECT_THAT(All(), IsEmpty());
}

TEST_F(WeightIdentityTest, FactorsCountInMoreThanHalfOfTheChannels) {
  Scale(2, 1.5);
  EXPECT_THAT(All(), IsEmpty()) << "half of them";
  deployed.weight_params.scales[2] *= 0.5;
  const std::vector<Finding> findings = All();
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].id, "QG031");
  EXPECT_THAT(findings[0].channels, ElementsAre(0, 1, 2));
  EXPECT_THAT(findings[0].detail, HasSubstr("in 3 of 4 channels the deployed weights are the trained ones times a factor, from 0.5 to 1.5"));
}

TEST_F(WeightIdentityTest, WhatRoundingExplainsIsNoFactor) {
  Scale(4, 1.019);
  EXPECT_THAT(All(), IsEmpty()) << "below 2 %";
  Scale(4, 1.1 / 1.019);
  EXPECT_EQ(All().size(), 1U);
  // Weights of a few steps are known to half a step each: 10 % is less than that.
  qat.weight = deployed.weight = Weights({3, 0, 0, 0, 3, 0, 0, 0, 3, 2, -2, 0});
  EXPECT_THAT(All(), IsEmpty());
}

TEST_F(WeightIdentityTest, DeadChannelsAndLoweredModelsSayNothing) {
  deployed.weight = Weights({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  EXPECT_THAT(All(), IsEmpty());
  deployed.weight = Weights({0, 90, 0, 100, 0, 0, 0, 0, 80, 70, -70, 0});
  EXPECT_THAT(All(/*converted_given=*/false), IsEmpty());
}

TEST_F(WeightIdentityTest, AConstantThatIsNotFiniteIsAllThatIsSaid) {
  qat.bias[2] = std::numeric_limits<double>::quiet_NaN();
  deployed.bias[2] = qat.bias[2];
  deployed.weight_params.scales[1] = std::numeric_limits<double>::infinity();
  std::vector<Finding> findings;
  CheckPair({.qat = qat, .deployed = deployed, .info = info, .converted_given = true}, findings);
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].id, "QG032");
  EXPECT_THAT(findings[0].channels, ElementsAre(2));
  EXPECT_THAT(findings[0].detail, HasSubstr("the QAT model has NaN or infinity in 1 bias(es) and 0 weight scale(s)"));
  qat.bias[2] = 0;
  findings.clear();
  CheckPair({.qat = qat, .deployed = deployed, .info = info, .converted_given = true}, findings);
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_THAT(findings[0].channels, ElementsAre(1, 2));
  EXPECT_THAT(findings[0].detail, HasSubstr("the deployed model"));
}

}  // namespace
}  // namespace qatgap::findings
