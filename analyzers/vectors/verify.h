// Holds a target description against golden vectors: every element of every case, bit by bit.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/numerics/requantization.h"
#include "analyzers/numerics/target.h"
#include "analyzers/vectors/case.h"

namespace qatgap::vectors {

// One element that differs, with everything that happened to it on the way.
struct Mismatch {
  std::vector<std::int64_t> index;  // in the case's output, channels first
  std::int64_t channel = 0;
  std::int32_t expected = 0;  // what the runtime gave
  std::int32_t computed = 0;
  bool traced = false;  // a MAC layer: the fields below are set
  numerics::RequantTrace trace;
  double bias_real = 0;
  std::int64_t bias_stored = 0;          // integer-bias targets
  numerics::RequantConstants constants;  // of the channel: the multiplier in the target's own form
  double multiplier = 0;                 // s_x * s_w / s_y in binary64
  std::int64_t zero_point = 0;           // of the output
  std::int64_t min = 0, max = 0;         // the clamp, with the activation in it
  numerics::TargetDescription rules;     // those of the channel: of the target delegated to
};

// A channel whose integer bias the target would have made another of.
struct BiasMismatch {
  std::int64_t channel = 0;
  double real = 0;            // of bias.npy
  std::int64_t expected = 0;  // of bias_int.npy
  numerics::StoredBias computed;
};

struct CaseOutcome {
  std::string name, target;  // `target`: what the case says it is of
  std::string op;            // "conv2d"
  std::int64_t elements = 0, mismatches = 0;
  std::int64_t bias_mismatches = 0;      // channels whose bias_int.npy is not what the target makes of bias.npy
  std::vector<Mismatch> first;           // at most 5; of MAC layers no accumulator of a channel twice
  std::vector<BiasMismatch> first_bias;  // at most 2
  std::string refused;                   // why the target cannot compute the case; then mismatches == elements
  bool exact() const { return mismatches == 0 && bias_mismatches == 0 && refused.empty(); }
};

struct Verification {
  std::vector<CaseOutcome> cases;  // by name
  std::int64_t elements = 0, mismatches = 0, exact_cases = 0;
  // "host with VNNI" where the description depends on the host and no case says which it was: the variant that fits
  // best.
  std::string host;
  // Every element of every case and every integer bias, and at least one case.
  bool exact() const { return !cases.empty() && exact_cases == static_cast<std::int64_t>(cases.size()); }
};

// A case that the target cannot compute (it refuses the layer, or has no rule for the operator) is an outcome, not an
// error. Integers of bias_int.npy are taken as they are; beside bias.npy they are held against what the target makes of
// it.
absl::StatusOr<Verification> Verify(const numerics::TargetDescription& target, const std::vector<Case>& cases);

// The exact accumulators A = sum (x - z_x)(w - z_w) of a MAC case, channel-major [channels][elements], int64.
absl::StatusOr<graph::Tensor> ExactAccumulators(const Case& layer);

// For a person: a line a case, then the first differing elements with every intermediate value.
std::string ToText(const Verification& verification, const numerics::TargetDescription& target);

}  // namespace qatgap::vectors
