// What rounding a bias can do to output codes at most, before any sample is run.
#pragma once

#include <cstdint>

#include "analyzers/numerics/layer_arithmetic.h"

namespace qatgap::findings {

struct BiasRoundingBound {
  double displacement_lsb = 0;   // |d| = |round(b / s_b) * s_b - b| / s_y = M * |e_b|: what the output sees before it is rounded
  std::int64_t codes = 0;        // no output code moves by more
  double expected_flip_rate = 0; // of elements, an estimate
};

// Codes of RNE(v) and RNE(v + d): RNE(v + d) <= v + d + 1/2 and RNE(v) >= v - 1/2, so they differ by at most |d| + 1, and an
// integer at most by floor(|d|) + 1: v = 0.5, d = 1 gives 0 and 2. d = 0 moves nothing. Clamps only bring codes together.
// Of uniformly distributed fractional parts the share |d| crosses a rounding boundary (docs/concepts.md); above 1 it is 1.
// A float bias (s_b = 0) is not rounded: all three are 0.
BiasRoundingBound BoundBiasRounding(const numerics::StoredBias& bias, double output_scale);

}  // namespace qatgap::findings
