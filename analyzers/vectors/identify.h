// Finds the descriptions that reproduce captured vectors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/numerics/target.h"
#include "analyzers/vectors/case.h"
#include "analyzers/vectors/verify.h"

namespace qatgap::vectors {

// A knob on which descriptions that reproduce everything still differ.
struct OpenKnob {
  std::string field;                // "bias.rounding"
  std::vector<std::string> values;  // at least two, all reproduce every vector
};

// A layer whose output would tell candidates apart: to be run on the device. One or two output channels, one input code
// a row.
struct Proposal {
  std::string field;   // the knob it decides, at least in part
  std::string reason;  // one sentence with the numbers: which value gives which code
  Case layer;          // a linear layer, without output
};

struct Candidate {
  numerics::TargetDescription target;  // name "identified-1" ..., or a shipped target's
  std::int64_t mismatches = 0;         // elements, and integer biases that it does not make of the real ones
  std::vector<CaseOutcome> missed;     // the cases that are not exact
};

struct Identification {
  std::int64_t cases = 0, elements = 0, candidates_tried = 0;
  // Elements whose accumulator another element of the same channel has too, with another code: whatever rounds one
  // accumulator at a time reproduces at most one of them.
  std::int64_t contradictions = 0;
  std::vector<std::string> shipped;  // shipped targets that reproduce everything
  // Where there are exact ones, one for each bias mode and requantization mode, the likeliest first; else the closest.
  // At most 5.
  std::vector<Candidate> best;
  std::vector<OpenKnob> open;       // of all exact ones
  std::vector<Proposal> proposals;  // for the open knobs for which a layer was found
  bool exact() const { return !best.empty() && best.front().mismatches == 0; }
};

// Searches the knobs that an output can show: modes, widths, overflow, roundings, scales, multipliers, orders. Not
// among them: delegation by layer, weight adjustment (its result is in the vectors' scales), limits of the multiplier.
// MAC cases only; others are left out and counted in none of the numbers. INVALID_ARGUMENT without any MAC case.
absl::StatusOr<Identification> Identify(const std::vector<Case>& cases);

// For a person; the first description is printed as a target file that ParseTarget reads.
std::string ToText(const Identification& identification);

}  // namespace qatgap::vectors
