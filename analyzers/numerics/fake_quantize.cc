#include "analyzers/numerics/fake_quantize.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "analyzers/numerics/quant_params.h"
#include "analyzers/numerics/rounding.h"

namespace qatgap::numerics {
namespace {

// Past this many steps every code is at a limit of its range, and RoundHalfToEvenSmall is exact up to it.
constexpr double kFarOutside = 0x1p40;

void QuantizeRun(std::span<const float> x, float scale, StepRule rule, float zero_point, double quant_min,
                 double quant_max, std::span<std::int32_t> codes) {
  const float inverse_scale = 1.0f / scale;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float steps = rule == StepRule::kDivide ? x[i] / scale : x[i] * inverse_scale;
    const double near = std::clamp(static_cast<double>(steps), -kFarOutside, kFarOutside);
    // PyTorch adds the zero point in binary32; it matters only for ranges beyond 2^24.
    const float code = zero_point + static_cast<float>(RoundHalfToEvenSmall(near));
    codes[i] = static_cast<std::int32_t>(std::clamp(static_cast<double>(code), quant_min, quant_max));
  }
}

}  // namespace

ChannelExtents ExtentsAlong(std::span<const std::int64_t> shape, const QuantParams& params) {
  ChannelExtents extents;
  const std::size_t axis = params.per_channel() ? static_cast<std::size_t>(params.axis) : 0;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (!params.per_channel() || i > axis) {
      extents.inner *= shape[i];
    } else if (i < axis) {
      extents.outer *= shape[i];
    } else {
      extents.channels = shape[i];
    }
  }
  return extents;
}

absl::Status QuantizeReals(std::span<const float> x, const QuantParams& params, std::int64_t outer,
                           std::int64_t channels, std::int64_t inner, std::span<std::int32_t> codes, StepRule rule) {
  if (absl::Status status = Validate(params, "quantize"); !status.ok()) return status;
  if (outer < 0 || channels < 1 || inner < 0 ||
      static_cast<std::uint64_t>(outer) * static_cast<std::uint64_t>(channels) *
              static_cast<std::uint64_t>(inner) != x.size() ||
      x.size() != codes.size()) {
    return absl::InvalidArgumentError(absl::StrCat("quantize: ", x.size(), " values into ", codes.size(),
                                                   " codes, but the shape is ", outer, " x ", channels,
                                                   " x ", inner));
  }
  if (params.scales.size() != 1 && params.scales.size() != static_cast<std::size_t>(channels)) {
    return absl::InvalidArgumentError(
        absl::StrCat("quantize: ", params.scales.size(), " scales for ", channels, " channels"));
  }
  const auto bad = std::find_if(x.begin(), x.end(), [](float v) { return !std::isfinite(v); });
  if (bad != x.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("quantize: value ", bad - x.begin(), " is ", *bad, ", must be finite"));
  }
  const auto run = static_cast<std::size_t>(inner);
  for (std::size_t o = 0; o < static_cast<std::size_t>(outer); ++o) {
    for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
      const std::size_t start = (o * static_cast<std::size_t>(channels) + c) * run;
      QuantizeRun(x.subspan(start, run), static_cast<float>(params.scale(c)), rule,
                  static_cast<float>(params.zero_point(c)), static_cast<double>(params.quant_min),
                  static_cast<double>(params.quant_max), codes.subspan(start, run));
    }
  }
  return absl::OkStatus();
}

void DequantizeCodes(std::span<const std::int32_t> codes, const QuantParams& params, std::int64_t outer,
                     std::int64_t channels, std::int64_t inner, std::span<float> x) {
  const auto run = static_cast<std::size_t>(inner);
  for (std::size_t o = 0; o < static_cast<std::size_t>(outer); ++o) {
    for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
      const std::size_t start = (o * static_cast<std::size_t>(channels) + c) * run;
      // The product of a 29-bit integer and a 24-bit significand is exact in binary64: one rounding, at the end.
      const auto scale = static_cast<double>(static_cast<float>(params.scale(c)));
      const auto zero_point = static_cast<double>(params.zero_point(c));
      for (std::size_t i = start; i < start + run; ++i) {
        x[i] = static_cast<float>((static_cast<double>(codes[i]) - zero_point) * scale);
      }
    }
  }
}

}  // namespace qatgap::numerics
