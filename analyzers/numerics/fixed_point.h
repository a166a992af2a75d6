// Fixed-point multipliers and the roundings of runtimes that requantize without floats. See glossary.h.
//
// M = mantissa * 2^(shift - 31), mantissa in [2^30, 2^31); every function takes it in that form and returns an integer.
// Sources: TensorFlow Lite kernels/internal/common.cc MultiplyByQuantizedMultiplier and quantization_util.cc
// QuantizeMultiplier; gemmlowp fixedpoint.h SaturatingRoundingDoublingHighMul, RoundingDivideByPOT; ruy apply_multiplier.cc;
// the TOSA specification's apply_scale_32; CMSIS-NN arm_nn_requantize.
#pragma once

#include <cstdint>

namespace qatgap::numerics {

struct FixedPointMultiplier {
  std::int32_t mantissa = 0;  // Q31; 0 when M is 0 or below 2^-32
  int shift = 0;              // left when positive
  friend bool operator==(const FixedPointMultiplier&, const FixedPointMultiplier&) = default;
};

// The 31-bit multiplier nearest M, half away from zero: 1 -> {2^30, 1}, 0.5 -> {2^30, 0}, 1 - 2^-40 -> {2^30, 1}.
// M below 2^-32 (shift < -31) becomes {0, 0}, as TFLite does it. M >= 0 and finite; M >= 2^30 gives {2^31 - 1, 30}.
FixedPointMultiplier QuantizeMultiplier(double multiplier);

// The real number a multiplier stands for.
double ToReal(const FixedPointMultiplier& multiplier);

// 15 bits of a multiplier, half up: (mantissa + 2^15) >> 16, at most 2^15 - 1. M ~ this * 2^(shift - 15).
constexpr std::int32_t ReduceToQ15(const FixedPointMultiplier& multiplier) {
  return multiplier.mantissa < 0x7FFF0000 ? (multiplier.mantissa + (1 << 15)) >> 16 : 0x7FFF;
}

// x * 2^shift modulo 2^32, as a shift of a 32-bit register gives it. 0 <= shift < 32.
constexpr std::int32_t WrappingLeftShift(std::int32_t x, int shift) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(x) << shift);
}

// round(a * b / 2^31), half up; INT32_MIN * INT32_MIN gives INT32_MAX.
//   (-3, 2^30) -> -1: -1.5 rounds up.
constexpr std::int32_t SaturatingRoundingDoublingHighMul(std::int32_t a, std::int32_t b) {
  if (a == INT32_MIN && b == INT32_MIN) return INT32_MAX;
  return static_cast<std::int32_t>((static_cast<std::int64_t>(a) * b + (std::int64_t{1} << 30)) >> 31);
}

// round(x / 2^exponent), half away from zero. 0 <= exponent < 32. (-3, 1) -> -2; (3, 1) -> 2.
constexpr std::int32_t RoundingDivideByPowerOfTwo(std::int32_t x, int exponent) {
  const auto mask = static_cast<std::int32_t>((std::uint32_t{1} << exponent) - 1);
  const std::int32_t remainder = x & mask;
  const std::int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
  return (x >> exponent) + (remainder > threshold ? 1 : 0);
}

// TFLite's default and CMSIS-NN's: the high product rounded half up, then the right shift rounded half away from zero;
// a left shift is made before, modulo 2^32. x = -6, M = 2^-2 (mantissa 2^30, shift -1): -3 by 0.5, then -2.
constexpr std::int32_t MultiplyDoubleRounding(std::int32_t x, const FixedPointMultiplier& m) {
  const int left = m.shift > 0 ? m.shift : 0;
  const int right = m.shift > 0 ? 0 : -m.shift;
  return RoundingDivideByPowerOfTwo(SaturatingRoundingDoublingHighMul(WrappingLeftShift(x, left), m.mantissa), right);
}

// round(x / 2^exponent), half up, without the sum that could overflow. 0 <= exponent < 32. (-3, 1) -> -1.
constexpr std::int32_t RoundingShiftHalfUp(std::int32_t x, int exponent) {
  return exponent == 0 ? x : (x >> exponent) + ((x >> (exponent - 1)) & 1);
}

// TFLite's vector kernels and ruy's on x86: as MultiplyDoubleRounding, the second rounding half up too. x = -6, M = 2^-2:
// -3 by 0.5, then -1.
constexpr std::int32_t MultiplyDoubleRoundingHalfUp(std::int32_t x, const FixedPointMultiplier& m) {
  const int left = m.shift > 0 ? m.shift : 0;
  const int right = m.shift > 0 ? 0 : -m.shift;
  return RoundingShiftHalfUp(SaturatingRoundingDoublingHighMul(WrappingLeftShift(x, left), m.mantissa), right);
}

// TFLITE_SINGLE_ROUNDING's: round(x * mantissa / 2^(31 - shift)), half up, modulo 2^32. x = -6, M = 2^-2: -1.
constexpr std::int32_t MultiplySingleRounding(std::int32_t x, const FixedPointMultiplier& m) {
  const int total = 31 - m.shift;  // 1..62: QuantizeMultiplier keeps shift in -31..30
  const std::int64_t product = static_cast<std::int64_t>(x) * m.mantissa;
  return static_cast<std::int32_t>((product + (std::int64_t{1} << (total - 1))) >> total);
}

// TOSA's apply_scale_32 with double_round; its shift is 31 - shift. Equal to MultiplyDoubleRounding for shift <= 0
// wherever that was tried; a left shift keeps all bits here.
constexpr std::int32_t MultiplyTosa(std::int32_t x, const FixedPointMultiplier& m) {
  const int total = 31 - m.shift;
  std::int64_t round = std::int64_t{1} << (total - 1);
  if (total > 31) round += x >= 0 ? std::int64_t{1} << 30 : -(std::int64_t{1} << 30);
  return static_cast<std::int32_t>((static_cast<std::int64_t>(x) * m.mantissa + round) >> total);
}

// Accumulators of more than 32 bits. The same formulas on a 128-bit product, saturated to 64 bits.
std::int64_t MultiplyDoubleRoundingWide(std::int64_t x, const FixedPointMultiplier& m);
std::int64_t MultiplyDoubleRoundingHalfUpWide(std::int64_t x, const FixedPointMultiplier& m);
std::int64_t MultiplySingleRoundingWide(std::int64_t x, const FixedPointMultiplier& m);
std::int64_t MultiplyTosaWide(std::int64_t x, const FixedPointMultiplier& m);

// TFLite's int16x8 kernels and CMSIS-NN's arm_nn_requantize_s64: round(x * ReduceToQ15(m) / 2^(15 - shift)), half up.
std::int64_t MultiplyQ15(std::int64_t x, const FixedPointMultiplier& m);

}  // namespace qatgap::numerics
