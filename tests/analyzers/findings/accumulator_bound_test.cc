#include "analyzers/findings/accumulator_bound.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/graph_builder.h"

namespace qatgap::findings {
namespace {

using ::qatgap::testing::PerChannel;
using ::qatgap::testing::PerTensor;

graph::MacLayer Layer(graph::Shape shape, std::vector<std::int32_t> weights, numerics::QuantParams params) {
  graph::MacLayer layer;
  layer.output_channels = shape[0];
  layer.weight = graph::Tensor::Of<std::int32_t>(std::move(shape), weights);
  layer.weight_params = std::move(params);
  return layer;
}

TEST(AccumulatorIntervalsTest, ByHand) {
  // Codes 0..255, z_x = 10: x - z_x is -10..245.
  const auto intervals =
      AccumulatorIntervals(Layer({2, 2, 1, 1}, {3, -4, 100, 5}, PerChannel({0.25, 0.5})), PerTensor(0.5, 10));
  EXPECT_EQ(intervals[0].min, 3 * -10 + -4 * 245);
  EXPECT_EQ(intervals[0].max, 3 * 245 + -4 * -10);
  EXPECT_EQ(intervals[1].min, 105 * -10);
  EXPECT_EQ(intervals[1].max, 105 * 245);
}

// [in, out / groups, 1, 1] of two groups: inputs 0 and 1 give channels 0 and 1, inputs 2 and 3 channels 2 and 3.
TEST(AccumulatorIntervalsTest, OfAGroupedTransposedConvolution) {
  graph::MacLayer layer = Layer({4, 2, 1, 1}, {1, 2, 3, 4, 5, 6, 7, 8}, PerTensor(1, 0));
  layer.convolution.transposed = true;
  layer.convolution.groups = 2;
  layer.output_channels = 4;
  const auto intervals = AccumulatorIntervals(layer, PerTensor(0.5, 0, 0, 10));
  ASSERT_EQ(intervals.size(), 4U);
  EXPECT_EQ(intervals[0].max, (1 + 3) * 10);
  EXPECT_EQ(intervals[1].max, (2 + 4) * 10);
  EXPECT_EQ(intervals[2].max, (5 + 7) * 10);
  EXPECT_EQ(intervals[3].max, (6 + 8) * 10);
  for (const AccumulatorInterval& interval : intervals) EXPECT_EQ(interval.min, 0);
}

// Every input of four codes there is: the bounds are its extremes, neither wider nor narrower.
TEST(AccumulatorIntervalsTest, AreTheExtremesOverAllInputs) {
  constexpr unsigned kSeed = 7;
  std::mt19937 random(kSeed);
  std::uniform_int_distribution<std::int32_t> weight(-9, 9), point(-2, 5);
  for (int round = 0; round < 20; ++round) {
    const std::vector<std::int32_t> weights = {weight(random), weight(random), weight(random), weight(random)};
    const std::int64_t weight_zero = point(random), input_zero = point(random);
    numerics::QuantParams params = PerTensor(1, weight_zero, -128, 127);
    const auto intervals =
        AccumulatorIntervals(Layer({1, 4, 1, 1}, weights, params), PerTensor(0.5, input_zero, -2, 5));
    std::int64_t low = std::numeric_limits<std::int64_t>::max(), high = std::numeric_limits<std::int64_t>::min();
    for (std::int64_t index = 0; index < 8 * 8 * 8 * 8; ++index) {
      std::int64_t sum = 0, rest = index;
      for (const std::int32_t w : weights) {
        sum += (rest % 8 - 2 - input_zero) * (w - weight_zero);
        rest /= 8;
      }
      low = std::min(low, sum);
      high = std::max(high, sum);
    }
    EXPECT_EQ(intervals[0].min, low) << "seed " << kSeed << ", round " << round;
    EXPECT_EQ(intervals[0].max, high) << "seed " << kSeed << ", round " << round;
  }
}

TEST(BiasInAccumulatorTest, IsInStepsOfTheProducts) {
  numerics::BiasRule rule;
  const numerics::StoredBias bias{.real = 11, .scale = 2, .rounded = 5, .stored = 5};
  EXPECT_EQ(BiasInAccumulator(rule, bias, 0.5, 0.25), 5) << "stored at s_x * s_w";
  rule.scale = numerics::BiasScale::kOwnPowerOfTwo;
  EXPECT_EQ(BiasInAccumulator(rule, bias, 0.5, 0.25), 80) << "5 * 2 / 0.125";
  EXPECT_EQ(BiasInAccumulator(rule, bias, 2, 2), 3) << "2.5, half up";
  rule.alignment = numerics::BiasAlignment::kShiftFloor;
  EXPECT_EQ(BiasInAccumulator(rule, bias, 2, 2), 2);
  rule.alignment = numerics::BiasAlignment::kExact;
  EXPECT_EQ(BiasInAccumulator(rule, bias, 2, 2), 0) << "a float";
  EXPECT_EQ(BiasInAccumulator({.mode = numerics::BiasMode::kFloatBeforeScale}, bias, 2, 2), 0);
}

TEST(CanLeaveTest, AtTheLimits) {
  EXPECT_FALSE(CanLeave({-5, 7}, 120, 8));
  EXPECT_TRUE(CanLeave({-5, 7}, 121, 8));
  EXPECT_FALSE(CanLeave({-5, 7}, -123, 8));
  EXPECT_TRUE(CanLeave({-5, 7}, -124, 8));
  const std::int64_t max = std::numeric_limits<std::int64_t>::max(), min = std::numeric_limits<std::int64_t>::min();
  EXPECT_FALSE(CanLeave({-1, 1}, max - 1, 64));
  EXPECT_TRUE(CanLeave({-1, 1}, max, 64));
  EXPECT_FALSE(CanLeave({-1, 1}, min + 1, 64));
  EXPECT_TRUE(CanLeave({-1, 1}, min, 64));
}

}  // namespace
}  // namespace qatgap::findings
