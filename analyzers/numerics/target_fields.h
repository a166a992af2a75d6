// Which fields of a description its other fields make the arithmetic read, once for the parser (the others must not be
// in the file), the digest (they do not count), the person's view and the public contract (they are left out).
#pragma once

#include "analyzers/numerics/target.h"

namespace qatgap::numerics {

constexpr bool ReadsScaleAndDivision(const BiasRule& rule) { return rule.mode != BiasMode::kFloatAfterScale; }
// bits, rounding, overflow.
constexpr bool ReadsWidth(const BiasRule& rule) { return rule.mode == BiasMode::kInteger; }
constexpr bool ReadsSymmetricClamp(const BiasRule& rule) {
  return ReadsWidth(rule) && rule.overflow != BiasOverflow::kWrap && rule.overflow != BiasOverflow::kInt32Min;
}
constexpr bool ReadsAlignment(const BiasRule& rule) {
  return rule.mode == BiasMode::kInteger && rule.scale == BiasScale::kOwnPowerOfTwo;
}
constexpr bool ReadsAdjustment(const BiasRule& rule) {
  return rule.mode == BiasMode::kInteger && rule.overflow == BiasOverflow::kAdjustWeights;
}

// A power of two has one multiplier however it is formed.
constexpr bool ReadsMultiplier(RequantMode mode) { return mode != RequantMode::kPowerOfTwoShift; }
// The fixed-point modes have their own roundings.
constexpr bool ReadsRounding(RequantMode mode) {
  return mode == RequantMode::kFloat32 || mode == RequantMode::kFloat64 || mode == RequantMode::kPowerOfTwoShift;
}
// zero_point, conversion.
constexpr bool ReadsConversion(RequantMode mode) { return mode == RequantMode::kFloat32; }
// dequantization, reciprocal_scales.
constexpr bool ReadsDequantization(const BiasRule& rule) { return rule.mode == BiasMode::kFloatAfterScale; }
constexpr bool ReadsFusedMultiplyAdd(const BiasRule& rule) {
  return rule.mode == BiasMode::kFloatBeforeScale && rule.division == BiasDivision::kReciprocalIfPerTensor;
}
// vector_channels: channels that go another way need multipliers of the same kind.
constexpr bool IsFixedPoint(RequantMode mode) {
  return mode != RequantMode::kFloat32 && mode != RequantMode::kFloat64 && mode != RequantMode::kPowerOfTwoShift;
}

// The forms that are rounded to binary32.
constexpr bool IsBinary32(MultiplierForm form) {
  return form == MultiplierForm::kProductThenDivide || form == MultiplierForm::kProductTimesReciprocal;
}

// Whether a delegate takes every layer on every host.
inline bool IsUnconditional(const Delegate& delegate) {
  return delegate.layers == Delegate::Layers::kAny && delegate.host == Delegate::Host::kAny &&
         delegate.activations == Delegate::Activations::kAny && delegate.weights == Delegate::Weights::kAny &&
         delegate.output_padding == Delegate::OutputPadding::kAny && delegate.max_groups == 0 &&
         delegate.bias_bits == 0;
}

}  // namespace qatgap::numerics
