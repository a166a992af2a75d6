#include "analyzers/handoff/handoff.h"

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "analyzers/graph/mac_layers.h"
#include "analyzers/graph/passes/lower.h"
#include "analyzers/handoff/c_header.h"
#include "analyzers/handoff/golden_input.h"
#include "analyzers/handoff/json_files.h"
#include "analyzers/handoff/layer_handoff.h"
#include "analyzers/handoff/left_out.h"
#include "analyzers/handoff/readme.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::handoff {
namespace {

// Why a matched layer has no golden vectors; empty when it can have them.
std::string WhyNot(const graph::MacLayer& layer) {
  if (layer.input_grids.empty()) {
    return "its input is not on an integer grid: no quantizer is in front of it, it runs on reals";
  }
  return std::string(ShapesOf(layer).status().message());
}

absl::Status NothingToHandOver(const std::vector<LeftOut>& left_out) {
  if (left_out.empty()) {
    return absl::FailedPreconditionError(
        "the model has no convolution and no linear layer: there is nothing to hand over");
  }
  return absl::FailedPreconditionError(absl::StrCat("none of the model's ", left_out.size(),
                                                    " MAC operators can be handed over; '", left_out[0].name, "': ",
                                                    left_out[0].reason));
}

}  // namespace

absl::StatusOr<Files> MakeHandoff(const graph::Graph& model, const numerics::TargetDescription& target) {
  // Of a converted model this changes nothing that a MAC layer reads.
  QATGAP_ASSIGN_OR_RETURN(const graph::Graph lowered, graph::Lower(model));
  QATGAP_ASSIGN_OR_RETURN(const graph::MacLayers found, graph::FindMacLayers(lowered));
  std::vector<LayerHandoff> layers;
  std::vector<LeftOut> left_out;
  for (const graph::UnmatchedMac& mac : found.unmatched) left_out.push_back({mac.name, mac.source_op, mac.reason});
  for (const graph::MacLayer& layer : found.layers) {
    if (std::string reason = WhyNot(layer); !reason.empty()) {
      const graph::Node& product = lowered.nodes[static_cast<std::size_t>(layer.product_node)];
      left_out.push_back({layer.name, product.source_op, std::move(reason)});
      continue;
    }
    for (std::size_t input = 0; input < layer.input_grids.size(); ++input) {
      QATGAP_ASSIGN_OR_RETURN(LayerHandoff made, MakeLayer(layer, input, static_cast<int>(layers.size()), target));
      layers.push_back(std::move(made));
    }
  }
  if (layers.empty()) return NothingToHandOver(left_out);

  const std::vector<LeftOut> others = OtherOperators(lowered, found);
  Files files;
  files["README.md"] = Readme(target, layers, left_out, others);
  files["model.json"] = ModelJson(target, layers, left_out, others);
  for (const LayerHandoff& layer : layers) {
    files.merge(vectors::WriteCase(layer.golden));
    files[layer.folder + "/layer.json"] = LayerJson(layer);
    files[layer.folder + "/layer.h"] = CHeader(layer);
  }
  return files;
}

}  // namespace qatgap::handoff
