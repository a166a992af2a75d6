#include "analyzers/report/gate/explanation.h"

#include <array>

#include "absl/strings/str_cat.h"
#include "analyzers/report/analysis_result.h"
#include "analyzers/status/string_view.h"

namespace qatgap::report::gate {
namespace {

struct CauseAdvice {
  Cause cause;
  std::string_view advice;
};
constexpr std::array<CauseAdvice, 7> kAdvice = {{
    {Cause::kFloatArithmetic, "float32 sums of the QAT model round; nothing to mend unless it grew"},
    {Cause::kConversion, "weights or scales of the converted model moved; convert again with the qconfig it was trained with"},
    {Cause::kBiasRounding, "the bias is coarse on scale s_x * s_w; widen its storage or train with a quantized bias"},
    {Cause::kBiasSaturation, "a bias no longer fits; look for a channel with tiny weights, or let the target adjust its scale"},
    {Cause::kAccumulator, "the accumulator overflows; narrow the inputs' range or use a wider accumulator"},
    {Cause::kRequantization, "the multiplier rounds differently; look at the layer's output scale"},
    {Cause::kEngineResidual, "the engine does not compute as the target describes; check engine and host"},
}};

double ChangedBy(const Metrics* metrics, Cause cause) {
  if (metrics == nullptr) return 0;
  const auto it = metrics->find(absl::StrCat("injected.", std::string(ToString(cause)), ".changed"));
  return it == metrics->end() ? 0 : it->second.value_or(0);
}

// The cause whose changed codes grew most; without a baseline the one with most.
std::string LargestCause(const Metrics& layer, const Metrics* before) {
  std::string largest;
  double most = 0;
  for (const CauseAdvice& entry : kAdvice) {
    const double grown = ChangedBy(&layer, entry.cause) - ChangedBy(before, entry.cause);
    if (grown > most) {
      most = grown;
      largest = ToString(entry.cause);
    }
  }
  return largest;
}

std::string CauseOf(const std::string& metric, const Metrics* layer, const Metrics* before) {
  constexpr std::string_view kInjected = "injected.";
  if (metric == "bias.saturated_channels") return "bias_saturation";
  if (metric == "bias.max_residual_lsb") return "bias_rounding";
  if (metric.starts_with(kInjected)) {
    const std::string cause = metric.substr(kInjected.size(), metric.find('.', kInjected.size()) - kInjected.size());
    if (cause != "total") return cause;
  }
  return layer == nullptr ? "" : LargestCause(*layer, before);
}

}  // namespace

void Explain(const MeasuredReport& report, const MeasuredTarget& target, const Metrics* layer, const Metrics* before,
             Check& check) {
  check.cause = CauseOf(check.metric, layer, before);
  for (const Finding& finding : report.findings) {
    const bool here = check.layer.empty() ? check.metric.starts_with("findings.") : finding.layer == check.layer;
    if (!here || (!finding.target.empty() && finding.target != target.name) || finding.advice.empty()) continue;
    if (finding.severity == "info") continue;
    check.advice = absl::StrCat(finding.id, " ", finding.title, ": ", finding.advice);
    return;
  }
  for (const CauseAdvice& entry : kAdvice) {
    if (check.cause == ToString(entry.cause)) check.advice = entry.advice;
  }
}

}  // namespace qatgap::report::gate
