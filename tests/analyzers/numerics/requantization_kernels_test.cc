// Requantize takes vectorized loops where it can; TraceRequantization is the same arithmetic a step at a time. They must agree
// on every rule, for accumulators of every size and for the ties that random numbers do not hit.
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "analyzers/numerics/requantization.h"
#include "analyzers/numerics/target_names.h"
#include "gtest/gtest.h"

namespace qatgap::numerics {
namespace {

struct KernelCase {
  std::string name;
  TargetDescription target;
};

std::vector<KernelCase> Cases() {
  std::vector<KernelCase> cases;
  const auto add = [&](std::string name, const TargetDescription& target) {
    for (char& c : name) c = c == '_' || std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
    cases.push_back({std::move(name), target});
  };
  for (const auto& rounding : kRoundingNames) {
    TargetDescription target;
    target.requantization.rounding = rounding.value;
    add(std::string("float_") + std::string(rounding.name), target);
    target.requantization.mode = RequantMode::kPowerOfTwoShift;
    add(std::string("shift_") + std::string(rounding.name), target);
  }
  for (const auto& mode : kBiasModeNames) {
    for (const auto& conversion : kConversionOverflowNames) {
      for (const auto& order : kZeroPointOrderNames) {
        for (const auto& form : {MultiplierForm::kProductThenDivide, MultiplierForm::kProductTimesReciprocal}) {
          for (const auto& dequantization : kDequantizationNames) {
            TargetDescription target;
            target.bias.mode = mode.value;
            target.requantization.conversion = conversion.value;
            target.requantization.zero_point = order.value;
            target.requantization.multiplier = form;
            target.requantization.dequantization = dequantization.value;
            add(std::string(mode.name) + "_" + std::string(conversion.name) + "_" + std::string(order.name) + "_" +
                    (form == MultiplierForm::kProductThenDivide ? "divide_" : "reciprocal_") +
                    std::string(dequantization.name),
                target);
          }
        }
      }
    }
  }
  TargetDescription fused;
  fused.bias.mode = BiasMode::kFloatBeforeScale;
  fused.requantization.fused_multiply_add = true;
  add("fused_multiply_add", fused);
  TargetDescription exact;
  exact.bias.scale = BiasScale::kOwnPowerOfTwo;
  exact.bias.alignment = BiasAlignment::kExact;
  add("aligned_exactly", exact);
  for (const auto& mode : {RequantMode::kQ31DoubleRounding, RequantMode::kQ31DoubleRoundingHalfUp, RequantMode::kQ31SingleRounding, RequantMode::kTosa, RequantMode::kFloat64,
                           RequantMode::kQ15}) {
    for (const bool wraps : {true, false}) {
      TargetDescription target;
      target.requantization.mode = mode;
      target.accumulator.overflow = wraps ? AccumulatorOverflow::kWrap : AccumulatorOverflow::kSaturate;
      add(std::string(ToString(mode)) + (wraps ? "_wrap" : "_saturate"), target);
    }
  }
  return cases;
}

std::vector<std::int32_t> Accumulators(std::mt19937_64& generator) {
  std::uniform_int_distribution<std::int32_t> any(std::numeric_limits<std::int32_t>::min(),
                                                  std::numeric_limits<std::int32_t>::max());
  std::vector<std::int32_t> values;
  for (std::int32_t v = -600; v <= 600; ++v) values.push_back(v);
  for (int i = 0; i < 2000; ++i) values.push_back(any(generator) >> (i % 31));
  values.push_back(std::numeric_limits<std::int32_t>::min());
  values.push_back(std::numeric_limits<std::int32_t>::max());
  return values;
}

class KernelTest : public ::testing::TestWithParam<KernelCase> {};

TEST_P(KernelTest, EqualsTheTrace) {
  const TargetDescription& target = GetParam().target;
  std::mt19937_64 generator(2026);
  std::uniform_int_distribution<int> power(-14, 3);
  std::uniform_real_distribution<double> significand(0.5, 1);
  std::int64_t compared = 0;
  for (int round = 0; round < 40; ++round) {
    const bool ties = round % 2 == 0;  // powers of two: half of the odd accumulators are ties
    const double m = std::ldexp(ties ? 1.0 : significand(generator), power(generator));
    RequantConstants channel;
    channel.multiplier = static_cast<float>(m);
    channel.input_scale = 0.5F;
    channel.weight_scale = static_cast<float>(m);
    channel.output_scale = ties ? 0.5F : 0.3F;
    channel.fixed = QuantizeMultiplier(m);
    channel.right_shift = -std::ilogb(m);
    channel.multiplier64 = m;
    if (target.bias.mode == BiasMode::kInteger) channel.accumulator_bias = ties ? 1 : 77'000'000;
    if (target.requantization.fused_multiply_add) channel.bias_reciprocal = ties ? 3.0F : 1.0F / 3;
    if (HasFloatBias(target.bias)) channel.bias = ties ? 0.5F : -12.3F;
    for (const OutputRange& range : {OutputRange{0, 0, 255}, OutputRange{3, 3, 255}, OutputRange{-7, -128, 127},
                                     OutputRange{0, -32768, 32767}}) {
      const std::vector<std::int32_t> accumulators = Accumulators(generator);
      std::vector<std::int32_t> codes(accumulators.size());
      Requantize(target, channel, range, accumulators, codes);
      for (std::size_t i = 0; i < codes.size(); ++i) {
        const RequantTrace trace = TraceRequantization(target, channel, range, accumulators[i]);
        ASSERT_EQ(codes[i], trace.code) << "A = " << accumulators[i] << ", M = " << m << ", z_y = " << range.zero_point
                                        << ", v = " << trace.scaled;
        ++compared;
      }
    }
  }
  EXPECT_GT(compared, 400'000);
}

INSTANTIATE_TEST_SUITE_P(Rules, KernelTest, ::testing::ValuesIn(Cases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace qatgap::numerics
