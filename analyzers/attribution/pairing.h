// Which layer of the deployed model is which layer of the QAT model.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/graph/mac_layers.h"
#include "analyzers/report/analysis_result.h"

namespace qatgap::attribution {

struct LayerPair {
  std::size_t qat = 0, deployed = 0;  // indices into the two lists of layers
};

struct Pairing {
  std::vector<LayerPair> pairs;  // in execution order of the QAT model
  std::vector<report::Unmeasured> unmeasured;
  bool by_order = false;         // the names of the two models did not match
};

// Pairs by module path. Layers that have no twin, or that could not be matched as MAC layers, are listed as unmeasured.
// Where fewer than half of the layers of the smaller model pair by name (formats name layers in their own ways), they pair
// in execution order, if there are as many of them in both models and each has its twin's kind, weight shape and
// attributes. FAILED_PRECONDITION: neither way pairs them, or two layers of one name differ in kind, weight shape or
// attributes (names both and the difference).
absl::StatusOr<Pairing> PairLayers(const graph::MacLayers& qat, const graph::MacLayers& deployed);

}  // namespace qatgap::attribution
