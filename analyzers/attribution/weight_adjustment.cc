#include "analyzers/attribution/weight_adjustment.h"

#include <cstddef>

#include "absl/status/statusor.h"
#include "analyzers/attribution/layer_analysis.h"
#include "analyzers/numerics/bias.h"

namespace qatgap::attribution {

std::optional<graph::MacLayer> AdjustWeights(const graph::MacLayer& layer, const numerics::TargetDescription& target,
                                             const numerics::QuantParams& input) {
  const numerics::MacConstants constants = DeployedConstants(layer, input, target);
  if (!constants.stored_bias.empty()) return std::nullopt;  // stored already: what was adjusted is in the weights
  const absl::StatusOr<numerics::TargetDescription> rules = numerics::ResolveTarget(target, constants.traits);
  if (!rules.ok()) return std::nullopt;  // LayerArithmetic::Create says why
  const std::vector<double> scales = numerics::AdjustedWeightScales(rules->bias, constants);
  if (scales.empty()) return std::nullopt;
  return graph::WithWeightScales(layer, scales);
}

std::optional<std::vector<graph::MacLayer>> AdjustWeights(const std::vector<graph::MacLayer>& layers,
                                                          const numerics::TargetDescription& target) {
  std::optional<std::vector<graph::MacLayer>> adjusted;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (layers[i].input_grids.empty()) continue;
    std::optional<graph::MacLayer> layer = AdjustWeights(layers[i], target, layers[i].input_grids.front());
    if (!layer) continue;
    if (!adjusted) adjusted = layers;
    (*adjusted)[i] = *std::move(layer);
  }
  return adjusted;
}

}  // namespace qatgap::attribution
