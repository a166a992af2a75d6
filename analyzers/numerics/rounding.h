// Rounding of reals to integers, every tie rule by name. See glossary.h.
//
// All functions here are exact for every finite argument, depend on the default rounding mode only,
// keep NaN and Inf (none of them traps), and are thread-safe. Normative: these are the definitions,
// no runtime is mimicked.
#pragma once

#include <cmath>
#include <cstdint>

#include "analyzers/numerics/target.h"

namespace qatgap::numerics {

// The integer nearest to v by rule R, as a double. Ties at .5: half to even 2.5 -> 2, away from
// zero -2.5 -> -3, up -2.5 -> -2; toward zero -2.7 -> -2; floor -2.1 -> -3.
template <Rounding R>
inline double RoundToInteger(double v) {
  if constexpr (R == Rounding::kHalfToEven) {
    return std::nearbyint(v);
  } else if constexpr (R == Rounding::kHalfAwayFromZero) {
    return std::round(v);
  } else if constexpr (R == Rounding::kHalfUp) {
    // floor(v + 0.5) is wrong for 0.49999999999999994, whose sum with 0.5 rounds to 1; v - floor(v)
    // is exact wherever it matters (it is inexact only for -0.5 < v < 0, where it stays >= 0.5).
    const double below = std::floor(v);
    return v - below >= 0.5 ? below + 1.0 : below;
  } else if constexpr (R == Rounding::kTowardZero) {
    return std::trunc(v);
  } else {
    return std::floor(v);
  }
}

// As RoundToInteger<rule>, for a rule known at run time only.
double RoundToInteger(double v, Rounding rule);

// As RoundToInteger<R>; precondition |v| <= 2^51. For hot loops: half to even is two additions,
// which vectorise without SSE4.1. 1.5 * 2^52 has a unit in the last place of 1, so the sum itself
// rounds half to even.
template <Rounding R>
inline double RoundBounded(double v) {
  if constexpr (R == Rounding::kHalfToEven) {
    constexpr double kMagic = 6755399441055744.0;  // 1.5 * 2^52
    return (v + kMagic) - kMagic;
  } else {
    return RoundToInteger<R>(v);
  }
}

// min(max(v, low), high); NaN gives low.
inline double ClampReal(double v, double low, double high) {
  v = v > low ? v : low;
  return v < high ? v : high;
}

}  // namespace qatgap::numerics
