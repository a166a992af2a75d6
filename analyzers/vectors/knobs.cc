#include "analyzers/vectors/knobs.h"

#include <type_traits>

#include "analyzers/numerics/target_fields.h"

namespace qatgap::vectors {
namespace {

using numerics::TargetDescription;
using Value = std::optional<std::string>;

template <typename T>
Value If(bool relevant, T value) {
  if (!relevant) return std::nullopt;
  if constexpr (std::is_same_v<T, bool>)
    return value ? "true" : "false";
  else if constexpr (std::is_same_v<T, int>)
    return std::to_string(value);
  else
    return std::string(ToString(value));
}

}  // namespace

const std::vector<Knob>& Knobs() {
  using T = const TargetDescription&;
  static const std::vector<Knob> knobs = {
      {"bias.mode", KnobSide::kBias, [](T t) { return If(true, t.bias.mode); }},
      {"bias.bits", KnobSide::kBias, [](T t) { return If(ReadsWidth(t.bias), t.bias.bits); }},
      {"bias.symmetric_clamp", KnobSide::kBias,
       [](T t) { return If(ReadsSymmetricClamp(t.bias), t.bias.symmetric_clamp); }},
      {"bias.scale", KnobSide::kBias, [](T t) { return If(ReadsScaleAndDivision(t.bias), t.bias.scale); }},
      {"bias.division", KnobSide::kBias, [](T t) { return If(ReadsScaleAndDivision(t.bias), t.bias.division); }},
      {"bias.rounding", KnobSide::kBias, [](T t) { return If(ReadsWidth(t.bias), t.bias.rounding); }},
      {"bias.overflow", KnobSide::kBias, [](T t) { return If(ReadsWidth(t.bias), t.bias.overflow); }},
      {"bias.alignment", KnobSide::kBias, [](T t) { return If(ReadsAlignment(t.bias), t.bias.alignment); }},
      {"requantization.fused_multiply_add", KnobSide::kBias,
       [](T t) { return If(ReadsFusedMultiplyAdd(t.bias), t.requantization.fused_multiply_add); }},
      {"accumulator.bits", KnobSide::kAccumulator, [](T t) { return If(true, t.accumulator.bits); }},
      {"accumulator.overflow", KnobSide::kAccumulator, [](T t) { return If(true, t.accumulator.overflow); }},
      {"accumulator.int16_pairs", KnobSide::kAccumulator, [](T t) { return If(true, t.accumulator.int16_pairs); }},
      {"requantization.mode", KnobSide::kRequantization, [](T t) { return If(true, t.requantization.mode); }},
      {"requantization.multiplier", KnobSide::kRequantization,
       [](T t) { return If(ReadsMultiplier(t.requantization.mode), t.requantization.multiplier); }},
      {"requantization.rounding", KnobSide::kRequantization,
       [](T t) { return If(ReadsRounding(t.requantization.mode), t.requantization.rounding); }},
      {"requantization.zero_point", KnobSide::kRequantization,
       [](T t) { return If(ReadsConversion(t.requantization.mode), t.requantization.zero_point); }},
      {"requantization.conversion", KnobSide::kRequantization,
       [](T t) { return If(ReadsConversion(t.requantization.mode), t.requantization.conversion); }},
      {"requantization.dequantization", KnobSide::kRequantization,
       [](T t) { return If(ReadsDequantization(t.bias), t.requantization.dequantization); }},
      {"requantization.reciprocal_scales", KnobSide::kRequantization,
       [](T t) { return If(ReadsDequantization(t.bias), t.requantization.reciprocal_scales); }},
      {"requantization.activation_limit", KnobSide::kRequantization,
       [](T t) { return If(true, t.requantization.activation_limit); }},
      {"requantization.vector_channels", KnobSide::kRequantization,
       [](T t) { return If(IsFixedPoint(t.requantization.mode), t.requantization.vector_channels); }},
  };
  return knobs;
}

std::size_t Distance(const TargetDescription& a, const TargetDescription& b) {
  std::size_t distance = 0;
  for (const Knob& knob : Knobs()) distance += knob.value(a) == knob.value(b) ? 0U : 1U;
  return distance;
}

}  // namespace qatgap::vectors
