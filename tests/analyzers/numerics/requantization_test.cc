#include "analyzers/numerics/requantization.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/numerics/layers.h"

namespace qatgap::numerics {
namespace {

using ::testing::ElementsAre;

constexpr std::int32_t kInt32Max = std::numeric_limits<std::int32_t>::max();
constexpr std::int32_t kInt32Min = std::numeric_limits<std::int32_t>::min();

std::vector<std::int32_t> Outputs(const TargetDescription& target, const RequantConstants& channel,
                                  const OutputRange& range, const std::vector<std::int32_t>& accumulators) {
  std::vector<std::int32_t> codes(accumulators.size());
  Requantize(target, channel, range, accumulators, codes);
  return codes;
}

std::vector<std::int64_t> Sums(const AccumulatorRule& rule, std::int64_t addend,
                               const std::vector<std::int32_t>& accumulators) {
  std::vector<std::int64_t> sums;
  for (const std::int32_t accumulator : accumulators) sums.push_back(Accumulate(rule, accumulator, addend));
  return sums;
}

TEST(RequantMultiplierTest, TheTwoFormsDifferInTheLastBit) {
  int different = 0;
  for (int i = 1; i < 1000; ++i) {
    const double s_w = i * 0.001;
    const float divided = RequantMultiplier(0.02, s_w, 0.07, MultiplierForm::kProductThenDivide);
    const float multiplied = RequantMultiplier(0.02, s_w, 0.07, MultiplierForm::kProductTimesReciprocal);
    EXPECT_EQ(divided, 0.02f * static_cast<float>(s_w) / 0.07f);
    EXPECT_EQ(multiplied, 0.02f * static_cast<float>(s_w) * (1.0f / 0.07f));
    EXPECT_LE(std::abs(divided - multiplied), std::ldexp(divided, -22));
    different += divided != multiplied ? 1 : 0;
  }
  EXPECT_GT(different, 0);
  EXPECT_LT(different, 999);
}

TEST(AccumulateTest, WrapsOrSaturatesAtTheWidth) {
  const AccumulatorRule wrap{.bits = 32, .overflow = AccumulatorOverflow::kWrap};
  EXPECT_THAT(Sums(wrap, 1, {kInt32Max, 5}), ElementsAre(kInt32Min, 6));
  EXPECT_THAT(Sums(wrap, std::int64_t{1} << 40, {7}), ElementsAre(7));
  const AccumulatorRule saturate{.bits = 32, .overflow = AccumulatorOverflow::kSaturate};
  EXPECT_THAT(Sums(saturate, 1, {kInt32Max, 5}), ElementsAre(kInt32Max, 6));
  EXPECT_THAT(Sums(saturate, -1, {kInt32Min}), ElementsAre(kInt32Min));
  const AccumulatorRule wide{.bits = 64, .overflow = AccumulatorOverflow::kSaturate};
  EXPECT_THAT(Sums(wide, std::numeric_limits<std::int64_t>::max(), {1}),
              ElementsAre(std::numeric_limits<std::int64_t>::max()));
  const AccumulatorRule narrow{.bits = 16, .overflow = AccumulatorOverflow::kWrap};
  EXPECT_THAT(Sums(narrow, 0, {32768, -32769, 65536}), ElementsAre(-32768, 32767, 0));
}

TEST(RequantizeTest, ZeroPointBeforeRoundingChangesTheParityOfTies) {
  // v = 0.5 and z_y = 1: RNE(0.5) + 1 = 1, RNE(0.5 + 1) = 2.
  TargetDescription target = Target("generic-int32");
  const RequantConstants channel{.multiplier = 0.5f};
  const OutputRange odd{.zero_point = 1, .min = 0, .max = 255};
  const std::vector<std::int32_t> accumulators = {-3, -1, 1, 3, 5};
  EXPECT_THAT(Outputs(target, channel, odd, accumulators), ElementsAre(0, 1, 1, 3, 3));
  target.requantization.zero_point = ZeroPointOrder::kBeforeRounding;
  EXPECT_THAT(Outputs(target, channel, odd, accumulators), ElementsAre(0, 0, 2, 2, 4));
}

TEST(RequantizeTest, EveryRoundingRule) {
  struct Case {
    Rounding rounding;
    std::vector<std::int32_t> expected;
  };
  TargetDescription target = Target("generic-int32");
  const OutputRange range{.zero_point = 10, .min = 0, .max = 255};
  for (const Case& c : {Case{Rounding::kHalfToEven, {8, 8, 10, 10, 10, 12}},
                        Case{Rounding::kHalfAwayFromZero, {7, 8, 9, 10, 11, 12}},
                        Case{Rounding::kHalfUp, {8, 9, 10, 10, 11, 12}},
                        Case{Rounding::kTowardZero, {8, 9, 10, 10, 10, 11}},
                        Case{Rounding::kFloor, {7, 8, 9, 10, 10, 11}}}) {
    target.requantization.rounding = c.rounding;
    EXPECT_EQ(Outputs(target, {.multiplier = 0.5f}, range, {-5, -3, -1, 0, 1, 3}), c.expected)
        << ToString(c.rounding);
  }
}

TEST(RequantizeTest, OverflowEndsAtTheLowerLimitOnX86AndTheUpperElsewhere) {
  const RequantConstants channel{.multiplier = 2.0f};  // M >= 1
  const OutputRange range{.zero_point = 3, .min = 0, .max = 255};
  // 2 * (2^30 - 64) is the last binary32 number below 2^31.
  const std::vector<std::int32_t> accumulators = {100, 1 << 30, (1 << 30) - 64, -(1 << 30), kInt32Min, kInt32Max};
  EXPECT_THAT(Outputs(Target("pytorch-qnnpack"), channel, range, accumulators), ElementsAre(203, 0, 255, 0, 0, 0));
  EXPECT_THAT(Outputs(Target("generic-int32"), channel, range, accumulators), ElementsAre(203, 255, 255, 0, 0, 255));
}

TEST(RequantizeTest, InfiniteFloatBiasIsDefined) {
  RequantConstants channel{.bias = std::numeric_limits<float>::infinity(), .multiplier = 0.5f};
  const OutputRange range{.zero_point = 3, .min = 3, .max = 255};
  EXPECT_THAT(Outputs(Target("pytorch-fbgemm"), channel, range, {0, 5}), ElementsAre(3, 3));
  channel.bias = -channel.bias;
  EXPECT_THAT(Outputs(Target("pytorch-fbgemm"), channel, range, {0, 5}), ElementsAre(3, 3));
}

TEST(RequantizeTest, AccumulatorsBeyondTwoToThe24LoseBits) {
  // fl(2^24 + 1) = 2^24: 0.5 + 2^-25 becomes a tie and goes down.
  const RequantConstants channel{.multiplier = 0x1p-25f};
  EXPECT_THAT(Outputs(Target("generic-int32"), channel, {}, {(1 << 24) + 1, (1 << 24) + 2}), ElementsAre(0, 1));
}

TEST(RequantizeTest, FloatBiasAfterTheScale) {
  TargetDescription target = Target("generic-int32");
  target.bias.mode = BiasMode::kFloatAfterScale;
  target.requantization.zero_point = ZeroPointOrder::kBeforeRounding;
  const RequantConstants channel{.bias = 0.25f, .input_scale = 0.5f, .weight_scale = 0.5f, .output_scale = 0.5f};
  const OutputRange range{.zero_point = 1, .min = 0, .max = 255};
  // d = A / 4 + 1 / 4; v = 2 d + 1: A = 0 gives 1.5 -> 2, A = 2 gives 2.5 -> 2, A = 3 gives 3.
  EXPECT_THAT(Outputs(target, channel, range, {0, 2, 3, -100, 5000}), ElementsAre(2, 2, 3, 0, 255));
  target.requantization.multiplier = MultiplierForm::kProductTimesReciprocal;
  EXPECT_THAT(Outputs(target, channel, range, {0, 2, 3, -100, 5000}), ElementsAre(2, 2, 3, 0, 255));
}

TEST(RequantizeTest, BlocksAreSeamless) {
  std::vector<std::int32_t> accumulators(3000);
  for (std::size_t i = 0; i < accumulators.size(); ++i) accumulators[i] = static_cast<std::int32_t>(i % 251);
  EXPECT_EQ(Outputs(Target("generic-int32"), {.multiplier = 1.0f}, {}, accumulators), accumulators);
  EXPECT_THAT(Outputs(Target("generic-int32"), {.multiplier = 1.0f}, {}, {}), ElementsAre());
}

// Accumulators worth trying: all of int16, the ends of int32, and random ones of every magnitude.
std::vector<std::int32_t> ManyAccumulators() {
  std::vector<std::int32_t> accumulators;
  for (std::int32_t a = -32768; a <= 32767; ++a) accumulators.push_back(a);
  for (const std::int32_t d : {0, 1, 2, 63, 64, 65}) {
    accumulators.insert(accumulators.end(), {kInt32Min + d, kInt32Max - d, (1 << 24) + d, -(1 << 24) - d, (1 << 30) - d});
  }
  std::mt19937 random(20240611);
  for (int i = 0; i < 20000; ++i) {
    accumulators.push_back(static_cast<std::int32_t>(random()) >> (random() % 31));
  }
  return accumulators;
}

#ifdef __SSE2__
// The instructions FBGEMM (requantizeOutputProcessingAvx2) and QNNPACK (q8gemm/4x4c2-sse2.c) end with, four lanes
// wide: what the descriptions claim, executed by the processor itself.
std::int32_t X86Output(float v, std::int16_t zero_point, std::uint8_t min, std::uint8_t max) {
  const __m128i q = _mm_cvtps_epi32(_mm_set1_ps(v));
  const __m128i packed = _mm_adds_epi16(_mm_packs_epi32(q, q), _mm_set1_epi16(zero_point));
  __m128i out = _mm_packus_epi16(packed, packed);
  out = _mm_min_epu8(_mm_max_epu8(out, _mm_set1_epi8(static_cast<char>(min))), _mm_set1_epi8(static_cast<char>(max)));
  return _mm_cvtsi128_si32(out) & 0xff;
}

TEST(X86DifferentialTest, FbgemmAndQnnpackEqualTheirInstructions) {
  const std::vector<std::int32_t> accumulators = ManyAccumulators();
  for (const float multiplier : {0.0021f, 0.25f, 0.3333333f, 1.0f, 3.7f, 1e-9f}) {
    for (const std::int16_t zero_point : std::initializer_list<std::int16_t>{0, 1, 64, 128, 255}) {
      const OutputRange range{.zero_point = zero_point, .min = zero_point / 2, .max = 255};
      const float bias = 17.37f;
      std::vector<std::int32_t> expected;
      for (const std::int32_t a : accumulators) {
        expected.push_back(X86Output((static_cast<float>(a) + bias) * multiplier, zero_point,
                                     static_cast<std::uint8_t>(range.min), 255));
      }
      EXPECT_EQ(Outputs(Target("pytorch-fbgemm"), {.bias = bias, .multiplier = multiplier}, range, accumulators), expected)
          << multiplier << " " << zero_point;
      expected.clear();
      const std::int32_t stored = 2000000011;
      for (const std::int32_t a : accumulators) {
        const auto sum = static_cast<std::int32_t>(static_cast<std::uint32_t>(a) + static_cast<std::uint32_t>(stored));
        expected.push_back(
            X86Output(static_cast<float>(sum) * multiplier, zero_point, static_cast<std::uint8_t>(range.min), 255));
      }
      EXPECT_EQ(Outputs(Target("pytorch-qnnpack"), {.accumulator_bias = stored, .multiplier = multiplier}, range,
                    accumulators), expected)
          << multiplier << " " << zero_point;
    }
  }
}
#endif

// 3.4's own words, one element at a time.
TEST(XnnpackFormulaTest, GenericTargetsClampAsFloatsThenRound) {
  const std::vector<std::int32_t> accumulators = ManyAccumulators();
  for (const float multiplier : {0.0021f, 0.25f, 1.0f, 3.7f}) {
    for (const std::int64_t zero_point : {0, 1, 128, 255}) {
      const OutputRange range{.zero_point = zero_point, .min = 0, .max = 255};
      std::vector<std::int32_t> expected;
      for (const std::int32_t a : accumulators) {
        float v = static_cast<float>(a) * multiplier;
        v = std::min(std::max(v, static_cast<float>(0 - zero_point)), static_cast<float>(255 - zero_point));
        expected.push_back(static_cast<std::int32_t>(std::lrintf(v) + zero_point));
      }
      EXPECT_EQ(Outputs(Target("generic-int32"), {.multiplier = multiplier}, range, accumulators), expected)
          << multiplier << " " << zero_point;
    }
  }
}

}  // namespace
}  // namespace qatgap::numerics
