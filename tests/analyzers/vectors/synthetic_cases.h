// MAC cases of random codes, and what a description makes of them: captures of a device that is exactly so.
#pragma once

#include <cstdint>
#include <vector>

#include "analyzers/numerics/target.h"
#include "analyzers/vectors/case.h"

namespace qatgap::vectors {

inline constexpr int kSyntheticCases = 8;

// Convolutions with stride, padding of unequal sides, dilation, groups, depthwise, transposed, conv1d and linear; per
// tensor and per channel; uint8 and int8; with ties. Outputs are all the zero point. Equal seeds give equal cases.
std::vector<Case> SyntheticCases(std::uint32_t seed);

// With scales that are powers of two and biases that are wide for an int8.
std::vector<Case> PowerOfTwoCases(std::uint32_t seed);

// The output codes that `target` computes; aborts where it refuses the layer.
Case Captured(const numerics::TargetDescription& target, Case layer);
std::vector<Case> Captured(const numerics::TargetDescription& target, std::vector<Case> cases);

}  // namespace qatgap::vectors
