#include "analyzers/report/detail_view.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "analyzers/report/global_cause.h"
#include "analyzers/report/target_sums.h"
#include "analyzers/report/wording.h"

namespace qatgap::report {
namespace {

constexpr double kSignificance = 0.05;
constexpr std::size_t kListedLayers = 3;

std::string Points(double fraction) {
  const std::string digits = Significant(std::abs(100 * fraction), 2);
  return absl::StrCat(digits == "0" ? "" : fraction < 0 ? "-" : "+", digits);
}

const TargetResult* HeldOutOf(const AnalysisResult& result, const TargetResult& target) {
  for (const TargetResult& held_out : result.held_out.targets) {
    if (held_out.name == target.name) return &held_out;
  }
  return nullptr;
}

std::string RatePhrase(const CauseSum& rounding, const CauseSum& saturation) {
  return PercentOf(rounding.changed + saturation.changed, rounding.count);
}

std::string AnswersPhrase(const PathComparison& comparison, std::uint64_t samples) {
  return absl::StrCat("the answer of ", Grouped(comparison.top1_changed), " of ", Counted(samples, "sample"));
}

}  // namespace

std::optional<statistics::AccuracyDifference> AccuracyDifferenceOf(const TargetResult& target,
                                                                   const PathComparison& comparison,
                                                                   std::uint64_t labelled) {
  if (target.accuracies.empty()) return std::nullopt;
  return statistics::CompareAccuracies({.samples = labelled, .lost = comparison.lost, .gained = comparison.gained});
}

std::string AccuracyPhrase(const statistics::AccuracyDifference& difference) {
  return absl::StrCat(Points(difference.value), " points (95 % interval ", Points(difference.low), " to ",
                      Points(difference.high), ", exact McNemar p = ", Significant(difference.p_value, 2), ")");
}

std::vector<const LayerSensitivity*> RankedSensitivities(const TargetResult& target) {
  std::vector<const LayerSensitivity*> ranked;
  for (const LayerSensitivity& layer : target.sensitivities) ranked.push_back(&layer);
  std::sort(ranked.begin(), ranked.end(), [](const LayerSensitivity* a, const LayerSensitivity* b) {
    const std::uint64_t squares_a = MergeOutputs(*a).sum_squares, squares_b = MergeOutputs(*b).sum_squares;
    return std::tie(b->top1_changed, squares_b, a->layer) < std::tie(a->top1_changed, squares_a, b->layer);
  });
  return ranked;
}

statistics::DifferenceStatistics MergeOutputs(const LayerSensitivity& sensitivity) {
  statistics::DifferenceStatistics merged;
  for (const statistics::DifferenceStatistics& output : sensitivity.outputs) merged.Merge(output);
  return merged;
}

std::vector<WorstChannel> WorstChannels(const std::vector<LayerView>& layers, std::size_t limit) {
  std::vector<WorstChannel> channels;
  for (const LayerView& layer : layers) {
    for (std::size_t c = 0; c < layer.result->channels.size(); ++c) {
      const ChannelResult& result = layer.result->channels[c];
      const std::uint64_t changed = result.causes[static_cast<std::size_t>(Cause::kBiasRounding)].changed +
                                    result.causes[static_cast<std::size_t>(Cause::kBiasSaturation)].changed;
      if (changed == 0) continue;
      channels.push_back(
          {.layer = &layer, .channel = static_cast<std::int64_t>(c), .result = &result, .bias_changed = changed});
    }
  }
  std::stable_sort(channels.begin(), channels.end(), [](const WorstChannel& a, const WorstChannel& b) {
    const double residual_a = std::abs(a.result->bias.residual_lsb), residual_b = std::abs(b.result->bias.residual_lsb);
    return std::tie(b.bias_changed, residual_b) < std::tie(a.bias_changed, residual_a);
  });
  if (channels.size() > limit) channels.resize(limit);
  return channels;
}

const PathComparison* EndToEnd(const TargetResult& target) {
  const PathComparison* engine = FindComparison(target, Path::kEngine, Path::kFakeQuant);
  return engine != nullptr ? engine : FindComparison(target, Path::kTarget, Path::kFakeQuant);
}

std::string PairedSentence(const TargetResult& target, std::uint64_t labelled) {
  const PathComparison* whole = EndToEnd(target);
  if (whole == nullptr) return "";
  const auto difference = AccuracyDifferenceOf(target, *whole, labelled);
  if (!difference) return "";
  return absl::StrCat("From end to end, ", Words(whole->path), " against ", Words(whole->reference), ": ",
                      Counted(whole->lost, "right answer"), " lost, ", Grouped(whole->gained),
                      " gained; accuracy changes by ", AccuracyPhrase(*difference),
                      difference->p_value < kSignificance ? "." : ": no more than chance explains.");
}

std::string SensitivitySentence(const AnalysisResult& result, const TargetResult& target) {
  if (target.sensitivities.empty() || result.samples == 0) return "";
  const std::vector<const LayerSensitivity*> ranked = RankedSensitivities(target);
  std::vector<std::string> parts;
  std::size_t silent = 0;
  for (const LayerSensitivity* layer : ranked) {
    const statistics::DifferenceStatistics outputs = MergeOutputs(*layer);
    if (outputs.changed == 0 && layer->top1_changed == 0) {
      ++silent;
      continue;
    }
    if (parts.size() == kListedLayers) continue;
    std::string part = DisplayName(result.layers[static_cast<std::size_t>(layer->layer)].name);
    absl::StrAppend(&part, " (",
                    outputs.count == 0 ? "" : absl::StrCat(PercentOf(outputs.changed, outputs.count), " of the output values, "),
                    Counted(layer->top1_changed, "answer"), ")");
    parts.push_back(std::move(part));
  }
  if (parts.empty()) {
    return absl::StrCat("Quantized alone, no layer's bias changes the model's outputs (", Counted(ranked.size(), "layer"),
                        ").");
  }
  return absl::StrCat("Quantized alone, the biases that change the model's outputs most are those of ",
                      absl::StrJoin(parts, ", "), "; those of ", Grouped(silent), " of ", Counted(ranked.size(), "layer"),
                      " change nothing there.");
}

std::string WorstSampleSentence(const TargetResult& target) {
  const PathComparison* whole = EndToEnd(target);
  if (whole == nullptr || whole->worst.empty()) return "";
  const WorstSample& worst = whole->worst.front();
  std::string sentence = absl::StrCat("The sample that differs most from end to end is number ", Grouped(worst.sample),
                                      ", counted from 0");
  if (worst.changed != 0) {
    absl::StrAppend(&sentence, ": ", Counted(worst.changed, "output value"), ", by at most ", Grouped(worst.max_absolute),
                    " LSB");
  }
  if (worst.top1_changed) {
    absl::StrAppend(&sentence, worst.changed != 0 ? "; " : ": ", "its answer is ", worst.answer, " instead of ",
                    worst.reference_answer);
  }
  return absl::StrCat(sentence, ".");
}

std::vector<std::string> HeldOutSentences(const AnalysisResult& result, const TargetResult& target) {
  const TargetResult* held_out = HeldOutOf(result, target);
  if (held_out == nullptr || result.held_out.samples == 0) return {};
  const std::uint64_t samples = result.held_out.samples;
  const TargetSums apart = SumsOf(ViewsOf(result, *held_out)), calibration = SumsOf(ViewsOf(result, target));
  const auto bias = [](const TargetSums& sums) {
    return RatePhrase(sums.of(Cause::kBiasRounding), sums.of(Cause::kBiasSaturation));
  };
  const auto total = [](const TargetSums& sums) {
    return PercentOf(sums.of(Cause::kTotal).changed, sums.of(Cause::kTotal).count);
  };
  std::string sentence =
      absl::StrCat("Held-out samples (", Grouped(samples), ") against calibration samples (", Grouped(result.samples),
                   "): the bias changes ", bias(apart), " against ", bias(calibration), " of the layer outputs, all causes ",
                   total(apart), " against ", total(calibration));
  if (const PathComparison* whole = EndToEnd(*held_out)) {
    absl::StrAppend(&sentence, "; from end to end ", AnswersPhrase(*whole, samples), " moves");
    if (const auto difference = AccuracyDifferenceOf(*held_out, *whole, result.held_out.labelled)) {
      absl::StrAppend(&sentence, ", accuracy changes by ", AccuracyPhrase(*difference));
    }
  }
  std::vector<std::string> sentences = {absl::StrCat(sentence, ".")};
  for (std::string& clipped : ClippedInputSentences(result.held_out.input_ranges)) {
    sentences.push_back(absl::StrCat("Held-out samples: ", clipped));
  }
  return sentences;
}

}  // namespace qatgap::report
