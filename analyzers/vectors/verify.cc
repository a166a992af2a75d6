#include "analyzers/vectors/verify.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "analyzers/numerics/bias.h"
#include "analyzers/numerics/layer_arithmetic.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/vectors/int16_pairs.h"
#include "analyzers/vectors/mac_case.h"
#include "analyzers/vectors/operators.h"

namespace qatgap::vectors {
namespace {

using numerics::LayerArithmetic;
using numerics::TargetDescription;

constexpr std::size_t kShownMismatches = 5;
constexpr std::size_t kShownBiasMismatches = 2;

// Accumulators are the costly part and the same for every target and host that has no int16 pairs in the case.
class Accumulators {
 public:
  absl::StatusOr<graph::Tensor> Of(const Case& layer, PairKernel kernel) {
    std::optional<graph::Tensor>& kept = kept_[kernel];
    if (!kept) {
      QATGAP_ASSIGN_OR_RETURN(kept, PairSaturatedAccumulators(layer, kernel));
    }
    return *kept;
  }

 private:
  std::map<PairKernel, std::optional<graph::Tensor>> kept_;
};

void Codes(const LayerArithmetic& layer, std::int64_t channel, std::span<const std::int64_t> accumulators,
           std::span<std::int32_t> codes) {
  constexpr auto kStage = numerics::ArithmeticStage::kRequantized;
  const auto fits = [](std::int64_t a) { return a >= INT32_MIN && a <= INT32_MAX; };
  if (!std::all_of(accumulators.begin(), accumulators.end(), fits))
    return layer.Codes(kStage, channel, accumulators, codes);
  const std::vector<std::int32_t> narrow(accumulators.begin(), accumulators.end());
  layer.Codes(kStage, channel, std::span<const std::int32_t>(narrow), codes);
}

Mismatch Trace(const LayerArithmetic& arithmetic, const Case& layer, std::int64_t channel, std::int64_t element,
               std::int64_t accumulator, std::int32_t expected, std::int32_t computed) {
  const numerics::OutputRange& range = arithmetic.output_range();
  const numerics::StoredBias& bias = arithmetic.stored_bias(channel);
  const TargetDescription& rules = arithmetic.target(channel);
  return {.index = OutputIndex(layer, channel, element),
          .channel = channel,
          .expected = expected,
          .computed = computed,
          .traced = true,
          .trace = numerics::TraceRequantization(rules, arithmetic.requant_constants(channel), range, accumulator),
          .bias_real = bias.real,
          .bias_stored = bias.stored,
          .constants = arithmetic.requant_constants(channel),
          .multiplier = arithmetic.multiplier(channel),
          .zero_point = range.zero_point,
          .min = range.min,
          .max = range.max,
          .rules = rules};
}

// Both files: the integers must be what the target makes of the reals.
absl::Status CompareBias(const TargetDescription& resolved, const Case& layer, numerics::MacConstants constants,
                         CaseOutcome* outcome) {
  const numerics::BiasRule& rule = resolved.bias;
  if (layer.bias.empty() || layer.bias_integer.empty() || rule.mode != numerics::BiasMode::kInteger)
    return absl::OkStatus();
  constants.stored_bias.clear();
  // The scales of such a case are those before the adjustment, its integers those after it.
  if (!numerics::AdjustedWeightScales(rule, constants).empty()) return absl::OkStatus();
  QATGAP_ASSIGN_OR_RETURN(const numerics::LayerBias made, numerics::StoreBias(rule, constants));
  for (std::size_t c = 0; c < layer.bias.size(); ++c) {
    if (made.stored[c].stored == layer.bias_integer[c]) continue;
    ++outcome->bias_mismatches;
    if (outcome->first_bias.size() < kShownBiasMismatches) {
      outcome->first_bias.push_back({.channel = static_cast<std::int64_t>(c),
                                     .real = layer.bias[c],
                                     .expected = layer.bias_integer[c],
                                     .computed = made.stored[c]});
    }
  }
  return absl::OkStatus();
}

absl::Status VerifyMac(const TargetDescription& target, const Case& layer, bool vnni, Accumulators* accumulators,
                       CaseOutcome* outcome) {
  const numerics::MacConstants constants = ConstantsOf(layer, vnni);
  QATGAP_ASSIGN_OR_RETURN(const LayerArithmetic arithmetic, LayerArithmetic::Create(target, constants));
  QATGAP_RETURN_IF_ERROR(CompareBias(arithmetic.target(), layer, constants, outcome));
  QATGAP_ASSIGN_OR_RETURN(const graph::Tensor sums,
                          accumulators->Of(layer, PairKernelOf(arithmetic.target(), layer, vnni)));
  const std::span<const std::int64_t> all = sums.data<std::int64_t>();
  const std::vector<std::int32_t> expected = ChannelMajor(layer, layer.output_codes);
  const auto elements = static_cast<std::size_t>(ElementsPerChannel(layer));
  std::vector<std::int32_t> codes(elements);
  for (std::int64_t channel = 0; channel < ChannelsOf(layer); ++channel) {
    const std::size_t first = static_cast<std::size_t>(channel) * elements;
    Codes(arithmetic, channel, all.subspan(first, elements), codes);
    for (std::size_t i = 0; i < elements; ++i) {
      if (codes[i] == expected[first + i]) continue;
      ++outcome->mismatches;
      // The same accumulator of the same channel again tells nothing new.
      const auto shown = [&](const Mismatch& m) {
        return m.channel == channel && m.trace.accumulator == all[first + i];
      };
      if (outcome->first.size() < kShownMismatches &&
          std::none_of(outcome->first.begin(), outcome->first.end(), shown)) {
        outcome->first.push_back(Trace(arithmetic, layer, channel, static_cast<std::int64_t>(i), all[first + i],
                                       expected[first + i], codes[i]));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status VerifyOperator(const TargetDescription& target, const Case& layer, CaseOutcome* outcome) {
  QATGAP_ASSIGN_OR_RETURN(const graph::Tensor computed, ComputeOperator(target, layer));
  const std::span<const std::int32_t> codes = computed.data<std::int32_t>(),
                                      expected = layer.output_codes.data<std::int32_t>();
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (codes[i] == expected[i]) continue;
    ++outcome->mismatches;
    if (outcome->first.size() == kShownMismatches) continue;
    Mismatch mismatch;
    const graph::Shape& shape = layer.output_codes.shape();
    mismatch.index.resize(shape.size());
    auto flat = static_cast<std::int64_t>(i);
    for (std::size_t axis = shape.size(); axis > 0; --axis) {
      mismatch.index[axis - 1] = flat % shape[axis - 1];
      flat /= shape[axis - 1];
    }
    mismatch.channel = mismatch.index.size() > 1 ? mismatch.index[1] : 0;
    mismatch.expected = expected[i];
    mismatch.computed = codes[i];
    outcome->first.push_back(std::move(mismatch));
  }
  return absl::OkStatus();
}

CaseOutcome VerifyCase(const TargetDescription& target, const Case& layer, bool vnni, Accumulators* accumulators) {
  CaseOutcome outcome{.name = layer.name,
                      .target = layer.target,
                      .op = OpName(layer),
                      .elements = layer.output_codes.elements(),
                      .first = {},
                      .first_bias = {},
                      .refused = {}};
  const absl::Status status =
      layer.is_mac() ? VerifyMac(target, layer, vnni, accumulators, &outcome) : VerifyOperator(target, layer, &outcome);
  if (!status.ok()) {
    outcome.refused = std::string(status.message());
    outcome.mismatches = outcome.elements;
    outcome.first.clear();
  }
  return outcome;
}

bool HostMatters(const TargetDescription& target) {
  if (target.delegates.empty()) return target.accumulator.int16_pairs == numerics::Int16Pairs::kWithoutVnni;
  for (const numerics::Delegate& delegate : target.delegates) {
    if (delegate.host != numerics::Delegate::Host::kAny) return true;
    const auto found = numerics::FindTarget(delegate.target);
    if (found.ok() && HostMatters(*found)) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<Verification> Verify(const TargetDescription& target, const std::vector<Case>& cases) {
  const bool host_matters = HostMatters(target);
  // Per case the outcome under a host without and with VNNI; the same where the case says which it was.
  std::vector<std::pair<CaseOutcome, CaseOutcome>> outcomes;
  std::int64_t without = 0, with = 0;
  bool guessed = false;
  for (const Case& layer : cases) {
    Accumulators accumulators;
    const auto host = layer.host.find("vnni");
    const bool known = host != layer.host.end() || !host_matters || !layer.is_mac();
    CaseOutcome first = VerifyCase(target, layer, host == layer.host.end() || host->second, &accumulators);
    CaseOutcome second = known ? first : VerifyCase(target, layer, /*vnni=*/false, &accumulators);
    guessed |= !known;
    with += first.mismatches;
    without += second.mismatches;
    outcomes.emplace_back(std::move(second), std::move(first));
  }
  Verification result;
  const bool take_vnni = with <= without;
  if (guessed) result.host = take_vnni ? "host with VNNI" : "host without VNNI";
  for (auto& [no_vnni, vnni] : outcomes) result.cases.push_back(take_vnni ? std::move(vnni) : std::move(no_vnni));
  std::sort(result.cases.begin(), result.cases.end(),
            [](const CaseOutcome& a, const CaseOutcome& b) { return a.name < b.name; });
  for (const CaseOutcome& outcome : result.cases) {
    result.elements += outcome.elements;
    result.mismatches += outcome.mismatches;
    result.exact_cases += outcome.exact() ? 1 : 0;
  }
  return result;
}

}  // namespace qatgap::vectors
