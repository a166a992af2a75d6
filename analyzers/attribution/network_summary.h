// The deployed graph as the report shows it.
#pragma once

#include <cstdint>
#include <span>

#include "analyzers/graph/graph.h"
#include "analyzers/graph/mac_layers.h"
#include "analyzers/report/analysis_result.h"
#include "analyzers/report/network_graph.h"

namespace qatgap::attribution {

// An analysed layer in the deployed graph.
struct DeployedLayer {
  const graph::MacLayer* layer = nullptr;
  const report::LayerInfo* info = nullptr;
  std::int64_t index = 0;              // of the report's layers
};

// Quantize and dequantize are part of the operator in front of them, and so is what an analysed layer fuses (bias,
// activation); constants and what is computed from them alone are left out; nodes of a branch name it.
report::NetworkGraph SummarizeNetwork(const graph::Graph& deployed, std::span<const DeployedLayer> layers);

}  // namespace qatgap::attribution
