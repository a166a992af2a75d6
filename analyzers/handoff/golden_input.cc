#include "analyzers/handoff/golden_input.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace qatgap::handoff {
namespace {

// Input and output together: about 70 KB of C source.
constexpr std::int64_t kComfortable = 8 << 10;
constexpr std::int64_t kMost = 256 << 10;
// Extents up to here keep every product of two inside int64.
constexpr std::int64_t kLargestExtent = std::numeric_limits<std::int32_t>::max();

// min(elements, kMost + 1), so that no product overflows; 0 when an extent is below 1.
std::int64_t BoundedCount(const graph::Shape& shape) {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) {
    if (extent < 1) return 0;
    count = extent > kMost ? kMost + 1 : std::min(count * extent, kMost + 1);
  }
  return count;
}

bool AllWithin(const std::vector<std::int64_t>& values, std::size_t count, std::int64_t least) {
  return values.size() == count && std::all_of(values.begin(), values.end(), [least](std::int64_t value) {
           return value >= least && value <= kLargestExtent;
         });
}

absl::Status CheckConvolution(const graph::MacLayer& layer) {
  const graph::Shape& weight = layer.weight.shape();
  const graph::ConvolutionAttributes& conv = layer.convolution;
  const std::size_t axes = weight.size() < 2 ? 0 : weight.size() - 2;
  if (axes < 1 || axes > 3 || !AllWithin(weight, weight.size(), 1)) {
    return absl::FailedPreconditionError(
        absl::StrCat("its weight has shape ", graph::ToString(weight), "; a convolution has 1 to 3 spatial axes"));
  }
  if (!AllWithin(conv.stride, axes, 1) || !AllWithin(conv.dilation, axes, 1) || !AllWithin(conv.padding, axes, 0) ||
      (conv.transposed && !conv.output_padding.empty() && !AllWithin(conv.output_padding, axes, 0))) {
    return absl::FailedPreconditionError(
        absl::StrCat("its stride, dilation and padding must be positive, one for each of ", axes, " spatial axes"));
  }
  if (conv.groups < 1 || weight[0] % conv.groups != 0) {
    return absl::FailedPreconditionError(absl::StrCat("its ", weight[0], " channels are not ", conv.groups, " groups"));
  }
  return absl::OkStatus();
}

std::int64_t OutputExtent(const graph::MacLayer& layer, std::size_t axis, std::int64_t input) {
  const graph::ConvolutionAttributes& conv = layer.convolution;
  const std::int64_t reach = (layer.weight.dim(axis + 2) - 1) * conv.dilation[axis] + 1;
  if (conv.transposed) {
    const std::int64_t output_padding = conv.output_padding.empty() ? 0 : conv.output_padding[axis];
    return (input - 1) * conv.stride[axis] - 2 * conv.padding[axis] + reach + output_padding;
  }
  const std::int64_t room = input + 2 * conv.padding[axis] - reach;
  return room < 0 ? 0 : room / conv.stride[axis] + 1;
}

// The input extent that gives about `extra` outputs more than one kernel placed inside the input does.
std::int64_t InputExtent(const graph::MacLayer& layer, std::size_t axis, std::int64_t extra) {
  const graph::ConvolutionAttributes& conv = layer.convolution;
  const std::int64_t reach = (layer.weight.dim(axis + 2) - 1) * conv.dilation[axis] + 1;
  if (conv.transposed) {
    const std::int64_t least = std::max<std::int64_t>(1, (2 * conv.padding[axis] - reach) / conv.stride[axis] + 2);
    return least + extra;
  }
  return std::max(reach, reach + extra * conv.stride[axis] - conv.padding[axis]);
}

GoldenShapes WithInput(const graph::MacLayer& layer, const std::vector<std::int64_t>& extents) {
  const graph::ConvolutionAttributes& conv = layer.convolution;
  GoldenShapes shapes;
  shapes.input = {1, conv.transposed ? layer.weight.dim(0) : layer.weight.dim(1) * conv.groups};
  shapes.output = {1, layer.output_channels};
  for (std::size_t axis = 0; axis < extents.size(); ++axis) {
    shapes.input.push_back(extents[axis]);
    shapes.output.push_back(OutputExtent(layer, axis, extents[axis]));
  }
  return shapes;
}

