#include "analyzers/report/what_if_json.h"

#include "analyzers/report/what_if_view.h"

namespace qatgap::report {

using Json = nlohmann::json;  // keys sorted

Json RecommendationJson(const LayerWhatIfs& layer) {
  const std::optional<Recommendation> found = RecommendationOf(layer);
  if (!found) return nullptr;
  return {{"what_if", ToString(found->what_if)},
          {"advice", Advice(found->what_if)},
          {"changed_before", found->before},
          {"changed_after", found->after},
          {"count", found->count},
          {"gain_rate", static_cast<double>(found->gain()) / static_cast<double>(found->count)}};
}

Json WhatIfsJson(const AnalysisResult& result, const TargetResult& target,
                 Json (*statistics)(const statistics::DifferenceStatistics&, std::optional<std::int64_t>)) {
  Json layers = Json::array();
  for (const LayerWhatIfs& layer : target.what_ifs) {
    const LayerInfo& info = result.layers[static_cast<std::size_t>(layer.layer)];
    std::optional<std::int64_t> zero_point;
    if (info.output.zero_points.size() == 1) zero_point = info.output.zero_point();
    Json rows = Json::array();
    for (const WhatIfRow& row : layer.rows) {
      const auto sums = [&](const statistics::DifferenceStatistics& s) {
        return row.measured ? statistics(s, zero_point) : Json(nullptr);
      };
      rows.push_back({{"what_if", ToString(row.what_if)},
                      {"note", row.note},
                      {"measured", row.measured},
                      {"is_remedy", row.is_remedy},
                      {"stored", row.stored.empty() ? Json(nullptr) : Json(row.stored)},
                      {"against_float_bias", sums(row.against_float_bias)},
                      {"against_fake_quant", sums(row.against_fake_quant)}});
    }
    layers.push_back({{"layer", info.name},
                      {"layer_index", layer.layer},
                      {"input_index", layer.input_index},
                      {"calibration_samples", layer.calibration_samples},
                      {"rows", std::move(rows)},
                      {"recommendation", RecommendationJson(layer)}});
  }
  return layers;
}

}  // namespace qatgap::report
