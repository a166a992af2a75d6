// Layers and targets the numeric tests share.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "analyzers/numerics/layer_arithmetic.h"
#include "analyzers/numerics/target.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::numerics {

inline TargetDescription Target(std::string_view name) {
  absl::StatusOr<TargetDescription> target = FindTarget(name);
  QATGAP_EXPECT_OK(target);
  return target.ok() ? *target : TargetDescription{};
}

// uint8 in and out, one int8 weight scale per element of `weight_scales`.
struct LayerSpec {
  double input_scale = 1;
  std::vector<double> weight_scales = {1.0};
  double output_scale = 1;
  std::int64_t output_zero_point = 0;
  std::vector<double> bias = {};
  Activation activation = Activation::kNone;
};

inline MacConstants Constants(const LayerSpec& spec) {
  const std::size_t channels = spec.weight_scales.size();
  return {.input = {.scales = {spec.input_scale}, .zero_points = {0}},
          .weight = {.scales = spec.weight_scales,
                     .zero_points = std::vector<std::int64_t>(channels, 0),
                     .quant_min = -128,
                     .quant_max = 127,
                     .axis = 0},
          .output = {.scales = {spec.output_scale}, .zero_points = {spec.output_zero_point}},
          .bias = spec.bias,
          .activation = spec.activation,
          .channels = static_cast<std::int64_t>(channels)};
}

// Ends the test program on a layer that should have been accepted: a broken test, not a finding.
inline LayerArithmetic Layer(const TargetDescription& target, const LayerSpec& spec) {
  return LayerArithmetic::Create(target, Constants(spec)).value();
}

inline std::vector<std::int32_t> Codes(const LayerArithmetic& layer, ArithmeticStage stage,
                                       const std::vector<std::int32_t>& accumulators,
                                       std::int64_t channel = 0) {
  std::vector<std::int32_t> codes(accumulators.size());
  layer.Codes(stage, channel, accumulators, codes);
  return codes;
}

inline constexpr ArithmeticStage kAllStages[] = {
    ArithmeticStage::kReal, ArithmeticStage::kBiasRounded, ArithmeticStage::kBiasStored,
    ArithmeticStage::kAccumulated, ArithmeticStage::kRequantized};

}  // namespace qatgap::numerics
