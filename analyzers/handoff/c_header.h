// A layer of a handoff as a C99 header: macros for the dimensions and rules, static const arrays for the numbers.
#pragma once

#include <string>

#include "analyzers/handoff/layer_handoff.h"

namespace qatgap::handoff {

// Every macro begins with the identifier in capitals, every array with the identifier: many headers fit into one
// file. The QATGAP_* macros, the values that rules take, are the same in all. Weights of more than 64 Ki elements,
// and golden vectors of more, stay in the .npy files; *_HAS_WEIGHT and *_HAS_GOLDEN say so.
std::string CHeader(const LayerHandoff& layer);

}  // namespace qatgap::handoff
