#include "analyzers/vectors/mac_case.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

namespace qatgap::vectors {
namespace {

// Output axes in front of the channel's and behind it: N, C, spatial has N and spatial; rows, O has rows and nothing.
struct OutputShape {
  std::int64_t outer = 1, channels = 1, inner = 1;
};

OutputShape ShapeOf(const Case& layer) {
  const std::int64_t channels = ChannelsOf(layer);
  if (layer.op == CaseOp::kLinear) return {ElementsPerChannel(layer), channels, 1};
  const std::int64_t images = layer.input_codes.front().dim(0);
  return {images, channels, ElementsPerChannel(layer) / images};
}

}  // namespace

std::int64_t ChannelsOf(const Case& layer) {
  if (layer.op == CaseOp::kTransposedConvolution) return layer.weight_codes.dim(1) * layer.convolution.groups;
  return layer.weight_codes.dim(0);
}

std::int64_t ElementsPerChannel(const Case& layer) {
  const graph::Shape& input = layer.input_codes.front().shape();
  if (layer.op == CaseOp::kLinear) return graph::ElementCount(input) / input.back();
  return layer.output_codes.elements() / ChannelsOf(layer);
}

bool IsDepthwise(const Case& layer) {
  return layer.op == CaseOp::kConvolution && layer.convolution.groups > 1 && layer.weight_codes.dim(1) == 1;
}

numerics::MacTraits TraitsOf(const Case& layer, bool host_has_vnni) {
  const bool transposed = layer.op == CaseOp::kTransposedConvolution;
  const graph::ConvolutionAttributes& conv = layer.convolution;
  const std::int64_t groups = layer.op == CaseOp::kLinear ? 1 : conv.groups;
  const numerics::QuantParams& input = layer.inputs.front();
  const std::vector<std::int64_t>& zero_points = layer.weight.zero_points;
  const auto is_zero = [](std::int64_t value) { return value == 0; };
  return {.linear = layer.op == CaseOp::kLinear,
          .transposed = transposed,
          .depthwise = IsDepthwise(layer),
          .groups = groups,
          .group_inputs = transposed ? layer.weight_codes.dim(0) / groups : layer.weight_codes.dim(1),
          .group_outputs = ChannelsOf(layer) / groups,
          .output_padding = transposed && !std::all_of(conv.output_padding.begin(), conv.output_padding.end(), is_zero),
          .symmetric_weights = std::all_of(zero_points.begin(), zero_points.end(), is_zero),
          .unsigned_activations = input.quant_min >= 0,
          .wide_activations = input.quant_max - input.quant_min > 255,
          .bias_bits = layer.bias_integer_bits,
          .host_has_vnni = host_has_vnni};
}

numerics::MacConstants ConstantsOf(const Case& layer, bool host_has_vnni) {
  return {.input = layer.inputs.front(),
          .weight = layer.weight,
          .output = layer.output,
          .bias = layer.bias,
          .stored_bias = layer.bias_integer,
          .activation = layer.activation,
          .channels = ChannelsOf(layer),
          .traits = TraitsOf(layer, host_has_vnni)};
}

std::vector<std::int32_t> ChannelMajor(const Case& layer, const graph::Tensor& output) {
  const OutputShape shape = ShapeOf(layer);
  const std::span<const std::int32_t> codes = output.data<std::int32_t>();
  std::vector<std::int32_t> result;
  result.reserve(codes.size());
  for (std::int64_t c = 0; c < shape.channels; ++c) {
    for (std::int64_t outer = 0; outer < shape.outer; ++outer) {
      const auto row = codes.subspan(static_cast<std::size_t>((outer * shape.channels + c) * shape.inner),
                                     static_cast<std::size_t>(shape.inner));
      result.insert(result.end(), row.begin(), row.end());
    }
  }
  return result;
}

graph::Shape OutputIndex(const Case& layer, std::int64_t channel, std::int64_t element) {
  const OutputShape shape = ShapeOf(layer);
  const graph::Shape& output = layer.output_codes.shape();
  std::int64_t flat = (element / shape.inner * shape.channels + channel) * shape.inner + element % shape.inner;
  graph::Shape index(output.size());
  for (std::size_t axis = output.size(); axis > 0; --axis) {
    index[axis - 1] = flat % output[axis - 1];
    flat /= output[axis - 1];
  }
  return index;
}

}  // namespace qatgap::vectors
