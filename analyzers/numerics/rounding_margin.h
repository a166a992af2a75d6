// How far the stages of a layer can stray from each other before they round: what lies farther than that from a boundary
// between two codes has the same code in all of them, and only the rest needs computing.
#pragma once

#include <cstdint>
#include <optional>

#include "analyzers/numerics/layer_arithmetic.h"

namespace qatgap::numerics {

// For every accumulator |A| <= largest: before it rounds to the nearest integer, the stage has a value within
// constant + per_accumulator * |A| of the exact A * multiplier + offset of a reference, in LSB; and the limits and the zero
// point that it applies are the reference's.
struct RoundingMargin {
  double constant = 0, per_accumulator = 0;
  double largest = 0;
  double At(double accumulator) const { return constant + per_accumulator * accumulator; }
  // Of two stages at once.
  void Widen(const RoundingMargin& other);
};

// nullopt where no such bound is known: other limits than the reference's, a rounding that is not to nearest, kQ15, scales at
// the ends of binary32's range. The bounds are not tight: binary32 is granted 16 roundings where it makes 8 at most.
std::optional<RoundingMargin> MarginOf(const LayerArithmetic& arithmetic, ArithmeticStage stage, std::int64_t channel,
                                       const AffineKernel& reference);

}  // namespace qatgap::numerics
