#include "analyzers/attribution/ladder.h"

#include <random>

#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::attribution {
namespace {

using report::Cause;
using statistics::DifferenceStatistics;

constexpr std::int64_t kChannels = 3, kElements = 700;
constexpr std::size_t kCount = kChannels * kElements;

numerics::QuantParams Params(std::vector<double> scales, std::int64_t zero_point, std::int64_t low, std::int64_t high) {
  numerics::QuantParams params;
  params.zero_points.assign(scales.size(), zero_point);
  if (scales.size() > 1) params.axis = 0;
  params.scales = std::move(scales);
  params.quant_min = low;
  params.quant_max = high;
  return params;
}

// Constants in which every cause occurs: the deployed weights have other scales, and a bias of 100 accumulator steps
// to an int8 power-of-two grid.
numerics::MacConstants Constants(double weight_factor) {
  numerics::MacConstants constants;
  constants.input = Params({0.02}, 3, 0, 127);
  constants.weight = Params({0.011 * weight_factor, 0.007 * weight_factor, 0.013 * weight_factor}, 0, -128, 127);
  constants.output = Params({0.05}, 20, 0, 127);
  constants.bias = {0.731, -1.37, 0.0019};
  constants.channels = kChannels;
  return constants;
}

struct Data {
  std::vector<std::int32_t> fake_quant, qat, deployed, engine;
  LadderInput input;

