// What the metrics tell of a tracked analysis: the figures, derived from its integer sums, and how many layers it had.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "analyzers/report/analysis_result.h"
#include "server/store/analysis.h"

namespace qatgap::server {

// Of one cause in one layer; nullopt where it was not measured, or is not defined.
struct CauseFigures {
  std::optional<double> changed_ratio;
  std::optional<double> max_error_lsb;
  std::optional<double> sqnr_decibels;
};

struct LayerFigures {
  std::string name;  // as reports show it, and like no other layer's of the analysis
  std::array<CauseFigures, report::kCauseCount> causes;
};

struct OutputFigures {
  report::Path path;
  report::Path reference;
  std::optional<double> changed_ratio;
  std::optional<double> max_error_lsb;
  std::optional<double> top1_changed_ratio;
};

struct AccuracyFigure {
  report::Path path;
  double ratio = 0;
};

struct TargetFigures {
  std::string name;
  std::vector<LayerFigures> layers;  // in execution order
  std::size_t dropped_layers = 0;
  std::vector<OutputFigures> outputs;
  std::vector<AccuracyFigure> accuracies;
  std::optional<double> coverage_ratio;
};

struct TrackedFigures {
  std::string track;
  std::string analysis_id;
  absl::Time create_time;
  absl::Time end_time;
  std::uint64_t samples = 0;
  std::vector<TargetFigures> targets;
};

// Of an analysis that succeeded. The inputs that reach a layer count together. Of each target the `max_layers` layers
// with the largest root mean square error stay, earlier ones first where it is equal.
TrackedFigures FiguresOf(const Analysis& analysis, const report::AnalysisResult& result, std::size_t max_layers);

}  // namespace qatgap::server
