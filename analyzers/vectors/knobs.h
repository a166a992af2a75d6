// The knobs of a description that captured outputs can show, as fields and values of a target file. Internal.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "analyzers/numerics/target.h"

namespace qatgap::vectors {

enum class KnobSide { kBias, kAccumulator, kRequantization };

struct Knob {
  std::string_view field;  // "bias.rounding"
  KnobSide side;
  // nullopt: the knob is without effect beside the description's others.
  std::optional<std::string> (*value)(const numerics::TargetDescription& target);
};

const std::vector<Knob>& Knobs();

// How many knobs have different values.
std::size_t Distance(const numerics::TargetDescription& a, const numerics::TargetDescription& b);

}  // namespace qatgap::vectors
