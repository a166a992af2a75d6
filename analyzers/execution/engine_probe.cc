#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/int_repr.h>
#include <ATen/ops/max.h>
#include <ATen/ops/remainder.h>
#include <ATen/ops/round.h>
#include <ATen/ops/tensor.h>

#include "absl/strings/str_cat.h"
#include "analyzers/execution/layer_kernel_impl.h"

namespace qatgap::execution {

std::string ProbeTransposed(const graph::MacLayer& layer, const PackedLayer& packed, const at::Tensor& weight) {
  const graph::ConvolutionAttributes& conv = layer.convolution;
  std::vector<std::int64_t> shape(conv.stride.size() + 2, 3);
  shape[0] = 1;
  shape[1] = layer.weight.dim(0);
  std::int64_t elements = 1;
  for (const std::int64_t extent : shape) elements *= extent;
  // Codes 0 to 2 at zero point 0: no pair of products comes near int16.
  const at::Tensor codes = at::remainder(at::arange(elements, at::kInt), 3).view(shape);
  const auto convolve = [&](double scale) {
    return at::convolution(codes.to(at::kDouble) * scale, weight.to(at::kDouble), {}, conv.stride, conv.padding, conv.dilation,
                           /*transposed=*/true, conv.output_padding, conv.groups);
  };
  // A scale that spreads the outputs over some hundred codes.
  const double largest = at::max(at::abs(convolve(1))).item<double>();
  const double scale = largest > 0 ? 50 * layer.output.scale() / largest : 1;
  at::Tensor expected = convolve(scale);
  if (!layer.shipped_bias.empty()) {
    std::vector<std::int64_t> along(shape.size(), 1);
    along[1] = -1;
    expected = expected + at::tensor(layer.shipped_bias, at::kDouble).view(along);
  }
  const std::int64_t zero_point = layer.output.zero_point();
  expected = at::clamp(at::round(expected / layer.output.scale()) + zero_point, 0, 255);
  const numerics::QuantParams input = {.scales = {scale}, .zero_points = {0}, .quant_min = 0, .quant_max = 255};
  const at::Tensor returned = at::int_repr(packed.Run(QuantizedInput(codes, input))).to(at::kDouble);
  const auto off = static_cast<std::int64_t>(at::max(at::abs(returned - expected)).item<double>());
  if (off <= 1) return "";  // 1: engines round products of binary32
  return absl::StrCat("this LibTorch's engine computes it wrongly: a probe of ", layer.weight.dim(0), " to ", layer.output_channels,
                      " channels comes back up to ", off, " codes off the transposed convolution of its weights");
}

}  // namespace qatgap::execution
