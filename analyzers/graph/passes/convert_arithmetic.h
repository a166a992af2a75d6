// The arithmetic of PyTorch's converters on weights, biases and observed ranges, bit for bit: torch.ao.quantization of
// PyTorch 2.13 and torchao 0.18. Everything is binary32, one rounding an operation, in the order of their sources.
// tests/analyzers/graph/passes/lowering_cases.json holds what they gave.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/graph/graph.h"
#include "analyzers/numerics/quant_params.h"

namespace qatgap::graph {

// UniformQuantizationObserverBase.calculate_qparams: zero is made part of the range;
//   symmetric: scale = max(-min, max) / ((quant_max - quant_min) / 2), zero point 0 or, unsigned, the middle rounded down
//   affine:    scale = (max - min) / (quant_max - quant_min), zero point = quant_min - RNE(min / scale), clamped
// and scale >= epsilon. A range of one that never saw data (+Inf, -Inf) gives scale 1, zero point 0.
// `axis` is that of per-channel ranges. INVALID_ARGUMENT: counts that differ, NaN, min > max, an infinite range.
absl::StatusOr<numerics::QuantParams> ObservedQparams(const ObservedRange& range, int axis);

// An observer that is on (range.averaging > 0) sees `weight` once more in convert(): min += averaging * (min(w) - min).
ObservedRange ObserveOnceMore(const ObservedRange& range, const Tensor& weight, int axis);

// fuse_conv_bn_weights: w * (gamma * rsqrt(variance + epsilon)) along `axis`, rsqrt(v) being fl(1 / fl(sqrt(v))).
// INVALID_ARGUMENT if the batch norm has not one element per index of `axis`.
absl::StatusOr<Tensor> FoldBatchNorm(const Tensor& weight, const WeightOrigin::BatchNorm& batch_norm, std::size_t axis);

// (b - mean) * rsqrt * gamma + beta for a convolution (fuse_conv_bn_weights), (b - mean) * (gamma * rsqrt) + beta for a
// linear (fuse_linear_bn_weights). `bias` may be empty: zeros.
std::vector<float> FoldBatchNormBias(std::span<const float> bias, const WeightOrigin::BatchNorm& batch_norm, bool linear);

// Codes of a weight, r = fl(1 / scale):
//   torch.quantize_per_tensor    RNE(fma(x, r, zero point))       (eager, per tensor)
//   torch.quantize_per_channel   RNE(fl(fl(x * r) + zero point))  (eager, per channel)
//   quantized_decomposed         RNE(fl(x * r)) + zero point      (PT2E)
// clamped to quant_min..quant_max of `params`. INVALID_ARGUMENT: NaN or Inf, scales that do not fit the shape.
absl::StatusOr<Tensor> QuantizeAsConvert(const Tensor& real, const numerics::QuantParams& params, ConvertStyle style);

}  // namespace qatgap::graph
