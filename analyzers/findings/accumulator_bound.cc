#include "analyzers/findings/accumulator_bound.h"

#include <algorithm>
#include <cstddef>

#include "analyzers/numerics/bias.h"
#include "analyzers/numerics/rounding.h"

namespace qatgap::findings {

std::vector<AccumulatorInterval> AccumulatorIntervals(const graph::MacLayer& layer,
                                                      const numerics::QuantParams& input) {
  std::vector<AccumulatorInterval> intervals(static_cast<std::size_t>(layer.output_channels));
  const auto weights = layer.weight.data<std::int32_t>();
  const std::vector<std::size_t> channels = graph::ChannelOfWeights(layer);
  const std::int64_t low = input.quant_min - input.zero_point(), high = input.quant_max - input.zero_point();
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const std::int64_t weight = weights[i] - layer.weight_params.zero_point(channels[i]);
    AccumulatorInterval& interval = intervals[channels[i]];
    interval.min += std::min(weight * low, weight * high);
    interval.max += std::max(weight * low, weight * high);
  }
  return intervals;
}

std::int64_t BiasInAccumulator(const numerics::BiasRule& rule, const numerics::StoredBias& bias, double input_scale,
                               double weight_scale) {
  if (numerics::HasFloatBias(rule)) return 0;
  if (rule.scale != numerics::BiasScale::kOwnPowerOfTwo) return bias.stored;
  return numerics::AlignToAccumulator(bias.stored, bias.scale, input_scale * weight_scale, rule.alignment);
}

bool CanLeave(const AccumulatorInterval& interval, std::int64_t bias, int bits) {
  std::int64_t low = 0, high = 0;
  if (__builtin_add_overflow(interval.min, bias, &low)) return true;
  if (__builtin_add_overflow(interval.max, bias, &high)) return true;
  return low < numerics::SignedMin(bits) || high > numerics::SignedMax(bits);
}

}  // namespace qatgap::findings
