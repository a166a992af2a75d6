// One output, one weight, numbers that fit on a hand: s_x = 0.5, z_x = 2, w = 4 at s_w = 0.25, s_y = 1, z_y = 10, so
// that s_b = M = 0.125.
#include "analyzers/attribution/what_if/layer_what_if.h"

#include "analyzers/report/what_if_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::attribution {
namespace {

using report::WhatIf;
using report::WhatIfRow;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Codes = std::vector<std::int32_t>;

numerics::QuantParams Grid(double scale, std::int64_t zero_point, std::int64_t min, std::int64_t max) {
  return {.scales = {scale}, .zero_points = {zero_point}, .quant_min = min, .quant_max = max};
}

graph::MacLayer Layer(double bias) {
  graph::MacLayer layer;
  layer.name = "fc";
  layer.kind = graph::OpKind::kLinear;
  layer.weight = graph::Tensor::Of<std::int32_t>({1, 1}, std::vector<std::int32_t>{4});
  layer.weight_params = Grid(0.25, 0, -128, 127);
  layer.bias = {bias};
  layer.shipped_bias = {static_cast<float>(bias)};
  layer.output = Grid(1, 10, 0, 255);
  layer.output_channels = 1;
  layer.input_grids = {Grid(0.5, 2, 0, 255)};
  return layer;
}

// Integer bias of so many bits at s_x * s_w, saturating; everything else exact but for one rounding.
numerics::TargetDescription Target(int bits) {
  numerics::TargetDescription target;
  target.name = "witness";
  target.bias.bits = bits;
  return target;
}

struct Case {
  double bias = 0;
  Codes inputs, accumulators, fake_quant;
  bool calibrate = true;
};

report::LayerWhatIfs Measure(const numerics::TargetDescription& target, const Case& c) {
  const graph::MacLayer layer = Layer(c.bias);
  auto what_if = LayerWhatIf::Create(target, layer, layer, 0, std::nullopt);
  QATGAP_EXPECT_OK(what_if);
  const LadderInput batch{.elements = static_cast<std::int64_t>(c.accumulators.size()),
                          .fake_quant = c.fake_quant,
                          .qat_accumulators = c.accumulators,
                          .qat_sums = {},
                          .accumulators = c.accumulators};
  if (c.calibrate) what_if->Calibrate(batch, 3);
  report::LayerWhatIfs result = what_if->Start(5, 0);
  const auto codes = graph::Tensor::Of<std::int32_t>({batch.elements, 1}, std::span<const std::int32_t>(c.inputs));
  QATGAP_EXPECT_OK(what_if->Add(batch, codes, result));
  return result;
}

const WhatIfRow& RowOf(const report::LayerWhatIfs& layer, WhatIf what_if) {
  for (const WhatIfRow& row : layer.rows) {
    if (row.what_if == what_if) return row;
  }
  ADD_FAILURE() << "no row " << report::ToString(what_if);
  return layer.rows.front();
}

// d of the outputs, all alike, against the trained model's codes.
void ExpectAllOff(const WhatIfRow& row, std::int64_t d) {
  EXPECT_TRUE(row.measured) << row.note;
  EXPECT_EQ(row.against_fake_quant.count, 3U);
  EXPECT_EQ(row.against_fake_quant.changed, d == 0 ? 0U : 3U) << report::ToString(row.what_if);
  EXPECT_EQ(row.against_fake_quant.sum, 3 * d) << report::ToString(row.what_if);
  EXPECT_EQ(row.against_fake_quant.sum_squares, static_cast<std::uint64_t>(3 * d * d));
}

// b = 20 is 160 steps: 127 in 8 bits is 15.875, and outputs 20, 21, 24 become 16, 17, 20.
Case Saturated() { return {.bias = 20, .inputs = {2, 4, 10}, .accumulators = {0, 8, 32}, .fake_quant = {30, 31, 34}}; }

TEST(LayerWhatIfTest, ASaturatedBiasByHand) {
  const report::LayerWhatIfs layer = Measure(Target(8), Saturated());
  EXPECT_EQ(layer.layer, 5);
  EXPECT_EQ(layer.calibration_samples, 3U);
  ExpectAllOff(RowOf(layer, WhatIf::kPlain), -4);
  ExpectAllOff(RowOf(layer, WhatIf::kStorage8), -4);
  ExpectAllOff(RowOf(layer, WhatIf::kStorage16), 0);
  ExpectAllOff(RowOf(layer, WhatIf::kStorage24), 0);
  ExpectAllOff(RowOf(layer, WhatIf::kStorage32), 0);
  // No integer in 8 bits is nearer than 127.
  ExpectAllOff(RowOf(layer, WhatIf::kErrorAwareRounding), -4);
  EXPECT_THAT(RowOf(layer, WhatIf::kErrorAwareRounding).stored, ElementsAre(127));
  // n = -2 * 4: 160 - 8 is stored as 127, which leaves 135 for the bias: 16.875.
  ExpectAllOff(RowOf(layer, WhatIf::kZeroPointRounding), -3);
  EXPECT_THAT(RowOf(layer, WhatIf::kZeroPointRounding).stored, ElementsAre(127));
  // s_w = 20 / (127 * 0.5) = 0.315: the weight becomes 3, accumulators 0, 6, 24, the bias 127 of 0.1575.
  ExpectAllOff(RowOf(layer, WhatIf::kAdjustedWeights), 0);
  EXPECT_THAT(RowOf(layer, WhatIf::kAdjustedWeights).stored, ElementsAre(127));
  // Observed 0..4: codes 0, 64, 255 of 4 / 255; the bias is 255 of 20 / 255.
  ExpectAllOff(RowOf(layer, WhatIf::kExplicitAdd), 0);
  // The trained model with 15.875 has the deployed model's codes.
  ExpectAllOff(RowOf(layer, WhatIf::kFakeQuantizedBias), 0);
  EXPECT_EQ(RowOf(layer, WhatIf::kFakeQuantizedBias).against_float_bias.changed, 0U);
  EXPECT_FALSE(RowOf(layer, WhatIf::kFakeQuantizedBias).is_remedy) << "training cannot bring 4.125 back";

  const auto found = report::RecommendationOf(layer);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->what_if, WhatIf::kStorage16) << "of those that help equally the one that changes least";
  EXPECT_EQ(found->gain(), 3U);
}

