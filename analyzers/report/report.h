// The report: an AnalysisResult with what identifies it and what was derived from it; and its writers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analyzers/report/analysis_result.h"

namespace qatgap::report {

struct BlobInfo {
  std::string name;                    // file name as the client gave it
  std::string sha256;
  std::uint64_t bytes = 0;
};

// A file of samples for one input of the model, or for those that its arrays are named after.
struct SampleInputInfo {
  std::string input_name;              // may be empty
  BlobInfo file;
};

struct Report {
  std::string analysis_id;
  std::string title;                   // the user's name for the analysis; may be empty
  std::string create_time;             // RFC 3339, UTC
  double run_seconds = 0;
  std::uint64_t runner_peak_bytes = 0; // largest peak resident memory of its runners
  std::int64_t units = 1;              // units of work it was split into
  BlobInfo qat_model, converted_model, samples, labels;  // sha256 empty: not given
  std::vector<SampleInputInfo> sample_inputs = {};       // instead of `samples`, where there are several files
  std::vector<std::string> normalizations = {};          // "x: (x * 0.00392157 - [0.5]) / [0.5], channel axis 1"
  BlobInfo held_out = {}, held_out_labels = {};          // sha256 empty: not given
  AnalysisResult result;
};

// What one target's numbers say in words; every figure comes from integer sums.
struct TargetVerdict {
  std::string target;
  std::string headline;                // one sentence: does quantizing the bias matter?
  std::vector<std::string> sentences;  // shares of causes, outputs, accuracy, what was not measured
};

// Share of a cause in the difference between the trained and the deployed model, over all layers of a target:
// sum d_cause * d_total / sum d_total^2. Shares add up to 1; one is negative when the cause offsets the others.
struct CauseShares {
  bool defined = false;                // false when the models are bit exact
  std::array<double, kCauseCount> share{};
};
CauseShares SharesOf(const TargetResult& target);

TargetVerdict VerdictOf(const Report& report, const TargetResult& target);

// Canonical JSON: keys sorted, integers as integers, derived figures beside the sums, no NaN or Inf. The member
// "statistics" holds all that is measured and nothing that depends on time, host load or the split into units; equal
// inputs give equal bytes. docs/report.md describes every member.
std::string WriteJson(const Report& report);
// The canonical bytes of the member "statistics" alone.
std::string WriteStatisticsJson(const Report& report);

// For terminals and tickets: verdict, table of layers, findings, what was not measured.
std::string WriteMarkdown(const Report& report);

// For spreadsheets: a row for each layer, target, reaching input and cause.
std::string WriteCsv(const Report& report);

}  // namespace qatgap::report
