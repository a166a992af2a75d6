#include "analyzers/attribution/path_analysis.h"

#include <algorithm>
#include <array>

#include "analyzers/attribution/engine_path.h"
#include "analyzers/attribution/layer_analysis.h"
#include "analyzers/attribution/layout.h"
#include "analyzers/attribution/weight_adjustment.h"
#include "analyzers/execution/host.h"
#include "analyzers/graph/tensor_rows.h"
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

// Outputs and answers; layers are compared as they run.
void CompareOutputs(const PathRun& value, const PathRun& reference, report::PathComparison& comparison) {
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
}

void MergeComparison(const report::PathComparison& sums, report::TargetResult& result) {
  for (report::PathComparison& comparison : result.comparisons) {
    if (comparison.path != sums.path || comparison.reference != sums.reference) continue;
    for (std::size_t i = 0; i < sums.outputs.size(); ++i) comparison.outputs[i].Merge(sums.outputs[i]);
    for (std::size_t i = 0; i < sums.layers.size(); ++i) comparison.layers[i].Merge(sums.layers[i]);
    comparison.top1_changed += sums.top1_changed;
  }
}

void AddAccuracy(Path path, const PathRun& run, std::span<const std::int64_t> labels, report::TargetResult& result) {
  if (labels.empty()) return;
  for (report::PathAccuracy& accuracy : result.accuracies) {
    if (accuracy.path != path) continue;
    const std::vector<std::int64_t> answers = Top1(run);
    for (std::size_t i = 0; i < std::min(answers.size(), labels.size()); ++i) {
      accuracy.correct += answers[i] == labels[i] ? 1U : 0U;
    }
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
  integer.ObserveCodesAlone();
  PathAnalysis analysis(layers, pairs, targets, deployed.body.outputs.size(), std::move(integer));
  for (std::size_t t = 0; t < targets.size(); ++t) {
    const numerics::Engine engine = targets[t].engine;
    const bool has_engine = execution::HasEngine(engine) && !WhyNoEnginePath(targets[t], layers);
    if (std::optional<std::vector<graph::MacLayer>> layers_of_target = AdjustWeights(layers, targets[t])) {
      auto kept = std::make_unique<const std::vector<graph::MacLayer>>(*std::move(layers_of_target));
      QATGAP_ASSIGN_OR_RETURN(
          execution::GraphExecutor executor,
          execution::GraphExecutor::Create(deployed, *kept, execution::ExecutionMode::kInteger));
      executor.ObserveCodesAlone();
      analysis.adjusted_.emplace(t, Adjusted{std::move(kept), std::move(executor)});
    }
    if (has_engine && !analysis.engines_.contains(engine)) {
      QATGAP_ASSIGN_OR_RETURN(
          execution::GraphExecutor executor,
          execution::GraphExecutor::Create(deployed, layers, execution::ExecutionMode::kEngine, engine));
      executor.ObserveCodesAlone();
      analysis.engines_.emplace(engine, std::move(executor));
    }
    for (const auto& [path, reference] : kComparisons) {
      if (path == Path::kEngine && !has_engine) continue;
      results[t].comparisons.push_back(analysis.NewComparison(path, reference));
    }
    if (!has_labels) continue;
    for (std::size_t path = 0; path < report::kPathCount; ++path) {
      if (static_cast<Path>(path) == Path::kEngine && !has_engine) continue;
      results[t].accuracies.push_back({.path = static_cast<Path>(path), .correct = 0});
    }
  }
  analysis.FormGroups(results);
  return analysis;
}

report::PathComparison PathAnalysis::NewComparison(Path path, Path reference) const {
  return {.path = path,
          .reference = reference,
          .outputs = std::vector<statistics::DifferenceStatistics>(outputs_),
          .top1_changed = 0,
          .layers = std::vector<statistics::DifferenceStatistics>(pairs_->size())};
}

bool PathAnalysis::SameCodes(std::size_t target, std::size_t other, ArithmeticStage stage) {
  if (adjusted_.contains(target) || adjusted_.contains(other)) return false;
  for (std::size_t layer = 0; layer < layers_->size(); ++layer) {
    for (const numerics::QuantParams& input : (*layers_)[layer].input_grids) {
      const auto a = Arithmetic(target, false, layer, input), b = Arithmetic(other, false, layer, input);
      if (!a.ok() || !b.ok()) return false;  // the run says why
      for (std::int64_t c = 0; c < (*layers_)[layer].output_channels; ++c) {
        if (!numerics::SameCodes(stage, c, **a, **b)) return false;
      }
    }
  }
  return true;
}

void PathAnalysis::FormGroups(const std::vector<report::TargetResult>& results) {
  const auto join = [&](std::size_t t, ArithmeticStage stage, std::vector<std::vector<std::size_t>>& groups) {
    for (std::vector<std::size_t>& group : groups) {
      if (targets_[group[0]].engine == targets_[t].engine || stage != ArithmeticStage::kRequantized) {
        if (SameCodes(group[0], t, stage)) return group.push_back(t);
      }
    }
    groups.push_back({t});
  };
  for (std::size_t t = 0; t < targets_.size(); ++t) {
    if (results[t].bias_mode == numerics::BiasMode::kInteger) {
      join(t, ArithmeticStage::kBiasStored, quantized_bias_groups_);
    } else {
      float_bias_targets_.push_back(t);
    }
    join(t, ArithmeticStage::kRequantized, target_groups_);
  }
}

execution::LayerObserver PathAnalysis::Observer(PathRun& run, const Comparisons& comparisons, bool keep) const {
  return [this, &run, &comparisons, keep](const execution::LayerOutput& output) {
    for (std::size_t pair = 0; pair < pairs_->size(); ++pair) {
      if ((*pairs_)[pair].deployed != output.layer) continue;
      KeptCodes codes(output.codes);
      for (const Comparison& comparison : comparisons) {
        // A branch that only one of the two paths took has no twin to compare with.
        const auto other = comparison.other->layers.find(pair);
        if (other == comparison.other->layers.end()) continue;
        KeptCodes::AddDifference(comparison.other_is_reference ? other->second : codes,
                                 comparison.other_is_reference ? codes : other->second, comparison.sums->layers[pair]);
      }
      if (keep) run.layers[pair] = std::move(codes);
    }
    return absl::OkStatus();
  };
}

absl::StatusOr<const numerics::LayerArithmetic*> PathAnalysis::Arithmetic(std::size_t target, bool adjusted,
                                                                          std::size_t layer,
                                                                          const numerics::QuantParams& input) {
  const std::vector<graph::MacLayer>& layers = adjusted ? *adjusted_.at(target).layers : *layers_;
  const std::vector<numerics::QuantParams>& grids = layers[layer].input_grids;
  const auto grid = std::find(grids.begin(), grids.end(), input);
  const ArithmeticKey key{target, adjusted, layer, grid == grids.end() ? &input : &*grid};
  auto it = arithmetic_.find(key);
  if (it == arithmetic_.end()) {
    QATGAP_ASSIGN_OR_RETURN(
        numerics::LayerArithmetic arithmetic,
        numerics::LayerArithmetic::Create(targets_[target], DeployedConstants(layers[layer], input, targets_[target])));
    it = arithmetic_.emplace(key, std::move(arithmetic)).first;
  }
  return &it->second;
}

absl::StatusOr<PathRun> PathAnalysis::RunInteger(std::span<const graph::Tensor> inputs, std::size_t target,
                                                 ArithmeticStage stage, const Comparisons& comparisons, bool keep) {
  PathRun run;
  const auto own = adjusted_.find(target);
  const bool adjusted = stage != ArithmeticStage::kReal && own != adjusted_.end();
  const execution::IntegerLayer layer_codes =
      [&](std::size_t layer, const numerics::QuantParams& input,
          const graph::Tensor& accumulators) -> absl::StatusOr<graph::Tensor> {
    QATGAP_ASSIGN_OR_RETURN(const numerics::LayerArithmetic* arithmetic, Arithmetic(target, adjusted, layer, input));
    graph::Tensor codes = graph::Uninitialized(graph::DType::kInt32, accumulators.shape());
    const auto elements = static_cast<std::size_t>(accumulators.dim(1));
    for (std::int64_t channel = 0; channel < accumulators.dim(0); ++channel) {
      const std::size_t begin = static_cast<std::size_t>(channel) * elements;
      arithmetic->Codes(stage, channel, accumulators.data<std::int32_t>().subspan(begin, elements),
                        codes.mutable_data<std::int32_t>().subspan(begin, elements));
    }
    return codes;
  };
  execution::GraphExecutor& executor = adjusted ? own->second.integer : integer_;
  QATGAP_ASSIGN_OR_RETURN(run.outputs, executor.Run(inputs, Observer(run, comparisons, keep), layer_codes));
  return run;
}

absl::StatusOr<PathRun> PathAnalysis::RunEngine(std::span<const graph::Tensor> inputs, numerics::Engine engine,
                                                const Comparisons& comparisons, bool keep) {
  PathRun run;
  QATGAP_ASSIGN_OR_RETURN(run.outputs, engines_.at(engine).Run(inputs, Observer(run, comparisons, keep)));
  return run;
}

absl::Status PathAnalysis::Add(std::span<const graph::Tensor> inputs, std::span<const std::int64_t> labels,
                               const PathRun& fake_quant, std::vector<report::TargetResult>& results) {
  const Batch batch{inputs, labels, fake_quant, results};
  for (report::TargetResult& result : results) AddAccuracy(Path::kFakeQuant, fake_quant, labels, result);
  QATGAP_RETURN_IF_ERROR(AddBiasPaths(batch));
  return AddTargetPaths(batch);
}

absl::Status PathAnalysis::AddBiasPaths(const Batch& batch) {
  // The exact stage is the same for every target.
  report::PathComparison exact = NewComparison(Path::kFloatBias, Path::kFakeQuant);
  const bool keep = !quantized_bias_groups_.empty() || !float_bias_targets_.empty();
  QATGAP_ASSIGN_OR_RETURN(const PathRun float_bias,
                          RunInteger(batch.inputs, 0, ArithmeticStage::kReal, {{&batch.fake_quant, true, &exact}}, keep));
  CompareOutputs(float_bias, batch.fake_quant, exact);
  for (report::TargetResult& result : batch.results) {
    MergeComparison(exact, result);
    AddAccuracy(Path::kFloatBias, float_bias, batch.labels, result);
  }
  const auto add = [&](const std::vector<std::size_t>& targets, const PathRun& run, report::PathComparison& whole,
                       report::PathComparison& bias) {
    CompareOutputs(run, float_bias, bias);
    for (const std::size_t t : targets) {
      MergeComparison(whole, batch.results[t]);
      MergeComparison(bias, batch.results[t]);
      AddAccuracy(Path::kQuantizedBias, run, batch.labels, batch.results[t]);
    }
  };
  for (const std::vector<std::size_t>& group : quantized_bias_groups_) {
    report::PathComparison whole = NewComparison(Path::kQuantizedBias, Path::kFakeQuant);
    report::PathComparison bias = NewComparison(Path::kQuantizedBias, Path::kFloatBias);
    QATGAP_ASSIGN_OR_RETURN(const PathRun run,
                            RunInteger(batch.inputs, group[0], ArithmeticStage::kBiasStored,
                                       {{&batch.fake_quant, true, &whole}, {&float_bias, true, &bias}}, /*keep=*/false));
    CompareOutputs(run, batch.fake_quant, whole);
    add(group, run, whole, bias);
  }
  if (float_bias_targets_.empty()) return absl::OkStatus();
  report::PathComparison whole = exact, bias = NewComparison(Path::kQuantizedBias, Path::kFloatBias);
  whole.path = Path::kQuantizedBias;
  for (const auto& [pair, codes] : float_bias.layers) KeptCodes::AddDifference(codes, codes, bias.layers[pair]);
  add(float_bias_targets_, float_bias, whole, bias);
  return absl::OkStatus();
}

// One engine's codes at a time are kept, for the targets it belongs to.
absl::Status PathAnalysis::AddTargetPaths(const Batch& batch) {
  for (const std::vector<std::size_t>& group : target_groups_) {
    if (engines_.contains(targets_[group[0]].engine)) continue;
    QATGAP_RETURN_IF_ERROR(AddTargetPath(batch, group, nullptr));
  }
  for (const auto& [engine, executor] : engines_) {
    report::PathComparison whole = NewComparison(Path::kEngine, Path::kFakeQuant);
    QATGAP_ASSIGN_OR_RETURN(const PathRun run,
                            RunEngine(batch.inputs, engine, {{&batch.fake_quant, true, &whole}}, /*keep=*/true));
    CompareOutputs(run, batch.fake_quant, whole);
    for (const std::vector<std::size_t>& group : target_groups_) {
      if (targets_[group[0]].engine != engine) continue;
      QATGAP_RETURN_IF_ERROR(AddTargetPath(batch, group, &run));
      for (const std::size_t t : group) {
        MergeComparison(whole, batch.results[t]);
        AddAccuracy(Path::kEngine, run, batch.labels, batch.results[t]);
      }
    }
  }
  return absl::OkStatus();
}

absl::Status PathAnalysis::AddTargetPath(const Batch& batch, const std::vector<std::size_t>& group,
                                         const PathRun* engine) {
  report::PathComparison whole = NewComparison(Path::kTarget, Path::kFakeQuant);
  report::PathComparison residual = NewComparison(Path::kEngine, Path::kTarget);
  Comparisons comparisons = {{&batch.fake_quant, true, &whole}};
  if (engine != nullptr) comparisons.push_back({engine, false, &residual});
  QATGAP_ASSIGN_OR_RETURN(const PathRun run, RunInteger(batch.inputs, group[0], ArithmeticStage::kRequantized,
                                                        comparisons, /*keep=*/false));
  CompareOutputs(run, batch.fake_quant, whole);
  if (engine != nullptr) CompareOutputs(*engine, run, residual);
  for (const std::size_t t : group) {
    MergeComparison(whole, batch.results[t]);
    if (engine != nullptr) MergeComparison(residual, batch.results[t]);
    AddAccuracy(Path::kTarget, run, batch.labels, batch.results[t]);
  }
  return absl::OkStatus();
}

}  // namespace qatgap::attribution
