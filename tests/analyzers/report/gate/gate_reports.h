// Reports for the gate's tests: simulated, written as JSON and read back as the gate reads them.
#pragma once

#include <string>
#include <vector>

#include "analyzers/report/gate/measured_report.h"
#include "tests/analyzers/report/sample_report.h"

namespace qatgap::report::gate {

inline std::string JsonOf(const std::vector<TargetRecipe>& targets, std::uint32_t unit = 0) {
  return WriteJson(WithProvenance(SampleUnit(targets, unit)));
}

inline MeasuredReport Measured(const std::vector<TargetRecipe>& targets, const std::string& name = "report.json",
                               std::uint32_t unit = 0) {
  auto report = ReadReport(JsonOf(targets, unit), name);
  if (!report.ok()) throw std::runtime_error(report.status().ToString());
  return *std::move(report);
}

inline LayerRecipe Layer(std::string name, std::uint32_t bias_rounding, std::uint32_t requantization = 0,
                         std::vector<std::int64_t> saturated = {}) {
  LayerRecipe layer{.name = std::move(name), .saturated = std::move(saturated)};
  layer.causes[static_cast<std::size_t>(Cause::kBiasRounding)] = Rate(bias_rounding);
  layer.causes[static_cast<std::size_t>(Cause::kRequantization)] = Rate(requantization);
  layer.causes[static_cast<std::size_t>(Cause::kBiasSaturation)] = Rate(layer.saturated.empty() ? 0 : 900000, 40);
  return layer;
}

inline std::vector<TargetRecipe> OneTarget(std::vector<LayerRecipe> layers) {
  return {TargetRecipe{.name = "pytorch-qnnpack", .layers = std::move(layers)}};
}

}  // namespace qatgap::report::gate
