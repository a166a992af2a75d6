// Derived figures of samples, channels and single layers' biases, in the order in which a reader wants them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analyzers/report/layer_view.h"
#include "analyzers/report/report.h"
#include "analyzers/statistics/paired_proportions.h"

namespace qatgap::report {

// Of the labelled samples; nullopt without labels, or where the paths' answers were not measured.
std::optional<statistics::AccuracyDifference> AccuracyDifferenceOf(const TargetResult& target,
                                                                   const PathComparison& comparison,
                                                                   std::uint64_t labelled);
// "-0.39 points (95 % interval -1.5 to +0.7, exact McNemar p = 1)"
std::string AccuracyPhrase(const statistics::AccuracyDifference& difference);

// The layers by what their bias alone does to the outputs, the largest first: answers moved, then sum of squares over all
// outputs, then execution order.
std::vector<const LayerSensitivity*> RankedSensitivities(const TargetResult& target);
statistics::DifferenceStatistics MergeOutputs(const LayerSensitivity& sensitivity);

// One output channel of one layer.
struct WorstChannel {
  const LayerView* layer = nullptr;
  std::int64_t channel = 0;
  const ChannelResult* result = nullptr;
  std::uint64_t bias_changed = 0;  // codes that bias rounding changes, plus those that its saturation changes
};
// The `limit` channels in which the bias changes most codes; those that it does not change are left out. Equal ones: the
// larger residual first, then execution order. They point into `layers`.
std::vector<WorstChannel> WorstChannels(const std::vector<LayerView>& layers, std::size_t limit);

// The comparison whose samples a reader wants to see: the last path that ran against the trained model.
const PathComparison* EndToEnd(const TargetResult& target);

// Sentences of a verdict, empty where there is nothing to say.
std::string PairedSentence(const TargetResult& target, std::uint64_t labelled);
std::string SensitivitySentence(const AnalysisResult& result, const TargetResult& target);
std::string WorstSampleSentence(const TargetResult& target);
std::vector<std::string> HeldOutSentences(const AnalysisResult& result, const TargetResult& target);

}  // namespace qatgap::report
