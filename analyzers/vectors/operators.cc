#include "analyzers/vectors/operators.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "analyzers/numerics/rounding.h"

namespace qatgap::vectors {
namespace {

// The plain rule: dequantize, compute in binary32, requantize by RNE(fl(v * fl(1 / s_y))) + z_y.
class PlainOutput {
 public:
  PlainOutput(const numerics::QuantParams& output, numerics::Activation activation)
      : reciprocal_(1.0F / static_cast<float>(output.scale())),
        zero_point_(static_cast<double>(output.zero_point())),
        min_(static_cast<double>(output.quant_min)),
        max_(static_cast<double>(output.quant_max)),
        activation_(activation) {}

  std::int32_t Code(float value) const {
    if (activation_ != numerics::Activation::kNone) value = std::max(value, 0.0F);
    if (activation_ == numerics::Activation::kRelu6) value = std::min(value, 6.0F);
    const float steps = value * reciprocal_;
    const double rounded = numerics::RoundHalfToEven(static_cast<double>(steps)) + zero_point_;
    return static_cast<std::int32_t>(std::clamp(rounded, min_, max_));
  }

 private:
  float reciprocal_;
  double zero_point_, min_, max_;
  numerics::Activation activation_;
};

std::vector<float> Reals(const Case& layer, std::size_t input) {
  const numerics::QuantParams& params = layer.inputs[input];
  const auto scale = static_cast<float>(params.scale());
  const auto zero_point = static_cast<float>(params.zero_point());
  std::vector<float> reals;
  for (const std::int32_t code : layer.input_codes[input].data<std::int32_t>()) {
    reals.push_back((static_cast<float>(code) - zero_point) * scale);
  }
  return reals;
}

// For every element of `output` in order, the flat index into a tensor of `shape`, of equally many axes, that broadcasts to it.
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

void ComputeBroadcast(const Case& layer, const PlainOutput& output, std::span<std::int32_t> codes) {
  const std::vector<float> a = Reals(layer, 0), b = Reals(layer, 1);
  const graph::Shape& shape = layer.output_codes.shape();
  const auto at_a = BroadcastIndices(layer.input_codes[0].shape(), shape);
  const auto at_b = BroadcastIndices(layer.input_codes[1].shape(), shape);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const float x = a[at_a[i]], y = b[at_b[i]];
    codes[i] = output.Code(layer.op == CaseOp::kAdd ? x + y : x * y);
  }
}

void ComputeConcat(const Case& layer, const PlainOutput& output, std::span<std::int32_t> codes) {
  const auto axis = static_cast<std::size_t>(layer.axes.front());
  std::size_t inner = 1;
  for (std::size_t i = axis + 1; i < layer.output_codes.shape().size(); ++i) inner *= static_cast<std::size_t>(layer.output_codes.dim(i));
  const std::size_t row = inner * static_cast<std::size_t>(layer.output_codes.dim(axis));
  std::size_t offset = 0;
  for (std::size_t input = 0; input < layer.inputs.size(); ++input) {
    const std::vector<float> reals = Reals(layer, input);
    const std::size_t part = inner * static_cast<std::size_t>(layer.input_codes[input].dim(axis));
    for (std::size_t i = 0; i < reals.size(); ++i) codes[i / part * row + offset + i % part] = output.Code(reals[i]);
    offset += part;
  }
}

void ComputePool(const Case& layer, const PlainOutput& output, std::span<std::int32_t> codes) {
  const std::vector<float> reals = Reals(layer, 0);
  const graph::Shape& in = layer.input_codes[0].shape();
  const graph::Shape& out = layer.output_codes.shape();
  const std::size_t axes = layer.pool.kernel.size();
  const std::vector<std::int64_t>& end = layer.padding_end.empty() ? layer.pool.padding : layer.padding_end;
  std::int64_t out_plane = 1, in_plane = 1, taps = 1;
  for (std::size_t i = 0; i < axes; ++i) {
    out_plane *= out[i + 2];
    in_plane *= in[i + 2];
    taps *= layer.pool.kernel[i];
  }
  for (std::size_t element = 0; element < codes.size(); ++element) {
    const std::int64_t plane = static_cast<std::int64_t>(element) / out_plane;
    float sum = 0, greatest = -std::numeric_limits<float>::infinity();
    std::int64_t inside = 0, padded = 0;  // taps in the input; in the input or its padding
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      std::int64_t rest = static_cast<std::int64_t>(element) % out_plane, tap_rest = tap, at = 0, stride = 1;
      bool in_input = true, in_padding = true;
      for (std::size_t i = axes; i > 0; --i) {
        const std::size_t a = i - 1;
        const std::int64_t position = rest % out[a + 2] * layer.pool.stride[a] - layer.pool.padding[a] +
                                      tap_rest % layer.pool.kernel[a] * layer.pool.dilation[a];
        rest /= out[a + 2];
        tap_rest /= layer.pool.kernel[a];
        in_input &= position >= 0 && position < in[a + 2];
        in_padding &= position < in[a + 2] + end[a];
        at += position * stride;
        stride *= in[a + 2];
      }
      padded += in_padding ? 1 : 0;
      if (!in_input) continue;
      ++inside;
      const float value = reals[static_cast<std::size_t>(plane * in_plane + at)];
      sum += value;
      greatest = std::max(greatest, value);
    }
    const std::int64_t count = layer.pool.count_include_pad ? padded : inside;
    const std::int64_t divisor = std::max<std::int64_t>(layer.pool.divisor_override.value_or(count), 1);
    codes[element] = output.Code(layer.op == CaseOp::kMaxPool ? greatest : sum / static_cast<float>(divisor));
  }
}

void ComputeMean(const Case& layer, const PlainOutput& output, std::span<std::int32_t> codes) {
  const std::vector<float> reals = Reals(layer, 0);
  const graph::Shape& in = layer.input_codes[0].shape();
  graph::Shape kept = in;
  for (const std::int64_t axis : layer.axes) kept[static_cast<std::size_t>(axis)] = 1;
  const std::vector<std::size_t> target = BroadcastIndices(kept, in);
  std::vector<float> sums(codes.size(), 0.0F);
  for (std::size_t i = 0; i < reals.size(); ++i) sums[target[i]] += reals[i];
  const auto count = static_cast<float>(reals.size() / codes.size());
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = output.Code(sums[i] / count);
}

}  // namespace

absl::StatusOr<graph::Tensor> ComputeOperator(const numerics::TargetDescription& target, const Case& layer) {
  if (!target.name.starts_with("pytorch-")) {
    return absl::UnimplementedError(absl::StrCat("no rule for ", OpName(layer), " of ", target.name));
  }
  const PlainOutput output(layer.output, layer.activation);
  graph::Tensor result(graph::DType::kInt32, layer.output_codes.shape());
  const std::span<std::int32_t> codes = result.mutable_data<std::int32_t>();
  switch (layer.op) {
    case CaseOp::kAdd:
    case CaseOp::kMul: ComputeBroadcast(layer, output, codes); break;
    case CaseOp::kConcat: ComputeConcat(layer, output, codes); break;
    case CaseOp::kAveragePool:
    case CaseOp::kMaxPool: ComputePool(layer, output, codes); break;
    case CaseOp::kMean: ComputeMean(layer, output, codes); break;
    default: return absl::InternalError(absl::StrCat(OpName(layer), " is a MAC layer"));
  }
  return result;
}

}  // namespace qatgap::vectors
