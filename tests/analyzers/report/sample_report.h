// Reports built from simulated stages: every statistic comes from DifferenceStatistics::Add over
// real codes, so the ladder's identities hold. The same arguments give the same report.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "analyzers/report/report.h"

namespace qatgap::report {

// How often (per million codes) a cause moves a code, by +step or -step LSB.
struct CauseRecipe {
  std::uint32_t per_million = 0;
  std::int32_t step = 1;
  bool always_up = false;
};

struct LayerRecipe {
  std::string name;
  std::string kind = "conv2d";
  std::int64_t channels = 4;
  std::array<CauseRecipe, kCauseCount - 1> causes{};  // in ladder order, without kTotal
  std::vector<std::int64_t> saturated;                // channels
};

struct TargetRecipe {
  std::string name = "pytorch-qnnpack";
  numerics::BiasMode bias_mode = numerics::BiasMode::kInteger;
  numerics::Engine engine = numerics::Engine::kNone;
  numerics::Evidence evidence{numerics::EvidenceKind::kVerified, "1,024 vectors"};
  std::vector<LayerRecipe> layers;
};

CauseRecipe Rate(std::uint32_t per_million, std::int32_t step = 1);

// One unit of work of an analysis: `unit` chooses the simulated samples.
AnalysisResult SampleUnit(const std::vector<TargetRecipe>& targets, std::uint32_t unit,
                          std::size_t codes_per_channel = 512);

Report WithProvenance(AnalysisResult result);

// Two targets over a network of `layers` layers, three units of work, findings and unmeasured
// operators.
Report RealisticReport(std::size_t layers);

}  // namespace qatgap::report
