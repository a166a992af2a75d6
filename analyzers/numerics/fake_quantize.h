// Quantize and dequantize as PyTorch's fake-quant does them on CPU.
#pragma once

#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "analyzers/numerics/quant_params.h"

namespace qatgap::numerics {

// A contiguous tensor seen along the axis of its qparams: [outer][channels][inner].
struct ChannelExtents {
  std::int64_t outer = 1, channels = 1, inner = 1;
};

// Per tensor: one channel, all elements in `inner`. Per channel: `params.axis` must be an axis of `shape`.
ChannelExtents ExtentsAlong(std::span<const std::int64_t> shape, const QuantParams& params);

// How a real becomes steps. The two differ by one code on few values, which is enough to move 670 of the 4000 outputs of
// EfficientNet-Lite0 as onnxruntime quantizes it (measured).
enum class StepRule {
  kMultiplyReciprocal,  // fl(x * fl(1 / s)): PyTorch's fake-quants and quantize operators
  kDivide,              // fl(x / s): ONNX QuantizeLinear
};

// code = clamp(nearbyint(steps) + zero_point, quant_min, quant_max), steps of fl(scale) by `rule`, round half to even.
// Mimics fake_quantize_per_{tensor,channel}_affine of PyTorch 2.x on CPU (verified against LibTorch 2.13), and with kDivide
// QuantizeLinear of onnxruntime 1.32 without graph optimizations.
// `outer`, `channels`, `inner`: x is [outer][channels][inner], contiguous; channels is 1 for per-tensor qparams.
// NaN or Inf in x: INVALID_ARGUMENT with the flat index and value. Sizes of x and codes must agree.
absl::Status QuantizeReals(std::span<const float> x, const QuantParams& params, std::int64_t outer,
                           std::int64_t channels, std::int64_t inner, std::span<std::int32_t> codes,
                           StepRule rule = StepRule::kMultiplyReciprocal);

// x = fl((code - zero_point) * fl(scale)): one rounding.
void DequantizeCodes(std::span<const std::int32_t> codes, const QuantParams& params, std::int64_t outer,
                     std::int64_t channels, std::int64_t inner, std::span<float> x);

}  // namespace qatgap::numerics
