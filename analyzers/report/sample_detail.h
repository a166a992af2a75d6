// What a comparison keeps of single samples, and of single layers' biases: small, bounded, and merged in any order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "analyzers/numerics/quant_params.h"
#include "analyzers/statistics/difference_statistics.h"

namespace qatgap::report {

// One output code of a sample that the two paths do not agree on.
struct CodeDifference {
  std::int64_t output = 0;   // of the model
  std::int64_t element = 0;  // row-major within the sample
  std::int64_t reference = 0, value = 0;
  friend bool operator==(const CodeDifference&, const CodeDifference&) = default;
};

// A sample whose outputs differ. "Worse": the answer moved, then the larger sum of squares, then the smaller index.
struct WorstSample {
  std::uint64_t sample = 0;        // index in the file of samples
  bool top1_changed = false;
  std::int64_t reference_answer = -1, answer = -1;  // index of the largest value of output 0; -1: not measured
  std::uint64_t changed = 0;       // codes, over all outputs
  std::uint64_t max_absolute = 0;  // LSB
  std::uint64_t sum_squares = 0;   // LSB^2
  std::vector<CodeDifference> differences;  // the largest, at most kKeptDifferences; equal ones by output and element
  friend bool operator==(const WorstSample&, const WorstSample&) = default;
};
inline constexpr std::size_t kKeptDifferences = 16;
inline constexpr std::int64_t kMaxWorstSamples = 1000;

bool IsWorse(const WorstSample& a, const WorstSample& b);
// Sorts the worst first and keeps `limit`.
void KeepWorst(std::vector<WorstSample>& samples, std::size_t limit);
// Adds d = value - reference of one output to `sample`; false where nothing differs.
bool AddDifferences(std::int64_t output, std::span<const std::int32_t> reference, std::span<const std::int32_t> value,
                    WorstSample& sample);

// Only this layer's bias is as the target stores it; all else is float_bias. Against float_bias at the model's outputs.
struct LayerSensitivity {
  std::int64_t layer = 0;  // index into AnalysisResult::layers
  std::vector<statistics::DifferenceStatistics> outputs;  // per model output
  std::uint64_t top1_changed = 0;  // samples
  std::uint64_t lost = 0;          // labelled samples: right with the float bias, wrong with the stored one
  std::uint64_t gained = 0;        // the other way round
  friend bool operator==(const LayerSensitivity&, const LayerSensitivity&) = default;
};

// What samples put into an input of the model that is quantized at once.
struct InputRange {
  std::string name;             // of the input
  numerics::QuantParams grid;   // that the deployed model puts it on
  std::uint64_t count = 0;
  std::uint64_t clipped = 0;    // values more than half a step outside of the grid's range
  float least = 0, greatest = 0;  // of the samples; both 0 where count is 0
  friend bool operator==(const InputRange&, const InputRange&) = default;
};
// Adds the sums of the same input.
void Merge(InputRange& total, const InputRange& unit);

}  // namespace qatgap::report
