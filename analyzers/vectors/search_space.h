// All descriptions that identify tries, in classes: what the constants of every case cannot tell apart is tried once.
// Internal.
#pragma once

#include <cstdint>
#include <vector>

#include "analyzers/numerics/target.h"
#include "analyzers/vectors/case.h"

namespace qatgap::vectors {

// A bias rule, with the one field of the requantization that forms a bias.
struct BiasChoice {
  numerics::BiasRule rule;
  bool fused_multiply_add = false;
};

// Rules that add the same numbers to every channel of every case; the likeliest first.
struct BiasClass {
  std::vector<BiasChoice> members;
  std::int64_t mismatches = 0;  // channels whose bias_int.npy is not what the rule makes of bias.npy
};

// Rules that make the same constants and limits.
struct RequantClass {
  std::vector<numerics::RequantRule> members;
};

// What a bias rule goes with.
enum class BiasFamily { kInteger, kFloatBeforeScale, kFloatAfterScale };

// `cases` are MAC cases. Rules that refuse one of them are left out.
std::vector<BiasClass> BiasClasses(BiasFamily family, const std::vector<Case>& cases);
std::vector<RequantClass> RequantClasses(BiasFamily family, const std::vector<Case>& cases);

}  // namespace qatgap::vectors
