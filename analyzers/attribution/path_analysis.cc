#include "analyzers/attribution/path_analysis.h"

#include <algorithm>
#include <array>

#include "analyzers/attribution/engine_path.h"
#include "analyzers/attribution/layer_analysis.h"
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

void MergeComparison(const report::PathComparison& sums, std::int64_t worst_samples, report::TargetResult& result) {
  for (report::PathComparison& comparison : result.comparisons) {
    if (comparison.path != sums.path || comparison.reference != sums.reference) continue;
    report::Merge(comparison, sums, worst_samples);
  }
}

}  // namespace

absl::StatusOr<PathAnalysis> PathAnalysis::Create(const graph::Graph& deployed,
                                                  const std::vector<graph::MacLayer>& layers,
                                                  const std::vector<LayerPair>& pairs,
                                                  std::span<const numerics::TargetDescription> targets,
                                                  bool has_labels, const AnalysisOptions& options,
                                                  std::vector<report::TargetResult>& results) {
  QATGAP_ASSIGN_OR_RETURN(
      execution::GraphExecutor integer,
      execution::GraphExecutor::Create(deployed, layers, execution::ExecutionMode::kInteger));
  integer.ObserveCodesAlone();
  if (options.sensitivity) integer.KeepValues();
  PathAnalysis analysis(layers, pairs, targets, deployed.body.outputs.size(), std::move(integer), options);
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
    if (options.sensitivity && results[t].bias_mode == numerics::BiasMode::kInteger) {
      results[t].sensitivities = analysis.NewSensitivities();
    }
    if (!has_labels) continue;
    for (std::size_t path = 0; path < report::kPathCount; ++path) {
      if (static_cast<Path>(path) == Path::kEngine && !has_engine) continue;
      results[t].accuracies.push_back({.path = static_cast<Path>(path), .correct = 0});
    }
  }
  return analysis;
}

void PathAnalysis::UseKernel(std::size_t layer, const numerics::QuantParams& input, const execution::LayerKernel& kernel) {
  integer_.UseKernel(layer, input, kernel);
  for (auto& [engine, executor] : engines_) executor.UseKernel(layer, input, kernel);
}

void PathAnalysis::UseArithmetic(std::size_t target, std::size_t layer, std::size_t input_index,
                                 std::shared_ptr<const numerics::LayerArithmetic> arithmetic) {
  arithmetic_[{target, false, layer, &(*layers_)[layer].input_grids[input_index]}] = std::move(arithmetic);
}

report::PathComparison PathAnalysis::NewComparison(Path path, Path reference) const {
  return {.path = path,
          .reference = reference,
          .outputs = std::vector<statistics::DifferenceStatistics>(outputs_),
          .top1_changed = 0,
          .layers = std::vector<statistics::DifferenceStatistics>(pairs_->size())};
}

