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
    {Cause::kConversion, "the weights, scales or inputs that run are not on the grid that was trained; look at the layer's "
                         "scales in both models, and convert again from the checkpoint that was trained"},
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

// "findings.error" counts by severity, "findings.QG001" by identifier.
bool IsCountedBy(const std::string& metric, const Finding& finding) {
  constexpr std::string_view kPrefix = "findings.";
  if (!metric.starts_with(kPrefix)) return false;
  const std::string_view counted = std::string_view(metric).substr(kPrefix.size());
  return counted == finding.severity || counted == finding.id;
}

struct Growth {
  double codes = 0;
  std::string cause;
};

Growth LargestGrowth(const Metrics& layer, const Metrics* before) {
  Growth largest;
  for (const CauseAdvice& entry : kAdvice) {
    const double grown = ChangedBy(&layer, entry.cause) - ChangedBy(before, entry.cause);
    if (grown > largest.codes) largest = {.codes = grown, .cause = std::string(ToString(entry.cause))};
  }
  return largest;
}

// Of a figure of the whole model: which layer to look at first. Only where more codes changed, for it names no cause.
std::string WhereToLook(const Place& place) {
  Growth largest;
  std::string name;
  for (const MeasuredLayer& layer : place.target.layers) {
    const Metrics* before = nullptr;
    if (place.target_before != nullptr) {
      for (const MeasuredLayer& old : place.target_before->layers) {
        if (old.name == layer.name) before = &old.metrics;
      }
    }
    Growth growth = LargestGrowth(layer.metrics, before);
    if (growth.codes > largest.codes) {
      largest = std::move(growth);
      name = layer.name;
    }
  }
  if (name.empty()) return "";
  return absl::StrCat("look at layer '", name, "' first: most ", place.target_before == nullptr ? "" : "more ",
                      "codes change there, by ", largest.cause);
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

std::string LargestCause(const Metrics& layer, const Metrics* before) { return LargestGrowth(layer, before).cause; }

void Explain(const Place& place, Check& check) {
  check.cause = CauseOf(check.metric, place.layer, place.layer_before);
  for (const Finding& finding : place.report.findings) {
    const bool here = check.layer.empty() ? IsCountedBy(check.metric, finding)
                                          : finding.layer == check.layer && finding.severity != "info";
    if (!here || (!finding.target.empty() && finding.target != place.target.name) || finding.advice.empty()) continue;
    const bool elsewhere = check.layer.empty() && !finding.layer.empty();
    check.advice = absl::StrCat(finding.id, " ", finding.title, elsewhere ? absl::StrCat(" (", finding.layer, ")") : "", ": ",
                                finding.advice);
    return;
  }
  for (const CauseAdvice& entry : kAdvice) {
    if (check.cause == ToString(entry.cause)) check.advice = entry.advice;
  }
  if (check.advice.empty() && place.layer == nullptr) check.advice = WhereToLook(place);
}

}  // namespace qatgap::report::gate