  Data() {
    std::mt19937 random(11);
    std::uniform_int_distribution<std::int32_t> accumulators(-12000, 24000), codes(0, 127), step(-1, 1);
    for (std::size_t i = 0; i < kCount; ++i) {
      fake_quant.push_back(codes(random));
      qat.push_back(accumulators(random));
      deployed.push_back(qat.back() + 90 * step(random));
      engine.push_back(codes(random));
    }
    input = {.elements = kElements, .fake_quant = fake_quant, .qat_accumulators = qat, .qat_sums = {},
             .accumulators = deployed};
  }
};

numerics::TargetDescription Int8Bias() { return *numerics::FindTarget("generic-int8"); }

TEST(LadderTest, CausesTelescopeElementByElement) {
  const Data data;
  const auto ladder = LayerLadder::Create(Int8Bias(), Constants(1), Constants(1.01));
  QATGAP_ASSERT_OK(ladder);
  report::LayerResult result = ladder->MakeResult(4, 1);
  EXPECT_EQ(result.layer, 4);
  EXPECT_EQ(result.input_index, 1);
  ladder->Add(data.input, data.engine, 10, result);
  EXPECT_EQ(result.samples, 10U);
  for (std::int64_t c = 0; c < kChannels; ++c) {
    LayerLadder::Stages stages;
    ladder->ComputeStages(data.input, data.engine, c, stages);
    const auto channel = static_cast<std::size_t>(c);
    std::vector<std::int32_t> sum_of_causes(kElements, 0);
    std::array<DifferenceStatistics, report::kCauseCount> expected;
    std::vector<std::int32_t> whole(kElements);
    for (std::size_t i = 0; i < kElements; ++i) {
      whole[i] = data.engine[channel * kElements + i] - data.fake_quant[channel * kElements + i];
      for (std::size_t stage = 0; stage + 1 < kStageCount; ++stage) {
        sum_of_causes[i] += stages[stage + 1][i] - stages[stage][i];
      }
    }
    EXPECT_EQ(sum_of_causes, whole);
    for (std::size_t cause = 0; cause + 1 < report::kCauseCount; ++cause) {
      expected[cause].Add(stages[cause], stages[cause + 1], whole);
    }
    expected.back().Add(stages.front(), stages.back(), whole);
    EXPECT_EQ(result.channels[channel].causes, expected);
  }
}

TEST(LadderTest, SumsOfCausesAndSharesAddUpToTheTotal) {
  const Data data;
  const auto ladder = LayerLadder::Create(Int8Bias(), Constants(1), Constants(1.01));
  QATGAP_ASSERT_OK(ladder);
  report::LayerResult result = ladder->MakeResult(0, 0);
  ladder->Add(data.input, data.engine, 1, result);
  for (const report::ChannelResult& channel : result.channels) {
    const DifferenceStatistics& total = channel.causes[static_cast<std::size_t>(Cause::kTotal)];
    EXPECT_EQ(total.count, static_cast<std::uint64_t>(kElements));
    EXPECT_EQ(total.cross_total, static_cast<std::int64_t>(total.sum_squares));
    std::int64_t sum = 0, cross = 0;
    double share = 0;
    for (std::size_t cause = 0; cause < static_cast<std::size_t>(Cause::kTotal); ++cause) {
      const DifferenceStatistics& s = channel.causes[cause];
      EXPECT_EQ(s.count, total.count);
      sum += s.sum;
      cross += s.cross_total;
      share += static_cast<double>(s.cross_total) / static_cast<double>(total.sum_squares);
    }
    EXPECT_EQ(sum, total.sum);
    EXPECT_EQ(cross, static_cast<std::int64_t>(total.sum_squares));
    // Seven quotients of integers below 2^53, each rounded once: 7 * 2^-53 of their magnitudes, all below 2^4.
    EXPECT_TRUE(!(std::abs(share - 1.0) > 1e-12)) << share;
  }
}

// Stage 2 onwards is the deployed arithmetic, stage 1 the QAT model's: witness values for one accumulator.
TEST(LadderTest, StagesByHand) {
  numerics::MacConstants constants;
  constants.input = Params({0.5}, 0, 0, 255);
  constants.weight = Params({0.25}, 0, -128, 127);
  constants.output = Params({1.0}, 10, 0, 255);
  constants.bias = {0.3};  // 2.4 steps of 1/8
  constants.channels = 1;
  numerics::MacConstants deployed = constants;
  deployed.bias = {0.3125};  // 2.5 steps: to 2
  const auto ladder = LayerLadder::Create(*numerics::FindTarget("generic-int32"), constants, deployed);
  QATGAP_ASSERT_OK(ladder);
  EXPECT_EQ(ladder->deployed().stored_bias(0).stored, 2);
  const std::vector<std::int32_t> fake_quant = {77, 77}, qat = {1, 1}, accumulators = {2, 1}, engine = {5, 6};
  LadderInput input{.elements = 2, .fake_quant = fake_quant, .qat_accumulators = qat, .qat_sums = {},
                    .accumulators = accumulators};
  LayerLadder::Stages stages;
  ladder->ComputeStages(input, engine, 0, stages);
  // 1/8 + 0.3 = 0.425 -> 0; 2/8 + 0.3125 = 0.5625 -> 1 and 0.4375 -> 0; 2/8 + 2/8 = 0.5 -> tie to even, 0.
  const LayerLadder::Stages expected = {{{77, 77}, {10, 10}, {11, 10}, {10, 10}, {10, 10}, {10, 10}, {10, 10}, {5, 6}}};
  EXPECT_EQ(stages, expected);

  ladder->ComputeStages(input, {}, 0, stages);
  EXPECT_EQ(stages[7], stages[6]) << "no engine: the last cause is zero";

  const std::vector<double> sums = {2.4, 2.9};  // * s_w / s_y = 0.6 and 0.725, + 0.3 -> 1 and 1
  input.qat_accumulators = {};
  input.qat_sums = sums;
  ladder->ComputeStages(input, {}, 0, stages);
  EXPECT_EQ(stages[1], (std::vector<std::int32_t>{11, 11}));
}

TEST(LadderTest, FloatBiasTargetHasNoBiasCauses) {
  const Data data;
  const auto ladder = LayerLadder::Create(*numerics::FindTarget("pytorch-fbgemm"), Constants(1), Constants(1.01));
  QATGAP_ASSERT_OK(ladder);
  report::LayerResult result = ladder->MakeResult(0, 0);
  ladder->Add(data.input, {}, 1, result);
  const report::CauseStatistics causes = report::MergeChannels(result);
  EXPECT_EQ(causes[static_cast<std::size_t>(Cause::kBiasRounding)].changed, 0U);
  EXPECT_EQ(causes[static_cast<std::size_t>(Cause::kBiasSaturation)].changed, 0U);
  EXPECT_EQ(causes[static_cast<std::size_t>(Cause::kEngineResidual)].changed, 0U);
  EXPECT_GT(causes[static_cast<std::size_t>(Cause::kConversion)].changed, 0U);
}

// A channel whose weight scale is tiny saturates: the cause sits in its channel, and in bias_saturation alone.
TEST(LadderTest, SaturatedBiasShowsInItsChannel) {
  const Data data;
  numerics::MacConstants constants = Constants(1);
  constants.weight.scales[1] = 1e-10;  // b / s_b = -1.37 / 2e-12, beyond 2^31
  const auto ladder = LayerLadder::Create(*numerics::FindTarget("generic-int32"), constants, constants);
  QATGAP_ASSERT_OK(ladder);
  LadderInput input = data.input;
  input.accumulators = input.qat_accumulators;
  report::LayerResult result = ladder->MakeResult(0, 0);
  ladder->Add(input, {}, 1, result);
  for (std::size_t c = 0; c < result.channels.size(); ++c) {
    const auto& causes = result.channels[c].causes;
    EXPECT_EQ(result.channels[c].bias.saturated, c == 1);
    EXPECT_EQ(causes[static_cast<std::size_t>(Cause::kBiasSaturation)].changed, c == 1 ? std::uint64_t{kElements} : 0U);
    EXPECT_EQ(causes[static_cast<std::size_t>(Cause::kConversion)].changed, 0U);
  }
}

}  // namespace
}  // namespace qatgap::attribution