std::vector<report::LayerSensitivity> PathAnalysis::NewSensitivities() const {
  std::vector<report::LayerSensitivity> sensitivities;
  for (std::size_t pair = 0; pair < pairs_->size(); ++pair) {
    sensitivities.push_back({.layer = static_cast<std::int64_t>(pair),
                             .outputs = std::vector<statistics::DifferenceStatistics>(outputs_)});
  }
  return sensitivities;
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

void PathRun::Keep(std::size_t pair, const execution::LayerOutput& output) {
  const auto codes = output.codes.data<std::int32_t>();
  auto it = layers.find(pair);
  if (it == layers.end()) it = layers.emplace(pair, KeptCodes(output.size)).first;
  it->second.Set(output.first, codes);
}

execution::LayerObserver PathAnalysis::Observer(PathRun& run, const Comparisons& comparisons, bool keep) const {
  return [this, &run, &comparisons, keep](const execution::LayerOutput& output) {
    for (std::size_t pair = 0; pair < pairs_->size(); ++pair) {
      if ((*pairs_)[pair].deployed != output.layer) continue;
      for (const Comparison& comparison : comparisons) {
        // A branch that only one of the two paths took has no twin to compare with.
        const auto other = comparison.other->layers.find(pair);
        if (other == comparison.other->layers.end()) continue;
        other->second.AddDifference(output.first, output.codes.data<std::int32_t>(), comparison.other_is_reference,
                                    comparison.sums->layers[pair]);
      }
      if (keep) run.Keep(pair, output);
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
    it = arithmetic_.emplace(key, std::make_shared<const numerics::LayerArithmetic>(std::move(arithmetic))).first;
  }
  return it->second.get();
}

absl::StatusOr<PathRun> PathAnalysis::RunInteger(std::span<const graph::Tensor> inputs, std::size_t target,
                                                 ArithmeticStage stage, const Comparisons& comparisons, bool keep) {
  PathRun run;
  const auto own = adjusted_.find(target);
  const bool adjusted = stage != ArithmeticStage::kReal && own != adjusted_.end();
  execution::GraphExecutor& executor = adjusted ? own->second.integer : integer_;
  QATGAP_ASSIGN_OR_RETURN(
      run.outputs, executor.Run(inputs, Observer(run, comparisons, keep), LayerCodes(target, adjusted, stage)));
  return run;
}

execution::IntegerLayer PathAnalysis::LayerCodes(std::size_t target, bool adjusted, ArithmeticStage stage) {
  return [this, target, adjusted, stage](std::size_t layer, const numerics::QuantParams& input,
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
}

absl::StatusOr<PathRun> PathAnalysis::RunEngine(std::span<const graph::Tensor> inputs, numerics::Engine engine,
                                                const Comparisons& comparisons, bool keep) {
  PathRun run;
  QATGAP_ASSIGN_OR_RETURN(run.outputs, engines_.at(engine).Run(inputs, Observer(run, comparisons, keep)));
  return run;
}

absl::Status PathAnalysis::Add(std::span<const graph::Tensor> inputs, BatchSamples samples, const PathRun& fake_quant,
                               std::vector<report::TargetResult>& results) {
  samples.worst_samples = options_.worst_samples;
  if (target_groups_.empty()) FormGroups(results);
  const Batch batch{inputs, samples, fake_quant, results};
  for (report::TargetResult& result : results) {
    AddAccuracy(Path::kFakeQuant, fake_quant.outputs, samples.labels, result);
  }
  QATGAP_RETURN_IF_ERROR(AddBiasPaths(batch));
  return AddTargetPaths(batch);
}

absl::Status PathAnalysis::AddBiasPaths(const Batch& batch) {
  // The exact stage is the same for every target.
  report::PathComparison exact = NewComparison(Path::kFloatBias, Path::kFakeQuant);
  const bool keep = !quantized_bias_groups_.empty() || !float_bias_targets_.empty();
  QATGAP_ASSIGN_OR_RETURN(const PathRun float_bias,
                          RunInteger(batch.inputs, 0, ArithmeticStage::kReal, {{&batch.fake_quant, true, &exact}}, keep));
  CompareOutputs(float_bias.outputs, batch.fake_quant.outputs, batch.samples, exact);
  for (report::TargetResult& result : batch.results) {
    MergeComparison(exact, options_.worst_samples, result);
    AddAccuracy(Path::kFloatBias, float_bias.outputs, batch.samples.labels, result);
  }
  if (options_.sensitivity) QATGAP_RETURN_IF_ERROR(AddSensitivities(batch, float_bias.outputs));
  const auto add = [&](const std::vector<std::size_t>& targets, const PathRun& run, report::PathComparison& whole,
                       report::PathComparison& bias) {
    CompareOutputs(run.outputs, float_bias.outputs, batch.samples, bias);
    for (const std::size_t t : targets) {
      MergeComparison(whole, options_.worst_samples, batch.results[t]);
      MergeComparison(bias, options_.worst_samples, batch.results[t]);
      AddAccuracy(Path::kQuantizedBias, run.outputs, batch.samples.labels, batch.results[t]);
    }
  };
  for (const std::vector<std::size_t>& group : quantized_bias_groups_) {
    report::PathComparison whole = NewComparison(Path::kQuantizedBias, Path::kFakeQuant);
    report::PathComparison bias = NewComparison(Path::kQuantizedBias, Path::kFloatBias);
    QATGAP_ASSIGN_OR_RETURN(const PathRun run,
                            RunInteger(batch.inputs, group[0], ArithmeticStage::kBiasStored,
                                       {{&batch.fake_quant, true, &whole}, {&float_bias, true, &bias}}, /*keep=*/false));
    CompareOutputs(run.outputs, batch.fake_quant.outputs, batch.samples, whole);
    add(group, run, whole, bias);
  }
  if (float_bias_targets_.empty()) return absl::OkStatus();
  report::PathComparison whole = exact, bias = NewComparison(Path::kQuantizedBias, Path::kFloatBias);
  whole.path = Path::kQuantizedBias;
  for (const auto& [pair, codes] : float_bias.layers) codes.AddEqual(bias.layers[pair]);
  add(float_bias_targets_, float_bias, whole, bias);
  return absl::OkStatus();
}

// Right after the float_bias run, whose values the executor keeps.
absl::Status PathAnalysis::AddSensitivities(const Batch& batch, const ModelOutputs& float_bias) {
  for (const std::vector<std::size_t>& group : quantized_bias_groups_) {
    const auto own = adjusted_.find(group[0]);
    for (std::size_t pair = 0; pair < pairs_->size(); ++pair) {
      const std::size_t layer = (*pairs_)[pair].deployed;
      const bool adjusted = own != adjusted_.end();
      const execution::LayerChange change{.layer = layer,
                                          .instead = adjusted ? &(*own->second.layers)[layer] : nullptr,
                                          .codes = LayerCodes(group[0], adjusted, ArithmeticStage::kBiasStored)};
      QATGAP_ASSIGN_OR_RETURN(const ModelOutputs outputs,
                              integer_.Rerun(change, LayerCodes(0, false, ArithmeticStage::kReal)));
      for (const std::size_t t : group) {
        CompareOutputs(outputs, float_bias, batch.samples, batch.results[t].sensitivities[pair]);
      }
    }
  }
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
    CompareOutputs(run.outputs, batch.fake_quant.outputs, batch.samples, whole);
    for (const std::vector<std::size_t>& group : target_groups_) {
      if (targets_[group[0]].engine != engine) continue;
      QATGAP_RETURN_IF_ERROR(AddTargetPath(batch, group, &run));
      for (const std::size_t t : group) {
        MergeComparison(whole, options_.worst_samples, batch.results[t]);
        AddAccuracy(Path::kEngine, run.outputs, batch.samples.labels, batch.results[t]);
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
  CompareOutputs(run.outputs, batch.fake_quant.outputs, batch.samples, whole);
  if (engine != nullptr) CompareOutputs(engine->outputs, run.outputs, batch.samples, residual);
  for (const std::size_t t : group) {
    MergeComparison(whole, options_.worst_samples, batch.results[t]);
    if (engine != nullptr) MergeComparison(residual, options_.worst_samples, batch.results[t]);
    AddAccuracy(Path::kTarget, run.outputs, batch.samples.labels, batch.results[t]);
  }
  return absl::OkStatus();
}

}  // namespace qatgap::attribution
