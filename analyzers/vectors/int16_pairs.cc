#include "analyzers/vectors/int16_pairs.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "analyzers/vectors/accumulators.h"
#include "analyzers/vectors/mac_case.h"
#include "analyzers/vectors/verify.h"

namespace qatgap::vectors {
namespace {

using Extents = std::vector<std::int64_t>;

bool All(const Extents& extents, auto&& predicate) { return std::all_of(extents.begin(), extents.end(), predicate); }

Extents KernelOf(const Case& layer) {
  const graph::Shape& weight = layer.weight_codes.shape();
  return {weight.begin() + 2, weight.end()};
}

bool Dilated(const Case& layer) {
  return !All(layer.convolution.dilation, [](std::int64_t d) { return d == 1; });
}

// FBGEMM's depthwise kernel pairs taps by vpmaddubsw even where VNNI is at hand.
bool TakesFbgemmDepthwise(const Case& layer) {
  if (layer.op != CaseOp::kConvolution || layer.weight_codes.dim(1) != 1) return false;
  const graph::ConvolutionAttributes& attributes = layer.convolution;
  const std::int64_t groups = attributes.groups, channels = layer.weight_codes.dim(0);
  const Extents kernel = KernelOf(layer);
  if (kernel.size() < 2 || groups % 8 != 0 || (channels != groups && channels != 2 * groups) || Dilated(layer))
    return false;
  if (!All(attributes.stride, [](std::int64_t s) { return s == 1 || s == 2; })) return false;
  if (!All(kernel, [](std::int64_t k) { return k == 3 || k == 5 || k == 7; })) return false;
  if (kernel.back() != kernel[kernel.size() - 2] || !layer.padding_end.empty()) return false;
  for (std::size_t i = 0; i < kernel.size(); ++i) {
    if (attributes.padding[i] != (kernel[i] - 1) / 2) return false;
  }
  return true;
}

// oneDNN without VNNI has vector code for groups of whole blocks of channels; the others go through a plain loop.
bool TakesOnednnReference(const Case& layer) {
  if (layer.op == CaseOp::kLinear || layer.convolution.groups == 1) return false;
  const std::int64_t inputs = LayerMatrix(layer).inputs_per_group();
  const std::int64_t outputs = LayerMatrix(layer).channels_per_group();
  return inputs == 1 || inputs % 4 != 0 || outputs % 4 != 0;
}

std::int64_t Saturated(std::int64_t pair) { return std::clamp<std::int64_t>(pair, INT16_MIN, INT16_MAX); }

}  // namespace

PairKernel PairKernelOf(const numerics::TargetDescription& target, const Case& layer, bool host_has_vnni) {
  const bool u8s8 = layer.inputs.front().quant_min >= 0 && layer.inputs.front().quant_max <= 255 &&
                    layer.weight.quant_min < 0 && layer.weight.quant_max <= 127;
  if (target.accumulator.int16_pairs == numerics::Int16Pairs::kNever || !u8s8) return PairKernel::kNone;
  switch (target.bias.mode) {
    case numerics::BiasMode::kFloatBeforeScale:
      if (TakesFbgemmDepthwise(layer)) return PairKernel::kAcrossTaps;
      return host_has_vnni ? PairKernel::kNone : PairKernel::kAcrossTaps;
    case numerics::BiasMode::kFloatAfterScale:
      return host_has_vnni || TakesOnednnReference(layer) ? PairKernel::kNone : PairKernel::kWithinTaps;
    case numerics::BiasMode::kInteger: {
      const bool own_kernel = IsDepthwise(layer) && layer.weight_codes.dim(0) == layer.convolution.groups;
      return host_has_vnni || own_kernel ? PairKernel::kNone : PairKernel::kAcrossTaps;
    }
  }
  return PairKernel::kNone;
}

absl::StatusOr<graph::Tensor> PairSaturatedAccumulators(const Case& layer, PairKernel kernel) {
  if (kernel == PairKernel::kNone || !layer.is_mac()) return ExactAccumulators(layer);
  const LayerMatrix matrix(layer);
  const bool within = kernel == PairKernel::kWithinTaps;
  const auto depth = static_cast<std::size_t>(matrix.depth());
  const auto inputs = static_cast<std::size_t>(matrix.inputs_per_group());
  const auto input_zero_point = static_cast<std::int32_t>(layer.inputs.front().zero_point());
  const std::int64_t block = matrix.BlockPixels();
  // -1 is no u8 code: it marks padding.
  constexpr std::int32_t kAbsent = -1;
  std::vector<std::int32_t> patches(depth * static_cast<std::size_t>(block));
  graph::Tensor result(graph::DType::kInt64, {ChannelsOf(layer), ElementsPerChannel(layer)});
  const std::span<std::int64_t> accumulators = result.mutable_data<std::int64_t>();
  for (std::int64_t channel = 0; channel < ChannelsOf(layer); ++channel) {
    const std::int64_t group = channel / matrix.channels_per_group();
    const std::vector<std::int32_t> row = matrix.WeightRow(channel);
    const std::int64_t weight_zero_point = layer.weight.zero_point(static_cast<std::size_t>(channel));
    std::int64_t weight_sum = 0;
    for (const std::int32_t weight : row) weight_sum += weight;
    for (std::int64_t first = 0; first < matrix.pixels(); first += block) {
      const std::int64_t count = std::min(block, matrix.pixels() - first);
      const auto width = static_cast<std::size_t>(count);
      matrix.Patches(group, first, count, kAbsent, patches);
      for (std::size_t i = 0; i < width; ++i) {
        std::int64_t sum = 0, input_sum = 0;
        const auto product = [&](std::size_t k) -> std::int64_t {
          const std::int32_t code = patches[k * width + i];
          const std::int32_t present = code == kAbsent ? input_zero_point : code;
          input_sum += present;
          if (code == kAbsent && within) {
            sum += std::int64_t{input_zero_point} * row[k];
            return 0;
          }
          return std::int64_t{present} * row[k];
        };
        for (std::size_t k = 0; k < depth;) {
          const std::int64_t left = product(k);
          const bool alone = k + 1 == depth || (within && (k + 1) % inputs == 0);
          const std::int64_t right = alone ? 0 : product(k + 1);
          sum += Saturated(left + right);
          k += alone ? 1 : 2;
        }
        const std::int64_t correction = weight_zero_point * input_sum + input_zero_point * weight_sum -
                                        static_cast<std::int64_t>(depth) * input_zero_point * weight_zero_point;
        accumulators[static_cast<std::size_t>(channel * matrix.pixels() + first) + i] = sum - correction;
      }
    }
  }
  return result;
}

}  // namespace qatgap::vectors
