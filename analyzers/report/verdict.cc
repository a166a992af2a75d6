// What a target's numbers say in words.
#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/numeric/int128.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/strings/str_join.h"
#include "analyzers/report/detail_view.h"
#include "analyzers/report/global_cause.h"
#include "analyzers/report/layer_view.h"
#include "analyzers/report/report.h"
#include "analyzers/report/target_sums.h"
#include "analyzers/report/what_if_view.h"
#include "analyzers/report/wording.h"
#include "analyzers/status/string_view.h"

namespace qatgap::report {
namespace {

constexpr std::size_t kListedNames = 3;
// Below this share, with no answer moved and at most 1 LSB anywhere, the bias is called harmless.
constexpr int kHarmlessPerMille = 10;

// "1,234 of 45,678,900 layer outputs (0.0027 %), by at most 1 LSB"; "none of 45,678,900 layer
// outputs"
std::string ChangedPhrase(std::uint64_t changed, std::uint64_t count, std::uint64_t max_absolute,
                          std::string_view noun) {
  if (changed == 0) return absl::StrCat("none of ", Counted(count, noun));
  return absl::StrCat(Grouped(changed), " of ", Counted(count, noun), " (",
                      PercentOf(changed, count), "), by at most ", Grouped(max_absolute), " LSB");
}

std::string ChangedPhrase(const CauseSum& s, std::string_view noun) {
  return ChangedPhrase(s.changed, s.count, s.max_absolute, noun);
}

std::string OutputPhrase(const PathComparison& comparison, std::uint64_t samples) {
  const statistics::DifferenceStatistics outputs = MergeOutputs(comparison);
  return absl::StrCat(ChangedPhrase(outputs.changed, outputs.count, outputs.max_absolute, "value"),
                      " and the answer of ", Grouped(comparison.top1_changed), " of ",
                      Counted(samples, "sample"));
}

absl::int128 BiasCross(const TargetSums& sums) {
  return sums.of(Cause::kBiasRounding).cross_total + sums.of(Cause::kBiasSaturation).cross_total;
}

bool BiasIsHarmless(const TargetSums& sums, const PathComparison* at_outputs) {
  if (sums.of(Cause::kBiasSaturation).changed != 0) return false;
  if (sums.of(Cause::kBiasRounding).max_absolute > 1) return false;
  if (at_outputs != nullptr &&
      (at_outputs->top1_changed != 0 || MergeOutputs(*at_outputs).max_absolute > 1)) {
    return false;
  }
  absl::int128 cross = BiasCross(sums);
  if (cross < 0) cross = -cross;
  return cross * 1000 < sums.total_squares * kHarmlessPerMille;
}

// Quantized bias against float bias.
std::string BiasHeadline(const TargetResult& target, const TargetSums& sums, const AnalysisResult& result) {
  const CauseSum& rounding = sums.of(Cause::kBiasRounding);
  const CauseSum& saturation = sums.of(Cause::kBiasSaturation);
  const PathComparison* at_outputs = FindComparison(target, Path::kQuantizedBias, Path::kFloatBias);
  const bool bias_moves = rounding.changed != 0 || saturation.changed != 0;
  if (target.bias_mode != numerics::BiasMode::kInteger && !bias_moves) {
    return "This target keeps the bias in float: quantizing the bias changes nothing.";
  }
  if (rounding.count == 0) {
    return "Nothing was measured under this target: no sample reached an analysed layer.";
  }
  if (!bias_moves) {
    return absl::StrCat("Quantizing the bias is harmless here: it changes ",
                        ChangedPhrase(rounding, "layer output"), ".");
  }
  std::string headline;
  if (saturation.changed != 0) {
    headline =
        absl::StrCat("Bias saturation changes ", ChangedPhrase(saturation, "layer output"),
                     "; rounding the bias changes ", ChangedPhrase(rounding, "layer output"));
  } else {
    headline = absl::StrCat(BiasIsHarmless(sums, at_outputs)
                                ? "Quantizing the bias is harmless here: it changes "
                                : "Quantizing the bias changes ",
                            ChangedPhrase(rounding, "layer output"));
  }
  if (at_outputs != nullptr) {
    absl::StrAppend(&headline, "; at the model's outputs ",
                    saturation.changed != 0 ? "the two together change " : "it changes ",
                    OutputPhrase(*at_outputs, result.samples));
    if (const auto difference = AccuracyDifferenceOf(target, *at_outputs, result.labelled)) {
      absl::StrAppend(&headline, "; accuracy changes by ", AccuracyPhrase(*difference));
    }
  }
  return absl::StrCat(headline, ".");
}

// One cause of the sentence about shares: bias rounding and saturation count as "the bias".
struct NamedShare {
  std::string name;
  double share = 0;
  std::vector<Cause> causes;
};

std::vector<NamedShare> OtherShares(const CauseShares& shares) {
  std::vector<NamedShare> named;
  for (const Cause cause : {Cause::kFloatArithmetic, Cause::kConversion, Cause::kAccumulator,
                            Cause::kRequantization, Cause::kEngineResidual}) {
    const double share = shares.share[static_cast<std::size_t>(cause)];
    if (share != 0) named.push_back({std::string(Words(cause)), share, {cause}});
  }
  std::stable_sort(named.begin(), named.end(),
                   [](const NamedShare& a, const NamedShare& b) { return a.share > b.share; });
  return named;
}

std::string SharePhrase(const NamedShare& share) {
  return share.share < 0 ? absl::StrCat(share.name, " offsets ", Percent(-share.share))
                         : absl::StrCat(share.name, " ", Percent(share.share));
}

std::string ShareSentence(const TargetResult& target, const TargetSums& sums,
                          const CauseShares& shares) {
  const CauseSum& total = sums.of(Cause::kTotal);
  if (total.count == 0) return "";
  if (!shares.defined) {
    for (std::size_t cause = 0; cause < static_cast<std::size_t>(Cause::kTotal); ++cause) {
      if (sums.causes[cause].changed != 0) {
        return "The layers end at the trained model's codes, because their causes cancel exactly.";
      }
    }
    return absl::StrCat(
        "Fed the same inputs, the layers of the trained and the deployed model are "
        "bit exact: all ",
        Counted(total.count, "layer output"),
        total.count == 1 ? " is the same." : " are the same.");
  }
  const double bias =
      static_cast<double>(BiasCross(sums)) / static_cast<double>(sums.total_squares);
  std::vector<std::string> others;
  for (const NamedShare& share : OtherShares(shares)) others.push_back(SharePhrase(share));
  const bool integer_bias = target.bias_mode == numerics::BiasMode::kInteger || bias != 0;
  std::string sentence;
  if (!integer_bias) {
    return absl::StrCat("The difference between the trained and the deployed model is ",
                        absl::StrJoin(others, ", "), ".");
  }
  if (bias < 0) {
    sentence = absl::StrCat("Quantizing the bias offsets ", Percent(-bias),
                            " of the difference between the trained and the deployed model");
  } else {
    sentence = absl::StrCat("Quantizing the bias explains ", bias == 0 ? "none" : Percent(bias),
                            " of the difference between the trained and the deployed model");
  }
  if (sums.of(Cause::kBiasSaturation).cross_total != 0) {
    std::vector<std::string> parts;
    for (const Cause cause : {Cause::kBiasRounding, Cause::kBiasSaturation}) {
      parts.push_back(SharePhrase(
          {std::string(Words(cause)), shares.share[static_cast<std::size_t>(cause)], {cause}}));
    }
    absl::StrAppend(&sentence, " (", absl::StrJoin(parts, ", "), ")");
  }
  if (!others.empty()) absl::StrAppend(&sentence, "; the rest is ", absl::StrJoin(others, ", "));
  return absl::StrCat(sentence, ".");
}

std::string WorstLayerSentence(const std::vector<LayerView>& layers, const TargetSums& sums,
                               const CauseShares& shares) {
  if (!shares.defined) return "";
  std::vector<NamedShare> named = OtherShares(shares);
  named.push_back({"the bias",
                   static_cast<double>(BiasCross(sums)) / static_cast<double>(sums.total_squares),
                   {Cause::kBiasRounding, Cause::kBiasSaturation}});
  const auto largest =
      std::max_element(named.begin(), named.end(),
                       [](const NamedShare& a, const NamedShare& b) { return a.share < b.share; });
  const LayerView* worst = nullptr;
  absl::int128 worst_cross = 0;
  absl::int128 all = 0;
  for (const LayerView& layer : layers) {
    absl::int128 cross = 0;
    for (const Cause cause : largest->causes) cross += layer.of(cause).cross_total;
    all += cross;
    if (cross > worst_cross) {
      worst = &layer;
      worst_cross = cross;
    }
  }
  if (worst == nullptr || all <= 0) return "";
  std::string sentence = absl::StrCat("The largest cause is ", largest->name);
  if (layers.size() > 1) {
    absl::StrAppend(&sentence, ", and layer ", worst->Title(), " contributes most to it (",
                    Percent(static_cast<double>(worst_cross) / static_cast<double>(all)), ")");
  }
  const statistics::DifferenceStatistics& total = worst->of(Cause::kTotal);
  return absl::StrCat(sentence, "; all causes together change ",
                      ChangedPhrase(total.changed, total.count, total.max_absolute, "output"),
                      " of that layer.");
}

std::string SaturationSentence(const std::vector<LayerView>& layers) {
  std::vector<std::string> places;
  for (const LayerView& layer : layers) {
    std::vector<std::int64_t> channels;
    for (std::size_t c = 0; c < layer.result->channels.size(); ++c) {
      if (layer.result->channels[c].bias.saturated)
        channels.push_back(static_cast<std::int64_t>(c));
    }
    if (channels.empty()) continue;
    places.push_back(absl::StrCat("layer ", layer.Title(), ", ", ChannelList(channels), " of ",
                                  layer.result->channels.size()));
  }
  if (places.empty()) return "";
  const std::size_t listed = std::min(places.size(), kListedNames);
  std::string sentence = absl::StrCat(
      "The stored bias saturates in ",
      absl::StrJoin(places.begin(), places.begin() + static_cast<std::ptrdiff_t>(listed), "; "));
  if (places.size() > listed) {
    absl::StrAppend(&sentence, "; and in ", Counted(places.size() - listed, "more layer"));
  }
  return absl::StrCat(sentence, ".");
}

std::string TargetSentence(const TargetResult& target, std::uint64_t samples) {
  const PathComparison* comparison = FindComparison(target, Path::kTarget, Path::kFakeQuant);
  if (comparison == nullptr) return "";
  const statistics::DifferenceStatistics outputs = MergeOutputs(*comparison);
  if (outputs.count == 0) return "";
  if (outputs.changed == 0) {
    return absl::StrCat(
        "From end to end the deployed model returns the trained model's outputs bit "
        "exactly: ",
        Counted(outputs.count, "value"), " of ", Counted(samples, "sample"), ".");
  }
  return absl::StrCat("From end to end the deployed model changes ",
                      OutputPhrase(*comparison, samples), ".");
}

std::string AccuracySentence(const TargetResult& target, std::uint64_t labelled) {
  if (labelled == 0) return "";
  std::vector<std::string> parts;
  for (const Path path :
       {Path::kFakeQuant, Path::kFloatBias, Path::kQuantizedBias, Path::kTarget, Path::kEngine}) {
    for (const PathAccuracy& accuracy : target.accuracies) {
      if (accuracy.path != path) continue;
      parts.push_back(absl::StrCat(PercentOf(accuracy.correct, labelled), " ", Words(path)));
    }
  }
  if (parts.empty()) return "";
  return absl::StrCat("Accuracy over ", Counted(labelled, "labelled sample"), ": ",
                      absl::StrJoin(parts, ", "), ".");
}

std::string EngineSentence(const TargetResult& target, const std::vector<LayerView>& layers,
                           const TargetSums& sums) {
  if (target.engine == numerics::Engine::kNone) return "";
  std::set<std::string> notes;
  for (const LayerView& layer : layers) {
    if (!layer.result->engine_note.empty()) notes.insert(JoinedNotes(layer.result->engine_note));
  }
  const std::string note =
      notes.empty() ? "" : absl::StrCat(" ", DisplayText(absl::StrJoin(notes, "; ")), ".");
  const CauseSum& residual = sums.of(Cause::kEngineResidual);
  const std::uint64_t all = sums.of(Cause::kTotal).count;
  if (all == 0) return "";
  const std::string engine =
      absl::StrCat("the real engine (", Text(numerics::ToString(target.engine)), ")");
  if (residual.count == 0) {
    return absl::StrCat("Not checked against ", engine, " in this run.", note);
  }
  const std::string extent =
      residual.count == all
          ? ""
          : absl::StrCat(" (it ran for ", PercentOf(residual.count, all), " of the layer outputs)");
  if (residual.changed == 0) {
    return absl::StrCat("The real engine (", Text(numerics::ToString(target.engine)),
                        ") returned exactly these codes", extent, ".", note);
  }
  return absl::StrCat("WARNING: ", engine, " DISAGREES with this target's description in ",
                      ChangedPhrase(residual, "layer output"), extent,
                      ": trust the engine, not the description, in these layers.", note);
}

std::string EvidenceSentence(const TargetResult& target) {
  const std::string detail = target.evidence.detail.empty()
                                 ? ""
                                 : absl::StrCat(" (", absl::StripSuffix(DisplayText(target.evidence.detail), "."), ")");
  switch (target.evidence.kind) {
    case numerics::EvidenceKind::kVerified:
      return "";
    case numerics::EvidenceKind::kFromSource:
      return absl::StrCat(
          "This target was described from source code and was not verified against "
          "a real runtime",
          detail, ".");
    case numerics::EvidenceKind::kUnverified:
      break;
  }
  return absl::StrCat("This target is unverified: no real runtime produced vectors for it", detail,
                      ".");
}

std::string CoverageSentence(const AnalysisResult& result, const TargetResult& target) {
  const Coverage coverage = CoverageOf(result, target);
  std::string sentence = absl::StrCat(
      "Analysed ",
      Grouped(static_cast<std::uint64_t>(std::max<std::int64_t>(coverage.analysed, 0))), " of ",
      Counted(static_cast<std::uint64_t>(std::max<std::int64_t>(coverage.mac_layers, 0)),
              "MAC layer"));
  if (result.unmeasured.empty()) return absl::StrCat(sentence, ".");
  std::vector<std::string> names;
  for (const Unmeasured& entry : result.unmeasured) {
    if (names.size() == kListedNames) break;
    names.push_back(absl::StrCat(DisplayName(entry.name), " (", DisplayName(entry.what), ": ",
                                 DisplayText(entry.reason), ")"));
  }
  absl::StrAppend(&sentence, "; not measured: ", absl::StrJoin(names, ", "));
  if (result.unmeasured.size() > names.size()) {
    absl::StrAppend(&sentence, " and ", Grouped(result.unmeasured.size() - names.size()), " more");
  }
  return absl::StrCat(sentence, ".");
}

}  // namespace

TargetVerdict VerdictOf(const Report& report, const TargetResult& target) {
  const AnalysisResult& result = report.result;
  const std::vector<LayerView> layers = ViewsOf(result, target);
  const TargetSums sums = SumsOf(layers);
  const CauseShares shares = SharesOf(sums);

  const std::optional<GlobalCause> global = GlobalCauseOf(result, target);
  TargetVerdict verdict{.target = target.name, .headline = BiasHeadline(target, sums, result), .sentences = {}};
  const auto say = [&](std::string sentence) {
    if (!sentence.empty()) verdict.sentences.push_back(std::move(sentence));
  };
  if (global) {
    // A headline about the bias would mislead.
    say(std::exchange(verdict.headline, global->sentence));
  }
  for (std::string& sentence : ClippedInputSentences(result.input_ranges)) say(std::move(sentence));
  say(ShareSentence(target, sums, shares));
  if (!global) {
    say(WorstLayerSentence(layers, sums, shares));
    say(SaturationSentence(layers));
  }
  say(TargetSentence(target, result.samples));
  say(AccuracySentence(target, result.labelled));
  say(PairedSentence(target, result.labelled));
  say(WorstSampleSentence(target));
  say(SensitivitySentence(result, target));
  for (std::string& sentence : HeldOutSentences(result, target)) say(std::move(sentence));
  for (std::string& sentence : WhatIfSentences(result, target)) say(std::move(sentence));
  say(EngineSentence(target, layers, sums));
  say(EvidenceSentence(target));
  say(CoverageSentence(result, target));
  // Once in a report, with its first target.
  if (result.targets.empty() || result.targets.front().name == target.name) {
    for (const std::string& note : result.notes) say(absl::StrCat("Note: ", DisplayText(note), "."));
    say("Bias quantization error is the effect of storing the bias as an integer; it is not \"bias "
        "correction\", a technique against weight error.");
  }
  return verdict;
}

}  // namespace qatgap::report
