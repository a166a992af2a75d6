#include "analyzers/vectors/accumulators.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "analyzers/vectors/mac_case.h"
#include "analyzers/vectors/verify.h"

namespace qatgap::vectors {
namespace {

constexpr std::int64_t kBlockElements = std::int64_t{1} << 17;
constexpr std::int64_t kMaxBlockPixels = 512;

// The greatest |code - zero point| there can be.
double Reach(const numerics::QuantParams& params) {
  double reach = 0;
  for (const std::int64_t point : params.zero_points) {
    reach = std::max(reach, static_cast<double>(std::max(params.quant_max - point, point - params.quant_min)));
  }
  return reach;
}

template <typename Sum>
void Accumulate(const Case& layer, std::span<std::int64_t> accumulators) {
  const LayerMatrix matrix(layer);
  const auto depth = static_cast<std::size_t>(matrix.depth());
  const std::int64_t block = matrix.BlockPixels();
  const auto input_zero_point = static_cast<std::int32_t>(layer.inputs.front().zero_point());
  std::vector<std::int32_t> patches(depth * static_cast<std::size_t>(block));
  std::vector<Sum> sums(static_cast<std::size_t>(block));
  for (std::int64_t group = 0; group < matrix.groups(); ++group) {
    std::vector<std::vector<std::int32_t>> weights;
    for (std::int64_t o = 0; o < matrix.channels_per_group(); ++o) {
      const std::int64_t channel = group * matrix.channels_per_group() + o;
      weights.push_back(matrix.WeightRow(channel));
      const auto zero_point = static_cast<std::int32_t>(layer.weight.zero_point(static_cast<std::size_t>(channel)));
      for (std::int32_t& weight : weights.back()) weight -= zero_point;
    }
    for (std::int64_t first = 0; first < matrix.pixels(); first += block) {
      const std::int64_t count = std::min(block, matrix.pixels() - first);
      const auto width = static_cast<std::size_t>(count);
      matrix.Patches(group, first, count, input_zero_point, patches);
      for (std::size_t i = 0; i < depth * width; ++i) patches[i] -= input_zero_point;
      for (std::int64_t o = 0; o < matrix.channels_per_group(); ++o) {
        std::fill_n(sums.begin(), width, Sum{0});
        const std::vector<std::int32_t>& row = weights[static_cast<std::size_t>(o)];
        for (std::size_t k = 0; k < depth; ++k) {
          const auto weight = static_cast<Sum>(row[k]);
          const std::int32_t* patch = patches.data() + k * width;
          for (std::size_t i = 0; i < width; ++i) sums[i] += weight * static_cast<Sum>(patch[i]);
        }
        const std::int64_t channel = group * matrix.channels_per_group() + o;
        std::copy_n(sums.begin(), width, accumulators.begin() + channel * matrix.pixels() + first);
      }
    }
  }
}

}  // namespace

LayerMatrix::LayerMatrix(const Case& layer) : layer_(&layer), transposed_(layer.op == CaseOp::kTransposedConvolution) {
  const graph::Shape& input = layer.input_codes.front().shape();
  const graph::Shape& weight = layer.weight_codes.shape();
  if (layer.op == CaseOp::kLinear) {
    images_ = ElementsPerChannel(layer);
    inputs_per_group_ = weight[1];
    channels_per_group_ = weight[0];
  } else {
    images_ = input[0];
    groups_ = layer.convolution.groups;
    inputs_per_group_ = transposed_ ? weight[0] / groups_ : weight[1];
    channels_per_group_ = transposed_ ? weight[1] : weight[0] / groups_;
  }
  const std::size_t axes = layer.op == CaseOp::kLinear ? 0 : weight.size() - 2;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    std::vector<std::int64_t>& position = position_[axis];
    if (axis + axes < 3) {  // fewer than three spatial axes: the first ones have one element
      position = {0};
      continue;
    }
    const std::size_t i = axis + axes - 3;
    const graph::ConvolutionAttributes& attributes = layer.convolution;
    const std::int64_t stride = attributes.stride[i], dilation = attributes.dilation[i],
                       padding = attributes.padding[i];
    input_[axis] = input[i + 2];
    kernel_[axis] = weight[i + 2];
    output_[axis] = layer.output_codes.dim(i + 2);
    taps_ *= kernel_[axis];
    for (std::int64_t out = 0; out < output_[axis]; ++out) {
      for (std::int64_t tap = 0; tap < kernel_[axis]; ++tap) {
        std::int64_t at = out * stride - padding + tap * dilation;
        if (transposed_) {
          const std::int64_t stretched = out + padding - (kernel_[axis] - 1 - tap) * dilation;
          at = stretched % stride == 0 ? stretched / stride : -1;
        }
        position.push_back(at >= 0 && at < input_[axis] ? at : -1);
      }
    }
  }
}

