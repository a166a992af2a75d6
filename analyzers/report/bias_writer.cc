#include "analyzers/report/bias_writer.h"

#include <cmath>

#include "analyzers/report/what_if_view.h"
#include "nlohmann/json.hpp"

namespace qatgap::report {
namespace {

using Json = nlohmann::json;  // keys sorted

constexpr int kSchemaVersion = 1;

// The integers of another rounding, where it was measured.
Json Alternative(const TargetResult& target, const LayerResult& layer, WhatIf what_if) {
  for (const LayerWhatIfs& what_ifs : target.what_ifs) {
    if (what_ifs.layer != layer.layer || what_ifs.input_index != layer.input_index) continue;
    if (const WhatIfRow* row = FindRow(what_ifs, what_if)) return row->stored;
  }
  return nullptr;
}

Json LayerJson(const AnalysisResult& result, const TargetResult& target, const LayerResult& layer) {
  Json scales = Json::array(), stored = Json::array(), values = Json::array(), saturated = Json::array();
  for (std::size_t c = 0; c < layer.channels.size(); ++c) {
    const numerics::StoredBias& bias = layer.channels[c].bias;
    const double value = static_cast<double>(bias.stored) * bias.scale;
    scales.push_back(std::isfinite(bias.scale) ? Json(bias.scale) : Json(nullptr));
    stored.push_back(bias.stored);
    values.push_back(std::isfinite(value) ? Json(value) : Json(nullptr));
    if (bias.saturated) saturated.push_back(c);
  }
  const LayerInfo& info = result.layers[static_cast<std::size_t>(layer.layer)];
  return {{"layer", info.name},
          {"input_index", layer.input_index},
          {"inputs", info.inputs.size()},
          {"scales", std::move(scales)},
          {"stored", std::move(stored)},
          {"values", std::move(values)},
          {"saturated_channels", std::move(saturated)},
          {"error_aware_stored", Alternative(target, layer, WhatIf::kErrorAwareRounding)}};
}

}  // namespace

std::string WriteBiases(const Report& report) {
  AnalysisResult result = report.result;
  Canonicalize(result);
  Json targets = Json::array();
  for (const TargetResult& target : result.targets) {
    Json layers = Json::array();
    if (target.bias_mode == numerics::BiasMode::kInteger) {
      for (const LayerResult& layer : target.layers) layers.push_back(LayerJson(result, target, layer));
    }
    targets.push_back({{"name", target.name},
                       {"bias_mode", numerics::ToString(target.bias_mode)},
                       {"digest", target.digest},
                       {"layers", std::move(layers)}});
  }
  return Json{{"schema_version", kSchemaVersion}, {"targets", std::move(targets)}}.dump(
      -1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

}  // namespace qatgap::report
