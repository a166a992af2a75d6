#include "analyzers/attribution/output_comparison.h"

#include <algorithm>
#include <utility>

#include "analyzers/attribution/layout.h"

namespace qatgap::attribution {
namespace {

// `value` with its second axis last, or its last one second, where that is the reference's shape: channels of images.
graph::Tensor InLayoutOf(const graph::Tensor& reference, const graph::Tensor& value) {
  if (reference.shape() == value.shape() || reference.shape().size() < 3) return value;
  for (const ChannelMove move : {ChannelMove::kToEnd, ChannelMove::kToFront}) {
    if (MovedShape(value.shape(), move) == reference.shape()) return MoveChannels(value, move);
  }
  return value;
}

// Codes of one output of both paths, in the reference's layout.
struct OutputPair {
  graph::Tensor reference, value;
  bool comparable() const { return reference.defined(); }
};

OutputPair PairOf(const execution::ModelOutput& value, const execution::ModelOutput& reference) {
  if (!reference.codes.defined() || !value.codes.defined()) return {};
  OutputPair pair{.reference = reference.codes, .value = InLayoutOf(reference.codes, value.codes)};
  if (pair.reference.elements() != pair.value.elements()) return {};
  return pair;
}

// Adds answers to anything that counts them; gives those of the reference and of the value.
template <typename Counts>
std::pair<std::vector<std::int64_t>, std::vector<std::int64_t>> AddAnswers(const ModelOutputs& value,
                                                                           const ModelOutputs& reference,
                                                                           std::span<const std::int64_t> labels,
                                                                           Counts& counts) {
  std::vector<std::int64_t> before = Top1(reference), after = Top1(value);
  const std::size_t samples = std::min(before.size(), after.size());
  before.resize(samples);
  after.resize(samples);
  for (std::size_t i = 0; i < samples; ++i) {
    counts.top1_changed += before[i] != after[i] ? 1U : 0U;
    if (i >= labels.size()) continue;
    const bool was_right = before[i] == labels[i], is_right = after[i] == labels[i];
    counts.lost += was_right && !is_right ? 1U : 0U;
    counts.gained += is_right && !was_right ? 1U : 0U;
  }
  return {std::move(before), std::move(after)};
}

}  // namespace

std::vector<std::int64_t> Top1(const ModelOutputs& outputs) {
  if (outputs.empty() || outputs[0].real.dtype() != graph::DType::kFloat32) return {};
  const graph::Tensor& output = outputs[0].real;
  if (output.shape().empty() || output.dim(0) == 0) return {};
  const auto values = output.data<float>();
  const std::size_t samples = static_cast<std::size_t>(output.dim(0));
  const std::size_t width = values.size() / samples;
  std::vector<std::int64_t> winners;
  for (std::size_t i = 0; i < samples; ++i) {
    const auto row = values.subspan(i * width, width);
    winners.push_back(std::max_element(row.begin(), row.end()) - row.begin());
  }
  return winners;
}

void CompareOutputs(const ModelOutputs& value, const ModelOutputs& reference, const BatchSamples& samples,
                    report::PathComparison& comparison) {
  const auto [before, after] = AddAnswers(value, reference, samples.labels, comparison);
  std::vector<report::WorstSample> worst(before.size());
  for (std::size_t i = 0; i < comparison.outputs.size(); ++i) {
    const OutputPair pair = PairOf(value[i], reference[i]);
    if (!pair.comparable()) continue;
    const auto a = pair.reference.data<std::int32_t>(), b = pair.value.data<std::int32_t>();
    const std::uint64_t known = comparison.outputs[i].changed;
    comparison.outputs[i].Add(a, b);
    if (comparison.outputs[i].changed == known || pair.reference.shape().empty()) continue;
    const auto rows = static_cast<std::size_t>(pair.reference.dim(0));
    if (worst.empty()) worst.resize(rows);
    if (rows != worst.size() || rows == 0) continue;  // its first axis is no axis of samples
    const std::size_t width = a.size() / rows;
    for (std::size_t s = 0; s < rows; ++s) {
      report::AddDifferences(static_cast<std::int64_t>(i), a.subspan(s * width, width), b.subspan(s * width, width),
                             worst[s]);
    }
  }
  for (std::size_t s = 0; s < worst.size(); ++s) {
    worst[s].sample = samples.first + s;
    if (s >= before.size()) continue;
    worst[s].reference_answer = before[s];
    worst[s].answer = after[s];
    worst[s].top1_changed = before[s] != after[s];
  }
  std::erase_if(worst, [](const report::WorstSample& s) { return s.changed == 0 && !s.top1_changed; });
  comparison.worst.insert(comparison.worst.end(), worst.begin(), worst.end());
  report::KeepWorst(comparison.worst, static_cast<std::size_t>(samples.worst_samples));
}

void CompareOutputs(const ModelOutputs& value, const ModelOutputs& reference, const BatchSamples& samples,
                    report::LayerSensitivity& sensitivity) {
  AddAnswers(value, reference, samples.labels, sensitivity);
  for (std::size_t i = 0; i < sensitivity.outputs.size(); ++i) {
    const OutputPair pair = PairOf(value[i], reference[i]);
    if (!pair.comparable()) continue;
    sensitivity.outputs[i].Add(pair.reference.data<std::int32_t>(), pair.value.data<std::int32_t>());
  }
}

void AddAccuracy(report::Path path, const ModelOutputs& outputs, std::span<const std::int64_t> labels,
                 report::TargetResult& result) {
  if (labels.empty()) return;
  for (report::PathAccuracy& accuracy : result.accuracies) {
    if (accuracy.path != path) continue;
    const std::vector<std::int64_t> answers = Top1(outputs);
    for (std::size_t i = 0; i < std::min(answers.size(), labels.size()); ++i) {
      accuracy.correct += answers[i] == labels[i] ? 1U : 0U;
    }
  }
}

}  // namespace qatgap::attribution
