#include "analyzers/attribution/path_analysis.h"

#include <algorithm>
#include <array>

#include "analyzers/attribution/engine_path.h"
#include "analyzers/attribution/layer_analysis.h"
#include "analyzers/attribution/layout.h"
#include "analyzers/attribution/weight_adjustment.h"
#include "analyzers/execution/host.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::attribution {
namespace {

using numerics::ArithmeticStage;
using report::Path;

// Which paths are held against which; the order of the report.
constexpr std::array<std::pair<Path, Path>, 6> kComparisons = {{
    {Path::kFloatBias, Path::kFakeQuant},
    {Path::kQuantizedBias, Path::kFakeQuant},
    {Path::kQuantizedBias, Path::kFloatBias},
    {Path::kTarget, Path::kFakeQuant},
    {Path::kEngine, Path::kFakeQuant},
    {Path::kEngine, Path::kTarget},
}};

// Index of the largest value of each sample's row; the first one among equals, as argmax of PyTorch.
std::vector<std::int64_t> Top1(const PathRun& run) {
  if (run.outputs.empty() || run.outputs[0].real.dtype() != graph::DType::kFloat32) return {};
  const graph::Tensor& output = run.outputs[0].real;
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

// `value` with its second axis last, or its last one second, where that is the reference's shape: channels of images.
graph::Tensor InLayoutOf(const graph::Tensor& reference, const graph::Tensor& value) {
  if (reference.shape() == value.shape() || reference.shape().size() < 3) return value;
  for (const ChannelMove move : {ChannelMove::kToEnd, ChannelMove::kToFront}) {
    if (MovedShape(value.shape(), move) == reference.shape()) return MoveChannels(value, move);
  }
  return value;
}

void Compare(const PathRun& value, const PathRun& reference, report::PathComparison& comparison) {
  for (std::size_t i = 0; i < comparison.outputs.size(); ++i) {
    const graph::Tensor& a = reference.outputs[i].codes;
    if (!a.defined() || !value.outputs[i].codes.defined()) continue;
    const graph::Tensor b = InLayoutOf(a, value.outputs[i].codes);
    if (a.elements() != b.elements()) continue;
    comparison.outputs[i].Add(a.data<std::int32_t>(), b.data<std::int32_t>());
  }
  const std::vector<std::int64_t> before = Top1(reference), after = Top1(value);
  for (std::size_t i = 0; i < std::min(before.size(), after.size()); ++i) {
    comparison.top1_changed += before[i] != after[i] ? 1U : 0U;
  }
  for (std::size_t pair = 0; pair < comparison.layers.size(); ++pair) {
    const auto a = reference.layers.find(pair), b = value.layers.find(pair);
    // A branch that only one of the two paths took has no twin to compare with.
    if (a == reference.layers.end() || b == value.layers.end()) continue;
    comparison.layers[pair].Add(a->second.data<std::int32_t>(), b->second.data<std::int32_t>());
  }
}

}  // namespace

absl::StatusOr<PathAnalysis> PathAnalysis::Create(const graph::Graph& deployed,
                                                  const std::vector<graph::MacLayer>& layers,
                                                  const std::vector<LayerPair>& pairs,
                                                  std::span<const numerics::TargetDescription> targets,
                                                  bool has_labels, std::vector<report::TargetResult>& results) {
  QATGAP_ASSIGN_OR_RETURN(
      execution::GraphExecutor integer,
      execution::GraphExecutor::Create(deployed, layers, execution::ExecutionMode::kInteger));
  PathAnalysis analysis(layers, pairs, targets, std::move(integer));
  for (std::size_t t = 0; t < targets.size(); ++t) {
    const numerics::Engine engine = targets[t].engine;
    const bool has_engine = execution::HasEngine(engine) && !WhyNoEnginePath(targets[t], layers);
    if (std::optional<std::vector<graph::MacLayer>> layers_of_target = AdjustWeights(layers, targets[t])) {
      auto kept = std::make_unique<const std::vector<graph::MacLayer>>(*std::move(layers_of_target));
      QATGAP_ASSIGN_OR_RETURN(
          execution::GraphExecutor executor,
          execution::GraphExecutor::Create(deployed, *kept, execution::ExecutionMode::kInteger));
      analysis.adjusted_.emplace(t, Adjusted{std::move(kept), std::move(executor)});
    }
    if (has_engine && !analysis.engines_.contains(engine)) {
      QATGAP_ASSIGN_OR_RETURN(
          execution::GraphExecutor executor,
          execution::GraphExecutor::Create(deployed, layers, execution::ExecutionMode::kEngine, engine));
      analysis.engines_.emplace(engine, std::move(executor));
    }
    for (const auto& [path, reference] : kComparisons) {
      if (path == Path::kEngine && !has_engine) continue;
      results[t].comparisons.push_back(
          {.path = path,
           .reference = reference,
           .outputs = std::vector<statistics::DifferenceStatistics>(deployed.body.outputs.size()),
           .top1_changed = 0,
           .layers = std::vector<statistics::DifferenceStatistics>(pairs.size())});
    }
    if (!has_labels) continue;
    for (std::size_t path = 0; path < report::kPathCount; ++path) {
      if (static_cast<Path>(path) == Path::kEngine && !has_engine) continue;
      results[t].accuracies.push_back({.path = static_cast<Path>(path), .correct = 0});
    }
  }
  return analysis;
}

execution::LayerObserver PathAnalysis::Keep(PathRun& run) const {
  return [this, &run](const execution::LayerOutput& output) {
    for (std::size_t pair = 0; pair < pairs_->size(); ++pair) {
      if ((*pairs_)[pair].deployed == output.layer) run.layers[pair] = output.codes;
    }
    return absl::OkStatus();
  };
}

absl::StatusOr<const numerics::LayerArithmetic*> PathAnalysis::Arithmetic(std::size_t target, bool adjusted,
                                                                          std::size_t layer,
                                                                          const numerics::QuantParams& input) {
  const ArithmeticKey key{target, adjusted, layer, &input};
  auto it = arithmetic_.find(key);
  if (it == arithmetic_.end()) {
    const std::vector<graph::MacLayer>& layers = adjusted ? *adjusted_.at(target).layers : *layers_;
    QATGAP_ASSIGN_OR_RETURN(
        numerics::LayerArithmetic arithmetic,
        numerics::LayerArithmetic::Create(targets_[target], DeployedConstants(layers[layer], input, targets_[target])));
    it = arithmetic_.emplace(key, std::move(arithmetic)).first;
  }
  return &it->second;
}

absl::StatusOr<PathRun> PathAnalysis::RunInteger(std::span<const graph::Tensor> inputs, std::size_t target,
                                                 ArithmeticStage stage) {
  PathRun run;
  const auto own = adjusted_.find(target);
  const bool adjusted = stage != ArithmeticStage::kReal && own != adjusted_.end();
  const execution::IntegerLayer layer_codes =
      [&](std::size_t layer, const numerics::QuantParams& input,
          const graph::Tensor& accumulators) -> absl::StatusOr<graph::Tensor> {
    QATGAP_ASSIGN_OR_RETURN(const numerics::LayerArithmetic* arithmetic, Arithmetic(target, adjusted, layer, input));
    graph::Tensor codes(graph::DType::kInt32, accumulators.shape());
    const auto elements = static_cast<std::size_t>(accumulators.dim(1));
    for (std::int64_t channel = 0; channel < accumulators.dim(0); ++channel) {
      const std::size_t begin = static_cast<std::size_t>(channel) * elements;
      arithmetic->Codes(stage, channel, accumulators.data<std::int32_t>().subspan(begin, elements),
                        codes.mutable_data<std::int32_t>().subspan(begin, elements));
    }
    return codes;
  };
  execution::GraphExecutor& executor = adjusted ? own->second.integer : integer_;
  QATGAP_ASSIGN_OR_RETURN(run.outputs, executor.Run(inputs, Keep(run), layer_codes));
  return run;
}

absl::StatusOr<PathRun> PathAnalysis::RunEngine(std::span<const graph::Tensor> inputs, numerics::Engine engine) {
  PathRun run;
  QATGAP_ASSIGN_OR_RETURN(run.outputs, engines_.at(engine).Run(inputs, Keep(run)));
  return run;
}

absl::Status PathAnalysis::Add(std::span<const graph::Tensor> inputs, std::span<const std::int64_t> labels,
                               const PathRun& fake_quant, std::vector<report::TargetResult>& results) {
  // The exact stage is the same for every target; so are an engine's codes for every target it belongs to.
  QATGAP_ASSIGN_OR_RETURN(const PathRun float_bias, RunInteger(inputs, 0, ArithmeticStage::kReal));
  std::map<numerics::Engine, PathRun> engine_runs;
  for (const auto& [engine, executor] : engines_) {
    QATGAP_ASSIGN_OR_RETURN(engine_runs[engine], RunEngine(inputs, engine));
  }
  for (std::size_t t = 0; t < targets_.size(); ++t) {
    std::array<const PathRun*, report::kPathCount> runs{};
    const auto run_of = [&](Path path) -> const PathRun*& { return runs[static_cast<std::size_t>(path)]; };
    run_of(Path::kFakeQuant) = &fake_quant;
    run_of(Path::kFloatBias) = &float_bias;
    std::optional<PathRun> quantized_bias;
    if (results[t].bias_mode == numerics::BiasMode::kInteger) {
      QATGAP_ASSIGN_OR_RETURN(quantized_bias, RunInteger(inputs, t, ArithmeticStage::kBiasStored));
    }
    run_of(Path::kQuantizedBias) = quantized_bias ? &*quantized_bias : &float_bias;
    QATGAP_ASSIGN_OR_RETURN(const PathRun target, RunInteger(inputs, t, ArithmeticStage::kRequantized));
    run_of(Path::kTarget) = &target;
    if (const auto it = engine_runs.find(targets_[t].engine); it != engine_runs.end()) {
      run_of(Path::kEngine) = &it->second;
    }
    for (report::PathComparison& comparison : results[t].comparisons) {
      Compare(*run_of(comparison.path), *run_of(comparison.reference), comparison);
    }
    if (labels.empty()) continue;
    for (report::PathAccuracy& accuracy : results[t].accuracies) {
      const std::vector<std::int64_t> answers = Top1(*run_of(accuracy.path));
      for (std::size_t i = 0; i < std::min(answers.size(), labels.size()); ++i) {
        accuracy.correct += answers[i] == labels[i] ? 1U : 0U;
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace qatgap::attribution
