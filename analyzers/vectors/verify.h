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
  std::vector<std::int64_t> index;     // in the case's output, channels first
  std::int64_t channel = 0;
  std::int32_t expected = 0;           // what the runtime gave
  std::int32_t computed = 0;
  numerics::RequantTrace trace;        // MAC layers
  double bias_real = 0;
  std::int64_t bias_stored = 0;
  double multiplier = 0;
};

struct CaseOutcome {
  std::string name, target;            // `target`: what the case says it is of
  std::string op;                      // "conv2d"
  std::int64_t elements = 0, mismatches = 0;
  std::int64_t bias_mismatches = 0;    // channels whose bias_int.npy is not what the target makes of bias.npy
  std::vector<Mismatch> first;         // at most 5
  std::string refused;                 // why the target cannot compute the case; then mismatches == elements
};

struct Verification {
  std::vector<CaseOutcome> cases;      // by name
  std::int64_t elements = 0, mismatches = 0, exact_cases = 0;
  // "host with VNNI" where the description depends on the host and no case says which it was: the variant that fits best.
  std::string host;
  bool exact() const;                  // every element of every case, and at least one case
};

// Errors: those of the case that cannot be computed for want of an operator rule are outcomes, not errors.
absl::StatusOr<Verification> Verify(const numerics::TargetDescription& target, const std::vector<Case>& cases);

// The exact accumulators A = sum (x - z_x)(w - z_w) of a MAC case, channel-major [channels][elements], int64.
absl::StatusOr<graph::Tensor> ExactAccumulators(const Case& layer);

// For a person: a line a case, then the first differing elements with every intermediate value.
std::string ToText(const Verification& verification, const numerics::TargetDescription& target);

}  // namespace qatgap::vectors
