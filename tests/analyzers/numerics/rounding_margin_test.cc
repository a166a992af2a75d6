// A margin is a promise: outside it no code differs. It is tried on accumulators of all sizes and on those next to the
// boundaries between two codes, where it would be broken first.
#include "analyzers/numerics/rounding_margin.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/analyzers/numerics/layers.h"

namespace qatgap::numerics {
namespace {

// Multipliers from 1e-5 to 4, biases from nothing to a thousand codes.
LayerSpec RandomSpec(std::mt19937& random) {
  const auto log_uniform = [&](double low, double high) {
    return std::exp(std::uniform_real_distribution<double>(std::log(low), std::log(high))(random));
  };
  const double output = log_uniform(1e-3, 1);
  LayerSpec spec{.input_scale = log_uniform(1e-3, 1), .weight_scales = {}, .output_scale = output,
                 .output_zero_point = std::uniform_int_distribution<std::int64_t>(0, 255)(random)};
  std::normal_distribution<double> normal;
  for (int c = 0; c < 5; ++c) {
    spec.weight_scales.push_back(log_uniform(1e-5, 4) * output / spec.input_scale);
    spec.bias.push_back(c == 0 ? 0 : normal(random) * output * log_uniform(0.1, 1000));
  }
  return spec;
}

std::vector<std::int32_t> Accumulators(const AffineKernel& line, double largest, std::mt19937& random) {
  const double limit = std::min(largest, 2147483647.0);
  std::vector<std::int32_t> accumulators;
  const auto add = [&](double a) {
    if (std::abs(a) <= limit) accumulators.push_back(static_cast<std::int32_t>(a));
  };
  std::uniform_real_distribution<double> code(line.low - 3, line.high + 3), size(0, 1);
  for (int i = 0; i < 200; ++i) {
    const double near = std::floor(code(random)) + 0.5;  // a boundary
    for (const double step : {-2, -1, 0, 1, 2}) add(std::round((near - line.offset) / line.multiplier) + step);
    add(std::round((code(random) - line.offset) / line.multiplier));
    add(std::copysign(std::floor(std::pow(limit, size(random))), size(random) - 0.5));
  }
  for (const double edge : {0.0, limit, -limit}) add(std::trunc(edge));
  return accumulators;
}

struct Count {
  std::size_t margins = 0, tight = 0, far = 0, near = 0, near_and_different = 0;
};

void Check(const LayerArithmetic& arithmetic, const AffineKernel& line, std::int64_t channel, ArithmeticStage stage,
           std::mt19937& random, Count& count) {
  const auto margin = MarginOf(arithmetic, stage, channel, line);
  if (!margin) return;
  ++count.margins;
  const std::vector<std::int32_t> accumulators = Accumulators(line, margin->largest, random);
  std::vector<std::int32_t> expected(accumulators.size());
  RunAffineKernel(line, accumulators.data(), expected.data(), expected.size());
  const std::vector<std::int32_t> codes = Codes(arithmetic, stage, accumulators, channel);
  count.tight += margin->At(255 / line.multiplier) < 0.05 ? 1U : 0U;
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const double value = accumulators[i] * line.multiplier + line.offset;
    const double from_boundary = std::abs(value - std::floor(value) - 0.5);
    if (from_boundary > margin->At(std::abs(static_cast<double>(accumulators[i])))) {
      ++count.far;
      ASSERT_EQ(codes[i], expected[i]) << "accumulator " << accumulators[i] << ", stage " << static_cast<int>(stage)
                                       << ", multiplier " << line.multiplier << ", offset " << line.offset;
    } else {
      ++count.near;
      count.near_and_different += codes[i] != expected[i] ? 1U : 0U;
    }
  }
}

TEST(RoundingMarginTest, NoCodeDiffersOutsideIt) {
  std::mt19937 random(5);
  Count all;
  for (const TargetDescription& target : ShippedTargets()) {
    SCOPED_TRACE(target.name);
    Count count;
    for (int repetition = 0; repetition < 40; ++repetition) {
      const LayerSpec spec = RandomSpec(random);
      const auto arithmetic = LayerArithmetic::Create(target, Constants(spec));
      if (!arithmetic.ok()) continue;  // a multiplier that this target refuses
      for (std::int64_t channel = 0; channel < 5; ++channel) {
        const AffineKernel line = arithmetic->Affine(ArithmeticStage::kReal, channel);
        for (const ArithmeticStage stage : kAllStages) Check(*arithmetic, line, channel, stage, random, count);
        if (HasFatalFailure()) return;
      }
    }
    all.margins += count.margins;
    all.tight += count.tight;
    all.far += count.far;
    all.near += count.near;
    all.near_and_different += count.near_and_different;
  }
  // The promise is about something: most margins are small, and codes do differ inside them.
  EXPECT_GT(all.margins, 10000U);
  EXPECT_GT(all.tight, all.margins / 2);
  EXPECT_GT(all.far, 1'000'000U);
  EXPECT_GT(all.near_and_different, 1000U);
}

// Each shipped target whose rounding is to nearest has one.
TEST(RoundingMarginTest, RequantizationOfMostTargetsHasOne) {
  std::vector<std::string> without;
  for (const TargetDescription& target : ShippedTargets()) {
    const auto arithmetic = LayerArithmetic::Create(
        target, Constants({.input_scale = 0.5, .weight_scales = {0.0625}, .output_scale = 8, .bias = {1.0}}));
    QATGAP_ASSERT_OK(arithmetic);
    const AffineKernel line = arithmetic->Affine(ArithmeticStage::kReal, 0);
    if (!MarginOf(*arithmetic, ArithmeticStage::kRequantized, 0, line)) without.push_back(target.name);
  }
  EXPECT_LE(without.size(), 4U) << ::testing::PrintToString(without);
}

TEST(RoundingMarginTest, NoneForAnotherRangeOrARoundingThatIsNotToNearest) {
  const LayerSpec spec{.weight_scales = {0.01}, .bias = {1.0}};
  const LayerArithmetic arithmetic = Layer(Target("tflite-micro"), spec);
  AffineKernel line = arithmetic.Affine(ArithmeticStage::kReal, 0);
  EXPECT_TRUE(MarginOf(arithmetic, ArithmeticStage::kRequantized, 0, line).has_value());
  line.high -= 1;
  EXPECT_FALSE(MarginOf(arithmetic, ArithmeticStage::kRequantized, 0, line).has_value());

  TargetDescription truncating = Target("onnxruntime");
  truncating.requantization.rounding = Rounding::kTowardZero;
  const LayerArithmetic truncated = Layer(truncating, spec);
  line = truncated.Affine(ArithmeticStage::kReal, 0);
  EXPECT_FALSE(MarginOf(truncated, ArithmeticStage::kRequantized, 0, line).has_value());
  EXPECT_TRUE(MarginOf(truncated, ArithmeticStage::kBiasStored, 0, line).has_value());
}

TEST(RoundingMarginTest, WidensToBoth) {
  RoundingMargin margin{.constant = 0.01, .per_accumulator = 1e-9, .largest = 1000};
  margin.Widen({.constant = 0.001, .per_accumulator = 1e-8, .largest = 2000});
  EXPECT_EQ(margin.constant, 0.01);
  EXPECT_EQ(margin.per_accumulator, 1e-8);
  EXPECT_EQ(margin.largest, 1000);
  EXPECT_DOUBLE_EQ(margin.At(1000), 0.01001);
}

}  // namespace
}  // namespace qatgap::numerics
