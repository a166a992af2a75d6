// The often advised workaround: no bias in the layer, and a quantized add behind it.
//
//   u = requantize(A) to the qparams of a min/max observer, without activation
//   y = add(u, quantize(b)) by the target's add, to the layer's output qparams with its activation
//
// The observer sees A * s_x * s_w[c] over all channels of the calibration samples; b is quantized per tensor by a
// min/max observer of its own. Both have the layer's output codes: scale = (max - min) / (quant_max - quant_min), range
// with 0 in it, z = quant_min - round(min / scale); power-of-two scales, rounded up, where the target needs them. It
// rounds twice more than the layer alone, and the first time on a range that the bias no longer centres.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "analyzers/attribution/what_if/variant.h"

namespace qatgap::attribution::what_if {

// Least and largest accumulator of each channel.
class AccumulatorRange {
 public:
  explicit AccumulatorRange(std::int64_t channels) : channels_(static_cast<std::size_t>(channels)) {}
  void Add(std::int64_t channel, std::span<const std::int32_t> accumulators);
  bool empty() const;

  // The observer's qparams of A * s_x * s_w[c] for codes of `output`.
  numerics::QuantParams Observe(const numerics::LayerArithmetic& arithmetic) const;

 private:
  struct Channel {
    std::int32_t min = 0, max = 0;
    bool seen = false;
  };
  std::vector<Channel> channels_;
};

// Qparams of a min/max observer for reals in [min, max], with codes of `like`.
numerics::QuantParams ObserverParams(double min, double max, const numerics::QuantParams& like,
                                     numerics::ScaleRequirement scales);

PreparedRow ExplicitAddRow(const Deployment& deployment, const AccumulatorRange& range);

}  // namespace qatgap::attribution::what_if
