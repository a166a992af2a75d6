// What samples put into the inputs of a model, against the ranges that its first quantizers hold.
#pragma once

#include <span>
#include <vector>

#include "analyzers/graph/graph.h"
#include "analyzers/report/sample_detail.h"

namespace qatgap::attribution {

// One for each input of the graph that a quantize node with one scale reads; in the order of the inputs.
std::vector<report::InputRange> InputRangesOf(const graph::Graph& graph);

// Adds a batch. `inputs` are those of the graph; inputs that are not float32 are left out.
void AddInputs(const graph::Graph& graph, std::span<const graph::Tensor> inputs, std::vector<report::InputRange>& ranges);

}  // namespace qatgap::attribution
