#include "analyzers/graph/passes/convert_arithmetic.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "absl/strings/str_cat.h"
#include "analyzers/numerics/fake_quantize.h"
#include "analyzers/numerics/rounding.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::graph {
namespace {

absl::Status CheckRange(const ObservedRange& range) {
  if (range.min.empty() || range.min.size() != range.max.size()) {
    return absl::InvalidArgumentError(absl::StrCat("an observer holds ", range.min.size(), " minima and ",
                                                   range.max.size(), " maxima"));
  }
  if (range.quant_min >= range.quant_max) {
    return absl::InvalidArgumentError(
        absl::StrCat("an observer has the codes ", range.quant_min, "..", range.quant_max));
  }
  for (std::size_t i = 0; i < range.min.size(); ++i) {
    if (!std::isfinite(range.min[i]) || !std::isfinite(range.max[i]) || range.min[i] > range.max[i]) {
      return absl::InvalidArgumentError(absl::StrCat("an observer holds the range ", range.min[i], "..", range.max[i],
                                                     "; run data through the model before exporting it"));
    }
  }
  return absl::OkStatus();
}

float ReciprocalRoot(float variance, float epsilon) { return 1.0F / std::sqrt(variance + epsilon); }

}  // namespace

absl::StatusOr<numerics::QuantParams> ObservedQparams(const ObservedRange& range, int axis) {
  numerics::QuantParams params{.scales = {}, .zero_points = {}, .quant_min = range.quant_min,
                               .quant_max = range.quant_max, .axis = axis};
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  if (range.min.size() == 1 && range.max.size() == 1 && range.min[0] == kInfinity && range.max[0] == -kInfinity) {
    params.scales = {1.0};
    params.zero_points = {0};
    return params;
  }
  QATGAP_RETURN_IF_ERROR(CheckRange(range));
  const auto codes = static_cast<double>(range.quant_max - range.quant_min);
  for (std::size_t i = 0; i < range.min.size(); ++i) {
    const float low = std::min(range.min[i], 0.0F), high = std::max(range.max[i], 0.0F);
    float scale = range.symmetric ? std::max(-low, high) / static_cast<float>(codes / 2)
                                  : (high - low) / static_cast<float>(codes);
    scale = std::max(scale, range.epsilon);
    std::int64_t zero_point = 0;
    if (!range.symmetric) {
      const auto steps = static_cast<double>(low / scale);  // |steps| <= codes by the choice of scale, or by epsilon
      zero_point = range.quant_min - static_cast<std::int64_t>(numerics::RoundHalfToEven(steps));
      zero_point = std::clamp(zero_point, range.quant_min, range.quant_max);
    } else if (!range.is_signed) {
      zero_point = (range.quant_min + range.quant_max) / 2;
    }
    params.scales.push_back(static_cast<double>(scale));
    params.zero_points.push_back(zero_point);
  }
  return params;
}

ObservedRange ObserveOnceMore(const ObservedRange& range, const Tensor& weight, int axis) {
  ObservedRange moved = range;
  if (range.averaging <= 0 || weight.elements() == 0) return moved;
  const std::size_t ranges = range.min.size();
  numerics::QuantParams params{.scales = std::vector<double>(ranges, 1.0), .zero_points = std::vector<std::int64_t>(ranges, 0),
                               .quant_min = 0, .quant_max = 1, .axis = ranges == 1 ? numerics::QuantParams::kPerTensor : axis};
  const numerics::ChannelExtents extents = numerics::ExtentsAlong(weight.shape(), params);
  if (static_cast<std::size_t>(extents.channels) != ranges) return moved;
  std::vector<float> low(ranges, std::numeric_limits<float>::infinity()), high(ranges, -std::numeric_limits<float>::infinity());
  const auto values = weight.data<float>();
  const auto inner = static_cast<std::size_t>(extents.inner);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t channel = i / inner % ranges;
    low[channel] = std::min(low[channel], values[i]);
    high[channel] = std::max(high[channel], values[i]);
  }
  for (std::size_t i = 0; i < ranges; ++i) {
    const auto blend = [&](float held, float seen) {
      return std::isinf(held) ? seen : held + range.averaging * (seen - held);
    };
    moved.min[i] = blend(range.min[i], low[i]);
    moved.max[i] = blend(range.max[i], high[i]);
  }
  return moved;
}

