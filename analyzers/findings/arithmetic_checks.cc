#include "analyzers/findings/arithmetic_checks.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "analyzers/findings/bias_bound.h"
#include "analyzers/numerics/fixed_point.h"
#include "analyzers/numerics/requantization.h"
#include "analyzers/numerics/rounding.h"

namespace qatgap::findings {
namespace {

using numerics::RequantMode;
using report::Finding;
using report::Severity;

// Fewer flips than this are not worth a line: one changed output in 10,000.
constexpr double kFlipRate = 1e-4;
// PyTorch's observers never give a scale below binary32's epsilon, which is what an all-zero channel gets.
constexpr double kObserverFloor = 0x1p-23;
// A thousandfold spread costs the smallest channel's bias ten of its 31 bits.
constexpr double kScaleSpread = 1024;
constexpr double kHalfStep = 0.5;
constexpr double kHeadroom = 0x1p30;

Finding MakeFor(const LayerFacts& facts, const numerics::TargetDescription& target, std::string id, Severity severity,
                std::string title) {
  Finding finding;
  finding.id = std::move(id);
  finding.severity = severity;
  finding.title = std::move(title);
  finding.layer = facts.info.name;
  finding.target = target.name;
  return finding;
}

void Keep(Finding finding, std::vector<Finding>& findings) {
  if (!finding.channels.empty()) findings.push_back(std::move(finding));
}

struct Check {
  const LayerFacts& facts;
  const numerics::TargetDescription& target;  // as it was asked for
  numerics::TargetDescription rules;          // what it delegates this layer to
  const numerics::QuantParams& input;
  const report::LayerResult& result;
  std::vector<AccumulatorInterval> intervals;

