// Takes away what no output of the graph depends on.
#pragma once

#include "analyzers/graph/graph.h"

namespace qatgap::graph {

// Removes nodes, in branches too, whose outputs nothing reads, until none is left; the others are renumbered in their
// order. Values keep their ids: those of removed nodes have no producer and no reader.
void RemoveUnused(Graph& graph);

}  // namespace qatgap::graph