absl::StatusOr<Tensor> FoldBatchNorm(const Tensor& weight, const WeightOrigin::BatchNorm& batch_norm, std::size_t axis) {
  const std::size_t channels = batch_norm.gamma.size();
  if (axis >= weight.shape().size() || static_cast<std::size_t>(weight.dim(axis)) != channels ||
      batch_norm.variance.size() != channels || batch_norm.beta.size() != channels || batch_norm.mean.size() != channels) {
    return absl::InvalidArgumentError(absl::StrCat("a batch norm of ", channels, " channels does not fit a weight of shape ",
                                                   ToString(weight.shape())));
  }
  Tensor folded(DType::kFloat32, weight.shape());
  std::size_t inner = 1;
  for (std::size_t i = axis + 1; i < weight.shape().size(); ++i) inner *= static_cast<std::size_t>(weight.dim(i));
  std::vector<float> factor(channels);
  for (std::size_t c = 0; c < channels; ++c) {
    factor[c] = batch_norm.gamma[c] * ReciprocalRoot(batch_norm.variance[c], batch_norm.epsilon);
  }
  const auto from = weight.data<float>();
  const auto to = folded.mutable_data<float>();
  for (std::size_t i = 0; i < from.size(); ++i) to[i] = from[i] * factor[i / inner % channels];
  return folded;
}

std::vector<float> FoldBatchNormBias(std::span<const float> bias, const WeightOrigin::BatchNorm& batch_norm, bool linear) {
  std::vector<float> folded(batch_norm.gamma.size());
  for (std::size_t c = 0; c < folded.size(); ++c) {
    const float centred = (bias.empty() ? 0.0F : bias[c]) - batch_norm.mean[c];
    const float root = ReciprocalRoot(batch_norm.variance[c], batch_norm.epsilon);
    const float factor = batch_norm.gamma[c] * root;
    const float scaled = linear ? centred * factor : centred * root * batch_norm.gamma[c];
    folded[c] = scaled + batch_norm.beta[c];
  }
  return folded;
}

absl::StatusOr<Tensor> QuantizeAsConvert(const Tensor& real, const numerics::QuantParams& params, ConvertStyle style) {
  const auto values = real.data<float>();
  const auto bad = std::find_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
  if (bad != values.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("weight ", bad - values.begin(), " is ", *bad, ", must be finite; train the model again"));
  }
  std::size_t inner = 1, channels = params.scales.size();
  if (params.per_channel()) {
    const auto axis = static_cast<std::size_t>(params.axis);
    if (axis >= real.shape().size() || static_cast<std::size_t>(real.dim(axis)) != channels) {
      return absl::InvalidArgumentError(absl::StrCat(channels, " weight scales along axis ", params.axis,
                                                     " do not fit a weight of shape ", ToString(real.shape())));
    }
    for (std::size_t i = axis + 1; i < real.shape().size(); ++i) inner *= static_cast<std::size_t>(real.dim(i));
  }
  std::vector<float> reciprocal(channels), zero_point(channels);
  for (std::size_t c = 0; c < channels; ++c) {
    reciprocal[c] = 1.0F / static_cast<float>(params.scale(c));
    zero_point[c] = static_cast<float>(params.zero_point(c));
  }
  const auto low = static_cast<double>(params.quant_min), high = static_cast<double>(params.quant_max);
  Tensor codes(DType::kInt32, real.shape());
  const auto out = codes.mutable_data<std::int32_t>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t c = i / inner % channels;
    double code = 0;
    if (style == ConvertStyle::kPt2e) {
      const float steps = values[i] * reciprocal[c];
      code = numerics::RoundHalfToEven(static_cast<double>(steps)) + static_cast<double>(zero_point[c]);
    } else if (params.per_channel()) {
      const float steps = values[i] * reciprocal[c];
      code = numerics::RoundHalfToEven(static_cast<double>(steps + zero_point[c]));
    } else {
      code = numerics::RoundHalfToEven(static_cast<double>(std::fma(values[i], reciprocal[c], zero_point[c])));
    }
    out[i] = static_cast<std::int32_t>(std::clamp(code, low, high));
  }
  return codes;
}

}  // namespace qatgap::graph
