// The bias stored in 8, 16, 24 or 32 bits instead of the target's own width.
#pragma once

#include <vector>

#include "analyzers/attribution/what_if/variant.h"

namespace qatgap::attribution::what_if {

// q_b' = clamp(round(b / s_b), width), everything else as deployed. A target that wraps still wraps; one that would
// refuse the layer or adjust its weights saturates here, so that the width alone is measured. Only widths beyond the
// target's own are remedies. A rule kOwnPowerOfTwo chooses s_b anew for the width. For targets that store integers.
std::vector<PreparedRow> StorageRows(const Deployment& deployment);

}  // namespace qatgap::attribution::what_if
