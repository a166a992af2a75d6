// Rounding, wrapping and saturation: the integer primitives every target is made of. See glossary.h.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "analyzers/numerics/target.h"

namespace qatgap::numerics {

// The rules below return an integer held in a double. NaN and Inf come back as they are, except where noted.

// Half to even, |v| < 2^51. Adding 1.5 * 2^52 leaves no bit below the unit, so the addition itself rounds, in the
// FPU's own half-to-even mode: unlike nearbyint without SSE4.1 the loop around it stays vectorized.
// 0.5 -> 0, 1.5 -> 2, 2.5 -> 2, -2.5 -> -2.
inline double RoundHalfToEvenSmall(double v) {
  constexpr double kShifter = 0x1.8p52;
  return (v + kShifter) - kShifter;
}

// Half to even, any v.
inline double RoundHalfToEven(double v) { return std::nearbyint(v); }

// 2.5 -> 3, -2.5 -> -3.
inline double RoundHalfAwayFromZero(double v) { return std::round(v); }

// Half toward +infinity: 2.5 -> 3, -2.5 -> -2. Not floor(v + 0.5), which gives 1 for 0.49999999999999994.
inline double RoundHalfUp(double v) {
  const double below = std::floor(v);
  return v - below >= 0.5 ? below + 1.0 : below;
}

// Half toward -infinity: 2.5 -> 2, -2.5 -> -3.
inline double RoundHalfDown(double v) { return -RoundHalfUp(-v); }

inline double RoundTowardZero(double v) { return std::trunc(v); }
inline double RoundFloor(double v) { return std::floor(v); }
inline double RoundCeiling(double v) { return std::ceil(v); }

inline double Round(double v, Rounding rounding) {
  switch (rounding) {
    case Rounding::kHalfToEven: return RoundHalfToEven(v);
    case Rounding::kHalfAwayFromZero: return RoundHalfAwayFromZero(v);
    case Rounding::kHalfUp: return RoundHalfUp(v);
    case Rounding::kHalfDown: return RoundHalfDown(v);
    case Rounding::kTowardZero: return RoundTowardZero(v);
    case Rounding::kFloor: return RoundFloor(v);
    case Rounding::kCeiling: return RoundCeiling(v);
  }
  return RoundHalfToEven(v);
}

// 2^k for an integer k; also for denormals. Not 0, NaN, Inf or a negative number.
inline bool IsPowerOfTwo(double value) {
  int exponent = 0;
  return std::frexp(value, &exponent) == 0.5;
}

// Limits of a signed integer of `bits` bits, 2..64.
constexpr std::int64_t SignedMax(int bits) {
  return std::numeric_limits<std::int64_t>::max() >> (64 - bits);
}
constexpr std::int64_t SignedMin(int bits) { return -SignedMax(bits) - 1; }

// The low `bits` bits of v, sign extended: WrapToBits(2^31, 32) is -2^31.
constexpr std::int64_t WrapToBits(std::int64_t v, int bits) {
  const int unused = 64 - bits;
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(v) << unused) >> unused;
}

// a + b modulo 2^64: signed overflow is undefined, unsigned is not.
constexpr std::int64_t WrappingAdd(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}

inline std::int64_t SaturatingAdd(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return a < 0 ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max();
}

inline std::int64_t SaturatingSubtract(std::int64_t a, std::int64_t b) {
  std::int64_t difference = 0;
  if (!__builtin_sub_overflow(a, b, &difference)) return difference;
  return a < 0 ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max();
}

}  // namespace qatgap::numerics
