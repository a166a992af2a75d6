// Operators of the deployed model that the integer arithmetic of no target covers: they run in float.
#pragma once

#include <vector>

#include "analyzers/graph/graph.h"
#include "analyzers/report/analysis_result.h"

namespace qatgap::attribution {

// One entry for each module and operator, in execution order: operators by name (graph::OpKind::kOperator) that
// compute, and operators that are not between quantized values, that is, whose operands do not all come from codes
// through operators of this kind, or whose result does not go into codes. Not listed: what only moves elements, what
// only decides a branch, what no output needs, and convolutions and linears, which the pairing lists.
std::vector<report::Unmeasured> FloatIslands(const graph::Graph& deployed);

}  // namespace qatgap::attribution
