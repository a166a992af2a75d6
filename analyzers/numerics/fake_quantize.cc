#include "analyzers/numerics/fake_quantize.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "analyzers/numerics/quant_params.h"
#include "analyzers/numerics/rounding.h"
#include "analyzers/status/vector_clones.h"

namespace qatgap::numerics {
namespace {

// Past this many steps every code is at a limit of its range, and RoundHalfToEvenSmall is exact up to it.
constexpr double kFarOutside = 0x1p40;

struct Grid {
  float scale = 1, zero_point = 0;
  double quant_min = 0, quant_max = 0;
};

template <StepRule kRule>
QATGAP_INLINE void QuantizeWide(const float* x, const Grid& grid, std::int32_t* codes, std::size_t count) {
  const float inverse_scale = 1.0f / grid.scale;
  for (std::size_t i = 0; i < count; ++i) {
    const float steps = kRule == StepRule::kDivide ? x[i] / grid.scale : x[i] * inverse_scale;
    const double near = std::clamp(static_cast<double>(steps), -kFarOutside, kFarOutside);
    // PyTorch adds the zero point in binary32; it matters only for ranges beyond 2^24.
    const float code = grid.zero_point + static_cast<float>(RoundHalfToEvenSmall(near));
    codes[i] = static_cast<std::int32_t>(std::clamp(static_cast<double>(code), grid.quant_min, grid.quant_max));
  }
}

// For ranges and zero points within 2^20: steps beyond 2^21 are codes beyond the range, and below it every value of the
// computation is an integer that binary32 holds.
constexpr double kNarrow = 0x1p20;

template <StepRule kRule>
QATGAP_INLINE void QuantizeNarrow(const float* __restrict x, const Grid& grid, std::int32_t* __restrict codes,
                                  std::size_t count) {
  constexpr float kBeyondAnyCode = 0x1p21f;
  constexpr float kShifter = 0x1.8p23f;  // leaves no bit below the unit: the addition rounds half to even
  const float scale = grid.scale, inverse_scale = 1.0f / grid.scale, zero_point = grid.zero_point;
  const auto low = static_cast<float>(grid.quant_min), high = static_cast<float>(grid.quant_max);
  for (std::size_t i = 0; i < count; ++i) {
    const float steps = kRule == StepRule::kDivide ? x[i] / scale : x[i] * inverse_scale;
    const float below = steps < kBeyondAnyCode ? steps : kBeyondAnyCode;
    const float near = below > -kBeyondAnyCode ? below : -kBeyondAnyCode;
    const float code = zero_point + ((near + kShifter) - kShifter);
    const float limited = code < high ? code : high;
    codes[i] = static_cast<std::int32_t>(limited > low ? limited : low);
  }
}

QATGAP_CLONES void QuantizeRun(const float* x, StepRule rule, const Grid& grid, std::int32_t* codes,
                               std::size_t count) {
  const bool divide = rule == StepRule::kDivide;
  const auto zero_point = static_cast<double>(grid.zero_point);
  if (grid.quant_min >= -kNarrow && grid.quant_max <= kNarrow && std::abs(zero_point) <= kNarrow) {
    return divide ? QuantizeNarrow<StepRule::kDivide>(x, grid, codes, count)
                  : QuantizeNarrow<StepRule::kMultiplyReciprocal>(x, grid, codes, count);
  }
  return divide ? QuantizeWide<StepRule::kDivide>(x, grid, codes, count)
                : QuantizeWide<StepRule::kMultiplyReciprocal>(x, grid, codes, count);
}

QATGAP_CLONES void DequantizeRun(const std::int32_t* __restrict codes, double scale, double zero_point,
                                 float* __restrict x, std::size_t count) {
  // The product of a 29-bit integer and a 24-bit significand is exact in binary64: one rounding, at the end.
  for (std::size_t i = 0; i < count; ++i) {
    x[i] = static_cast<float>((static_cast<double>(codes[i]) - zero_point) * scale);
  }
}

// Of Inf and NaN all bits of the exponent are set.
QATGAP_CLONES bool AllFinite(const float* x, std::size_t count) {
  constexpr std::uint32_t kExponent = 0x7f800000;
  std::uint32_t found = 0;
  for (std::size_t i = 0; i < count; ++i) {
    found |= (std::bit_cast<std::uint32_t>(x[i]) & kExponent) == kExponent ? 1U : 0U;
  }
  return found == 0;
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
  if (!AllFinite(x.data(), x.size())) {
    const auto bad = std::find_if(x.begin(), x.end(), [](float v) { return !std::isfinite(v); });
    return absl::InvalidArgumentError(
        absl::StrCat("quantize: value ", bad - x.begin(), " is ", *bad, ", must be finite"));
  }
  const auto run = static_cast<std::size_t>(inner);
  for (std::size_t o = 0; o < static_cast<std::size_t>(outer); ++o) {
    for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
      const std::size_t start = (o * static_cast<std::size_t>(channels) + c) * run;
      QuantizeRun(x.data() + start, rule,
                  {.scale = static_cast<float>(params.scale(c)),
                   .zero_point = static_cast<float>(params.zero_point(c)),
                   .quant_min = static_cast<double>(params.quant_min),
                   .quant_max = static_cast<double>(params.quant_max)},
                  codes.data() + start, run);
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
      DequantizeRun(codes.data() + start, static_cast<double>(static_cast<float>(params.scale(c))),
                    static_cast<double>(params.zero_point(c)), x.data() + start, run);
    }
  }
}

}  // namespace qatgap::numerics
