#include "analyzers/attribution/target_ladders.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::attribution {
namespace {

constexpr std::int64_t kChannels = 3;

numerics::QuantParams Params(std::vector<double> scales, std::int64_t zero_point, std::int64_t low, std::int64_t high) {
  numerics::QuantParams params;
  params.zero_points.assign(scales.size(), zero_point);
  if (scales.size() > 1) params.axis = 0;
  params.scales = std::move(scales);
  params.quant_min = low;
  params.quant_max = high;
  return params;
}

struct Case {
  const char* name;
  std::int64_t elements;
  double weight_factor;         // of the deployed weights' scales
  std::int64_t low, high;       // of the output codes
  numerics::Activation activation = numerics::Activation::kNone;
  bool one_product = false;     // QAT and deployed accumulators are the same
  bool reals = false;           // the input is off the grid
  bool engine = false, far_engine = false;
  bool adjusted = false;        // every second target has weights of its own
  std::int32_t largest = 24000; // accumulator
  bool alike = false;           // fake_quant and engines mostly give what the stages give: little is chosen
};

const Case kCases[] = {
    {"OneElement", 1, 1.01, 0, 127},
    {"ABlock", 2048, 1.01, 0, 127},
    {"BlocksAndARest", 4999, 1.0, 0, 255},
    {"Relu6", 700, 1.01, 0, 255, numerics::Activation::kRelu6},
    {"OneProduct", 700, 1.0, 0, 127, numerics::Activation::kNone, true},
    {"Reals", 700, 1.01, 0, 127, numerics::Activation::kNone, false, true},
    {"Engine", 3000, 1.01, 0, 127, numerics::Activation::kNone, false, false, true},
    {"EngineBeyondNarrowCodes", 700, 1.01, 0, 127, numerics::Activation::kNone, false, false, true, true},
    {"AdjustedWeights", 2100, 1.01, 0, 255, numerics::Activation::kNone, false, false, true, false, true},
    {"OverflowingSums", 2100, 1.0, 0, 255, numerics::Activation::kNone, false, false, false, false, false, 2147483647},
    {"SixteenBitCodes", 700, 1.01, -32768, 32767},
    {"Alike", 3000, 1.0, 0, 127, numerics::Activation::kRelu, true, false, true, false, false, 24000, true},
    {"AlikeOtherWeights", 2048, 1.0, 0, 255, numerics::Activation::kNone, false, false, true, false, false, 24000, true},
    {"AlikeReals", 5000, 1.0, 0, 127, numerics::Activation::kNone, false, true, false, false, false, 24000, true},
    {"AlikeOverflowingSums", 2100, 1.0, 0, 255, numerics::Activation::kNone, true, false, false, false, false, 2147483647, true},
};

numerics::MacConstants Constants(const Case& c, double factor) {
  numerics::MacConstants constants;
  constants.input = Params({0.02}, 3, 0, 127);
  constants.weight = Params({0.011 * factor, 0.007 * factor, 0.013 * factor}, 0, -128, 127);
  constants.output = Params({c.high > 1000 ? 0.0004 : 0.05}, c.low < 0 ? 0 : 20, c.low, c.high);
  constants.bias = {0.731, -1.37, 400000.0};  // the last one saturates 32 bits
  constants.activation = c.activation;
  constants.channels = kChannels;
  return constants;
}

bool HasMargin(const LayerLadder& ladder) {
  return numerics::MarginOf(ladder.deployed(), numerics::ArithmeticStage::kRequantized, 0,
                            ladder.deployed().Affine(numerics::ArithmeticStage::kReal, 0)).has_value();
}

class TargetLaddersTest : public ::testing::TestWithParam<Case> {};

// Every shipped target that takes the layer, against the ladders one by one.
TEST_P(TargetLaddersTest, AddWhatEveryLadderAdds) {
  const Case& c = GetParam();
  const auto count = static_cast<std::size_t>(c.elements * kChannels);
  std::mt19937 random(11);
  std::uniform_int_distribution<std::int32_t> sums(-c.largest / 2, c.largest), step(-1, 1);
  std::uniform_int_distribution<std::int32_t> codes(static_cast<std::int32_t>(c.low), static_cast<std::int32_t>(c.high));
  std::vector<std::int32_t> fake_quant(count), qat(count), deployed(count), engine(count);
  for (std::int32_t& code : fake_quant) code = codes(random);
  for (std::size_t i = 0; i < count; ++i) {
    qat[i] = sums(random);
    deployed[i] = c.one_product ? qat[i] : std::max(qat[i], -2147483000) + (c.largest < 1'000'000 ? 90 * step(random) : 0);
    engine[i] = c.far_engine ? 1024 : std::clamp(codes(random), 0, 255);
  }
  const std::vector<double> reals(count, 40.25);
  LadderInput input{.elements = c.elements,
                    .fake_quant = fake_quant,
                    .qat_accumulators = c.one_product ? deployed : qat,
                    .qat_sums = {},
                    .accumulators = deployed};
  if (c.reals) {
    input.qat_accumulators = {};
    input.qat_sums = reals;
  }

  std::vector<LayerLadder> ladders;
  TargetLadders::Rows adjusted, engines;
  std::vector<std::string> names;
  for (const numerics::TargetDescription& target : numerics::ShippedTargets()) {
    const bool own = c.adjusted && names.size() % 2 == 1;
    auto ladder = LayerLadder::Create(target, Constants(c, 1), Constants(c, c.weight_factor),
                                      own ? std::vector<double>{0.0111, 0.0071, 0.0131} : std::vector<double>{});
    if (!ladder.ok()) continue;
    ladders.push_back(*std::move(ladder));
    names.push_back(target.name);
    if (c.alike && !HasMargin(ladders.back())) {  // one without keeps the sieve from all
      ladders.pop_back();
      names.pop_back();
      continue;
    }
    adjusted.push_back(own ? std::span<const std::int32_t>(qat) : std::span<const std::int32_t>());
    engines.push_back(c.engine && names.size() % 3 == 0 ? std::span<const std::int32_t>(engine)
                                                        : std::span<const std::int32_t>());
  }
  ASSERT_GE(names.size(), 10U);
  if (c.alike) {
    for (std::int64_t channel = 0; channel < kChannels; ++channel) {
      const auto begin = static_cast<std::size_t>(channel * c.elements), size = static_cast<std::size_t>(c.elements);
      const auto row = std::span(fake_quant).subspan(begin, size);
      ladders[0].deployed().Codes(numerics::ArithmeticStage::kReal, channel, std::span<const std::int32_t>(deployed).subspan(begin, size), row);
      std::copy(row.begin(), row.end(), engine.begin() + static_cast<std::ptrdiff_t>(begin));
      for (std::size_t i = 7; i < size; i += 97) row[i] = std::clamp(row[i] + step(random), 0, 127);
      for (std::size_t i = 11; i < size; i += 53) engine[begin + i] = std::clamp(engine[begin + i] + 3 * step(random), 0, 127);
    }
  }
  std::vector<report::LayerResult> expected, results;
  std::vector<report::LayerResult*> pointers;
  for (const LayerLadder& ladder : ladders) {
    expected.push_back(ladder.MakeResult(0, 0));
    results.push_back(ladder.MakeResult(0, 0));
  }
  for (std::size_t t = 0; t < ladders.size(); ++t) {
    pointers.push_back(&results[t]);
    LadderInput of_target = input;
    of_target.adjusted_accumulators = adjusted[t];
    ladders[t].Add(of_target, engines[t], /*samples=*/0, expected[t]);
  }
  TargetLadders together(std::move(ladders), c.one_product);
  together.Add(input, adjusted, engines);
  together.Flush(pointers);
  together.Flush(pointers);  // nothing is left
  for (std::size_t t = 0; t < names.size(); ++t) EXPECT_EQ(results[t], expected[t]) << names[t];
}

LadderRow Row(std::span<const std::int32_t> fake_quant, std::span<const std::int32_t> accumulators) {
  LadderRow row;
  row.fake_quant = fake_quant;
  row.qat_accumulators = row.accumulators = accumulators;
  return row;
}

// Of two thousand elements next to nothing is left to compute, and what is counted only is counted right.
TEST(RoundingSieveTest, LeavesWhatLiesNearABoundary) {
  constexpr std::int64_t kElements = statistics::kNarrowBlock;
  std::mt19937 random(3);
  std::uniform_int_distribution<std::int32_t> sums(-12000, 24000);
  std::vector<std::int32_t> accumulators(kElements), fake_quant(kElements);
  for (std::int32_t& sum : accumulators) sum = sums(random);
  std::vector<LayerLadder> ladders;
  const Case layer{"", kElements, 1.0, 0, 127};
  for (const char* name : {"onnxruntime", "tflite-micro", "executorch-xnnpack", "pytorch-qnnpack"}) {
    auto ladder = LayerLadder::Create(*numerics::FindTarget(name), Constants(layer, 1), Constants(layer, 1));
    QATGAP_ASSERT_OK(ladder);
    ladders.push_back(*std::move(ladder));
  }
  ladders[0].deployed().Codes(numerics::ArithmeticStage::kReal, 0, accumulators, fake_quant);
  std::vector<std::int32_t> engine = fake_quant;
  engine[5] ^= 1;
  const RoundingSieve sieve(ladders, /*one_product=*/true);
  TargetRows rows{.row = Row(fake_quant, accumulators),
                  .adjusted = std::vector<std::span<const std::int32_t>>(4),
                  .engines = {{}, {}, {}, engine}};
  const auto rest = sieve.Sieve(0, rows);
  ASSERT_TRUE(rest.has_value());
  EXPECT_GT(rest->count, static_cast<std::size_t>(kElements) * 9 / 10);
  ASSERT_EQ(rows.row.accumulators.size(), kElements - rest->count);
  EXPECT_EQ(rows.row.fake_quant.size(), rows.row.accumulators.size());
  EXPECT_EQ(rows.engines[3].size(), rows.row.accumulators.size());
  EXPECT_TRUE(rows.engines[0].empty());
  std::int64_t sum = rest->codes.sum, squares = rest->codes.squares, different = 0;
  for (std::size_t i = 0; i < rows.row.fake_quant.size(); ++i) {
    const std::int64_t code = rows.row.fake_quant[i];
    sum += code;
    squares += code * code;
    different += code != rows.engines[3][i] ? 1 : 0;
  }
  EXPECT_EQ(different, 1) << "what an engine gives another code is chosen";
  for (const std::int64_t code : fake_quant) {
    sum -= code;
    squares -= code * code;
  }
  EXPECT_EQ(sum, 0);
  EXPECT_EQ(squares, 0);
}

TEST(RoundingSieveTest, ChoosesAllWhereNoBoundHolds) {
  const Case layer{"", 4, 1.0, 0, 127};
  std::vector<LayerLadder> ladders;
  auto ladder = LayerLadder::Create(*numerics::FindTarget("onnxruntime"), Constants(layer, 1), Constants(layer, 1));
  QATGAP_ASSERT_OK(ladder);
  ladders.push_back(*std::move(ladder));
  const RoundingSieve sieve(ladders, /*one_product=*/true);
  const std::vector<std::int32_t> sums = {1, 2, 3, 2147483647}, codes = {20, 20, 20, 20};
  TargetRows rows{.row = Row(codes, sums),
                  .adjusted = std::vector<std::span<const std::int32_t>>(1),
                  .engines = std::vector<std::span<const std::int32_t>>(1)};
  EXPECT_FALSE(sieve.Sieve(0, rows).has_value()) << "the sum with the bias may leave int32";
  EXPECT_EQ(rows.row.accumulators.size(), 4U);
  EXPECT_FALSE(sieve.Sieve(2, rows).has_value()) << "the bias saturates: stages differ by many codes";
}

INSTANTIATE_TEST_SUITE_P(Layers, TargetLaddersTest, ::testing::ValuesIn(kCases),
                         [](const ::testing::TestParamInfo<Case>& param) { return param.param.name; });

}  // namespace
}  // namespace qatgap::attribution
