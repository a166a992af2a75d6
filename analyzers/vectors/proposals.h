// Layers that tell descriptions apart. Internal.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "analyzers/numerics/target.h"
#include "analyzers/vectors/case.h"
#include "analyzers/vectors/identify.h"

namespace qatgap::vectors {

struct Alternative {
  std::string value;  // of the knob
  numerics::TargetDescription target;
};

// The linear layer, of a fixed family of a few hundred, whose outputs differ between the most of the alternatives;
// nullopt: between none. Its dtypes are those of `like`. Equal calls give equal layers.
std::optional<Proposal> Propose(const std::string& field, const std::vector<Alternative>& alternatives,
                                const Case& like);

}  // namespace qatgap::vectors
