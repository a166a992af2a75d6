// Quantization parameters of a tensor. See glossary.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace qatgap::numerics {

// real = scales[c] * (code - zero_points[c]), code in [quant_min, quant_max].
// Per tensor: one scale, one zero point, axis == kPerTensor. Per channel: one of each per index of `axis`.
// Scales are kept as double because PyTorch stores them so; targets that compute in binary32 convert.
struct QuantParams {
  static constexpr int kPerTensor = -1;

  std::vector<double> scales;
  std::vector<std::int64_t> zero_points;
  std::int64_t quant_min = 0;
  std::int64_t quant_max = 255;
  int axis = kPerTensor;

  bool per_channel() const { return axis != kPerTensor; }
  double scale(std::size_t channel = 0) const {
    return scales[scales.size() == 1 ? 0 : channel];
  }
  std::int64_t zero_point(std::size_t channel = 0) const {
    return zero_points[zero_points.size() == 1 ? 0 : channel];
  }
  friend bool operator==(const QuantParams&, const QuantParams&) = default;
};

// OK when every scale is finite and > 0, the counts of scales and zero points agree, quant_min < quant_max, both fit int32, and
// every zero point is inside the range; else INVALID_ARGUMENT naming `what`, the field and its value.
absl::Status Validate(const QuantParams& params, std::string_view what);

// "scale 0.0123, zero point 64, codes 0..127" or "32 scales 1.1e-3..4.0e-2, ...": for messages and reports.
std::string ToString(const QuantParams& params);

}  // namespace qatgap::numerics
