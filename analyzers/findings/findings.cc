#include "analyzers/findings/findings.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "analyzers/findings/arithmetic_checks.h"

namespace qatgap::findings {
namespace {

using report::Finding;
using report::Severity;

// TFLite and ONNX Runtime keep integer biases below 2^30: a sum with an accumulator below 2^30 then cannot wrap.
constexpr double kHeadroom = 0x1p30;
// Half a step of the output: an error of this size moves a typical code.
constexpr double kHalfStep = 0.5;
// Both models form the scale from one range, (max - min) / codes in binary32, in different orders: two roundings each,
// so healthy pairs differ by up to 4 * 2^-24 (0.100211911 and 0.100211918 in one of the demo models).
constexpr double kScaleNoise = 0x1p-22;

bool SameScale(double a, double b) { return std::abs(a - b) <= kScaleNoise * std::max(std::abs(a), std::abs(b)); }

Finding Make(const LayerFacts& facts, std::string id, Severity severity, std::string title) {
  Finding finding;
  finding.id = std::move(id);
  finding.severity = severity;
  finding.title = std::move(title);
  finding.layer = facts.info.name;
  return finding;
}

void CheckDeadChannels(const LayerFacts& facts, std::vector<Finding>& findings) {
  const graph::MacLayer& layer = facts.deployed;
  if (layer.convolution.transposed) return;
  const auto codes = layer.weight.data<std::int32_t>();
  const auto channels = static_cast<std::size_t>(layer.output_channels);
  const std::size_t taps = codes.size() / std::max<std::size_t>(channels, 1);
  Finding finding = Make(facts, "QG004", Severity::kWarning, "Dead channel carries a bias");
  double smallest = std::numeric_limits<double>::infinity();
  for (std::size_t c = 0; c < channels; ++c) {
    const auto row = codes.subspan(c * taps, taps);
    const std::int64_t zero_point = layer.weight_params.zero_point(c);
    const bool dead = std::all_of(row.begin(), row.end(), [&](std::int32_t code) { return code == zero_point; });
    if (!dead || layer.shipped_bias.empty() || layer.shipped_bias[c] == 0.0F) continue;
    finding.channels.push_back(static_cast<std::int64_t>(c));
    smallest = std::min(smallest, layer.weight_params.scale(c));
  }
  if (finding.channels.empty()) return;
  finding.detail = absl::StrFormat(
      "all weights of %d channel(s) are 0, the bias is not; their smallest weight scale is %.3g, and an integer bias "
      "is stored in steps of it",
      finding.channels.size(), smallest);
  finding.advice = "prune the channel, or give its weight scale a floor before conversion";
  findings.push_back(std::move(finding));
}

void CheckQparams(const LayerFacts& facts, std::vector<Finding>& findings) {
  const numerics::QuantParams& a = facts.qat.output;
  const numerics::QuantParams& b = facts.deployed.output;
  if (!SameScale(a.scale(), b.scale()) || a.zero_point() != b.zero_point()) {
    Finding finding = Make(facts, "QG011", Severity::kWarning, "Output quantization differs between the two models");
    finding.detail = absl::StrFormat("QAT: scale %.9g, zero point %d; converted: scale %.9g, zero point %d", a.scale(),
                                     a.zero_point(), b.scale(), b.zero_point());
    finding.advice = "convert the model again from the checkpoint that was trained; compare the observers' ranges";
    findings.push_back(std::move(finding));
  }
  if (a.quant_min > b.quant_min || a.quant_max < b.quant_max) {
    Finding finding = Make(facts, "QG008", Severity::kInfo, "Trained with a narrower code range than it runs with");
    finding.detail = absl::StrFormat("codes %d..%d in training, %d..%d when deployed: values beyond the trained range "
                                     "are no longer clamped",
                                     a.quant_min, a.quant_max, b.quant_min, b.quant_max);
    finding.advice = "expected with reduce_range; harmless where values seldom reach the end of the range";
    findings.push_back(std::move(finding));
  }
}

void CheckBias(const LayerFacts& facts, std::vector<Finding>& findings) {
  if (!facts.converted_given) return;
  Finding finding = Make(facts, "QG013", Severity::kError, "Bias differs between the two models");
  double largest = 0;
  for (std::size_t c = 0; c < static_cast<std::size_t>(facts.qat.output_channels); ++c) {
    const double trained = facts.qat.bias.empty() ? 0.0 : facts.qat.bias[c];
    const double shipped = facts.deployed.shipped_bias.empty() ? 0.0 : static_cast<double>(facts.deployed.shipped_bias[c]);
    const double difference_lsb = std::abs(shipped - trained) / facts.deployed.output.scale();
    if (!(difference_lsb <= kHalfStep)) finding.channels.push_back(static_cast<std::int64_t>(c));
    largest = std::max(largest, difference_lsb);
  }
  if (finding.channels.empty()) return;
  finding.detail = absl::StrFormat("in %d channel(s) the converted bias is off by more than half a step of the output, "
                                   "at most by %.3g steps",
                                   finding.channels.size(), largest);
  finding.advice = "the batch norm statistics or the checkpoint differ: convert the model that was trained";
  findings.push_back(std::move(finding));
}

}  // namespace

void CheckNotices(const graph::Graph& qat, std::vector<Finding>& findings) {
  for (const graph::Notice& notice : qat.notices) {
    Finding finding;
    finding.layer = notice.module_path;
    finding.detail = notice.detail;
    finding.severity = Severity::kWarning;
    if (notice.kind == graph::NoticeKind::kObserverFrozen) {
      finding.id = "QG005";
      finding.title = "Observer left on";
      finding.advice = "call torch.ao.quantization.disable_observer before exporting: with the observer on, the model "
                       "changes its scales while it runs; qatgap froze them as they were saved";
    } else {
      finding.id = "QG006";
      finding.title = "Fake-quant switched off";
      finding.advice = "call torch.ao.quantization.enable_fake_quant before exporting, or the trained model does not "
                       "round here and the deployed one does";
    }
    findings.push_back(std::move(finding));
  }
}

void CheckPair(const LayerFacts& facts, std::vector<Finding>& findings) {
  CheckDeadChannels(facts, findings);
  if (facts.info.weight_codes_changed != 0) {
    Finding finding = Make(facts, "QG007", Severity::kInfo, "Weight codes differ between the two models");
    finding.detail = absl::StrFormat(
        "%d of %d weight codes; QAT scale %.9g, converted scale %.9g (channel 0)", facts.info.weight_codes_changed,
        facts.info.weights, facts.qat.weight_params.scale(), facts.deployed.weight_params.scale());
    finding.advice = "PyTorch's fused fake-quant and convert() use different weight scales for a symmetric channel "
                     "(max(|min|/128, max/127) and absmax/127.5): expected in healthy models, and part of `conversion`";
    findings.push_back(std::move(finding));
  }
  CheckQparams(facts, findings);
  if (facts.info.input_off_grid) {
    Finding finding = Make(facts, "QG009", Severity::kInfo, "Input is rounded when deployed, not in training");
    finding.detail = "the QAT model feeds this layer reals that no fake-quant has rounded (an average pool, for "
                     "example); the deployed model rounds them to the grid of the operator before";
    finding.advice = "train with a fake-quant behind that operator; the effect is part of `conversion`";
    findings.push_back(std::move(finding));
  }
  CheckBias(facts, findings);
}

void CheckTarget(const LayerFacts& facts, const numerics::TargetDescription& target,
                 const report::LayerResult& result, std::vector<Finding>& findings) {
  const numerics::BiasRule rules = numerics::RepresentativeBias(target);
  Finding saturated = Make(facts, "QG001", Severity::kError, "Bias saturates");
  Finding headroom = Make(facts, "QG002", Severity::kWarning, "Bias leaves the accumulator no headroom");
  Finding multiplier = Make(facts, "QG003", Severity::kWarning, "Requantization multiplier is 1 or more");
  Finding coarse = Make(facts, "QG012", Severity::kWarning, "Bias is stored too coarsely");
  double largest_stored = 0, largest_multiplier = 0, largest_residual = 0;
  for (std::size_t i = 0; i < result.channels.size(); ++i) {
    const auto channel = static_cast<std::int64_t>(i);
    const numerics::StoredBias& bias = result.channels[i].bias;
    if (bias.saturated) {
      saturated.channels.push_back(channel);
    } else if (rules.mode == numerics::BiasMode::kInteger && target.accumulator.bits == 32 &&
               std::abs(static_cast<double>(bias.stored)) > kHeadroom) {
      headroom.channels.push_back(channel);
    }
    if (result.channels[i].multiplier >= 1.0) multiplier.channels.push_back(channel);
    if (!bias.saturated && std::abs(bias.residual_lsb) > kHalfStep) coarse.channels.push_back(channel);
    largest_stored = std::max(largest_stored, std::abs(bias.rounded));
    largest_multiplier = std::max(largest_multiplier, result.channels[i].multiplier);
    if (!bias.saturated) largest_residual = std::max(largest_residual, std::abs(bias.residual_lsb));
  }
  saturated.detail = absl::StrFormat("%d channel(s) need up to %.4g steps, %.1f bits more than the %d there are",
                                     saturated.channels.size(), largest_stored,
                                     std::log2(largest_stored) - (rules.bits - 1), rules.bits);
  saturated.advice = "a tiny weight scale (dead or nearly dead channel) or a wrong input scale makes the step too "
                     "small: give the weight scale a floor, or adjust it as TFLite and ONNX Runtime do";
  headroom.detail = absl::StrFormat("%d channel(s) store up to %.4g, beyond 2^30: %.2f bits of headroom are left in int32",
                                    headroom.channels.size(), largest_stored, 31 - std::log2(largest_stored));
  headroom.advice = "keep |bias| / (s_x * s_w) below 2^30";
  multiplier.detail = absl::StrFormat("up to M = %.4g in %d channel(s): one accumulator step moves the output by a "
                                      "whole code or more",
                                      largest_multiplier, multiplier.channels.size());
  multiplier.advice = "the output scale is too fine for this layer; some runtimes refuse M >= 1";
  coarse.detail = absl::StrFormat("in %d channel(s) rounding the bias moves the output by up to %.3g codes",
                                  coarse.channels.size(), largest_residual);
  coarse.advice = "store the bias wider, or give each channel its own bias scale";
  for (Finding* finding : {&saturated, &headroom, &multiplier, &coarse}) {
    if (finding->channels.empty()) continue;
    finding->target = target.name;
    findings.push_back(std::move(*finding));
  }
  CheckArithmetic(facts, target, result, findings);
}

void CheckReachingInputs(const LayerFacts& facts, const numerics::TargetDescription& target,
                         std::vector<Finding>& findings) {
  if (numerics::RepresentativeBias(target).mode != numerics::BiasMode::kInteger || facts.info.inputs.size() < 2) return;
  std::vector<double> scales;
  for (const numerics::QuantParams& input : facts.info.inputs) scales.push_back(input.scale());
  const auto [low, high] = std::minmax_element(scales.begin(), scales.end());
  if (*low == *high) return;
  Finding finding = Make(facts, "QG010", Severity::kWarning, "One stored bias cannot serve all inputs");
  finding.target = target.name;
  finding.detail = absl::StrFormat(
      "%d input scales from %.6g to %.6g reach this layer, and an integer bias is stored at input scale times weight "
      "scale: stored for one of them, it is wrong by a factor of up to %.3g for another",
      scales.size(), *low, *high, *high / *low);
  finding.advice = "store one bias per input scale, requantize the branches to one scale first, or use a target that "
                   "keeps the bias in float";
  findings.push_back(std::move(finding));
}

}  // namespace qatgap::findings
