#include "analyzers/vectors/knobs.h"

namespace qatgap::vectors {
namespace {

using numerics::BiasMode;
using numerics::BiasScale;
using numerics::RequantMode;
using numerics::TargetDescription;
using Value = std::optional<std::string>;

template <typename T>
Value If(bool relevant, T value) {
  if (!relevant) return std::nullopt;
  if constexpr (std::is_same_v<T, bool>) return value ? "true" : "false";
  else if constexpr (std::is_same_v<T, int>) return std::to_string(value);
  else return std::string(ToString(value));
}

bool Integer(const TargetDescription& t) { return t.bias.mode == BiasMode::kInteger; }
bool AfterScale(const TargetDescription& t) { return t.bias.mode == BiasMode::kFloatAfterScale; }
bool Float32(const TargetDescription& t) { return t.requantization.mode == RequantMode::kFloat32; }
bool OwnRounding(const TargetDescription& t) {
  const RequantMode mode = t.requantization.mode;
  return mode != RequantMode::kFloat32 && mode != RequantMode::kFloat64 && mode != RequantMode::kPowerOfTwoShift;
}

}  // namespace

const std::vector<Knob>& Knobs() {
  using T = const TargetDescription&;
  static const std::vector<Knob> knobs = {
      {"bias.mode", KnobSide::kBias, [](T t) { return If(true, t.bias.mode); }},
      {"bias.bits", KnobSide::kBias, [](T t) { return If(Integer(t), t.bias.bits); }},
      {"bias.symmetric_clamp", KnobSide::kBias, [](T t) {
         return If(Integer(t) && t.bias.overflow != numerics::BiasOverflow::kWrap, t.bias.symmetric_clamp);
       }},
      {"bias.scale", KnobSide::kBias, [](T t) { return If(!AfterScale(t), t.bias.scale); }},
      {"bias.division", KnobSide::kBias, [](T t) { return If(!AfterScale(t), t.bias.division); }},
      {"bias.rounding", KnobSide::kBias, [](T t) { return If(Integer(t), t.bias.rounding); }},
      {"bias.overflow", KnobSide::kBias, [](T t) { return If(Integer(t), t.bias.overflow); }},
      {"bias.alignment", KnobSide::kBias, [](T t) {
         return If(Integer(t) && t.bias.scale == BiasScale::kOwnPowerOfTwo, t.bias.alignment);
       }},
      {"requantization.fused_multiply_add", KnobSide::kBias, [](T t) {
         return If(t.bias.mode == BiasMode::kFloatBeforeScale, t.requantization.fused_multiply_add);
       }},
      {"accumulator.bits", KnobSide::kAccumulator, [](T t) { return If(true, t.accumulator.bits); }},
      {"accumulator.overflow", KnobSide::kAccumulator, [](T t) { return If(true, t.accumulator.overflow); }},
      {"accumulator.int16_pairs", KnobSide::kAccumulator, [](T t) { return If(true, t.accumulator.int16_pairs); }},
      {"requantization.mode", KnobSide::kRequantization, [](T t) { return If(true, t.requantization.mode); }},
      {"requantization.multiplier", KnobSide::kRequantization, [](T t) {
         return If(t.requantization.mode != RequantMode::kPowerOfTwoShift, t.requantization.multiplier);
       }},
      {"requantization.rounding", KnobSide::kRequantization, [](T t) {
         return If(!OwnRounding(t), t.requantization.rounding);
       }},
      {"requantization.zero_point", KnobSide::kRequantization, [](T t) {
         return If(Float32(t), t.requantization.zero_point);
       }},
      {"requantization.conversion", KnobSide::kRequantization, [](T t) {
         return If(Float32(t), t.requantization.conversion);
       }},
      {"requantization.dequantization", KnobSide::kRequantization, [](T t) {
         return If(AfterScale(t), t.requantization.dequantization);
       }},
      {"requantization.reciprocal_scales", KnobSide::kRequantization, [](T t) {
         return If(AfterScale(t), t.requantization.reciprocal_scales);
       }},
      {"requantization.activation_limit", KnobSide::kRequantization, [](T t) {
         return If(true, t.requantization.activation_limit);
       }},
      {"requantization.vector_channels", KnobSide::kRequantization, [](T t) {
         return If(t.requantization.mode == RequantMode::kQ31DoubleRoundingHalfUp, t.requantization.vector_channels);
       }},
  };
  return knobs;
}

std::size_t Distance(const TargetDescription& a, const TargetDescription& b) {
  std::size_t distance = 0;
  for (const Knob& knob : Knobs()) distance += knob.value(a) == knob.value(b) ? 0U : 1U;
  return distance;
}

}  // namespace qatgap::vectors
