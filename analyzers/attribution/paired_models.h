// The two models of an analysis, side by side: the deployed graph, the MAC layers of both, and which belong together.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "analyzers/attribution/models.h"
#include "analyzers/attribution/pairing.h"
#include "analyzers/graph/graph.h"
#include "analyzers/graph/mac_layers.h"

namespace qatgap::attribution {

struct PairedModels {
  graph::Graph deployed;                      // the converted model, or the lowered QAT model
  graph::MacLayers qat_layers, deployed_layers;
  graph::MacLayers lowered_layers;            // of the QAT model, where a converted one is there to be compared with them
  Pairing pairing;

  // nullptr where there is none of this name.
  const graph::MacLayer* LoweredAs(const std::string& name) const;
};

// Takes models.converted; may shift the codes of models.qat to the base of the deployed ones, which changes no real, and adds
// a notice where layers were paired by order. `paired` refers to nothing in `models`.
// FAILED_PRECONDITION: no MAC layer, models that do not pair; the errors of Lower.
absl::Status PairModels(AnalysisModels& models, PairedModels& paired);

}  // namespace qatgap::attribution
