#include "analyzers/numerics/fixed_point.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace qatgap::numerics {
namespace {

__extension__ using Int128 = __int128;

std::int64_t Saturate(Int128 v) {
  constexpr Int128 kMin = std::numeric_limits<std::int64_t>::min();
  constexpr Int128 kMax = std::numeric_limits<std::int64_t>::max();
  return static_cast<std::int64_t>(std::clamp(v, kMin, kMax));
}

// round(v / 2^shift), half up; a left shift when negative.
Int128 ShiftHalfUp(Int128 v, int shift) {
  if (shift <= 0) return v * (Int128{1} << -shift);
  return (v + (Int128{1} << (shift - 1))) >> shift;
}

}  // namespace

FixedPointMultiplier QuantizeMultiplier(double multiplier) {
  if (multiplier == 0) return {};
  FixedPointMultiplier result;
  const double significand = std::frexp(multiplier, &result.shift);  // in [0.5, 1)
  const auto mantissa = static_cast<std::int64_t>(std::round(significand * 0x1p31));
  if (mantissa == std::int64_t{1} << 31) {
    result.mantissa = 1 << 30;
    ++result.shift;
  } else {
    result.mantissa = static_cast<std::int32_t>(mantissa);
  }
  if (result.shift < -31) return {};
  if (result.shift > 30) return {.mantissa = std::numeric_limits<std::int32_t>::max(), .shift = 30};
  return result;
}

double ToReal(const FixedPointMultiplier& multiplier) {
  return std::ldexp(static_cast<double>(multiplier.mantissa), multiplier.shift - 31);
}

std::int64_t MultiplyDoubleRoundingWide(std::int64_t x, const FixedPointMultiplier& m) {
  const Int128 shifted = Int128{x} * (Int128{1} << std::max(m.shift, 0));
  const Int128 high = ShiftHalfUp(shifted * m.mantissa, 31);
  const int right = std::max(-m.shift, 0);
  if (right == 0) return Saturate(high);
  // Half away from zero: half up of the size.
  return Saturate(high < 0 ? -ShiftHalfUp(-high, right) : ShiftHalfUp(high, right));
}

std::int64_t MultiplyDoubleRoundingHalfUpWide(std::int64_t x, const FixedPointMultiplier& m) {
  const Int128 shifted = Int128{x} * (Int128{1} << std::max(m.shift, 0));
  return Saturate(ShiftHalfUp(ShiftHalfUp(shifted * m.mantissa, 31), std::max(-m.shift, 0)));
}

std::int64_t MultiplySingleRoundingWide(std::int64_t x, const FixedPointMultiplier& m) {
  return Saturate(ShiftHalfUp(Int128{x} * m.mantissa, 31 - m.shift));
}

std::int64_t MultiplyTosaWide(std::int64_t x, const FixedPointMultiplier& m) {
  const int total = 31 - m.shift;
  Int128 round = Int128{1} << (total - 1);
  if (total > 31) round += x >= 0 ? Int128{1} << 30 : -(Int128{1} << 30);
  return Saturate((Int128{x} * m.mantissa + round) >> total);
}

std::int64_t MultiplyQ15(std::int64_t x, const FixedPointMultiplier& m) {
  return Saturate(ShiftHalfUp(Int128{x} * ReduceToQ15(m), 15 - m.shift));
}

}  // namespace qatgap::numerics
