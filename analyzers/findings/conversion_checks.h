// What the converted model's constants should be, and are. Private to this folder.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "analyzers/findings/findings.h"

namespace qatgap::findings {

// Both models form the scale from one range, (max - min) / codes in binary32, in different orders: two roundings each,
// so healthy pairs differ by up to 4 * 2^-24 (0.100211911 and 0.100211918 in one of the demo models).
inline constexpr double kScaleNoise = 0x1p-22;

inline bool SameScale(double a, double b) {
  return std::abs(a - b) <= kScaleNoise * std::max(std::abs(a), std::abs(b));
}

// QG024: one finding a layer that names every constant in which `deployed` differs from `lowered`, bit for bit.
void CheckConversion(const LayerFacts& facts, std::vector<report::Finding>& findings);

// QG025 the stored integers are not round(b / (s_x * s_w)), QG026 their scale is not s_x * s_w. Several inputs: the first.
void CheckStoredIntegers(const LayerFacts& facts, std::vector<report::Finding>& findings);

}  // namespace qatgap::findings
