// An analysis as the server's core sees it: plain values, no messages.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "analyzers/report/report.h"
#include "analyzers/report/target_summary.h"
#include "analyzers/samples/normalization.h"

namespace qatgap::server {

// A blob and the client's name for it. An empty digest: not given.
struct ArtifactRef {
  std::string sha256;
  std::string name;
  bool given() const { return !sha256.empty(); }
  friend bool operator==(const ArtifactRef&, const ArtifactRef&) = default;
};

// As SampleInput of samples.proto.
struct SampleInput {
  std::string input_name;
  ArtifactRef file;
  friend bool operator==(const SampleInput&, const SampleInput&) = default;
};

inline constexpr std::int64_t kDefaultWorstSamples = 10;

// What to analyse, validated, defaults filled in.
struct AnalysisSpec {
  ArtifactRef qat_model;        // one of the two models may be not given
  ArtifactRef converted_model;
  ArtifactRef samples;          // this, or sample_inputs
  ArtifactRef labels;           // may be not given
  std::vector<std::string> targets;              // shipped ones
  std::vector<std::string> target_descriptions;  // the client's own, which come after them
  std::int64_t batch_size = 32;
  std::uint64_t max_samples = 0;  // 0: all
  int parallel_units = 1;
  std::string title;
  std::vector<SampleInput> sample_inputs = {};
  std::vector<samples::Normalization> normalizations = {};
  bool what_if = false;
  bool sensitivity = false;
  std::int64_t worst_samples = kDefaultWorstSamples;
  ArtifactRef held_out = {};         // these two may be not given
  ArtifactRef held_out_labels = {};
  std::string track = {};  // as AnalysisSpec.track of analysis.proto
  friend bool operator==(const AnalysisSpec&, const AnalysisSpec&) = default;
};

enum class AnalysisState { kQueued, kRunning, kSucceeded, kFailed, kCancelled };
inline constexpr std::size_t kAnalysisStateCount = 5;
inline constexpr std::array kAnalysisStates = {AnalysisState::kQueued, AnalysisState::kRunning,
                                               AnalysisState::kSucceeded, AnalysisState::kFailed,
                                               AnalysisState::kCancelled};

constexpr std::string_view ToString(AnalysisState state) {
  constexpr std::array<std::string_view, kAnalysisStateCount> kNames = {
      "queued", "running", "succeeded", "failed", "cancelled"};
  return kNames[static_cast<std::size_t>(state)];
}

constexpr bool IsFinal(AnalysisState state) {
  return state != AnalysisState::kQueued && state != AnalysisState::kRunning;
}

struct AnalysisProgress {
  std::uint64_t samples_done = 0;
  std::uint64_t samples_total = 0;  // 0 until known
  friend bool operator==(const AnalysisProgress&, const AnalysisProgress&) = default;
};

struct Analysis {
  std::string id;
  AnalysisSpec spec;
  AnalysisState state = AnalysisState::kQueued;
  absl::Time create_time;
  std::optional<absl::Time> start_time;
  std::optional<absl::Time> end_time;
  AnalysisProgress progress;
  absl::Status error;                           // not OK when the state is kFailed
  std::vector<report::TargetVerdict> verdicts;  // when the state is kSucceeded
  std::uint64_t runner_peak_bytes = 0;
  std::vector<report::TargetSummary> summaries = {};  // as verdicts; none for one that an older version ran
};

}  // namespace qatgap::server
