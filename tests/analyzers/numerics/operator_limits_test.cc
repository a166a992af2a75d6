#include "analyzers/numerics/operator_limits.h"

#include <span>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::numerics {
namespace {

using ::testing::HasSubstr;

QuantParams Params(double scale, std::int64_t zero_point = 0, std::int64_t min = -128, std::int64_t max = 127) {
  return {.scales = {scale}, .zero_points = {zero_point}, .quant_min = min, .quant_max = max};
}
QuantParams Unsigned(double scale, std::int64_t zero_point) { return Params(scale, zero_point, 0, 255); }
BinaryOperands Binary(const QuantParams& a, const QuantParams& b, const QuantParams& output) {
  return {.a = a, .b = b, .output = output, .range = {}};
}
UnaryOperands Unary(const QuantParams& input, const QuantParams& output) {
  return {.input = input, .output = output, .range = {}};
}
BinaryOperands Ratios(double a, double b) { return Binary(Params(a), Params(b), Params(1)); }

struct Limit {
  const char* name;
  absl::Status taken, refused;
  const char* message;
};

class LimitTest : public ::testing::TestWithParam<Limit> {};
TEST_P(LimitTest, TheLastThatIsTakenAndTheFirstThatIsNot) {
  QATGAP_EXPECT_OK(GetParam().taken);
  EXPECT_EQ(GetParam().refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(GetParam().refused.message()), HasSubstr(GetParam().message));
}

std::vector<Limit> Limits() {
  QuantParams per_channel = Params(1);
  per_channel = {.scales = {1, 1}, .zero_points = {0, 0}, .quant_min = -128, .quant_max = 127, .axis = 1};
  return {
      {"QnnpackAddSmall", CheckAdd(AddRule::kQnnpack, Ratios(0x1p-14, 1)),
       CheckAdd(AddRule::kQnnpack, Ratios(0x1.fp-15, 1)),
       "first input's scale / output's is 5.91278e-05, the runtime takes 6.10352e-05 or more"},
      {"QnnpackAddLarge", CheckAdd(AddRule::kQnnpack, Ratios(1, 255)), CheckAdd(AddRule::kQnnpack, Ratios(1, 256)),
       "second input's scale / output's is 256"},
      {"XnnpackAddSmall", CheckAdd(AddRule::kXnnpack, Ratios(0x1p-10, 1)),
       CheckAdd(AddRule::kXnnpack, Ratios(0x1.fp-11, 1)),
       "takes 0.000976562 or more"},
      {"XnnpackAddLarge", CheckAdd(AddRule::kXnnpack, Ratios(255, 1)), CheckAdd(AddRule::kXnnpack, Ratios(256, 1)),
       "less than 256"},
      {"TfliteAddLarge", CheckAdd(AddRule::kTflite, Ratios(0x1.fp18, 1)), CheckAdd(AddRule::kTflite, Ratios(0x1p19, 1)),
       "less than 524288"},
      {"TfliteAddLargeOfInt16",
       CheckAdd(AddRule::kTflite, Binary(Params(0x1.fp13, 0, -32768, 32767), Params(1), Params(1))),
       CheckAdd(AddRule::kTflite, Binary(Params(0x1p14, 0, -32768, 32767), Params(1), Params(1))), "less than 16384"},
      {"XnnpackMulSmall", CheckMul(MulRule::kXnnpack, Ratios(0x1p-8, 0x1p-8)),
       CheckMul(MulRule::kXnnpack, Ratios(0x1p-8, 0x1p-9)),
       "product of the inputs' scales / output's scale is 7.62939e-06"},
      {"XnnpackMulLarge", CheckMul(MulRule::kXnnpack, Ratios(16, 15)), CheckMul(MulRule::kXnnpack, Ratios(16, 16)),
       "is 256"},
      {"CopiedConcat", CheckConcat(ConcatRule::kCopy, Unary(Unsigned(1, 3), Unsigned(1, 3))),
       CheckConcat(ConcatRule::kCopy, Unary(Unsigned(1, 3), Unsigned(1, 4))),
       "input has scale 1 and zero point 3, output 1 and 4"},
      {"TfliteConcatOfSignedCodes", CheckConcat(ConcatRule::kTflite, Unary(Unsigned(1, 3), Unsigned(2, 4))),
       CheckConcat(ConcatRule::kTflite, Unary(Params(1, 3), Params(2, 4))), "requantize before"},
      {"PytorchPool", CheckAveragePool(AveragePoolRule::kOnnxRuntime, Unary(Params(1), Params(2))),
       CheckAveragePool(AveragePoolRule::kPytorch, Unary(Params(1), Params(2))), "keeps the codes"},
      {"MaxPool", CheckMaxPool(Unary(Params(1), Params(1))), CheckMaxPool(Unary(Params(1), Params(2))),
       "output 2 and 0"},
      {"QnnpackMean", CheckMean(MeanRule::kXnnpack, Unary(Params(1), Params(2))),
       CheckMean(MeanRule::kQnnpack, Unary(Params(1), Params(2))), "keeps the codes"},
      {"TfliteMean", CheckMean(MeanRule::kTfliteVector, Unary(Params(0x1p29), Params(1))),
       CheckMean(MeanRule::kTfliteVector, Unary(Params(0x1p30), Params(1))), "less than 1.07374e+09"},
      {"SmallScale", CheckAdd(AddRule::kFloat, Ratios(0x1p-40, 1)), CheckAdd(AddRule::kFloat, Ratios(0x1.fp-41, 1)),
       "scale of the first input is 8.81073e-13"},
      {"LargeScale", CheckMul(MulRule::kFloat, Ratios(1, 0x1p40)), CheckMul(MulRule::kFloat, Ratios(1, 1e300)),
       "scale of the second input is 1e+300"},
      {"WideCodes", CheckMean(MeanRule::kFloat, Unary(Params(1, 0, -32768, 65535), Params(1))),
       CheckMean(MeanRule::kFloat, Unary(Params(1, 0, -32768, 65536), Params(1))), "from -32768 to 65536"},
      {"PerChannel", absl::OkStatus(), CheckMaxPool(Unary(per_channel, Params(1))), "input is quantized per channel"},
  };
}
INSTANTIATE_TEST_SUITE_P(Operator, LimitTest, ::testing::ValuesIn(Limits()),
                         [](const auto& test) { return std::string(test.param.name); });

// What the limits are for: at their corners no shift, conversion or comparison is undefined (run under asan-ubsan).
TEST(CornerTest, EveryRuleComputesWhatItsCheckTakes) {
  constexpr std::int64_t kMin = -32768, kMax = 32767;
  const double scales[] = {0x1p-40, 0x1p-14, 0x1p-10, 1, 0x1.fp7, 0x1p18, 0x1.fp29, 0x1p40};
  const std::int32_t codes[] = {kMin, -1, 0, 1, kMax};
  std::int64_t computed = 0;
  const auto inside = [&](std::int32_t code) {
    EXPECT_GE(code, kMin);
    EXPECT_LE(code, kMax);
    ++computed;
  };
  for (const double s_a : scales) {
    for (const double s_y : scales) {
      for (const std::int64_t zero_point : {kMin, kMax}) {
        const QuantParams input = Params(s_a, zero_point, kMin, kMax), other = Params(1, zero_point, kMin, kMax);
        const QuantParams output = Params(s_y, -1 - zero_point, kMin, kMax);
        const OutputRange range{.zero_point = output.zero_point(), .min = kMin, .max = kMax};
        const BinaryOperands binary{.a = input, .b = other, .output = output, .range = range};
        const UnaryOperands unary{.input = input, .output = output, .range = range};
        for (const std::int32_t code : codes) {
          std::int32_t result = 0;
          const auto one = [](const std::int32_t& value) { return std::span(&value, 1); };
          for (const auto& [rule, name] : kAddRuleNames) {
            if (!CheckAdd(rule, binary).ok()) continue;
            AddCodes(rule, binary, one(code), one(codes[0]), std::span(&result, 1));
            inside(result);
          }
          for (const auto& [rule, name] : kMulRuleNames) {
            if (!CheckMul(rule, binary).ok()) continue;
            MulCodes(rule, binary, one(code), one(codes[0]), std::span(&result, 1));
            inside(result);
          }
          for (const bool body : {false, true}) {
            const KernelPosition position{.channels_last = true, .vector_body = body};
            for (const auto& [rule, name] : kConcatRuleNames) {
              if (CheckConcat(rule, unary).ok()) inside(ConcatCode(rule, unary, position, code));
            }
            for (const auto& [rule, name] : kAveragePoolRuleNames) {
              if (!CheckAveragePool(rule, unary).ok()) continue;
              inside(AveragePoolCode(rule, unary, position, {.codes = one(code), .count = 1, .adaptive = body}));
            }
            for (const auto& [rule, name] : kMeanRuleNames) {
              if (!CheckMean(rule, unary).ok()) continue;
              const std::int64_t count = std::int64_t{1} << 28;
              inside(MeanCode(rule, unary, position, {.sum = code * count, .count = count, .spatial = body}));
              inside(MeanCode(rule, unary, position, {.sum = code, .count = 1, .spatial = body}));
            }
          }
        }
      }
    }
  }
  EXPECT_GT(computed, 10000);
}

}  // namespace
}  // namespace qatgap::numerics
