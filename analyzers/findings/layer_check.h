// What the checks of one layer under one target share. Private to this folder.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "analyzers/findings/accumulator_bound.h"
#include "analyzers/findings/catalogue.h"
#include "analyzers/findings/findings.h"

namespace qatgap::findings {

struct LayerCheck {
  const LayerFacts& facts;
  const graph::MacLayer& layer;               // as the target runs it: with adjusted weights, if it adjusts them
  const numerics::TargetDescription& target;  // as it was asked for
  const numerics::TargetDescription& rules;   // what it delegates this layer to
  const numerics::QuantParams& input;
  const report::LayerResult& result;
  const std::vector<AccumulatorInterval>& intervals;

  std::size_t channels() const { return result.channels.size(); }
  const numerics::StoredBias& bias(std::size_t channel) const { return result.channels[channel].bias; }

  std::int64_t BiasIn(std::size_t channel) const {
    return BiasInAccumulator(rules.bias, bias(channel), input.scale(), layer.weight_params.scale(channel));
  }
  // Saturated channels do not count: that is another finding, and a worse one.
  bool SumOverflows(std::size_t channel) const {
    return !bias(channel).saturated && CanLeave(intervals[channel], BiasIn(channel), rules.accumulator.bits);
  }
  // Half of the range that both the bias and the accumulator have: TFLite and ONNX Runtime keep biases within it.
  double HalfRange() const { return std::ldexp(1.0, std::min(rules.bias.bits, rules.accumulator.bits) - 2); }
  report::Finding Make(const FindingKind& kind) const { return MakeFinding(kind, facts.info.name, target.name); }
};

// A finding of channels: kept if there are any.
inline void Keep(report::Finding finding, std::vector<report::Finding>& findings) {
  if (!finding.channels.empty()) findings.push_back(std::move(finding));
}

// QG001, QG002, QG012, QG014, QG015, QG023.
void CheckStoredBias(const LayerCheck& check, std::vector<report::Finding>& findings);

// QG003, QG016 to QG019, QG021.
void CheckScalesAndProducts(const LayerCheck& check, std::vector<report::Finding>& findings);

}  // namespace qatgap::findings
