#include "analyzers/report/what_if_view.h"

#include <algorithm>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "analyzers/report/layer_view.h"
#include "analyzers/report/wording.h"

namespace qatgap::report {
namespace {

// A gain below one output in so many is no recommendation.
constexpr std::uint64_t kWorthOneIn = 10'000;

// "12 of 1,000 (1.2 %)"
std::string Part(std::uint64_t changed, std::uint64_t count) {
  return absl::StrCat(Grouped(changed), " of ", Grouped(count), " (", PercentOf(changed, count), ")");
}

std::string ExplicitAddSentence(const TargetResult& target) {
  const std::optional<WhatIfSum> sum = SumOf(target, WhatIf::kExplicitAdd);
  if (!sum || sum->count == 0) return "";
  return absl::StrCat(
      "The often advised workaround, the bias taken out of the layer and added by a quantized add, changes ",
      Part(sum->after, sum->count), " layer outputs against the trained model where ", Part(sum->before, sum->count),
      " change as deployed: worse in ", Grouped(sum->worse), " of ", Counted(sum->layers, "layer"), ", better in ",
      Grouped(sum->better), ".");
}

std::string HelpSentence(const AnalysisResult& result, const TargetResult& target) {
  struct Group {
    WhatIf what_if;
    std::uint64_t layers = 0;
    const LayerWhatIfs* best = nullptr;
    Recommendation at_best = {};
  };
  std::vector<Group> groups;
  for (const LayerWhatIfs& layer : target.what_ifs) {
    const std::optional<Recommendation> found = RecommendationOf(layer);
    if (!found) continue;
    auto group =
        std::find_if(groups.begin(), groups.end(), [&](const Group& g) { return g.what_if == found->what_if; });
    if (group == groups.end()) group = groups.insert(groups.end(), {.what_if = found->what_if});
    ++group->layers;
    if (group->best == nullptr || found->gain() > group->at_best.gain()) {
      group->best = &layer;
      group->at_best = *found;
    }
  }
  if (groups.empty()) {
    return "No what-if saves one changed output in 10,000 in any layer, so none is recommended.";
  }
  std::sort(groups.begin(), groups.end(), [](const Group& a, const Group& b) {
    return std::tuple(b.layers, a.what_if) < std::tuple(a.layers, b.what_if);
  });
  std::vector<std::string> parts;
  for (const Group& group : groups) {
    parts.push_back(absl::StrCat(Advice(group.what_if), " in ", Counted(group.layers, "layer"), " (most in ",
                                 TitleOf(result, *group.best), ": ", Part(group.at_best.after, group.at_best.count),
                                 " outputs change instead of ", Grouped(group.at_best.before), ")"));
  }
  return absl::StrCat("What would help, layer by layer: ", absl::StrJoin(parts, "; "), ".");
}

// What is chosen on samples looks better on the same samples than on others.
std::string ChosenSentence(const AnalysisResult& result, const TargetResult& target) {
  std::uint64_t chosen_on = 0;
  for (const LayerWhatIfs& layer : target.what_ifs) {
    const std::optional<Recommendation> found = RecommendationOf(layer);
    if (!found || found->what_if != WhatIf::kErrorAwareRounding) continue;
    chosen_on = std::max(chosen_on, layer.calibration_samples);
  }
  if (chosen_on == 0) return "";
  return absl::StrCat("The integers with the least output error were chosen on ", Grouped(chosen_on), " of the ",
                      Counted(result.samples, "sample"), " that their gain is measured on; new samples may gain less.");
}

}  // namespace

std::string TitleOf(const AnalysisResult& result, const LayerWhatIfs& layer) {
  const LayerInfo& info = result.layers[static_cast<std::size_t>(layer.layer)];
  const std::string name = DisplayName(info.name);
  if (info.inputs.size() < 2) return name;
  return absl::StrCat(name, ", input ", layer.input_index + 1, " of ", info.inputs.size());
}

const WhatIfRow* FindRow(const LayerWhatIfs& layer, WhatIf what_if) {
  for (const WhatIfRow& row : layer.rows) {
    if (row.what_if == what_if) return row.measured ? &row : nullptr;
  }
  return nullptr;
}

std::optional<Recommendation> RecommendationOf(const LayerWhatIfs& layer) {
  const WhatIfRow* plain = FindRow(layer, WhatIf::kPlain);
  if (plain == nullptr) return std::nullopt;
  const WhatIfRow* best = nullptr;
  const auto cost = [](const WhatIfRow& row) {
    return std::tuple(row.against_fake_quant.changed, row.against_fake_quant.sum_squares, row.what_if);
  };
  for (const WhatIfRow& row : layer.rows) {
    if (row.measured && row.is_remedy && (best == nullptr || cost(row) < cost(*best))) best = &row;
  }
  if (best == nullptr) return std::nullopt;
  const Recommendation found{.what_if = best->what_if,
                             .before = plain->against_fake_quant.changed,
                             .after = best->against_fake_quant.changed,
                             .count = plain->against_fake_quant.count};
  if (found.count == 0 || found.after >= found.before) return std::nullopt;
  // Rounded up, so that nothing overflows: gain / count >= 1 / kWorthOneIn.
  if (found.gain() < (found.count + kWorthOneIn - 1) / kWorthOneIn) return std::nullopt;
  return found;
}

std::string Words(WhatIf what_if) {
  switch (what_if) {
    case WhatIf::kPlain:
      return "as deployed";
    case WhatIf::kStorage8:
      return "bias stored in 8 bits";
    case WhatIf::kStorage16:
      return "bias stored in 16 bits";
    case WhatIf::kStorage24:
      return "bias stored in 24 bits";
    case WhatIf::kStorage32:
      return "bias stored in 32 bits";
    case WhatIf::kErrorAwareRounding:
      return "bias rounded for the least output error";
    case WhatIf::kZeroPointRounding:
      return "bias rounded with the zero-point term";
    case WhatIf::kFakeQuantizedBias:
      return "model trained with the stored bias";
    case WhatIf::kAdjustedWeights:
      return "weight scales raised until the bias fits";
    case WhatIf::kExplicitAdd:
      return "bias in a quantized add behind the layer";
  }
  return "unknown";
}

std::string Advice(WhatIf what_if) {
  switch (what_if) {
    case WhatIf::kPlain:
      return "change nothing";
    case WhatIf::kStorage8:
      return "store the bias in 8 bits";
    case WhatIf::kStorage16:
      return "store the bias in 16 bits";
    case WhatIf::kStorage24:
      return "store the bias in 24 bits";
    case WhatIf::kStorage32:
      return "store the bias in 32 bits";
    case WhatIf::kErrorAwareRounding:
      return "store the integers with the least output error";
    case WhatIf::kZeroPointRounding:
      return "round and store the bias with the zero-point term";
    case WhatIf::kFakeQuantizedBias:
      return "train on with the bias that is stored";
    case WhatIf::kAdjustedWeights:
      return "raise the weight scales until the bias fits";
    case WhatIf::kExplicitAdd:
      return "add the bias in a quantized add behind the layer";
  }
  return "unknown";
}

std::optional<WhatIfSum> SumOf(const TargetResult& target, WhatIf what_if) {
  WhatIfSum sum{.what_if = what_if};
  for (const LayerWhatIfs& layer : target.what_ifs) {
    const WhatIfRow* plain = FindRow(layer, WhatIf::kPlain);
    const WhatIfRow* row = FindRow(layer, what_if);
    if (plain == nullptr || row == nullptr) continue;
    const std::uint64_t before = plain->against_fake_quant.changed, after = row->against_fake_quant.changed;
    ++sum.layers;
    sum.better += after < before ? 1U : 0U;
    sum.worse += after > before ? 1U : 0U;
    sum.count += plain->against_fake_quant.count;
    sum.before += before;
    sum.after += after;
  }
  if (sum.layers == 0) return std::nullopt;
  return sum;
}

std::vector<std::string> WhatIfSentences(const AnalysisResult& result, const TargetResult& target) {
  if (target.what_ifs.empty()) return {};
  std::vector<std::string> sentences;
  if (std::string add = ExplicitAddSentence(target); !add.empty()) sentences.push_back(std::move(add));
  sentences.push_back(HelpSentence(result, target));
  if (std::string chosen = ChosenSentence(result, target); !chosen.empty()) sentences.push_back(std::move(chosen));
  return sentences;
}

}  // namespace qatgap::report
