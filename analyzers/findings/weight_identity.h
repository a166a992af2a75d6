// Are the deployed weights those of the trained layer, channel by channel? Private to this folder.
#pragma once

#include <vector>

#include "analyzers/findings/findings.h"

namespace qatgap::findings {

// QG030: channels whose deployed weights are those of another channel of the trained layer. QG031: weights that are the
// trained ones times a factor of their own in each of more than half of the channels, as a batch norm folded with other
// statistics makes them. Both compare real weights, scale * (code - zero point), by the cosine of a channel's rows; channels
// of zeros say nothing.
void CheckWeightIdentity(const LayerFacts& facts, std::vector<report::Finding>& findings);

}  // namespace qatgap::findings
