// The scales, the multipliers made of them, and the products of int8 kernels.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "analyzers/findings/layer_check.h"
#include "analyzers/numerics/fixed_point.h"

namespace qatgap::findings {
namespace {

using numerics::RequantMode;
using report::Finding;

// PyTorch's observers never give a scale below binary32's epsilon, which is what an all-zero channel gets.
constexpr double kObserverFloor = 0x1p-23;
// A thousandfold spread costs the smallest channel's bias ten of its 31 bits.
constexpr double kScaleSpreadFactor = 1024;
constexpr double kHalfStep = 0.5;

void CheckWeightScales(const LayerCheck& check, std::vector<Finding>& findings) {
  const numerics::BiasRule& rule = check.rules.bias;
  // Otherwise no bias is stored in steps of the weight scale.
  if (rule.mode != numerics::BiasMode::kInteger || rule.scale == numerics::BiasScale::kOwnPowerOfTwo) return;
  const std::vector<double>& scales = check.layer.weight_params.scales;
  Finding tiny = check.Make(kTinyWeightScale);
  bool named = false;  // by QG001, QG002, QG014 or QG023, which give this reason
  for (std::size_t c = 0; c < scales.size(); ++c) {
    if (scales.size() > 1 && (std::abs(check.bias(c).rounded) >= check.HalfRange() ||
                              scales[c] != check.facts.deployed.weight_params.scales[c])) {
      named = true;
      continue;
    }
    if (scales[c] <= kObserverFloor * (1 + 0x1p-20)) tiny.channels.push_back(static_cast<std::int64_t>(c));
  }
  const auto [low, high] = std::minmax_element(scales.begin(), scales.end());
  tiny.detail = absl::StrFormat("smallest weight scale %.3g: the bias is stored in steps of %.3g", *low,
                                *low * check.input.scale());
  tiny.advice = "the channel is dead or nearly so: prune it, or give its weight scale a floor of 1e-6 before "
                "conversion";
  Finding spread = check.Make(kScaleSpread);
  if (*high / *low > kScaleSpreadFactor && tiny.channels.empty() && !named) {
    spread.channels.push_back(low - scales.begin());
    spread.detail = absl::StrFormat(
        "weight scales from %.3g to %.3g, a factor of %.3g: the finest channel's integer bias has %.1f bits less headroom "
        "than the coarsest one's",
        *low, *high, *high / *low, std::log2(*high / *low));
    spread.advice = "equalize the layer's channels (cross-layer equalization), or give weight scales a floor";
  }
  Keep(std::move(tiny), findings);
  Keep(std::move(spread), findings);
}

// The multiplier that the target really applies, as a real number.
double AppliedMultiplier(const LayerCheck& check, double exact) {
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

void CheckMultiplierOfOne(const LayerCheck& check, std::vector<Finding>& findings) {
  Finding finding = check.Make(kMultiplierOfOne);
  double largest = 0;
  for (std::size_t c = 0; c < check.channels(); ++c) {
    if (check.result.channels[c].multiplier >= 1.0) finding.channels.push_back(static_cast<std::int64_t>(c));
    largest = std::max(largest, check.result.channels[c].multiplier);
  }
  finding.detail = absl::StrFormat("up to M = %.4g in %d channel(s): one accumulator step moves the output by a whole "
                                   "code or more",
                                   largest, finding.channels.size());
  finding.advice = "the output scale is too fine for this layer; some runtimes refuse M >= 1";
  Keep(std::move(finding), findings);
}

void CheckMultiplier(const LayerCheck& check, std::vector<Finding>& findings) {
  Finding zero = check.Make(kMultiplierOutOfRange);
  Finding coarse = check.Make(kMultiplierCoarse);
  double smallest = std::numeric_limits<double>::infinity(), worst = 0;
  for (std::size_t c = 0; c < check.channels(); ++c) {
    const double exact = check.result.channels[c].multiplier;
    const double applied = AppliedMultiplier(check, exact);
    if (applied == 0) {
      zero.channels.push_back(static_cast<std::int64_t>(c));
      smallest = std::min(smallest, exact);
      continue;
    }
    const auto bias = static_cast<double>(check.BiasIn(c));
    const double size = std::max(std::abs(static_cast<double>(check.intervals[c].min) + bias),
                                 std::abs(static_cast<double>(check.intervals[c].max) + bias));
    // Beyond the output's range codes are clamped: there the multiplier does not matter.
    const numerics::QuantParams& output = check.layer.output;
    const double reach = std::min(size, static_cast<double>(output.quant_max - output.quant_min) / exact);
    const double displacement = std::abs(applied - exact) * reach;
    if (displacement <= kHalfStep) continue;
    coarse.channels.push_back(static_cast<std::int64_t>(c));
    worst = std::max(worst, displacement);
  }
  zero.detail = absl::StrFormat("M down to %.3g in %d channel(s): below 2^-32 the fixed-point multiplier is 0, and the "
                                "channel's output a constant", smallest, zero.channels.size());
  zero.advice = "the weight scale is tiny against the output's: prune the channel or give its weight scale a floor";
  coarse.detail = absl::StrFormat(
      "rounding M to the target's %s form displaces outputs of %d channel(s) by up to %.3g codes",
      std::string(numerics::ToString(check.rules.requantization.mode)), coarse.channels.size(), worst);
  coarse.advice = "use a wider multiplier where the runtime offers one (an int32 bias in TFLite's 16x8), or a coarser "
                  "output";
  Keep(std::move(zero), findings);
  Keep(std::move(coarse), findings);
}

// Consecutive products, input channels within a tap, taps behind each other, are added in int16 by kernels without
// VNNI.
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

void CheckPairs(const LayerCheck& check, std::vector<Finding>& findings) {
  const graph::MacLayer& layer = check.layer;
  if (check.rules.accumulator.int16_pairs == numerics::Int16Pairs::kNever || check.input.quant_min < 0 ||
      check.input.quant_max > 255 || layer.convolution.transposed) {
    return;
  }
  Finding finding = check.Make(kInt16Pairs);
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

void CheckScalesAndProducts(const LayerCheck& check, std::vector<Finding>& findings) {
  CheckWeightScales(check, findings);
  CheckMultiplierOfOne(check, findings);
  CheckMultiplier(check, findings);
  CheckPairs(check, findings);
}

}  // namespace qatgap::findings