TEST(LayerWhatIfTest, TheRealBiasIsWhatFloatBiasIsAgainst) {
  Case c = Saturated();
  c.fake_quant = {0, 0, 0};
  const report::LayerWhatIfs layer = Measure(Target(8), c);
  EXPECT_EQ(RowOf(layer, WhatIf::kPlain).against_float_bias.sum, -12);
  EXPECT_EQ(RowOf(layer, WhatIf::kStorage32).against_float_bias.changed, 0U);
  EXPECT_EQ(RowOf(layer, WhatIf::kPlain).against_fake_quant.sum, 26 + 27 + 30);
}

TEST(LayerWhatIfTest, AnExplicitAddRoundsTwiceMore) {
  // 11 * 0.125 + 20 = 21.375; the observer saw 0..100, so 1.375 is 4 of 100 / 255: 1.569, and the sum 22.
  const report::LayerWhatIfs layer =
      Measure(Target(32), {.bias = 20, .inputs = {2, 2}, .accumulators = {11, 800}, .fake_quant = {31, 130}});
  EXPECT_EQ(RowOf(layer, WhatIf::kPlain).against_fake_quant.changed, 0U);
  const WhatIfRow& add = RowOf(layer, WhatIf::kExplicitAdd);
  EXPECT_EQ(add.against_fake_quant.changed, 1U);
  EXPECT_EQ(add.against_fake_quant.sum, 1);
  EXPECT_FALSE(report::RecommendationOf(layer));
}

TEST(LayerWhatIfTest, ErrorAwareRoundingTakesAMeanErrorBack) {
  // The trained codes are one above the layer's: 8 + 4 steps of bias give 1.5 -> 2 and 2.625 -> 3.
  const report::LayerWhatIfs layer =
      Measure(Target(32), {.bias = 1, .inputs = {2, 2}, .accumulators = {0, 9}, .fake_quant = {12, 13}});
  EXPECT_EQ(RowOf(layer, WhatIf::kPlain).against_fake_quant.changed, 2U);
  EXPECT_THAT(RowOf(layer, WhatIf::kErrorAwareRounding).stored, ElementsAre(12));
  EXPECT_EQ(RowOf(layer, WhatIf::kErrorAwareRounding).against_fake_quant.changed, 0U);
  const auto found = report::RecommendationOf(layer);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->what_if, WhatIf::kErrorAwareRounding);
}

