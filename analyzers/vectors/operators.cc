#include "analyzers/vectors/operators.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "analyzers/numerics/layer_arithmetic.h"
#include "analyzers/numerics/operator_limits.h"
#include "analyzers/numerics/operators.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::vectors {
namespace {

using numerics::KernelPosition;
using numerics::OutputRange;

// Channels a vector of PyTorch's channels-last kernels and of TFLite's mean holds.
constexpr std::int64_t kVectorChannels = 16;

bool Says(const Case& layer, const char* word) { return layer.kernel.find(word) != std::string::npos; }

KernelPosition PositionOf(const Case& layer, std::int64_t channel, std::int64_t channels) {
  return {.channels_last = Says(layer, "channels last"),
          .vector_body = channel < channels / kVectorChannels * kVectorChannels};
}

// For every element of `output` in order, the flat index into a tensor of `shape`, of equally many axes, that broadcasts
// to it.
std::vector<std::size_t> BroadcastIndices(const graph::Shape& shape, const graph::Shape& output) {
  std::vector<std::size_t> indices(static_cast<std::size_t>(graph::ElementCount(output)));
  for (std::size_t i = 0; i < indices.size(); ++i) {
    std::size_t rest = i, stride = 1;
    for (std::size_t axis = output.size(); axis > 0; --axis) {
      const auto extent = static_cast<std::size_t>(output[axis - 1]);
      if (shape[axis - 1] != 1) indices[i] += rest % extent * stride;
      stride *= static_cast<std::size_t>(shape[axis - 1]);
      rest /= extent;
    }
  }
  return indices;
}

std::vector<std::int32_t> Broadcast(const graph::Tensor& input, const graph::Shape& output) {
  const std::span<const std::int32_t> codes = input.data<std::int32_t>();
  std::vector<std::int32_t> result;
  result.reserve(static_cast<std::size_t>(graph::ElementCount(output)));
  for (const std::size_t index : BroadcastIndices(input.shape(), output)) result.push_back(codes[index]);
  return result;
}

absl::Status ComputeBinary(const numerics::OperatorRules& rules, const Case& layer, const OutputRange& range,
                           std::span<std::int32_t> codes) {
  const numerics::BinaryOperands operands{
      .a = layer.inputs[0], .b = layer.inputs[1], .output = layer.output, .range = range};
  const graph::Shape& shape = layer.output_codes.shape();
  const std::vector<std::int32_t> a = Broadcast(layer.input_codes[0], shape);
  const std::vector<std::int32_t> b = Broadcast(layer.input_codes[1], shape);
  if (layer.op == CaseOp::kAdd) {
    QATGAP_RETURN_IF_ERROR(numerics::CheckAdd(rules.add, operands));
    numerics::AddCodes(rules.add, operands, a, b, codes);
  } else {
    QATGAP_RETURN_IF_ERROR(numerics::CheckMul(rules.mul, operands));
    numerics::MulCodes(rules.mul, operands, a, b, codes);
  }
  return absl::OkStatus();
}

absl::Status ComputeConcat(numerics::ConcatRule rule, const Case& layer, const OutputRange& range,
                           std::span<std::int32_t> codes) {
  const auto axis = static_cast<std::size_t>(layer.axes.front());
  const graph::Shape& shape = layer.output_codes.shape();
  std::size_t inner = 1;
  for (std::size_t i = axis + 1; i < shape.size(); ++i) inner *= static_cast<std::size_t>(shape[i]);
  const std::size_t row = inner * static_cast<std::size_t>(shape[axis]);
  std::size_t offset = 0;
  for (std::size_t input = 0; input < layer.inputs.size(); ++input) {
    const numerics::UnaryOperands operands{.input = layer.inputs[input], .output = layer.output, .range = range};
    QATGAP_RETURN_IF_ERROR(numerics::CheckConcat(rule, operands));
    const std::span<const std::int32_t> values = layer.input_codes[input].data<std::int32_t>();
    const graph::Shape& in = layer.input_codes[input].shape();
    const std::size_t part = inner * static_cast<std::size_t>(in[axis]);
    std::size_t plane = 1;
    for (std::size_t i = 2; i < in.size(); ++i) plane *= static_cast<std::size_t>(in[i]);
    const std::int64_t channels = in.size() > 1 ? in[1] : 1;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::int64_t channel = static_cast<std::int64_t>(i / plane) % channels;
      codes[i / part * row + offset + i % part] =
          numerics::ConcatCode(rule, operands, PositionOf(layer, channel, channels), values[i]);
    }
    offset += part;
  }
  return absl::OkStatus();
}

// The codes under one position of the window, row-major, and how many elements count.
struct Gathered {
  std::vector<std::int32_t> codes;
  std::int64_t padded = 0;  // in the image or its padding
};

void Gather(const Case& layer, std::int64_t element, Gathered& gathered) {
  const std::span<const std::int32_t> values = layer.input_codes[0].data<std::int32_t>();
  const graph::Shape& in = layer.input_codes[0].shape();
  const graph::Shape& out = layer.output_codes.shape();
  const std::vector<std::int64_t>& end = layer.padding_end.empty() ? layer.pool.padding : layer.padding_end;
  const std::size_t axes = layer.pool.kernel.size();
  std::int64_t out_plane = 1, in_plane = 1, taps = 1;
  for (std::size_t i = 0; i < axes; ++i) {
    out_plane *= out[i + 2];
    in_plane *= in[i + 2];
    taps *= layer.pool.kernel[i];
  }
  gathered.codes.clear();
  gathered.padded = 0;
  for (std::int64_t tap = 0; tap < taps; ++tap) {
    std::int64_t rest = element % out_plane, tap_rest = tap, at = 0, stride = 1;
    bool in_input = true, in_padding = true;
    for (std::size_t axis = axes; axis > 0; --axis) {
      const std::size_t a = axis - 1;
      const std::int64_t position = rest % out[a + 2] * layer.pool.stride[a] - layer.pool.padding[a] +
                                    tap_rest % layer.pool.kernel[a] * layer.pool.dilation[a];
      rest /= out[a + 2];
      tap_rest /= layer.pool.kernel[a];
      in_input &= position >= 0 && position < in[a + 2];
      in_padding &= position < in[a + 2] + end[a];
      at += position * stride;
      stride *= in[a + 2];
    }
    gathered.padded += in_padding ? 1 : 0;
    if (in_input) gathered.codes.push_back(values[static_cast<std::size_t>(element / out_plane * in_plane + at)]);
  }
}

