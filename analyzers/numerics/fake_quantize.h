// Quantize and dequantize as PyTorch's fake-quant does them on CPU.
#pragma once

#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "analyzers/numerics/quant_params.h"

namespace qatgap::numerics {

// code = clamp(nearbyint(fl(x * fl(1 / fl(scale)))) + zero_point, quant_min, quant_max), round half to even.
// Mimics fake_quantize_per_{tensor,channel}_affine of PyTorch 2.x on CPU (verified against LibTorch 2.13).
// |x / scale| >= 2^63 clamps like any other value; PyTorch's per-channel kernel converts it to INT64_MIN on x86 and
// returns quant_min for large positive x (1e30 at scale 1e-3), which is not mimicked: its per-tensor kernel clamps.
// `outer`, `channels`, `inner`: x is [outer][channels][inner], contiguous; channels is 1 for per-tensor qparams.
// INVALID_ARGUMENT: NaN or Inf in x (with the flat index and value), qparams that fail Validate, sizes or channel
// counts that do not agree; codes are then unspecified. Empty input is OK. Thread-safe.
absl::Status QuantizeReals(std::span<const float> x, const QuantParams& params, std::int64_t outer,
                           std::int64_t channels, std::int64_t inner, std::span<std::int32_t> codes);

// x = fl((code - zero_point) * fl(scale)): one rounding for |code - zero_point| <= 2^29. Precondition: sizes
// and channel counts agree. x beyond binary32 becomes Inf. Thread-safe.
void DequantizeCodes(std::span<const std::int32_t> codes, const QuantParams& params, std::int64_t outer,
                     std::int64_t channels, std::int64_t inner, std::span<float> x);

}  // namespace qatgap::numerics
