// Finds the descriptions that reproduce captured vectors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/numerics/target.h"
#include "analyzers/vectors/case.h"

namespace qatgap::vectors {

// A knob on which descriptions that reproduce everything still differ.
struct OpenKnob {
  std::string field;                   // "bias.rounding"
  std::vector<std::string> values;     // at least two, all reproduce every vector
};

// A layer whose output would tell candidates apart: to be run on the device. One output channel, one input code a row.
struct Proposal {
  std::string field;                   // the knob it decides
  std::string reason;                  // one sentence with the numbers: which value gives which code
  Case layer;                          // without output
};

struct Candidate {
  numerics::TargetDescription target;  // name "identified-1" ..., or a shipped target's
  std::int64_t mismatches = 0;         // elements
};

struct Identification {
  std::int64_t cases = 0, elements = 0, candidates_tried = 0;
  std::vector<std::string> shipped;    // shipped targets that reproduce everything
  std::vector<Candidate> best;         // exact ones, or, where there is none, the closest (at most 5)
  std::vector<OpenKnob> open;          // of the exact ones
  std::vector<Proposal> proposals;
  bool exact() const { return !best.empty() && best.front().mismatches == 0; }
};

// MAC cases only; others are left out and counted in none of the numbers. INVALID_ARGUMENT without any MAC case.
absl::StatusOr<Identification> Identify(const std::vector<Case>& cases);

std::string ToText(const Identification& identification);

}  // namespace qatgap::vectors