absl::Status ComputePool(numerics::AveragePoolRule rule, const Case& layer, const OutputRange& range,
                         std::span<std::int32_t> codes) {
  const numerics::UnaryOperands operands{.input = layer.inputs[0], .output = layer.output, .range = range};
  QATGAP_RETURN_IF_ERROR(layer.op == CaseOp::kMaxPool ? numerics::CheckMaxPool(operands)
                                                      : numerics::CheckAveragePool(rule, operands));
  const std::vector<std::int64_t>& kernel = layer.pool.kernel;
  const std::int64_t channels = layer.output_codes.dim(1);
  const std::int64_t images = layer.output_codes.dim(0);
  const std::int64_t plane = layer.output_codes.elements() / std::max<std::int64_t>(1, images * channels);
  Gathered gathered;
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const auto element = static_cast<std::int64_t>(i);
    Gather(layer, element, gathered);
    if (layer.op == CaseOp::kMaxPool) {
      const auto greatest = std::max_element(gathered.codes.begin(), gathered.codes.end());
      const std::int64_t code = greatest == gathered.codes.end() ? range.min : *greatest;
      codes[i] = static_cast<std::int32_t>(std::clamp(code, range.min, range.max));
      continue;
    }
    const std::int64_t counted =
        layer.pool.count_include_pad ? gathered.padded : static_cast<std::int64_t>(gathered.codes.size());
    const numerics::PoolWindow window{
        .codes = gathered.codes,
        .count = std::max<std::int64_t>(layer.pool.divisor_override.value_or(counted), 1),
        .height = kernel.size() > 1 ? kernel[0] : 1,
        .width = kernel.back(),
        .adaptive = Says(layer, "adaptive")};
    const KernelPosition position = PositionOf(layer, element / plane % channels, channels);
    codes[i] = numerics::AveragePoolCode(rule, operands, position, window);
  }
  return absl::OkStatus();
}

absl::Status ComputeMean(numerics::MeanRule rule, const Case& layer, const OutputRange& range,
                         std::span<std::int32_t> codes) {
  const numerics::UnaryOperands operands{.input = layer.inputs[0], .output = layer.output, .range = range};
  QATGAP_RETURN_IF_ERROR(numerics::CheckMean(rule, operands));
  const std::span<const std::int32_t> values = layer.input_codes[0].data<std::int32_t>();
  const graph::Shape& in = layer.input_codes[0].shape();
  graph::Shape kept = in;
  for (const std::int64_t axis : layer.axes) kept[static_cast<std::size_t>(axis)] = 1;
  const std::vector<std::size_t> target = BroadcastIndices(kept, in);
  std::vector<std::int64_t> sums(codes.size(), 0);
  for (std::size_t i = 0; i < values.size(); ++i) sums[target[i]] += values[i];
  std::vector<std::int64_t> axes = layer.axes;
  std::sort(axes.begin(), axes.end());
  const bool spatial = layer.keep_dims && in.size() == 4 && axes == std::vector<std::int64_t>{2, 3};
  const std::int64_t channels = spatial ? in[1] : 1;
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const numerics::ReducedElements elements{
        .sum = sums[i], .count = static_cast<std::int64_t>(values.size() / codes.size()), .spatial = spatial};
    const KernelPosition position = PositionOf(layer, static_cast<std::int64_t>(i) % channels, channels);
    codes[i] = numerics::MeanCode(rule, operands, position, elements);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<graph::Tensor> ComputeOperator(const numerics::TargetDescription& target, const Case& layer) {
  const numerics::MacTraits traits{.unsigned_activations = layer.inputs.front().quant_min >= 0,
                                   .wide_activations = layer.inputs.front().quant_max > 255};
  QATGAP_ASSIGN_OR_RETURN(const numerics::TargetDescription rules, numerics::ResolveTarget(target, traits));
  const OutputRange range =
      numerics::MakeOutputRange(layer.output, layer.activation, rules.requantization.activation_limit);
  graph::Tensor result(graph::DType::kInt32, layer.output_codes.shape());
  const std::span<std::int32_t> codes = result.mutable_data<std::int32_t>();
  switch (layer.op) {
    case CaseOp::kAdd:
    case CaseOp::kMul: QATGAP_RETURN_IF_ERROR(ComputeBinary(target.operators, layer, range, codes)); break;
    case CaseOp::kConcat: QATGAP_RETURN_IF_ERROR(ComputeConcat(target.operators.concat, layer, range, codes)); break;
    case CaseOp::kAveragePool:
    case CaseOp::kMaxPool:
      QATGAP_RETURN_IF_ERROR(ComputePool(target.operators.average_pool, layer, range, codes));
      break;
    case CaseOp::kMean: QATGAP_RETURN_IF_ERROR(ComputeMean(target.operators.mean, layer, range, codes)); break;
    default: return absl::InternalError(absl::StrCat(OpName(layer), " is a MAC layer"));
  }
  return result;
}

}  // namespace qatgap::vectors
