#include <algorithm>

#include "analyzers/graph/mac_layers.h"
#include "analyzers/numerics/bias.h"

namespace qatgap::graph {

numerics::MacTraits TraitsOf(const MacLayer& layer, const numerics::QuantParams& input, bool host_has_vnni) {
  const ConvolutionAttributes& conv = layer.convolution;
  const bool linear = layer.kind == OpKind::kLinear;
  const std::int64_t groups = linear ? 1 : conv.groups;
  const auto is_zero = [](std::int64_t value) { return value == 0; };
  return {.linear = linear,
          .transposed = conv.transposed,
          .depthwise = groups > 1 && layer.weight.dim(1) == 1,
          .groups = groups,
          .group_inputs = conv.transposed ? layer.weight.dim(0) / groups : layer.weight.dim(1),
          .group_outputs = layer.output_channels / groups,
          .output_padding = !std::all_of(conv.output_padding.begin(), conv.output_padding.end(), is_zero),
          .symmetric_weights = std::all_of(layer.weight_params.zero_points.begin(),
                                           layer.weight_params.zero_points.end(), is_zero),
          .unsigned_activations = input.quant_min >= 0,
          .wide_activations = input.quant_max - input.quant_min > 255,
          .host_has_vnni = host_has_vnni};
}

std::vector<std::size_t> ChannelOfWeights(const MacLayer& layer) {
  const Shape& shape = layer.weight.shape();
  const auto count = static_cast<std::size_t>(layer.weight.elements());
  std::vector<std::size_t> channels(count);
  const auto leading = static_cast<std::size_t>(shape[0]);
  const std::size_t row = leading == 0 ? 0 : count / leading;
  const auto out_per_group = static_cast<std::size_t>(layer.convolution.transposed ? shape[1] : 1);
  const std::size_t in_per_group = leading / static_cast<std::size_t>(layer.convolution.groups);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t first = i / row;
    channels[i] = layer.convolution.transposed
                      ? first / in_per_group * out_per_group + i % row / (row / out_per_group)
                      : first;
  }
  return channels;
}

MacLayer WithWeightScales(const MacLayer& layer, const std::vector<double>& scales) {
  MacLayer result = layer;
  result.weight = Tensor(DType::kInt32, layer.weight.shape());
  const auto before = layer.weight.data<std::int32_t>();
  const auto after = result.weight.mutable_data<std::int32_t>();
  const std::vector<std::size_t> channels = ChannelOfWeights(layer);
  const numerics::QuantParams& params = layer.weight_params;
  for (std::size_t i = 0; i < after.size(); ++i) {
    const std::size_t c = channels[i];
    after[i] = scales[c] == params.scale(c)
                   ? before[i]
                   : numerics::RescaleWeight(before[i], params.zero_point(c), params.scale(c), scales[c],
                                             params.quant_min, params.quant_max);
  }
  result.weight_params.scales = params.scales.size() == 1 ? std::vector<double>{scales[0]} : scales;
  return result;
}

}  // namespace qatgap::graph
