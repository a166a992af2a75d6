// Two paths' model outputs held against each other: codes, answers, accuracy, the worst samples.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "analyzers/execution/graph_executor.h"
#include "analyzers/report/analysis_result.h"

namespace qatgap::attribution {

using ModelOutputs = std::vector<execution::ModelOutput>;  // first axis samples

// What is known of the samples of a batch.
struct BatchSamples {
  std::span<const std::int64_t> labels;  // empty, or one class a sample
  std::uint64_t first = 0;               // index of the first sample
  std::int64_t worst_samples = 0;        // to keep
};

// Index of the largest value of each sample's row of output 0; the first one among equals, as argmax of PyTorch. Empty where
// output 0 is not float32.
std::vector<std::int64_t> Top1(const ModelOutputs& outputs);

// Adds value - reference: codes of outputs, answers, and the worst samples of the batch.
void CompareOutputs(const ModelOutputs& value, const ModelOutputs& reference, const BatchSamples& samples,
                    report::PathComparison& comparison);
// The same without single samples.
void CompareOutputs(const ModelOutputs& value, const ModelOutputs& reference, const BatchSamples& samples,
                    report::LayerSensitivity& sensitivity);

// Adds the right answers of `path`, where the target has an entry for it.
void AddAccuracy(report::Path path, const ModelOutputs& outputs, std::span<const std::int64_t> labels,
                 report::TargetResult& result);

}  // namespace qatgap::attribution
