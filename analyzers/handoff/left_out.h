// What a handoff does not hold, and why: nothing of the model is passed over in silence.
#pragma once

#include <string>
#include <vector>

#include "analyzers/graph/graph.h"
#include "analyzers/graph/mac_layers.h"

namespace qatgap::handoff {

// A MAC operator without a folder, or any other operator that computes.
struct LeftOut {
  std::string name;        // module path
  std::string source_op;   // what the file calls it
  std::string reason;
};

// The operators of `graph` that are part of no layer in `layers`, in execution order: not constants, quantize and
// dequantize, not MAC operators (graph::FindMacLayers gives a reason for those) nor what was folded into one.
std::vector<LeftOut> OtherOperators(const graph::Graph& graph, const graph::MacLayers& layers);

}  // namespace qatgap::handoff
