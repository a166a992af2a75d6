// Weight scales raised until every bias fits, as TFLite's converter does it for int32 (WeightAdjustment), for any
// width.
#pragma once

#include "analyzers/attribution/what_if/variant.h"

namespace qatgap::attribution::what_if {

// Where round(b / s_b) leaves the width: s_w'[c] = |b| / (s_x * q_max) * (1 + 2^-20), and the channel's weights rounded
// to it. The bias is exact to half a step again, and the weights lose log2(s_w' / s_w) bits: it pays where the bias
// dwarfs them. One scale for all channels is raised for all. Not measured where no bias saturates, or s_b is not the
// accumulator's step.
PreparedRow AdjustedWeightsRow(const Deployment& deployment);

}  // namespace qatgap::attribution::what_if
