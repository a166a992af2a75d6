#include "analyzers/report/views/what_ifs.h"

#include <utility>

#include "analyzers/report/what_if_json.h"
#include "analyzers/report/what_if_view.h"

namespace qatgap::report::views {
namespace {

Json Ways(const TargetResult& target) {
  Json ways = Json::array();
  for (std::size_t i = 0; i < kWhatIfCount; ++i) {
    const auto what_if = static_cast<WhatIf>(i);
    const std::optional<WhatIfSum> sum = SumOf(target, what_if);
    if (!sum) continue;
    ways.push_back({{"what_if", ToString(what_if)},
                    {"words", Words(what_if)},
                    {"layers", sum->layers},
                    {"better", sum->better},
                    {"worse", sum->worse},
                    {"count", sum->count},
                    {"changed_before", sum->before},
                    {"changed_after", sum->after},
                    {"changed_rate", Rate(sum->after, sum->count)}});
  }
  return ways;
}

}  // namespace

Json WhatIfsOf(const AnalysisResult& result, const TargetResult& target) {
  if (target.what_ifs.empty()) return nullptr;
  Json recommended = Json::array();
  for (const LayerWhatIfs& layer : target.what_ifs) {
    Json recommendation = RecommendationJson(layer);
    if (recommendation.is_null()) continue;
    recommendation["layer_index"] = layer.layer;
    recommendation["input_index"] = layer.input_index;
    recommendation["title"] = TitleOf(result, layer);
    recommended.push_back(std::move(recommendation));
  }
  return {{"ways", Ways(target)}, {"recommended", std::move(recommended)}};
}

Json WhatIfsOf(const AnalysisResult& result, const TargetResult& target, const LayerView& layer) {
  for (const LayerWhatIfs& what_ifs : target.what_ifs) {
    if (what_ifs.layer != layer.result->layer || what_ifs.input_index != layer.result->input_index) continue;
    const auto zero_point = json_parts::ZeroPointOf(result.layers[static_cast<std::size_t>(what_ifs.layer)].output);
    Json rows = Json::array();
    for (const WhatIfRow& row : what_ifs.rows) {
      const auto sums = [&](const statistics::DifferenceStatistics& s) {
        return row.measured ? StatisticsOf(s, zero_point) : Json();
      };
      rows.push_back({{"what_if", ToString(row.what_if)},
                      {"words", Words(row.what_if)},
                      {"note", row.note},
                      {"against_fake_quant", sums(row.against_fake_quant)},
                      {"against_float_bias", sums(row.against_float_bias)}});
    }
    return {{"calibration_samples", what_ifs.calibration_samples},
            {"rows", std::move(rows)},
            {"recommendation", RecommendationJson(what_ifs)}};
  }
  return nullptr;
}

}  // namespace qatgap::report::views
