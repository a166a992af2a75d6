#include "analyzers/report/global_cause.h"

#include <algorithm>
#include <array>

#include "absl/numeric/int128.h"
#include "absl/strings/str_cat.h"
#include "analyzers/report/layer_view.h"
#include "analyzers/report/wording.h"

namespace qatgap::report {
namespace {

constexpr std::uint64_t kClippedPercent = 5;

bool IsOff(const statistics::DifferenceStatistics& s, std::int64_t zero_point) {
  if (s.changed == 0) return false;
  const std::optional<double> sqnr = statistics::SqnrDecibel(s, zero_point);
  return !sqnr || *sqnr < kOffDecibel;  // no SQNR though codes differ: the signal is all zero
}

std::int64_t ZeroPointOf(const LayerInfo& layer) {
  return layer.output.zero_points.empty() ? 0 : layer.output.zero_point();
}

// The largest cause over layers.
Cause LargestCause(const std::vector<const LayerView*>& layers) {
  std::array<absl::int128, kCauseCount> cross{};
  for (const LayerView* layer : layers) {
    for (std::size_t cause = 0; cause < kCauseCount; ++cause) cross[cause] += layer->causes[cause].cross_total;
  }
  const auto last = cross.begin() + static_cast<std::ptrdiff_t>(Cause::kTotal);
  return static_cast<Cause>(std::max_element(cross.begin(), last) - cross.begin());
}

std::string OffPhrase(std::int64_t off, std::int64_t layers) {
  return absl::StrCat(Grouped(static_cast<std::uint64_t>(off)), " of ",
                      Counted(static_cast<std::uint64_t>(layers), "layer"), " are off (SQNR below ",
                      Significant(kOffDecibel), " dB)");
}

GlobalCause Injected(const std::vector<const LayerView*>& off, std::size_t layers) {
  GlobalCause global{.reason = GlobalReason::kOther,
                     .cause = LargestCause(off),
                     .off = static_cast<std::int64_t>(off.size()),
                     .layers = static_cast<std::int64_t>(layers),
                     .sentence = absl::StrCat("Global cause: ",
                                              OffPhrase(static_cast<std::int64_t>(off.size()),
                                                        static_cast<std::int64_t>(layers)),
                                              " though each got the trained model's inputs. ")};
  std::uint64_t weights = 0, changed = 0;
  for (const LayerView* layer : off) {
    weights += layer->info->weights;
    changed += layer->info->weight_codes_changed;
  }
  switch (global.cause) {
    case Cause::kConversion:
      if (changed > weights / 2) {
        global.reason = GlobalReason::kPairing;
        absl::StrAppend(&global.sentence, "Likely the two models do not belong together: ", PercentOf(changed, weights),
                        " of their weight codes differ in these layers. Check that the converted model was made from this "
                        "QAT model, and that its weights are in the same order.");
      } else {
        global.reason = GlobalReason::kRange;
        absl::StrAppend(&global.sentence,
                        "The weights agree (", PercentOf(changed, weights), " of their codes differ), the outputs do not: "
                        "likely the converted model has the output ranges or the biases of another calibration. Check that "
                        "observers were frozen, and convert again.");
      }
      break;
    case Cause::kBiasRounding:
    case Cause::kBiasSaturation:
    case Cause::kAccumulator:
    case Cause::kRequantization:
      global.reason = GlobalReason::kTarget;
      absl::StrAppend(&global.sentence, "The largest cause in these layers is ", Words(global.cause),
                      ": this target's arithmetic is too narrow for the network as a whole, or its description is not that "
                      "of the hardware.");
      break;
    default:
      absl::StrAppend(&global.sentence, "The largest cause in these layers is ", Words(global.cause), ".");
      break;
  }
  return global;
}

}  // namespace

std::string_view ToString(GlobalReason reason) {
  switch (reason) {
    case GlobalReason::kPairing:
      return "pairing";
    case GlobalReason::kRange:
      return "range";
    case GlobalReason::kTarget:
      return "target";
    case GlobalReason::kInput:
      return "input";
    case GlobalReason::kOther:
      return "other";
  }
  return "unknown";
}

std::optional<GlobalCause> GlobalCauseOf(const AnalysisResult& result, const TargetResult& target) {
  const std::vector<LayerView> layers = ViewsOf(result, target);
  std::vector<const LayerView*> off;
  std::size_t measured = 0;
  for (const LayerView& layer : layers) {
    if (layer.of(Cause::kTotal).count == 0) continue;
    ++measured;
    if (IsOff(layer.of(Cause::kTotal), layer.zero_point())) off.push_back(&layer);
  }
  // Of one or two layers, half is no sign of anything global.
  if (measured < 3) return std::nullopt;
  if (2 * off.size() > measured) return Injected(off, measured);

  const PathComparison* whole = FindComparison(target, Path::kTarget, Path::kFakeQuant);
  if (whole == nullptr || whole->layers.empty()) return std::nullopt;
  std::int64_t accumulated = 0, compared = 0;
  bool first_is_off = false;
  for (std::size_t i = 0; i < whole->layers.size() && i < result.layers.size(); ++i) {
    if (whole->layers[i].count == 0) continue;
    const bool is_off = IsOff(whole->layers[i], ZeroPointOf(result.layers[i]));
    if (compared == 0) first_is_off = is_off;
    ++compared;
    accumulated += is_off ? 1 : 0;
  }
  const bool first_is_right_injected =
      std::none_of(off.begin(), off.end(), [](const LayerView* layer) { return layer->result->layer == 0; });
  if (2 * accumulated <= compared || !first_is_off || !first_is_right_injected) return std::nullopt;
  return GlobalCause{
      .reason = GlobalReason::kInput,
      .cause = Cause::kTotal,
      .off = accumulated,
      .layers = compared,
      .sentence = absl::StrCat("Global cause: from end to end ", OffPhrase(accumulated, compared),
                               ", the first one among them, yet that layer is right with the trained model's inputs. Likely "
                               "the deployed model gets another input: check layout, preprocessing and the qparams of its "
                               "input.")};
}

std::vector<std::string> ClippedInputSentences(const std::vector<InputRange>& ranges) {
  std::vector<std::string> sentences;
  for (const InputRange& range : ranges) {
    if (range.count == 0 || range.clipped * 100 < range.count * kClippedPercent) continue;
    const double scale = range.grid.scale();
    const auto real = [&](std::int64_t code) {
      return Significant(scale * static_cast<double>(code - range.grid.zero_point()), 3);
    };
    sentences.push_back(absl::StrCat(
        "Input ", DisplayName(range.name), ": ", PercentOf(range.clipped, range.count), " of the values lie outside of ",
        real(range.grid.quant_min), " to ", real(range.grid.quant_max), ", what its quantizer holds (the samples go from ",
        Significant(static_cast<double>(range.least), 3), " to ", Significant(static_cast<double>(range.greatest), 3),
        "): check the preprocessing of the samples."));
  }
  return sentences;
}

}  // namespace qatgap::report