std::vector<std::int32_t> LayerMatrix::WeightRow(std::int64_t channel) const {
  const std::span<const std::int32_t> codes = layer_->weight_codes.data<std::int32_t>();
  const std::int64_t group = channel / channels_per_group_, within = channel % channels_per_group_;
  std::vector<std::int32_t> row(static_cast<std::size_t>(depth()));
  for (std::int64_t input = 0; input < inputs_per_group_; ++input) {
    for (std::int64_t tap = 0; tap < taps_; ++tap) {
      // The flip of a transposed convolution reverses every axis, so the flat index too.
      const std::int64_t at =
          transposed_ ? ((group * inputs_per_group_ + input) * channels_per_group_ + within) * taps_ + taps_ - 1 - tap
                      : (channel * inputs_per_group_ + input) * taps_ + tap;
      row[static_cast<std::size_t>(tap * inputs_per_group_ + input)] = codes[static_cast<std::size_t>(at)];
    }
  }
  return row;
}

void LayerMatrix::Patches(std::int64_t group, std::int64_t first, std::int64_t count, std::int32_t absent,
                          std::span<std::int32_t> patches) const {
  const std::span<const std::int32_t> codes = layer_->input_codes.front().data<std::int32_t>();
  const std::int64_t plane = input_[0] * input_[1] * input_[2];
  const std::int64_t inputs = groups_ * inputs_per_group_;
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t rest = first + i;
    const std::int64_t x = rest % output_[2];
    rest /= output_[2];
    const std::int64_t y = rest % output_[1];
    rest /= output_[1];
    const std::int64_t z = rest % output_[0];
    const std::int64_t image = rest / output_[0];
    const std::int64_t base = (image * inputs + group * inputs_per_group_) * plane;
    std::int64_t column = 0;
    for (std::int64_t a = 0; a < kernel_[0]; ++a) {
      const std::int64_t at_z = position_[0][static_cast<std::size_t>(z * kernel_[0] + a)];
      for (std::int64_t b = 0; b < kernel_[1]; ++b) {
        const std::int64_t at_y = position_[1][static_cast<std::size_t>(y * kernel_[1] + b)];
        for (std::int64_t c = 0; c < kernel_[2]; ++c) {
          const std::int64_t at_x = position_[2][static_cast<std::size_t>(x * kernel_[2] + c)];
          const bool inside = at_z >= 0 && at_y >= 0 && at_x >= 0;
          const std::int64_t at = base + (at_z * input_[1] + at_y) * input_[2] + at_x;
          for (std::int64_t channel = 0; channel < inputs_per_group_; ++channel, ++column) {
            patches[static_cast<std::size_t>(column * count + i)] =
                inside ? codes[static_cast<std::size_t>(at + channel * plane)] : absent;
          }
        }
      }
    }
  }
}

std::int64_t LayerMatrix::BlockPixels() const {
  return std::clamp(kBlockElements / depth(), std::int64_t{1}, std::min(kMaxBlockPixels, pixels()));
}

absl::StatusOr<graph::Tensor> ExactAccumulators(const Case& layer) {
  if (!layer.is_mac()) {
    return absl::InvalidArgumentError(absl::StrCat(layer.name, ": ", OpName(layer), " has no accumulators"));
  }
  graph::Tensor result(graph::DType::kInt64, {ChannelsOf(layer), ElementsPerChannel(layer)});
  const double depth = static_cast<double>(layer.weight_codes.elements()) / static_cast<double>(ChannelsOf(layer)) *
                       (layer.op == CaseOp::kTransposedConvolution ? static_cast<double>(layer.convolution.groups) : 1);
  // Whatever the codes, the sum stays inside int32: twice the elements a vector register.
  const bool narrow = Reach(layer.inputs.front()) * Reach(layer.weight) * depth <=
                      static_cast<double>(std::numeric_limits<std::int32_t>::max());
  if (narrow)
    Accumulate<std::int32_t>(layer, result.mutable_data<std::int64_t>());
  else
    Accumulate<std::int64_t>(layer, result.mutable_data<std::int64_t>());
  return result;
}

}  // namespace qatgap::vectors
