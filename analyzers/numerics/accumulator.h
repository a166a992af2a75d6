// What a target's accumulator makes of an exact sum. Pure, thread-safe, no undefined behaviour for
// any argument within the stated widths. Normative for AccumulatorRule.
#pragma once

#include <algorithm>
#include <cstdint>

#include "absl/numeric/int128.h"
#include "analyzers/numerics/target.h"

namespace qatgap::numerics {

// a + b in 32-bit two's complement: 2147483647 + 1 -> -2147483648.
inline std::int32_t WrappingAdd32(std::int32_t a, std::int32_t b) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(a) + static_cast<std::uint32_t>(b));
}

// The exact sum as `rule.bits` bits hold it: wrapped modulo 2^bits, or saturated to [-2^(bits-1),
// 2^(bits-1)-1]. The rule acts on the final sum: a wrapping accumulator wraps the same in any
// order; for a saturating one this is the hardware that saturates once, not the one that does so
// after each addition (whose result depends on order). Wide is std::int64_t (|sum| < 2^63, bits <=
// 62) or absl::int128 (bits <= 64).
template <typename Wide>
inline Wide Accumulate(const AccumulatorRule& rule, Wide sum) {
  const Wide half = Wide{1} << (rule.bits - 1);
  if (rule.overflow == AccumulatorOverflow::kSaturate) {
    return std::min(std::max(sum, -half), half - 1);
  }
  // (sum mod 2^bits) - half, with the offset applied first so that the image is [-half, half).
  const Wide mask = half + (half - 1);
  return ((sum + half) & mask) - half;
}

// Two products as x86's vpmaddubsw adds them: saturated to int16. 255*127 + 255*127 = 64770 ->
// 32767.
inline std::int32_t AddProductsSaturatingInt16(std::int32_t first, std::int32_t second) {
  const std::int64_t sum = std::int64_t{first} + std::int64_t{second};
  return static_cast<std::int32_t>(std::clamp<std::int64_t>(sum, -32768, 32767));
}

}  // namespace qatgap::numerics