bool Fits(const GoldenShapes& shapes, std::int64_t limit) {
  const std::int64_t input = BoundedCount(shapes.input), output = BoundedCount(shapes.output);
  return input > 0 && output > 0 && input + output <= limit;
}

absl::Status TooLarge(const GoldenShapes& shapes) {
  return absl::FailedPreconditionError(absl::StrCat("its least input is ", graph::ToString(shapes.input), " and gives ",
                                                    graph::ToString(shapes.output), ", more than ", kMost,
                                                    " elements for a test bench"));
}

absl::StatusOr<GoldenShapes> LinearShapes(const graph::MacLayer& layer) {
  GoldenShapes shapes;
  for (const std::int64_t rows : {8, 4, 2, 1}) {
    shapes = {.input = {rows, layer.weight.dim(1)}, .output = {rows, layer.weight.dim(0)}};
    if (Fits(shapes, rows == 1 ? kMost : kComfortable)) return shapes;
  }
  return TooLarge(shapes);
}

// The generator is SplitMix64: equal on every machine, unlike the distributions of <random>.
class Generator {
 public:
  std::uint64_t Next() {
    state_ += 0x9E3779B97F4A7C15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
  }
  std::int64_t Between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(Next() % static_cast<std::uint64_t>(high - low + 1));
  }

 private:
  std::uint64_t state_ = 4;
};

}  // namespace

absl::StatusOr<GoldenShapes> ShapesOf(const graph::MacLayer& layer) {
  if (layer.kind == graph::OpKind::kLinear) return LinearShapes(layer);
  if (const absl::Status status = CheckConvolution(layer); !status.ok()) return status;
  std::vector<std::int64_t> extents(layer.weight.shape().size() - 2);
  GoldenShapes shapes;
  for (const std::int64_t extra : {7, 5, 3, 2, 1, 0}) {
    for (std::size_t axis = 0; axis < extents.size(); ++axis) extents[axis] = InputExtent(layer, axis, extra);
    shapes = WithInput(layer, extents);
    if (Fits(shapes, extra == 0 ? kMost : kComfortable)) return shapes;
  }
  if (layer.convolution.transposed) return TooLarge(shapes);
  for (std::size_t axis = 0; axis < extents.size(); ++axis) {
    extents[axis] = std::max<std::int64_t>(1, InputExtent(layer, axis, 0) - 2 * layer.convolution.padding[axis]);
  }
  shapes = WithInput(layer, extents);
  if (!Fits(shapes, kMost)) return TooLarge(shapes);
  return shapes;
}

graph::Tensor GoldenInput(const graph::Shape& shape, const numerics::QuantParams& input, std::int64_t divisor) {
  graph::Tensor codes(graph::DType::kInt32, shape);
  const auto values = codes.mutable_data<std::int32_t>();
  const std::int64_t zero_point = input.zero_point();
  const std::int64_t low = zero_point + (input.quant_min - zero_point) / divisor;
  const std::int64_t high = zero_point + (input.quant_max - zero_point) / divisor;
  // Convolutions have a row of `inner` elements at the front of each plane; the planes of a linear's input are one.
  const bool linear = shape.size() == 2;
  const std::size_t first_axis = linear ? 0 : 2;
  std::int64_t inner = 1;
  for (std::size_t axis = first_axis + 1; axis < shape.size(); ++axis) inner *= shape[axis];
  const std::int64_t plane = inner * shape[first_axis];
  Generator generator;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool end = plane > inner && static_cast<std::int64_t>(i) % plane < inner;
    const std::int64_t code = end ? (generator.Next() >> 63 != 0 ? input.quant_max : input.quant_min)
                                  : generator.Between(low, high);
    values[i] = static_cast<std::int32_t>(code);
  }
  return codes;
}

}  // namespace qatgap::handoff