TEST(LayerWhatIfTest, TrainingWithTheStoredBiasMovesTheReferences) {
  // b = 0.49 is 3.92 steps, stored 4: 0.5 rounds to 0 with A = 0 but 11.5 to 12 with A = 88, where the trained model
  // has 11.
  const report::LayerWhatIfs layer =
      Measure(Target(32), {.bias = 0.49, .inputs = {2, 2}, .accumulators = {0, 88}, .fake_quant = {10, 21}});
  EXPECT_EQ(RowOf(layer, WhatIf::kPlain).against_fake_quant.changed, 1U);
  EXPECT_EQ(RowOf(layer, WhatIf::kPlain).against_float_bias.changed, 1U);
  const WhatIfRow& trained = RowOf(layer, WhatIf::kFakeQuantizedBias);
  EXPECT_EQ(trained.against_fake_quant.changed, 0U);
  EXPECT_EQ(trained.against_float_bias.changed, 0U);
  EXPECT_TRUE(trained.is_remedy);
  EXPECT_THAT(trained.note, HasSubstr("needs training"));
}

TEST(LayerWhatIfTest, WhatTheTrainedModelsFloat32DoesStaysInTheRow) {
  // The trained code 22 is one off exact arithmetic (21); moved by the bias (11.49 -> 11.5 is 12) it is 23.
  const report::LayerWhatIfs layer =
      Measure(Target(32), {.bias = 0.49, .inputs = {2}, .accumulators = {88}, .fake_quant = {22}});
  EXPECT_EQ(RowOf(layer, WhatIf::kFakeQuantizedBias).against_fake_quant.sum, -1);
}

TEST(LayerWhatIfTest, SaysWhyARowIsNotMeasured) {
  Case c = Saturated();
  c.calibrate = false;
  const report::LayerWhatIfs fits = Measure(Target(32), c);
  for (const auto& [what_if, why] : {std::pair(WhatIf::kAdjustedWeights, "no stored bias saturates"),
                                     std::pair(WhatIf::kErrorAwareRounding, "no calibration sample"),
                                     std::pair(WhatIf::kExplicitAdd, "no calibration sample")}) {
    const WhatIfRow& row = RowOf(fits, what_if);
    EXPECT_FALSE(row.measured);
    EXPECT_THAT(row.note, HasSubstr(why));
    EXPECT_EQ(row.against_fake_quant, statistics::DifferenceStatistics{});
    EXPECT_EQ(report::FindRow(fits, what_if), nullptr);
  }
}

TEST(LayerWhatIfTest, ATargetWithAFloatBiasHasTheExplicitAddAlone) {
  numerics::TargetDescription target = Target(32);
  target.bias.mode = numerics::BiasMode::kFloatBeforeScale;
  const report::LayerWhatIfs layer = Measure(target, Saturated());
  ASSERT_EQ(layer.rows.size(), 2U);
  EXPECT_EQ(layer.rows[0].what_if, WhatIf::kPlain);
  EXPECT_EQ(layer.rows[1].what_if, WhatIf::kExplicitAdd);
  EXPECT_TRUE(layer.rows[1].measured);
}

struct Observed {
  const char* name;
  double min, max;
  numerics::ScaleRequirement scales;
  double scale;
  std::int64_t zero_point;
};

class ObserverTest : public ::testing::TestWithParam<Observed> {};

TEST_P(ObserverTest, ByHand) {
  const Observed& o = GetParam();
  EXPECT_EQ(what_if::ObserverParams(o.min, o.max, Grid(1, 0, 0, 255), o.scales), Grid(o.scale, o.zero_point, 0, 255));
}

INSTANTIATE_TEST_SUITE_P(
    Ranges, ObserverTest,
    ::testing::Values(Observed{"Both", -1, 50, numerics::ScaleRequirement::kAny, 0.2, 5},
                      Observed{"ZeroIsInTheRange", 25.5, 51, numerics::ScaleRequirement::kAny, 0.2, 0},
                      Observed{"NegativeAlone", -51, -1, numerics::ScaleRequirement::kAny, 0.2, 255},
                      Observed{"AllZero", 0, 0, numerics::ScaleRequirement::kAny, 0x1p-23, 0},
                      Observed{"PowerOfTwoRoundedUp", -1, 50, numerics::ScaleRequirement::kPowerOfTwo, 0.25, 4},
                      Observed{"PowerOfTwoKept", 0, 63.75, numerics::ScaleRequirement::kPowerOfTwo, 0.25, 0}),
    [](const auto& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace qatgap::attribution
