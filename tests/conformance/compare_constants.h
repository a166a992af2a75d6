// The MAC layers of a graph against what PyTorch's convert() wrote for the same model, bit for bit.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "analyzers/graph/graph.h"
#include "tests/conformance/zoo_folder.h"

namespace qatgap::conformance {

// Adds constants_* to `row` (measure.h): layers of `expected`, those that the graph lacks, and per kind of constant how
// many were compared and how many differ; the first layer that differs by name.
void CompareConstants(const graph::Graph& graph, const std::map<std::string, LayerConstants>& expected,
                      nlohmann::ordered_json& row);

}  // namespace qatgap::conformance
