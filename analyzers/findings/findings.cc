#include "analyzers/findings/findings.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "analyzers/findings/accumulator_bound.h"
#include "analyzers/findings/catalogue.h"
#include "analyzers/findings/conversion_checks.h"
#include "analyzers/findings/layer_check.h"
#include "analyzers/findings/weight_identity.h"
#include "analyzers/numerics/rounding.h"

namespace qatgap::findings {
namespace {

using report::Finding;

// Half a step of the output: an error of this size moves a typical code.
constexpr double kHalfStep = 0.5;

Finding Make(const LayerFacts& facts, const FindingKind& kind) { return MakeFinding(kind, facts.info.name); }

// What may happen on some host counts: of two delegates the one without VNNI is looked at.
absl::StatusOr<numerics::TargetDescription> RulesFor(const numerics::TargetDescription& target,
                                                     const graph::MacLayer& layer, const numerics::QuantParams& input) {
  auto rules = numerics::ResolveTarget(target, graph::TraitsOf(layer, input, /*host_has_vnni=*/false));
  return rules.ok() ? rules : numerics::ResolveTarget(target, graph::TraitsOf(layer, input, /*host_has_vnni=*/true));
}

// Channels whose own weight scale is at fault.
template <typename Misses>
std::vector<std::int64_t> ChannelsThat(const LayerFacts& facts, const Misses& misses) {
  std::vector<std::int64_t> channels;
  if (!facts.deployed.weight_params.per_channel()) return channels;
  for (std::int64_t c = 0; c < facts.deployed.output_channels; ++c) {
    if (misses(facts.deployed.weight_params.scale(static_cast<std::size_t>(c)))) channels.push_back(c);
  }
  return channels;
}

void CheckDeadChannels(const LayerFacts& facts, std::vector<Finding>& findings) {
  const graph::MacLayer& layer = facts.deployed;
  const auto codes = layer.weight.data<std::int32_t>();
  const std::vector<std::size_t> channel_of = graph::ChannelOfWeights(layer);
  std::vector<bool> alive(static_cast<std::size_t>(layer.output_channels), false);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    if (codes[i] != layer.weight_params.zero_point(channel_of[i])) alive[channel_of[i]] = true;
  }
  Finding finding = Make(facts, kDeadChannel);
  double smallest = std::numeric_limits<double>::infinity();
  for (std::size_t c = 0; c < alive.size(); ++c) {
    if (alive[c] || layer.shipped_bias.empty() || layer.shipped_bias[c] == 0.0F) continue;
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
    Finding finding = Make(facts, kOutputDiffers);
    finding.detail = absl::StrFormat("QAT: scale %.9g, zero point %d; converted: scale %.9g, zero point %d", a.scale(),
                                     a.zero_point(), b.scale(), b.zero_point());
    finding.advice = "convert the model again from the checkpoint that was trained; compare the observers' ranges";
    findings.push_back(std::move(finding));
  }
  if (a.quant_min > b.quant_min || a.quant_max < b.quant_max) {
    Finding finding = Make(facts, kNarrowerTraining);
    finding.detail = absl::StrFormat("codes %d..%d in training, %d..%d when deployed: values beyond the trained range "
                                     "are no longer clamped",
                                     a.quant_min, a.quant_max, b.quant_min, b.quant_max);
    finding.advice = "expected with reduce_range; harmless where values seldom reach the end of the range";
    findings.push_back(std::move(finding));
  }
}

void CheckBias(const LayerFacts& facts, std::vector<Finding>& findings) {
  if (!facts.converted_given) return;
  Finding finding = Make(facts, kBiasDiffers);
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

// Codes are integers by now: what can be NaN or infinite are biases and weight scales. Whether all are finite.
bool CheckFinite(const LayerFacts& facts, std::vector<Finding>& findings) {
  for (const auto& [layer, model] : {std::pair(&facts.qat, "QAT"), std::pair(&facts.deployed, "deployed")}) {
    Finding finding = Make(facts, kNotFinite);
    std::size_t biases = 0, scales = 0;
    for (std::size_t c = 0; c < static_cast<std::size_t>(layer->output_channels); ++c) {
      const bool bias = !layer->bias.empty() && !std::isfinite(layer->bias[c]);
      const bool scale = !std::isfinite(layer->weight_params.scale(c));
      biases += bias ? 1U : 0U;
      scales += scale ? 1U : 0U;
      if (bias || scale) finding.channels.push_back(static_cast<std::int64_t>(c));
    }
    if (finding.channels.empty()) continue;
    finding.detail = absl::StrFormat("the %s model has NaN or infinity in %d bias(es) and %d weight scale(s)", model, biases,
                                     scales);
    finding.advice = "training diverged or the file is damaged: no sample can be run; train or export the model again";
    findings.push_back(std::move(finding));
    return false;  // the deployed ones are made of them
  }
  return true;
}

std::pair<FindingKind, std::string> MeaningOf(graph::NoticeKind kind) {
  switch (kind) {
    case graph::NoticeKind::kObserverFrozen:
      return {kObserverOn, "call torch.ao.quantization.disable_observer before exporting: with the observer on, the model "
                           "changes its scales while it runs; qatgap froze them as they were saved"};
    case graph::NoticeKind::kFakeQuantDisabled:
      return {kFakeQuantOff, "call torch.ao.quantization.enable_fake_quant before exporting, or the trained model does not "
                             "round here and the deployed one does"};
    case graph::NoticeKind::kTwinRebuilt:
    case graph::NoticeKind::kFloatBiases:
      return {kReferenceRebuilt, "give the QAT model as well to see what conversion did"};
    case graph::NoticeKind::kWeightsKept:
      return {kWeightsNotLowered, "give the converted model, or export the QAT model with its observers"};
    case graph::NoticeKind::kPairedByOrder:
      break;
  }
  return {kPairedByOrder, "look at the pairs; layers that one converter reorders or merges would be paired wrongly"};
}

}  // namespace

void CheckNotices(std::span<const graph::Notice> notices, std::vector<Finding>& findings) {
  for (const graph::Notice& notice : notices) {
    const auto [kind, advice] = MeaningOf(notice.kind);
    Finding finding = MakeFinding(kind, notice.module_path);
    finding.detail = notice.detail;
    finding.advice = advice;
    findings.push_back(std::move(finding));
  }
}

void CheckPair(const LayerFacts& facts, std::vector<Finding>& findings) {
  if (!CheckFinite(facts, findings)) return;  // nothing else can be said
  CheckDeadChannels(facts, findings);
  if (facts.info.weight_codes_changed != 0) {
    Finding finding = Make(facts, kWeightCodesDiffer);
    finding.detail = absl::StrFormat(
        "%d of %d weight codes; QAT scale %.9g, converted scale %.9g (channel 0)", facts.info.weight_codes_changed,
        facts.info.weights, facts.qat.weight_params.scale(), facts.deployed.weight_params.scale());
    finding.advice = "PyTorch's fused fake-quant and convert() use different weight scales for a symmetric channel "
                     "(max(|min|/128, max/127) and absmax/127.5): expected in healthy models, and part of `conversion`";
    findings.push_back(std::move(finding));
  }
  CheckQparams(facts, findings);
  if (facts.info.input_off_grid) {
    Finding finding = Make(facts, kInputOffGrid);
    finding.detail = "the QAT model feeds this layer reals that no fake-quant has rounded (an average pool, for "
                     "example); the deployed model rounds them to the grid of the operator before";
    finding.advice = "train with a fake-quant behind that operator; the effect is part of `conversion`";
    findings.push_back(std::move(finding));
  }
  CheckBias(facts, findings);
  CheckWeightIdentity(facts, findings);
  CheckConversion(facts, findings);
  CheckStoredIntegers(facts, findings);
}

void CheckTarget(const LayerFacts& facts, const numerics::TargetDescription& target,
                 const report::LayerResult& result, std::vector<Finding>& findings) {
  if (facts.info.inputs.empty()) return;
  const auto index = std::min(static_cast<std::size_t>(result.input_index), facts.info.inputs.size() - 1);
  const numerics::QuantParams& input = facts.info.inputs[index];
  const graph::MacLayer& layer = facts.adjusted != nullptr ? *facts.adjusted : facts.deployed;
  const absl::StatusOr<numerics::TargetDescription> rules = RulesFor(target, layer, input);
  if (!rules.ok()) return;  // the layer was refused, which CheckRefusal says
  const std::vector<AccumulatorInterval> intervals = AccumulatorIntervals(layer, input);
  const LayerCheck check{facts, layer, target, *rules, input, result, intervals};
  CheckStoredBias(check, findings);
  CheckScalesAndProducts(check, findings);
}

void CheckRefusal(const LayerFacts& facts, const numerics::TargetDescription& target,
                  const numerics::QuantParams& input, const absl::Status& status, std::vector<Finding>& findings) {
  // LayerArithmetic's and StoreBias's words for it.
  const std::string reason(status.message());
  const bool scales = absl::StrContains(reason, "power-of-two scales");
  const bool multiplier = !scales && absl::StrContains(reason, "requantization multiplier");
  Finding finding = MakeFinding(scales ? kNoPowersOfTwo : multiplier ? kMultiplierOutOfRange : kRefused,
                                facts.info.name, target.name);
  if (scales) {
    finding.channels = ChannelsThat(facts, [](double scale) { return !numerics::IsPowerOfTwo(scale); });
    finding.advice = "train with power-of-two quantizers, or ask for a target that takes any scale";
  } else if (multiplier) {
    const auto rules = RulesFor(target, facts.deployed, input);
    const numerics::RequantRule rule = rules.ok() ? rules->requantization : numerics::RequantRule{};
    finding.channels = ChannelsThat(facts, [&](double scale) {
      const double m = input.scale() * scale / facts.deployed.output.scale();
      return m < rule.multiplier_min || (rule.multiplier_max != 0 && m >= rule.multiplier_max);
    });
    finding.advice = "look for an output range that is far too small, or a weight scale that is far too small or large";
  } else {
    finding.advice = "change what the message names, or ask for another target";
  }
  finding.detail = reason;
  findings.push_back(std::move(finding));
}

void CheckReachingInputs(const LayerFacts& facts, const numerics::TargetDescription& target,
                         std::vector<Finding>& findings) {
  if (facts.info.inputs.size() < 2) return;
  const auto rules = RulesFor(target, facts.deployed, facts.info.inputs.front());
  if (!rules.ok() || rules->bias.mode != numerics::BiasMode::kInteger) return;
  std::vector<double> scales;
  for (const numerics::QuantParams& input : facts.info.inputs) scales.push_back(input.scale());
  const auto [low, high] = std::minmax_element(scales.begin(), scales.end());
  if (*low == *high) return;
  Finding finding = Make(facts, kSharedBias);
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
