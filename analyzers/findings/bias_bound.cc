#include "analyzers/findings/bias_bound.h"

#include <algorithm>
#include <cmath>

namespace qatgap::findings {

BiasRoundingBound BoundBiasRounding(const numerics::StoredBias& bias, double output_scale) {
  if (bias.scale == 0) return {};
  const double d = std::abs(bias.rounded * bias.scale - bias.real) / output_scale;
  if (d == 0) return {};
  // The stages form v in binary64: their own roundings, below 2^-40 of a code, must not break the bound at an integer d.
  constexpr double kNoise = 0x1p-40;
  return {.displacement_lsb = d,
          .codes = static_cast<std::int64_t>(std::min(std::floor(d + kNoise) + 1, 0x1p53)),
          .expected_flip_rate = std::min(d, 1.0)};
}

}  // namespace qatgap::findings
