// The stored bias: its width, its step, and the accumulator it is added to.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "analyzers/findings/bias_bound.h"
#include "analyzers/findings/layer_check.h"

namespace qatgap::findings {
namespace {

using report::Finding;

// Fewer flips than this are not worth a line: one changed output in 10,000.
constexpr double kFlipRate = 1e-4;
// Half a step of the output: an error of this size moves a typical code.
constexpr double kHalfStep = 0.5;

void CheckSaturation(const LayerCheck& check, std::vector<Finding>& findings) {
  const int bits = check.rules.bias.bits;
  Finding finding = check.Make(kBiasSaturates);
  double largest = 0;
  for (std::size_t c = 0; c < check.channels(); ++c) {
    if (!check.bias(c).saturated) continue;
    finding.channels.push_back(static_cast<std::int64_t>(c));
    largest = std::max(largest, std::abs(check.bias(c).rounded));
  }
  finding.detail =
      absl::StrFormat("%d channel(s) need up to %.4g steps, %.1f bits more than the %d there are",
                      finding.channels.size(), largest, std::log2(largest) - (bits - 1), bits);
  finding.advice = "a tiny weight scale (dead or nearly dead channel) or a wrong input scale makes the step too small: "
                   "give the weight scale a floor, or adjust it as TFLite and ONNX Runtime do";
  Keep(std::move(finding), findings);
}

// A bias with a power-of-two scale of its own is made to fill its width and says nothing.
void CheckHeadroom(const LayerCheck& check, std::vector<Finding>& findings) {
  const numerics::BiasRule& rule = check.rules.bias;
  if (rule.mode != numerics::BiasMode::kInteger || rule.scale == numerics::BiasScale::kOwnPowerOfTwo) return;
  const int bits = std::min(rule.bits, check.rules.accumulator.bits);
  Finding finding = check.Make(kBiasNearLimit);
  double largest = 0;
  for (std::size_t c = 0; c < check.channels(); ++c) {
    const double stored = std::abs(static_cast<double>(check.bias(c).stored));
    if (check.bias(c).saturated || check.SumOverflows(c) || stored <= check.HalfRange()) continue;
    finding.channels.push_back(static_cast<std::int64_t>(c));
    largest = std::max(largest, stored);
  }
  const double headroom = std::log2((std::ldexp(1.0, bits - 1) - 1) / largest);
  finding.detail = absl::StrFormat(
      "%d channel(s) store up to %.4g, beyond 2^%d: %.2f bits of headroom are left in %d bits; with these weights no sum "
      "overflows",
      finding.channels.size(), largest, bits - 2, std::max(headroom, 0.0), bits);
  finding.advice = absl::StrFormat("keep |bias| / (s_x * s_w) below 2^%d", bits - 2);
  Keep(std::move(finding), findings);
}

void CheckOverflow(const LayerCheck& check, std::vector<Finding>& findings) {
  const int bits = check.rules.accumulator.bits;
  const double limit = std::ldexp(1.0, bits - 1);
  Finding finding = check.Make(kSumOverflows);
  double largest = 0, share = 1;
  for (std::size_t c = 0; c < check.channels(); ++c) {
    if (!check.SumOverflows(c)) continue;
    finding.channels.push_back(static_cast<std::int64_t>(c));
    const auto bias = static_cast<double>(check.BiasIn(c));
    const auto min = static_cast<double>(check.intervals[c].min), max = static_cast<double>(check.intervals[c].max);
    largest = std::max({largest, -(min + bias), max + bias});
    if (max + bias > limit - 1) share = std::min(share, (limit - 1 - bias) / max);
    if (min + bias < -limit) share = std::min(share, (-limit - bias) / min);
  }
  const bool wraps = check.rules.accumulator.overflow == numerics::AccumulatorOverflow::kWrap;
  finding.detail = absl::StrFormat(
      "in %d channel(s) some input reaches a sum of %.6g, outside the accumulator's %d bits, which %s from %.2g of the "
      "largest products on; proved from the weights, the bias and the input's codes %d..%d",
      finding.channels.size(), largest, bits, wraps ? "wraps" : "saturates", std::max(share, 0.0),
      check.input.quant_min, check.input.quant_max);
  finding.advice = "keep |bias| / (s_x * s_w) below half of the accumulator's range, as TFLite does, or give the "
                   "channel's weight scale a floor";
  Keep(std::move(finding), findings);
}

void CheckRounding(const LayerCheck& check, std::vector<Finding>& findings) {
  Finding coarse = check.Make(kBiasCoarse);
  Finding moved = check.Make(kBiasRounding);
  double coarsest = 0, rate = 0, worst = 0;
  std::int64_t codes = 0;
  for (std::size_t c = 0; c < check.channels(); ++c) {
    const numerics::StoredBias& bias = check.bias(c);
    if (bias.saturated) continue;
    const BiasRoundingBound bound = BoundBiasRounding(bias, check.layer.output.scale());
    rate += bound.expected_flip_rate;
    if (std::abs(bias.residual_lsb) > kHalfStep) {
      coarse.channels.push_back(static_cast<std::int64_t>(c));
      coarsest = std::max(coarsest, std::abs(bias.residual_lsb));
    } else if (bound.expected_flip_rate > kFlipRate) {
      moved.channels.push_back(static_cast<std::int64_t>(c));
      worst = std::max(worst, bound.displacement_lsb);
      codes = std::max(codes, bound.codes);
    }
  }
  rate /= static_cast<double>(std::max<std::size_t>(check.channels(), 1));
  coarse.detail = absl::StrFormat("in %d channel(s) rounding the bias moves the output by up to %.3g codes",
                                  coarse.channels.size(), coarsest);
  coarse.advice = "store the bias wider, or give each channel its own bias scale";
  moved.detail = absl::StrFormat(
      "the output is displaced by up to %.3g of a code (M * |e_b|), and no code moves by more than %d; expected to "
      "change about %.2g %% of the layer's outputs (an estimate: fractional parts taken as uniform)",
      worst, codes, rate * 100);
  moved.advice = "nothing where the measured bias_rounding is small; else store the bias with more bits or at a finer "
                 "scale";
  // A layer with coarse channels says so; what rounding does to its others is lost beside it.
  if (coarse.channels.empty() && rate > kFlipRate) Keep(std::move(moved), findings);
  Keep(std::move(coarse), findings);
}

void CheckAdjustment(const LayerCheck& check, std::vector<Finding>& findings) {
  const numerics::QuantParams& shipped = check.facts.deployed.weight_params;
  Finding finding = check.Make(kWeightsAdjusted);
  double largest = 1;
  for (std::size_t c = 0; c < check.channels(); ++c) {
    const double factor = check.layer.weight_params.scale(c) / shipped.scale(c);
    if (factor == 1) continue;
    finding.channels.push_back(static_cast<std::int64_t>(c));
    largest = std::max(largest, factor);
  }
  finding.detail = absl::StrFormat(
      "the weight scale of %d channel(s) is raised, by a factor of up to %.3g, and their weights are rounded to it: "
      "%.1f bits of them are lost",
      finding.channels.size(), largest, std::log2(largest));
  finding.advice = "prune the channel or give its weight scale a floor before conversion: nothing is left to adjust then";
  Keep(std::move(finding), findings);
}

}  // namespace

void CheckStoredBias(const LayerCheck& check, std::vector<Finding>& findings) {
  CheckSaturation(check, findings);
  CheckHeadroom(check, findings);
  CheckOverflow(check, findings);
  CheckRounding(check, findings);
  CheckAdjustment(check, findings);
}

}  // namespace qatgap::findings
