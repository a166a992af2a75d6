#include "analyzers/findings/bias_bound.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::findings {
namespace {

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

// One layer of random scales and bias under `target`, over all accumulators of its output's range.
struct Sweep {
  BiasRoundingBound bound;
  std::int64_t largest = 0;  // codes that moved
  double changed = 0;        // share of outputs, of those inside the range
};

Sweep SweepAccumulators(const numerics::TargetDescription& target, std::mt19937& random) {
  std::uniform_real_distribution<double> scale(0.002, 0.02), bias(-3, 3);
  numerics::MacConstants constants;
  constants.input = {.scales = {scale(random)}, .zero_points = {0}, .quant_min = 0, .quant_max = 255};
  constants.weight = {.scales = {scale(random)}, .zero_points = {0}, .quant_min = -128, .quant_max = 127};
  constants.output = {.scales = {scale(random)}, .zero_points = {128}, .quant_min = 0, .quant_max = 255};
  constants.bias = {bias(random)};
  constants.channels = 1;
  const auto arithmetic = numerics::LayerArithmetic::Create(target, constants);
  QATGAP_EXPECT_OK(arithmetic);
  if (!arithmetic.ok()) return {};
  const double centre = -constants.bias[0] / (constants.input.scale() * constants.weight.scale());
  const auto reach = static_cast<std::int32_t>(120 / arithmetic->multiplier(0));
  std::vector<std::int32_t> accumulators;
  for (std::int32_t i = -reach; i <= reach; ++i) accumulators.push_back(static_cast<std::int32_t>(centre) + i);
  std::vector<std::int32_t> real(accumulators.size()), rounded(accumulators.size());
  const std::span<const std::int32_t> view = accumulators;
  arithmetic->Codes(numerics::ArithmeticStage::kReal, 0, view, real);
  arithmetic->Codes(numerics::ArithmeticStage::kBiasRounded, 0, view, rounded);
  Sweep sweep{.bound = BoundBiasRounding(arithmetic->stored_bias(0), constants.output.scale())};
  for (std::size_t i = 0; i < real.size(); ++i) {
    sweep.largest = std::max<std::int64_t>(sweep.largest, std::abs(rounded[i] - real[i]));
    sweep.changed += real[i] != rounded[i] ? 1 : 0;
  }
  sweep.changed /= static_cast<double>(real.size());
  return sweep;
}

// Through the stages themselves, the arithmetic that a measurement is made with. The estimate is one of an average:
// summed over many layers it is met within 10 %.
TEST(BiasBoundTest, HoldsForRandomLayersAndTheEstimateForTheirSum) {
  constexpr unsigned kSeed = 20;
  std::mt19937 random(kSeed);
  for (const char* name : {"generic-int32", "pytorch-qnnpack", "tflite-reference"}) {
    const auto target = numerics::FindTarget(name);
    QATGAP_ASSERT_OK(target);
    double expected = 0, changed = 0;
    for (int round = 0; round < 300; ++round) {
      const Sweep sweep = SweepAccumulators(*target, random);
      ASSERT_LE(sweep.largest, sweep.bound.codes) << name << ", seed " << kSeed << ", round " << round;
      expected += sweep.bound.expected_flip_rate;
      changed += sweep.changed;
    }
    EXPECT_GT(changed, 0.9 * expected) << name << ", seed " << kSeed;
    EXPECT_LT(changed, 1.1 * expected) << name << ", seed " << kSeed;
  }
}

// An int8 bias moves several codes: the bound is a number that is met, layer by layer.
TEST(BiasBoundTest, IsMetByACoarseBias) {
  constexpr unsigned kSeed = 21;
  std::mt19937 random(kSeed);
  auto target = numerics::FindTarget("generic-int8");
  QATGAP_ASSERT_OK(target);
  target->bias.bits = 4;  // steps of 2^-2 and more
  std::int64_t most = 0;
  for (int round = 0; round < 300; ++round) {
    const Sweep sweep = SweepAccumulators(*target, random);
    ASSERT_LE(sweep.largest, sweep.bound.codes) << "seed " << kSeed << ", round " << round;
    if (sweep.bound.codes < 2) continue;
    EXPECT_GE(sweep.largest, sweep.bound.codes - 1) << "seed " << kSeed << ", round " << round;
    most = std::max(most, sweep.largest);
  }
  EXPECT_GE(most, 10);
}

}  // namespace
}  // namespace qatgap::findings
