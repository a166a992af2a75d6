#include "analyzers/report/detail_tables.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "analyzers/report/detail_view.h"
#include "analyzers/report/wording.h"

namespace qatgap::report {
namespace {

constexpr std::size_t kLayers = 20;
constexpr std::size_t kChannels = 10;
constexpr std::size_t kSamples = 10;
constexpr std::size_t kDifferences = 3;

using Kind = TextTable::Kind;

TextTable SensitivityTable(const AnalysisResult& result, const TargetResult& target) {
  TextTable table{.title = "What each bias alone does to the outputs",
                  .caption = "One layer's bias as the target stores it, all else with float biases; the largest effect first",
                  .columns = {{"layer", Kind::kName},
                              {"output values changed", Kind::kNumber},
                              {"max LSB", Kind::kNumber},
                              {"answers changed", Kind::kNumber},
                              {"right answers lost", Kind::kNumber},
                              {"gained", Kind::kNumber}},
                  .rows = {}};
  for (const LayerSensitivity* layer : RankedSensitivities(target)) {
    const statistics::DifferenceStatistics outputs = MergeOutputs(*layer);
    if (table.rows.size() == kLayers || (outputs.changed == 0 && layer->top1_changed == 0)) break;
    table.rows.push_back({{DisplayName(result.layers[static_cast<std::size_t>(layer->layer)].name),
                          PercentOf(outputs.changed, outputs.count), Grouped(outputs.max_absolute),
                          Grouped(layer->top1_changed), Grouped(layer->lost), Grouped(layer->gained)},
                          layer->layer});
  }
  return table;
}

TextTable ChannelTable(const std::vector<LayerView>& layers) {
  TextTable table{.title = "Channels that the bias changes most",
                  .caption = "By codes that storing the bias changes; the residual is (stored * scale - bias) in LSB of the output",
                  .columns = {{"layer", Kind::kName},
                              {"channel", Kind::kNumber},
                              {"bias", Kind::kNumber},
                              {"stored", Kind::kNumber},
                              {"scale", Kind::kNumber},
                              {"residual LSB", Kind::kNumber},
                              {"saturated"},
                              {"codes changed", Kind::kNumber}},
                  .rows = {}};
  for (const WorstChannel& worst : WorstChannels(layers, kChannels)) {
    const numerics::StoredBias& bias = worst.result->bias;
    const std::uint64_t count = worst.result->causes[static_cast<std::size_t>(Cause::kTotal)].count;
    table.rows.push_back({{worst.layer->Title(), absl::StrCat(worst.channel), Significant(bias.real),
                          absl::StrCat(bias.stored), Significant(bias.scale), Significant(bias.residual_lsb, 3),
                          bias.saturated ? "yes" : "no", PercentOf(worst.bias_changed, count)},
                          worst.layer->result->layer});
  }
  return table;
}

std::string DifferencesText(const AnalysisResult& result, const WorstSample& sample) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < std::min(kDifferences, sample.differences.size()); ++i) {
    const CodeDifference& d = sample.differences[i];
    const std::string output = result.outputs.size() > 1 ? absl::StrCat("output ", d.output, " ") : "";
    parts.push_back(absl::StrCat(output, "[", d.element, "]: ", d.reference, " to ", d.value));
  }
  if (sample.changed > parts.size() && !parts.empty()) {
    parts.push_back(absl::StrCat(Grouped(sample.changed - parts.size()), " more"));
  }
  return absl::StrJoin(parts, ", ");
}

TextTable SampleTable(const AnalysisResult& result, const TargetResult& target) {
  const PathComparison* whole = EndToEnd(target);
  TextTable table{.title = "Samples that differ most",
                  .caption = whole == nullptr ? ""
                                              : absl::StrCat(Words(whole->path), " against ", Words(whole->reference),
                                                             ": output codes, by index of the sample, counted from 0"),
                  .columns = {{"sample"},
                              {"answer", Kind::kNumber},
                              {"instead of", Kind::kNumber},
                              {"values changed", Kind::kNumber},
                              {"max LSB", Kind::kNumber},
                              {"largest differences"}},
                  .rows = {}};
  if (whole == nullptr) return table;
  for (const WorstSample& sample : whole->worst) {
    if (table.rows.size() == kSamples) break;
    const auto answer = [](std::int64_t index) { return index < 0 ? std::string("-") : absl::StrCat(index); };
    table.rows.push_back({{Grouped(sample.sample), answer(sample.answer),
                          sample.top1_changed ? answer(sample.reference_answer) : "-", Grouped(sample.changed),
                          Grouped(sample.max_absolute), DifferencesText(result, sample)}});
  }
  return table;
}

TextTable HeldOutTable(const AnalysisResult& result, const TargetResult& target) {
  TextTable table{.title = "Held-out samples",
                  .caption = absl::StrCat(Counted(result.held_out.samples, "sample"), " that calibrate nothing, beside the ",
                                          Counted(result.samples, "calibration sample")),
                  .columns = {{"paths"},
                              {"values changed, held out", Kind::kNumber},
                              {"calibration", Kind::kNumber},
                              {"answers changed, held out", Kind::kNumber},
                              {"calibration", Kind::kNumber}},
                  .rows = {}};
  for (const TargetResult& apart : result.held_out.targets) {
    if (apart.name != target.name || result.held_out.samples == 0) continue;
    for (const PathComparison& comparison : apart.comparisons) {
      const PathComparison* same = FindComparison(target, comparison.path, comparison.reference);
      if (same == nullptr) continue;
      const auto held_out = MergeOutputs(comparison), calibration = MergeOutputs(*same);
      table.rows.push_back({{absl::StrCat(Words(comparison.path), " against ", Words(comparison.reference)),
                            PercentOf(held_out.changed, held_out.count), PercentOf(calibration.changed, calibration.count),
                            PercentOf(comparison.top1_changed, result.held_out.samples),
                            PercentOf(same->top1_changed, result.samples)}});
    }
  }
  return table;
}

}  // namespace

std::vector<TextTable> DetailTables(const AnalysisResult& result, const TargetResult& target) {
  std::vector<TextTable> tables = {SensitivityTable(result, target), ChannelTable(ViewsOf(result, target)),
                                   SampleTable(result, target), HeldOutTable(result, target)};
  std::erase_if(tables, [](const TextTable& table) { return table.rows.empty(); });
  return tables;
}

}  // namespace qatgap::report
