// Hand-computed codes that tell the rules apart; all scales are powers of two unless a comment says why not.
#include "analyzers/numerics/operators.h"

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace qatgap::numerics {
namespace {

QuantParams Params(double scale, std::int64_t zero_point, std::int64_t min = -128, std::int64_t max = 127) {
  return {.scales = {scale}, .zero_points = {zero_point}, .quant_min = min, .quant_max = max};
}

OutputRange RangeOf(const QuantParams& output) {
  return {.zero_point = output.zero_point(), .min = output.quant_min, .max = output.quant_max};
}

BinaryOperands Binary(const QuantParams& a, const QuantParams& b, const QuantParams& output) {
  return {.a = a, .b = b, .output = output, .range = RangeOf(output)};
}

UnaryOperands Unary(const QuantParams& input, const QuantParams& output) {
  return {.input = input, .output = output, .range = RangeOf(output)};
}

std::int32_t Add(AddRule rule, const BinaryOperands& operands, std::int32_t a, std::int32_t b) {
  std::array<std::int32_t, 1> code{};
  AddCodes(rule, operands, std::array{a}, std::array{b}, code);
  return code[0];
}

std::int32_t Mul(MulRule rule, const BinaryOperands& operands, std::int32_t a, std::int32_t b) {
  std::array<std::int32_t, 1> code{};
  MulCodes(rule, operands, std::array{a}, std::array{b}, code);
  return code[0];
}

constexpr KernelPosition kChannelsFirst;
constexpr KernelPosition kBody{.channels_last = true, .vector_body = true};
constexpr KernelPosition kTail{.channels_last = true, .vector_body = false};

template <typename Rule>
struct Witness {
  Rule rule;
  std::int32_t half, minus_half, half_and_one;  // the codes of 0.5 and -0.5 with z_y = 0, of 0.5 with z_y = 1
};

template <typename Rule, typename Names>
std::string NameOfTest(const Names& names, const ::testing::TestParamInfo<Witness<Rule>>& test) {
  return std::string(NameOf(names, test.param.rule));
}

class AddTieTest : public ::testing::TestWithParam<Witness<AddRule>> {};
// One element alone: kPytorch's scalar code, which adds the zero point before it rounds.
TEST_P(AddTieTest, OfOneHalf) {
  const auto& [rule, half, minus_half, half_and_one] = GetParam();
  const BinaryOperands at_0 = Binary(Params(0.5, 0), Params(0.5, 0), Params(1, 0));
  const BinaryOperands at_1 = Binary(Params(0.5, 0), Params(0.5, 0), Params(1, 1));
  EXPECT_EQ(Add(rule, at_0, 1, 0), half);
  EXPECT_EQ(Add(rule, at_0, -1, 0), minus_half);
  EXPECT_EQ(Add(rule, at_0, 0, -1), minus_half);
  EXPECT_EQ(Add(rule, at_1, 1, 0), half_and_one);
  EXPECT_EQ(Add(rule, at_1, 0, 1), half_and_one);
}
// kTflite, -1: << 20 and by 2^-1 -2^19; by 2^-20 the high half -2^18, then / 2^19 = -0.5, away from zero.
INSTANTIATE_TEST_SUITE_P(Rule, AddTieTest,
                         ::testing::Values(Witness<AddRule>{AddRule::kFloat, 0, 0, 1},
                                         Witness<AddRule>{AddRule::kPytorch, 0, 0, 2},
                                         Witness<AddRule>{AddRule::kQnnpack, 1, -1, 2},
                                         Witness<AddRule>{AddRule::kTflite, 1, -1, 2},
                                         Witness<AddRule>{AddRule::kXnnpack, 1, 0, 2},
                                         Witness<AddRule>{AddRule::kOnnxRuntime, 0, 0, 2}),
                         [](const auto& test) { return NameOfTest<AddRule>(kAddRuleNames, test); });

TEST(AddTest, PytorchRoundsTheElementsAfterTheLastBlockOf64Otherwise) {
  const BinaryOperands operands = Binary(Params(0.5, 0), Params(0.5, 0), Params(1, 1));
  const std::vector<std::int32_t> a(130, 1), b(130, 0);
  std::vector<std::int32_t> codes(130), expected(128, 1);
  expected.insert(expected.end(), 2, 2);
  AddCodes(AddRule::kPytorch, operands, a, b, codes);
  EXPECT_EQ(codes, expected);
}

TEST(AddTest, CommonPowerOfTwoOfTheGreaterRatio) {
  // 3 / 3 + 4 * 0.375 / 3 = 1.5. kQnnpack, n = 23: 3 * 2796203 + 4 * 2^20 = 12582913 = 1.5 * 2^23 + 1; kXnnpack,
  // n = 22: 3 * 1398101 + 4 * 2^19 = 6291455 = 1.5 * 2^22 - 1.
  const BinaryOperands operands = Binary(Params(1, 0), Params(0.375, 0), Params(3, 0));
  EXPECT_EQ(Add(AddRule::kQnnpack, operands, 3, 4), 2);
  EXPECT_EQ(Add(AddRule::kXnnpack, operands, 3, 4), 1);
}

TEST(AddTest, TfliteShiftsWideCodesBy15Bits) {
  // 30000 << 20 would leave 32 bits; << 15 it is 983040000. T = 2, by 1/2, twice summed 983040000, by 2 / 2^15.
  const QuantParams wide = Params(1, 0, -32768, 32767);
  EXPECT_EQ(Add(AddRule::kTflite, Binary(wide, wide, Params(2, 0, -32768, 32767)), 30000, 30000), 30000);
}

class MulTieTest : public ::testing::TestWithParam<Witness<MulRule>> {};
TEST_P(MulTieTest, OfOneHalf) {
  const auto& [rule, half, minus_half, half_and_one] = GetParam();
  const BinaryOperands at_0 = Binary(Params(0.5, 0), Params(0.5, 0), Params(0.5, 0));
  const BinaryOperands at_1 = Binary(Params(0.5, 0), Params(0.5, 0), Params(0.5, 1));
  EXPECT_EQ(Mul(rule, at_0, 1, 1), half);
  EXPECT_EQ(Mul(rule, at_0, -1, 1), minus_half);
  EXPECT_EQ(Mul(rule, at_1, 1, 1), half_and_one);
}
// kTflite: M = 1/2 has no second rounding, and the first is half up.
INSTANTIATE_TEST_SUITE_P(Rule, MulTieTest,
                         ::testing::Values(Witness<MulRule>{MulRule::kFloat, 0, 0, 1},
                                         Witness<MulRule>{MulRule::kPytorch, 0, 0, 1},
                                         Witness<MulRule>{MulRule::kTflite, 1, 0, 2},
                                         Witness<MulRule>{MulRule::kTfliteMicro, 1, 0, 2},
                                         Witness<MulRule>{MulRule::kXnnpack, 0, 0, 1},
                                         Witness<MulRule>{MulRule::kOnnxRuntime, 0, 0, 2}),
                         [](const auto& test) { return NameOfTest<MulRule>(kMulRuleNames, test); });

TEST(MulTest, TfliteRoundsTwice) {
  // -6 / 4 = -1.5: -3 of -3.0, then -2 of -1.5.
  const BinaryOperands operands = Binary(Params(0.5, 0), Params(0.5, 0), Params(1, 0));
  EXPECT_EQ(Mul(MulRule::kTflite, operands, -3, 2), -2);
  EXPECT_EQ(Mul(MulRule::kXnnpack, operands, -3, 2), -2);  // half to even
  EXPECT_EQ(Mul(MulRule::kTflite, operands, -5, 2), -3);   // -2.5
  EXPECT_EQ(Mul(MulRule::kXnnpack, operands, -5, 2), -2);
}

TEST(MulTest, TfliteMicroKeepsTheProductOfTheScalesInBinary64) {
  // (1 + 2^-12)^2 = 1 + 2^-11 + 2^-24 loses its last bit in binary32. 129 * 127 = 16383 of it, halved: 8195.49976 or
  // 8195.50024.
  const double scale = 1 + 0x1p-12;
  const BinaryOperands operands =
      Binary(Params(scale, 0, 0, 255), Params(scale, 0, 0, 255), Params(2, 0, -32768, 32767));
  EXPECT_EQ(Mul(MulRule::kTflite, operands, 129, 127), 8195);
  EXPECT_EQ(Mul(MulRule::kTfliteMicro, operands, 129, 127), 8196);
}

TEST(MulTest, PytorchMultipliesByTheReciprocal) {
  // 5 * 3 / 30 = 0.5; fl(3 * fl(1 / 30)) is above fl(3 / 30) by one bit: 0.50000006.
  const BinaryOperands operands = Binary(Params(3, 0), Params(1, 0), Params(30, 0));
  EXPECT_EQ(Mul(MulRule::kPytorch, operands, 5, 1), 1);
  EXPECT_EQ(Mul(MulRule::kXnnpack, operands, 5, 1), 0);
}

TEST(ConcatTest, OfOneHalf) {
  const UnaryOperands operands = Unary(Params(0.5, 0), Params(1, 1));
  EXPECT_EQ(ConcatCode(ConcatRule::kFloat, operands, kChannelsFirst, 1), 1);
  EXPECT_EQ(ConcatCode(ConcatRule::kPytorch, operands, kChannelsFirst, 1), 2);
  EXPECT_EQ(ConcatCode(ConcatRule::kPytorch, operands, kBody, 1), 1);
  EXPECT_EQ(ConcatCode(ConcatRule::kPytorch, operands, kTail, 1), 2);
  EXPECT_EQ(ConcatCode(ConcatRule::kTflite, operands, kChannelsFirst, 1), 2);
  EXPECT_EQ(ConcatCode(ConcatRule::kTflite, operands, kChannelsFirst, -1), 0);
  EXPECT_EQ(ConcatCode(ConcatRule::kOnnxRuntime, operands, kChannelsFirst, 1), 1);
  EXPECT_EQ(ConcatCode(ConcatRule::kOnnxRuntime, operands, kChannelsFirst, -1), 1);
}

TEST(ConcatTest, OnnxRuntimeDivides) {
  // 75 * 0.5 / 15 = 2.5; fl(1 / 15) is above 1 / 15: 2.5000002.
  const UnaryOperands operands = Unary(Params(0.5, 0), Params(15, 0));
  EXPECT_EQ(ConcatCode(ConcatRule::kFloat, operands, kChannelsFirst, 75), 3);
  EXPECT_EQ(ConcatCode(ConcatRule::kOnnxRuntime, operands, kChannelsFirst, 75), 2);
}

TEST(ConcatTest, InputsOnTheOutputsGridAreCopied) {
  const UnaryOperands operands = Unary(Params(0.1, 3), Params(0.1, 3));
  for (const auto& [rule, name] : kConcatRuleNames) {
    for (std::int32_t code = -128; code <= 127; ++code) {
      EXPECT_EQ(ConcatCode(rule, operands, kChannelsFirst, code), code) << name;
    }
  }
}

std::int32_t AveragePool(AveragePoolRule rule, const UnaryOperands& operands, KernelPosition position,
                         std::vector<std::int32_t> codes, std::int64_t count, std::int64_t height,
                         bool adaptive = false) {
  return AveragePoolCode(rule, operands, position,
                         {.codes = codes, .count = count, .height = height, .width = 1, .adaptive = adaptive});
}

TEST(AveragePoolTest, OfOneHalf) {
  // Codes 1 and 2 around z = 1: A = 1, n = 2.
  const UnaryOperands operands = Unary(Params(1, 1), Params(1, 1));
  EXPECT_EQ(AveragePool(AveragePoolRule::kFloat, operands, kChannelsFirst, {1, 2}, 2, 2), 1);
  EXPECT_EQ(AveragePool(AveragePoolRule::kPytorch, operands, kChannelsFirst, {1, 2}, 2, 2), 2);
  EXPECT_EQ(AveragePool(AveragePoolRule::kPytorch, operands, kBody, {1, 2}, 2, 2), 1);
  EXPECT_EQ(AveragePool(AveragePoolRule::kPytorch, operands, kTail, {1, 2}, 2, 2), 2);
  EXPECT_EQ(AveragePool(AveragePoolRule::kPytorch, operands, kChannelsFirst, {1, 2}, 2, 2, /*adaptive=*/true), 2);
  EXPECT_EQ(AveragePool(AveragePoolRule::kPytorch, operands, kBody, {1, 2}, 2, 2, /*adaptive=*/true), 2);
  EXPECT_EQ(AveragePool(AveragePoolRule::kQnnpack, operands, kChannelsFirst, {1, 2}, 2, 2), 1);
  EXPECT_EQ(AveragePool(AveragePoolRule::kTflite, operands, kChannelsFirst, {1, 2}, 2, 2), 2);
  EXPECT_EQ(AveragePool(AveragePoolRule::kOnnxRuntime, operands, kChannelsFirst, {1, 2}, 2, 2), 2);
}

TEST(AveragePoolTest, TfliteRoundsAwayFromZero) {
  const UnaryOperands operands = Unary(Params(1, 0), Params(1, 0));
  EXPECT_EQ(AveragePool(AveragePoolRule::kTflite, operands, kChannelsFirst, {-1, -2}, 2, 2), -2);
  EXPECT_EQ(AveragePool(AveragePoolRule::kTflite, operands, kChannelsFirst, {-1, -1, -2}, 3, 3), -1);
  EXPECT_EQ(AveragePool(AveragePoolRule::kTflite, operands, kChannelsFirst, {0, 0}, 2, 2), 0);
}

TEST(AveragePoolTest, WhatCountsAtTheBorder) {
  // A window of 4, of which two codes of 3 lie inside the image.
  const UnaryOperands operands = Unary(Params(1, 0), Params(1, 0));
  const std::vector<std::int32_t> inside = {3, 3};
  EXPECT_EQ(AveragePool(AveragePoolRule::kFloat, operands, kChannelsFirst, inside, 4, 4), 2);
  EXPECT_EQ(AveragePool(AveragePoolRule::kFloat, operands, kChannelsFirst, inside, 2, 4), 3);
  EXPECT_EQ(AveragePool(AveragePoolRule::kPytorch, operands, kChannelsFirst, inside, 2, 4), 3);
  EXPECT_EQ(AveragePool(AveragePoolRule::kOnnxRuntime, operands, kChannelsFirst, inside, 2, 4), 3);
  EXPECT_EQ(AveragePool(AveragePoolRule::kQnnpack, operands, kChannelsFirst, inside, 2, 4), 2);  // the whole window
  EXPECT_EQ(AveragePool(AveragePoolRule::kTflite, operands, kChannelsFirst, inside, 4, 4), 3);   // the image
}

TEST(AveragePoolTest, AWindowInThePaddingIsTheZeroPointNoDivisionByZero) {
  const UnaryOperands operands = Unary(Params(1, 0), Params(1, 0));
  for (const auto& [rule, name] : kAveragePoolRuleNames) {
    EXPECT_EQ(AveragePool(rule, operands, kChannelsFirst, {}, 1, 1), 0) << name;
  }
}

TEST(MeanTest, OfOneHalf) {
  // Codes 1 and 2 around z = 1: A = 1, n = 2, S = 3.
  const UnaryOperands operands = Unary(Params(1, 1), Params(1, 1));
  const ReducedElements half{.sum = 3, .count = 2, .spatial = true};
  const ReducedElements minus_half{.sum = 1, .count = 2, .spatial = true};
  const auto mean = [&](MeanRule rule, const ReducedElements& elements) {
    return MeanCode(rule, operands, kChannelsFirst, elements);
  };
  EXPECT_EQ(mean(MeanRule::kFloat, half), 1);
  EXPECT_EQ(mean(MeanRule::kPytorch, half), 2);
  EXPECT_EQ(mean(MeanRule::kQnnpack, half), 1);
  EXPECT_EQ(mean(MeanRule::kTflite, half), 2);
  EXPECT_EQ(mean(MeanRule::kTflite, minus_half), 1);        // half up: M = 1/2 has no second rounding
  EXPECT_EQ(mean(MeanRule::kTfliteVector, half), 2);        // S / 2 = 1.5
  EXPECT_EQ(mean(MeanRule::kTfliteVector, minus_half), 1);  // S / 2 = 0.5
  EXPECT_EQ(mean(MeanRule::kXnnpack, half), 2);             // 1.5
  EXPECT_EQ(mean(MeanRule::kXnnpack, minus_half), 0);       // 0.5: the raw sum rounds to even, not A
  EXPECT_EQ(mean(MeanRule::kOnnxRuntime, half), 1);
}

TEST(MeanTest, TfliteVectorRoundsHalfUpOnlyInWholeVectorsOfSignedCodes) {
  // S = -12, n = 8: the high product -6, then / 4 = -1.5.
  const ReducedElements elements{.sum = -12, .count = 8, .spatial = true};
  const ReducedElements other_axes{.sum = -12, .count = 8, .spatial = false};
  const UnaryOperands operands = Unary(Params(1, 0), Params(1, 0));
  EXPECT_EQ(MeanCode(MeanRule::kTfliteVector, operands, {.vector_body = true}, elements), -1);
  EXPECT_EQ(MeanCode(MeanRule::kTfliteVector, operands, {.vector_body = false}, elements), -2);
  EXPECT_EQ(MeanCode(MeanRule::kTfliteVector, operands, {.vector_body = true}, other_axes), -2);
  EXPECT_EQ(MeanCode(MeanRule::kTflite, operands, {.vector_body = true}, elements), -2);
}

TEST(MeanTest, TfliteVectorRoundsTheZeroPointOnItsOwn) {
  // z_x * s_x / s_y = 0.25 becomes 0. S / n / 4 = 1.5: 2. The exact mean (6 - 1) / 4 = 1.25: 1, as kTflite has it.
  const UnaryOperands operands = Unary(Params(0.25, 1), Params(1, 0));
  const ReducedElements elements{.sum = 12, .count = 2, .spatial = true};
  EXPECT_EQ(MeanCode(MeanRule::kTfliteVector, operands, kChannelsFirst, elements), 2);
  EXPECT_EQ(MeanCode(MeanRule::kTflite, operands, kChannelsFirst, elements), 1);
}

TEST(MeanTest, TfliteTruncatesTheDividedMultiplier) {
  // s_x / s_y = 1, n = 3: (2^30 << 1) / 3 = 715827882.67 is truncated to 715827882, / 2^31 just below 1/3. A = 300 is
  // 99.9999999 and still 100; A = 3 * k + 1.5 does not exist: the mean of 0, 1 and 0 is 0.
  const UnaryOperands operands = Unary(Params(1, 0), Params(1, 0));
  EXPECT_EQ(MeanCode(MeanRule::kTflite, operands, kChannelsFirst, {.sum = 300, .count = 3}), 100);
  EXPECT_EQ(MeanCode(MeanRule::kTflite, operands, kChannelsFirst, {.sum = 1, .count = 3}), 0);
  EXPECT_EQ(MeanCode(MeanRule::kTflite, operands, kChannelsFirst, {.sum = 2, .count = 3}), 1);
}

// Every pair of int8 codes, awkward scales: half a step from the reals, or three quarters where two roundings follow
// one another without bits between them, and never outside the range.
constexpr double kOneRounding = 0.502, kTwoRoundings = 0.752;

class NearnessTest : public ::testing::TestWithParam<double> {};

void ExpectNear(const BinaryOperands& operands, std::string_view name, std::int32_t code, double real, double limit) {
  const double exact = real / operands.output.scale() + static_cast<double>(operands.range.zero_point);
  const double clamped = std::fmin(std::fmax(exact, static_cast<double>(operands.range.min)),
                                   static_cast<double>(operands.range.max));
  ASSERT_LT(std::abs(code - clamped), limit) << name << " of " << exact;
}

TEST_P(NearnessTest, AddAndMulOfAllCodes) {
  BinaryOperands operands = Binary(Params(0.0371, 7), Params(0.0193, -11), Params(0.0371 * GetParam(), -5));
  operands.range.min = -100;
  operands.range.max = 90;
  std::vector<std::int32_t> a, b;
  for (std::int32_t i = 0; i < 65536; ++i) {
    a.push_back(i / 256 - 128);
    b.push_back(i % 256 - 128);
  }
  std::vector<std::int32_t> codes(a.size());
  const auto real = [](const QuantParams& params, std::int32_t code) {
    return params.scale() * static_cast<double>(code - params.zero_point());
  };
  for (const auto& [rule, name] : kAddRuleNames) {
    AddCodes(rule, operands, a, b, codes);
    for (std::size_t i = 0; i < codes.size(); ++i) {
      ExpectNear(operands, name, codes[i], real(operands.a, a[i]) + real(operands.b, b[i]), kOneRounding);
    }
  }
  for (const auto& [rule, name] : kMulRuleNames) {
    const bool twice = rule == MulRule::kTflite || rule == MulRule::kTfliteMicro;
    MulCodes(rule, operands, a, b, codes);
    for (std::size_t i = 0; i < codes.size(); ++i) {
      ExpectNear(operands, name, codes[i], real(operands.a, a[i]) * real(operands.b, b[i]),
                 twice ? kTwoRoundings : kOneRounding);
    }
  }
}
INSTANTIATE_TEST_SUITE_P(OutputScale, NearnessTest, ::testing::Values(0.25, 0.9371, 1.5, 7.31),
                         [](const auto& test) { return absl::StrCat("Times", std::lround(test.param * 100), "Percent"); });

TEST(EmptyTest, NoCodes) {
  const BinaryOperands operands = Binary(Params(1, 0), Params(1, 0), Params(1, 0));
  for (const auto& [rule, name] : kAddRuleNames) AddCodes(rule, operands, {}, {}, {});
  for (const auto& [rule, name] : kMulRuleNames) MulCodes(rule, operands, {}, {}, {});
}

}  // namespace
}  // namespace qatgap::numerics