  Finding Make(std::string id, Severity severity, std::string title) const {
    return MakeFor(facts, target, std::move(id), severity, std::move(title));
  }
};

void CheckWrap(const Check& check, std::vector<Finding>& findings) {
  if (check.rules.bias.mode != numerics::BiasMode::kInteger ||
      check.rules.accumulator.overflow != numerics::AccumulatorOverflow::kWrap) {
    return;
  }
  Finding finding = check.Make("QG014", Severity::kWarning, "Accumulator plus bias can wrap");
  const int bits = check.rules.accumulator.bits;
  const auto low = static_cast<double>(numerics::SignedMin(bits)), high = static_cast<double>(numerics::SignedMax(bits));
  double largest = 0;
  for (std::size_t c = 0; c < check.result.channels.size(); ++c) {
    if (check.result.channels[c].bias.saturated) continue;  // QG001, which is worse
    const auto bias = static_cast<double>(check.result.channels[c].bias.stored);
    const double min = static_cast<double>(check.intervals[c].min) + bias;
    const double max = static_cast<double>(check.intervals[c].max) + bias;
    if (min >= low && max <= high) continue;
    finding.channels.push_back(static_cast<std::int64_t>(c));
    largest = std::max({largest, std::abs(min), max});
  }
  finding.detail = absl::StrFormat(
      "in %d channel(s) some input reaches a sum of %.6g, outside the accumulator's %d bits; proved from the weights, the "
      "stored bias and the input's codes %d..%d",
      finding.channels.size(), largest, bits, check.input.quant_min, check.input.quant_max);
  finding.advice = "keep |bias| / (s_x * s_w) below 2^30, as TFLite does, or give the channel's weight scale a floor";
  Keep(std::move(finding), findings);
}

void CheckBiasRounding(const Check& check, std::vector<Finding>& findings) {
  Finding finding = check.Make("QG015", Severity::kInfo, "Rounding the bias moves codes");
  double rate = 0, worst = 0;
  std::int64_t codes = 0;
  for (std::size_t c = 0; c < check.result.channels.size(); ++c) {
    const BiasRoundingBound bound =
        BoundBiasRounding(check.result.channels[c].bias, check.facts.deployed.output.scale());
    rate += bound.expected_flip_rate;
    worst = std::max(worst, bound.displacement_lsb);
    codes = std::max(codes, bound.codes);
    if (bound.expected_flip_rate > kFlipRate) finding.channels.push_back(static_cast<std::int64_t>(c));
  }
  rate /= static_cast<double>(std::max<std::size_t>(check.result.channels.size(), 1));
  finding.detail = absl::StrFormat(
      "the output is displaced by up to %.3g of a code (M * |e_b|), and no code moves by more than %d; expected to change "
      "about %.2g %% of the layer's outputs (an estimate: fractional parts taken as uniform)",
      worst, codes, rate * 100);
  finding.advice = "nothing where the measured bias_rounding is small; else store the bias with more bits or at a finer scale";
  // Above half a code it is QG012.
  if (rate > kFlipRate && worst <= kHalfStep) Keep(std::move(finding), findings);
}

void CheckWeightScales(const Check& check, std::vector<Finding>& findings) {
  if (check.rules.bias.mode != numerics::BiasMode::kInteger) return;
  const std::vector<double>& scales = check.facts.deployed.weight_params.scales;
  Finding tiny = check.Make("QG016", Severity::kWarning, "Weight scale is at the observer's floor");
  bool named = false;  // QG001 and QG002 name the channel and this reason already
  for (std::size_t c = 0; c < scales.size(); ++c) {
    if (scales.size() > 1 && std::abs(check.result.channels[c].bias.rounded) >= kHeadroom) {
      named = true;
      continue;
    }
    if (scales[c] <= kObserverFloor * (1 + 0x1p-20)) tiny.channels.push_back(static_cast<std::int64_t>(c));
  }
  const auto [low, high] = std::minmax_element(scales.begin(), scales.end());
  tiny.detail = absl::StrFormat("smallest weight scale %.3g: the bias is stored in steps of %.3g", *low,
                                *low * check.input.scale());
  tiny.advice = "the channel is dead or nearly so: prune it, or give its weight scale a floor of 1e-6 before conversion";
  Finding spread = check.Make("QG017", Severity::kInfo, "Weight scales of the channels differ widely");
  if (*high / *low > kScaleSpread && tiny.channels.empty() && !named) {
    spread.channels.push_back(low - scales.begin());
    spread.detail = absl::StrFormat("weight scales from %.3g to %.3g, a factor of %.3g: the finest channel's integer bias "
                                    "has %.1f bits less headroom than the coarsest one's",
                                    *low, *high, *high / *low, std::log2(*high / *low));
    spread.advice = "equalize the layer's channels (cross-layer equalization), or give weight scales a floor";
  }
  Keep(std::move(tiny), findings);
  Keep(std::move(spread), findings);
}

// The multiplier that the target really applies, as a real number.
double AppliedMultiplier(const Check& check, double exact) {
  switch (check.rules.requantization.mode) {
    case RequantMode::kFloat32:
      return static_cast<double>(static_cast<float>(exact));
    case RequantMode::kFloat64:
    case RequantMode::kPowerOfTwoShift:
      return exact;
    case RequantMode::kQ15: {
      const numerics::FixedPointMultiplier fixed = numerics::QuantizeMultiplier(exact);
      return std::ldexp(static_cast<double>(numerics::ReduceToQ15(fixed)), fixed.shift - 15);
    }
    default:
      return numerics::ToReal(numerics::QuantizeMultiplier(exact));
  }
}

void CheckMultiplier(const Check& check, std::vector<Finding>& findings) {
  Finding zero = check.Make("QG018", Severity::kError, "Requantization multiplier is outside the target's range");
  Finding coarse = check.Make("QG019", Severity::kWarning, "Requantization multiplier is too coarse");
  double smallest = std::numeric_limits<double>::infinity(), worst = 0;
  for (std::size_t c = 0; c < check.result.channels.size(); ++c) {
    const double exact = check.result.channels[c].multiplier;
    const double applied = AppliedMultiplier(check, exact);
    if (applied == 0) {
      zero.channels.push_back(static_cast<std::int64_t>(c));
      smallest = std::min(smallest, exact);
      continue;
    }
    const auto bias = static_cast<double>(check.result.channels[c].bias.stored);
    const double size = std::max(std::abs(static_cast<double>(check.intervals[c].min) + bias),
                                 std::abs(static_cast<double>(check.intervals[c].max) + bias));
    // Beyond the output's range codes are clamped: there the multiplier does not matter.
    const numerics::QuantParams& output = check.facts.deployed.output;
    const double reach = std::min(size, static_cast<double>(output.quant_max - output.quant_min) / exact);
    const double displacement = std::abs(applied - exact) * reach;
    if (displacement <= kHalfStep) continue;
    coarse.channels.push_back(static_cast<std::int64_t>(c));
    worst = std::max(worst, displacement);
  }
  zero.detail = absl::StrFormat("M down to %.3g in %d channel(s): below 2^-32 the fixed-point multiplier is 0, and the "
                                "channel's output a constant", smallest, zero.channels.size());
  zero.advice = "the weight scale is tiny against the output's: prune the channel or give its weight scale a floor";
  coarse.detail = absl::StrFormat("rounding M to the target's %s form displaces outputs of %d channel(s) by up to %.3g codes",
                                  std::string(numerics::ToString(check.rules.requantization.mode)),
                                  coarse.channels.size(), worst);
  coarse.advice = "use a wider multiplier where the runtime offers one (an int32 bias in TFLite's 16x8), or a coarser output";
  Keep(std::move(zero), findings);
  Keep(std::move(coarse), findings);
}

// Consecutive products, input channels within a tap, taps behind each other, are added in int16 by kernels without VNNI.
bool SomePairSaturates(std::span<const std::int32_t> weights, std::size_t taps, std::int64_t max_code) {
  const std::size_t inputs = weights.size() / std::max<std::size_t>(taps, 1);
  const auto weight = [&](std::size_t k) -> std::int64_t {
    return k < weights.size() ? weights[k % inputs * taps + k / inputs] : 0;
  };
  for (std::size_t k = 0; k < weights.size(); k += 2) {
    const std::int64_t high = std::max<std::int64_t>(weight(k), 0) + std::max<std::int64_t>(weight(k + 1), 0);
    const std::int64_t low = std::min<std::int64_t>(weight(k), 0) + std::min<std::int64_t>(weight(k + 1), 0);
    if (high * max_code > 32767 || low * max_code < -32768) return true;
  }
  return false;
}

void CheckInt16Pairs(const Check& check, std::vector<Finding>& findings) {
  const graph::MacLayer& layer = check.facts.deployed;
  if (check.rules.accumulator.int16_pairs == numerics::Int16Pairs::kNever || check.input.quant_min < 0 ||
      check.input.quant_max > 255 || layer.convolution.transposed) {
    return;
  }
  Finding finding = check.Make("QG021", Severity::kWarning, "Int16 pairs can saturate on hosts without VNNI");
  const auto weights = layer.weight.data<std::int32_t>();
  const auto channels = static_cast<std::size_t>(layer.output_channels);
  const std::size_t row = weights.size() / std::max<std::size_t>(channels, 1);
  const auto inputs = static_cast<std::size_t>(layer.weight.shape().size() > 1 ? layer.weight.dim(1) : 1);
  for (std::size_t c = 0; c < channels; ++c) {
    if (SomePairSaturates(weights.subspan(c * row, row), row / std::max<std::size_t>(inputs, 1), check.input.quant_max)) {
      finding.channels.push_back(static_cast<std::int64_t>(c));
    }
  }
  finding.detail = absl::StrFormat(
      "in %d channel(s) two neighbouring weights times input codes up to %d leave int16; x86 kernels without VNNI "
      "(vpmaddubsw), and depthwise ones of FBGEMM on every host, saturate such pairs",
      finding.channels.size(), check.input.quant_max);
  finding.advice = "limit activations to 7 bits (reduce_range), or run on a host with VNNI; see int16-pair-saturation";
  Keep(std::move(finding), findings);
}

}  // namespace

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

void CheckArithmetic(const LayerFacts& facts, const numerics::TargetDescription& target,
                     const report::LayerResult& result, std::vector<Finding>& findings) {
  if (facts.info.inputs.empty()) return;
  const auto index = std::min(static_cast<std::size_t>(result.input_index), facts.info.inputs.size() - 1);
  const numerics::QuantParams& input = facts.info.inputs[index];
  const absl::StatusOr<numerics::TargetDescription> rules =
      numerics::ResolveTarget(target, graph::TraitsOf(facts.deployed, input, /*host_has_vnni=*/false));
  if (!rules.ok()) return;  // the layer was refused, which is a finding of its own
  const Check check{facts, target, *rules, input, result, AccumulatorIntervals(facts.deployed, input)};
  CheckWrap(check, findings);
  CheckBiasRounding(check, findings);
  CheckWeightScales(check, findings);
  CheckMultiplier(check, findings);
  CheckInt16Pairs(check, findings);
}

void CheckRefusal(const LayerFacts& facts, const numerics::TargetDescription& target, const absl::Status& status,
                  std::vector<Finding>& findings) {
  const std::string reason(status.message());
  Finding finding;
  if (reason.find("power-of-two") != std::string::npos) {
    finding = MakeFor(facts, target, "QG020", Severity::kError, "Scales are not powers of two");
    finding.advice = "train with power-of-two quantizers, or ask for a target that takes any scale";
  } else if (reason.find("requantization multiplier") != std::string::npos) {
    finding = MakeFor(facts, target, "QG018", Severity::kError, "Requantization multiplier is outside the target's range");
    finding.advice = "look for an output range that is far too small, or a weight scale that is far too small or large";
  } else {
    finding = MakeFor(facts, target, "QG022", Severity::kError, "The target refuses the layer");
    finding.advice = "change what the message names, or ask for another target";
  }
  finding.detail = reason;
  findings.push_back(std::move(finding));
}

}  // namespace qatgap::findings
