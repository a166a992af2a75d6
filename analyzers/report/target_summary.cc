#include "analyzers/report/target_summary.h"

#include "analyzers/report/layer_view.h"
#include "analyzers/report/target_sums.h"

namespace qatgap::report {

std::vector<TargetSummary> SummariesOf(const AnalysisResult& result) {
  std::vector<TargetSummary> summaries;
  for (const TargetResult& target : result.targets) {
    const TargetSums sums = SumsOf(ViewsOf(result, target));
    TargetSummary& summary = summaries.emplace_back();
    summary.target = target.name;
    summary.count = sums.of(Cause::kTotal).count;
    summary.changed = sums.of(Cause::kTotal).changed;
    summary.bias_changed = sums.of(Cause::kBiasRounding).changed + sums.of(Cause::kBiasSaturation).changed;
    summary.samples = result.samples;
    const PathComparison* end = FindComparison(target, Path::kTarget, Path::kFakeQuant);
    if (end != nullptr) summary.top1_changed = end->top1_changed;
    summary.shares = SharesOf(sums);
  }
  return summaries;
}

}  // namespace qatgap::report
