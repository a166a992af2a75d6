#include "analyzers/frontends/pt2/fused_fake_quant.h"

#include <algorithm>
#include <cmath>

namespace qatgap::frontends::pt2 {
namespace {

// The smallest scale the kernel lets through, as it is written there.
constexpr float kSmallestScale = 6.1e-5F;

std::int32_t NearestCode(double zero_point, std::int32_t quant_min, std::int32_t quant_max) {
  if (zero_point < quant_min) return quant_min;
  if (zero_point > quant_max) return quant_max;
  return static_cast<std::int32_t>(std::nearbyint(zero_point));
}

}  // namespace

FusedQuantParams ChooseFusedQuantParams(float min, float max, std::int32_t quant_min, std::int32_t quant_max,
                                        bool symmetric) {
  const std::int64_t steps = std::int64_t{quant_max} - quant_min;
  if (symmetric && min < 0 && max > 0) {
    const auto below = static_cast<float>(-(steps / 2 + 1)), above = static_cast<float>(steps / 2);
    const double step = std::max(std::fabs(min / below), std::fabs(max / above));
    min = static_cast<float>(step * static_cast<double>(below));
    max = static_cast<float>(step * static_cast<double>(above));
  }
  min = std::min(min, 0.0F);
  max = std::max(max, 0.0F);
  auto scale = static_cast<float>((static_cast<double>(max) - static_cast<double>(min)) / static_cast<double>(steps));
  if (scale == 0.0F || std::isinf(1.0F / scale)) scale = 0.1F;
  if (scale < kSmallestScale) {
    const float widened = kSmallestScale / scale;
    scale = kSmallestScale;
    if (min == 0.0F) {
      max = kSmallestScale * static_cast<float>(steps);
    } else if (max == 0.0F) {
      min = -kSmallestScale * static_cast<float>(steps);
    } else {
      min *= widened;
      max *= widened;
    }
  }
  FusedQuantParams params{.scale = scale};
  if (symmetric && min < 0 && max > 0) {
    params.zero_point = NearestCode(static_cast<double>(std::int64_t{quant_min} + quant_max) / 2, quant_min, quant_max);
    return params;
  }
  // Either end of the range gives the zero point; the one whose sum cancels less is taken.
  const double min_steps = static_cast<double>(min) / static_cast<double>(scale);
  const double max_steps = static_cast<double>(max) / static_cast<double>(scale);
  const double from_min = quant_min - min_steps, from_max = quant_max - max_steps;
  const double min_error = std::abs(static_cast<double>(quant_min)) + std::abs(min_steps);
  const double max_error = std::abs(static_cast<double>(quant_max)) + std::abs(max_steps);
  params.zero_point = NearestCode(min_error < max_error ? from_min : from_max, quant_min, quant_max);
  return params;
}

}  // namespace qatgap::frontends::pt2
