#include "analyzers/attribution/analysis_session.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "analyzers/attribution/engine_path.h"
#include "analyzers/attribution/float_islands.h"
#include "analyzers/attribution/input_ranges.h"
#include "analyzers/attribution/layer_analysis.h"
#include "analyzers/attribution/layout.h"
#include "analyzers/attribution/network_summary.h"
#include "analyzers/attribution/paired_models.h"
#include "analyzers/attribution/path_analysis.h"
#include "analyzers/attribution/weight_adjustment.h"
#include "analyzers/findings/catalogue.h"
#include "analyzers/findings/findings.h"
#include "analyzers/graph/passes/fake_quant_twin.h"
#include "analyzers/report/wording.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::attribution {
namespace {

// Whether lowering rounds the layer's weights as convert() would; else it keeps the QAT model's.
bool KnowsOrigin(const graph::Graph& qat, const graph::MacLayer& layer) {
  const graph::Node& product = qat.nodes[static_cast<std::size_t>(layer.product_node)];
  const graph::ConstantAttributes* codes = graph::CodeConstantBehind(qat, product.inputs[1]);
  return qat.convert_style == graph::ConvertStyle::kAsIs || (codes != nullptr && codes->origin != nullptr);
}

}  // namespace

struct AnalysisSession::Impl {
  AnalysisModels models;
  std::vector<numerics::TargetDescription> targets;
  PairedModels paired;
  std::optional<execution::GraphExecutor> fake_quant;
  std::vector<LayerAnalysis> layers;  // per pair
  std::optional<PathAnalysis> paths;
  report::AnalysisResult result;
  std::int64_t batch_limit = 0;
  AnalysisOptions options;
  bool calibrating = true;
  std::vector<report::TargetResult>* unflushed = nullptr;  // whose sums the layers keep

  absl::Status Prepare() {
    batch_limit = models.batch_limit();  // before the converted graph moves
    QATGAP_RETURN_IF_ERROR(PairModels(models, paired));
    StartResult();
    QATGAP_ASSIGN_OR_RETURN(fake_quant, execution::GraphExecutor::Create(models.qat, paired.qat_layers.layers,
                                                                         execution::ExecutionMode::kFakeQuant));
    QATGAP_RETURN_IF_ERROR(PrepareLayers());
    DrawNetwork();
    QATGAP_ASSIGN_OR_RETURN(paths, PathAnalysis::Create(paired.deployed, paired.deployed_layers.layers, paired.pairing.pairs, targets,
                                                        models.has_labels, options, result.targets));
    for (std::size_t i = 0; i < layers.size(); ++i) layers[i].ShareWith(*paths, paired.pairing.pairs[i].deployed);
    for (const numerics::TargetDescription& target : targets) {
      if (auto missing = WhyNoEnginePath(target, paired.deployed_layers.layers)) result.unmeasured.push_back(*std::move(missing));
    }
    result.worst_samples = options.worst_samples;
    result.input_ranges = InputRangesOf(paired.deployed);
    if (options.held_out) {
      result.held_out.targets = result.targets;  // no sums yet
      result.held_out.input_ranges = result.input_ranges;
    }
    return absl::OkStatus();
  }

  void StartResult() {
    result.qat_format = models.qat_format;
    result.converted_format = models.converted_format;
    for (const graph::Notice& notice : models.qat.notices) {
      const bool of_model = notice.module_path.empty();  // those of a module are findings alone
      const bool known = std::find(result.notes.begin(), result.notes.end(), notice.detail) != result.notes.end();
      if (of_model && !known) result.notes.push_back(notice.detail);
    }
    result.mac_layers = static_cast<std::int64_t>(paired.qat_layers.layers.size() + paired.qat_layers.unmatched.size());
    result.unmeasured = paired.pairing.unmeasured;
    for (report::Unmeasured& island : FloatIslands(paired.deployed)) result.unmeasured.push_back(std::move(island));
    for (const numerics::TargetDescription& target : targets) {
      report::TargetResult target_result;
      target_result.name = target.name;
      target_result.title = target.title;
      target_result.digest = numerics::ArithmeticDigest(target);
      target_result.bias_mode = numerics::RepresentativeBias(target).mode;
      target_result.engine = target.engine;
      target_result.evidence = target.evidence;
      result.targets.push_back(std::move(target_result));
    }
    for (std::size_t i = 0; i < models.qat.body.outputs.size(); ++i) {
      const auto grids = graph::ReachingGrids(models.qat, models.qat.body.outputs[i]);
      result.outputs.push_back(grids.empty() ? numerics::QuantParams{} : grids.front());
      if (!grids.empty()) continue;
      result.unmeasured.push_back({.name = absl::StrCat("output ", i),
                                   .what = "model output",
                                   .reason = "it is not fake-quantized, so it has no codes; top-1 is still compared",
                                   .is_mac_layer = false});
    }
    findings::CheckNotices(models.qat.notices, result.findings);
    if (!result.converted_given) {
      std::vector<graph::Notice> own;  // of the lowering; it passes on those of the QAT model
      std::copy_if(paired.deployed.notices.begin(), paired.deployed.notices.end(), std::back_inserter(own),
                   [](const graph::Notice& notice) { return notice.kind == graph::NoticeKind::kWeightsKept; });
      findings::CheckNotices(own, result.findings);
    }
  }

  // Starts the results of a pair. The facts hold as long as result.layers does not grow.
  findings::LayerFacts StartPair(std::size_t i) {
    const graph::MacLayer& qat = paired.qat_layers.layers[paired.pairing.pairs[i].qat];
    const graph::MacLayer& shipped = paired.deployed_layers.layers[paired.pairing.pairs[i].deployed];
    result.layers.push_back(DescribeLayer(qat, shipped));
    const graph::Node& trained = models.qat.nodes[static_cast<std::size_t>(qat.product_node)];
    const graph::Node& run = paired.deployed.nodes[static_cast<std::size_t>(shipped.product_node)];
    result.layers.back().source_line = trained.source_line.empty() ? run.source_line : trained.source_line;
    result.layers.back().module_stack = trained.module_stack.empty() ? run.module_stack : trained.module_stack;
    const findings::LayerFacts facts{.qat = qat,
                                     .deployed = shipped,
                                     .info = result.layers.back(),
                                     .converted_given = result.converted_given,
                                     .lowered = paired.LoweredAs(qat.name),
                                     .weights_lowered = KnowsOrigin(models.qat, qat)};
    findings::CheckPair(facts, result.findings);
    return facts;
  }

  // Nothing can be measured with a NaN among the constants.
  absl::Status CheckFinite(const std::string& layer) const {
    for (const report::Finding& finding : result.findings) {
      if (finding.id != findings::kNotFinite.id || finding.layer != layer) continue;
      return absl::FailedPreconditionError(absl::StrCat("layer '", layer, "', ", report::ChannelList(finding.channels), ": ",
                                                        finding.detail, "; ", finding.advice));
    }
    return absl::OkStatus();
  }

  absl::Status PrepareLayers() {
    for (std::size_t i = 0; i < paired.pairing.pairs.size(); ++i) {
      const findings::LayerFacts facts = StartPair(i);
      QATGAP_RETURN_IF_ERROR(CheckFinite(facts.info.name));
      QATGAP_ASSIGN_OR_RETURN(LayerAnalysis layer,
                              LayerAnalysis::Create(static_cast<std::int64_t>(i), facts.qat, facts.deployed, targets,
                                                    result.targets));
      if (options.what_if) QATGAP_RETURN_IF_ERROR(layer.PrepareWhatIfs());
      layers.push_back(std::move(layer));
      for (std::size_t t = 0; t < targets.size(); ++t) {
        findings::CheckReachingInputs(facts, targets[t], result.findings);
        for (const report::LayerResult& layer_result : result.targets[t].layers) {
          if (layer_result.layer == static_cast<std::int64_t>(i)) {
            const auto index = static_cast<std::size_t>(layer_result.input_index);
            CheckTarget(facts, AdjustWeights(facts.deployed, targets[t], facts.deployed.input_grids[index]), targets[t],
                        layer_result);
          }
        }
      }
    }
    return absl::OkStatus();
  }

  void CheckTarget(findings::LayerFacts facts, const std::optional<graph::MacLayer>& adjusted,
                   const numerics::TargetDescription& target, const report::LayerResult& layer) {
    if (adjusted) facts.adjusted = &*adjusted;
    findings::CheckTarget(facts, target, layer, result.findings);
  }

  // Once result.layers is whole.
  void DrawNetwork() {
    std::vector<DeployedLayer> drawn;
    for (std::size_t i = 0; i < paired.pairing.pairs.size(); ++i) {
      drawn.push_back({.layer = &paired.deployed_layers.layers[paired.pairing.pairs[i].deployed],
                       .info = &result.layers[i],
                       .index = static_cast<std::int64_t>(i)});
    }
    result.network = SummarizeNetwork(paired.deployed, drawn);
  }

  void InspectLayers() {
    for (std::size_t i = 0; i < paired.pairing.pairs.size(); ++i) {
      const findings::LayerFacts facts = StartPair(i);
      if (const absl::Status finite = CheckFinite(facts.info.name); !finite.ok()) {
        result.unmeasured.push_back({.name = facts.info.name,
                                     .what = "constants",
                                     .reason = std::string(finite.message()),
                                     .is_mac_layer = true});
        continue;
      }
      for (std::size_t t = 0; t < targets.size(); ++t) {
        findings::CheckReachingInputs(facts, targets[t], result.findings);
        InspectLayer(facts, i, t);
      }
    }
  }

  void InspectLayer(const findings::LayerFacts& facts, std::size_t pair, std::size_t target) {
    for (std::size_t index = 0; index < facts.deployed.input_grids.size(); ++index) {
      const numerics::QuantParams& input = facts.deployed.input_grids[index];
      const std::optional<graph::MacLayer> adjusted = AdjustWeights(facts.deployed, targets[target], input);
      const auto exact = LayerLadder::Exact(QatConstants(facts.qat, QatInput(facts.qat, facts.deployed, index)));
      const absl::StatusOr<LayerLadder> ladder =
          exact.ok() ? MakeLadder(targets[target], *exact, facts.deployed, index, adjusted) : exact.status();
      if (!ladder.ok()) {
        findings::CheckRefusal(facts, targets[target], input, ladder.status(), result.findings);
        result.unmeasured.push_back({.name = facts.info.name,
                                     .what = absl::StrCat("target ", targets[target].name),
                                     .reason = std::string(ladder.status().message()),
                                     .is_mac_layer = false});
        return;
      }
      report::LayerResult layer =
          ladder->MakeResult(static_cast<std::int64_t>(pair), static_cast<std::int64_t>(index));
      CheckTarget(facts, adjusted, targets[target], layer);
      result.targets[target].layers.push_back(std::move(layer));
    }
  }

  absl::Status Calibrate(std::span<const graph::Tensor> inputs) {
    if (!options.what_if) return absl::OkStatus();
    if (!calibrating) {
      return absl::FailedPreconditionError("a batch for calibration came after the first one to measure");
    }
    const execution::LayerObserver observe = [&](const execution::LayerOutput& output) -> absl::Status {
      for (std::size_t pair = 0; pair < paired.pairing.pairs.size(); ++pair) {
        if (paired.pairing.pairs[pair].qat == output.layer) return layers[pair].Calibrate(output);
      }
      return absl::OkStatus();
    };
    return fake_quant->Run(InputsInLayoutOf(models.qat, inputs), observe).status();
  }

  void EndCalibration() {
    if (!calibrating) return;
    calibrating = false;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      layers[i].StartWhatIfs(static_cast<std::int64_t>(i), result.targets);
    }
    for (std::size_t t = 0; t < result.held_out.targets.size(); ++t) {
      result.held_out.targets[t].what_ifs = result.targets[t].what_ifs;
    }
  }

  void Flush() {
    if (unflushed == nullptr) return;
    for (LayerAnalysis& layer : layers) layer.Flush(*unflushed);
    unflushed = nullptr;
  }

  absl::Status RunBatch(std::span<const graph::Tensor> inputs, const BatchSamples& samples) {
    QATGAP_RETURN_IF_ERROR(Measure(inputs, samples, result.targets, result.input_ranges));
    result.samples += static_cast<std::uint64_t>(inputs[0].dim(0));
    result.labelled += samples.labels.size();
    return absl::OkStatus();
  }

  absl::Status RunHeldOut(std::span<const graph::Tensor> inputs, const BatchSamples& samples) {
    report::HeldOut& held_out = result.held_out;
    if (!options.held_out) return absl::FailedPreconditionError("held-out samples were not asked for");
    QATGAP_RETURN_IF_ERROR(Measure(inputs, samples, held_out.targets, held_out.input_ranges));
    held_out.samples += static_cast<std::uint64_t>(inputs[0].dim(0));
    held_out.labelled += samples.labels.size();
    return absl::OkStatus();
  }

  absl::Status Measure(std::span<const graph::Tensor> inputs, const BatchSamples& samples,
                       std::vector<report::TargetResult>& results, std::vector<report::InputRange>& ranges) {
    EndCalibration();
    if (unflushed != &results) Flush();
    unflushed = &results;
    PathRun run;
    const execution::LayerObserver observe = [&](const execution::LayerOutput& output) -> absl::Status {
      for (std::size_t pair = 0; pair < paired.pairing.pairs.size(); ++pair) {
        if (paired.pairing.pairs[pair].qat != output.layer) continue;
        run.Keep(pair, output);
        return layers[pair].Add(output, results);
      }
      return absl::OkStatus();
    };
    const std::vector<graph::Tensor> qat_inputs = InputsInLayoutOf(models.qat, inputs);
    QATGAP_ASSIGN_OR_RETURN(run.outputs, fake_quant->Run(qat_inputs, observe));
    const std::vector<graph::Tensor> deployed_inputs = InputsInLayoutOf(paired.deployed, inputs);
    QATGAP_RETURN_IF_ERROR(paths->Add(deployed_inputs, samples, run, results));
    AddInputs(paired.deployed, deployed_inputs, ranges);
    return absl::OkStatus();
  }
};

AnalysisSession::AnalysisSession(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AnalysisSession::~AnalysisSession() = default;

absl::StatusOr<std::unique_ptr<AnalysisSession>> AnalysisSession::Create(
    AnalysisModels models, std::vector<numerics::TargetDescription> targets, report::Environment environment,
    AnalysisOptions options) {
  auto impl = std::make_unique<Impl>();
  impl->models = std::move(models);
  impl->targets = std::move(targets);
  impl->options = options;
  impl->result.environment = std::move(environment);
  impl->result.converted_given = impl->models.converted.has_value();
  QATGAP_RETURN_IF_ERROR(impl->Prepare());
  return std::unique_ptr<AnalysisSession>(new AnalysisSession(std::move(impl)));
}

absl::StatusOr<report::AnalysisResult> AnalysisSession::Inspect(AnalysisModels models,
                                                                std::vector<numerics::TargetDescription> targets,
                                                                report::Environment environment) {
  Impl impl;
  impl.models = std::move(models);
  impl.targets = std::move(targets);
  impl.result.environment = std::move(environment);
  impl.result.converted_given = impl.models.converted.has_value();
  QATGAP_RETURN_IF_ERROR(PairModels(impl.models, impl.paired));
  impl.StartResult();
  impl.InspectLayers();
  impl.DrawNetwork();
  return std::move(impl.result);
}

std::int64_t AnalysisSession::batch_limit() const { return impl_->batch_limit; }

absl::Status AnalysisSession::Calibrate(std::span<const graph::Tensor> inputs) { return impl_->Calibrate(inputs); }

absl::Status AnalysisSession::RunBatch(std::span<const graph::Tensor> inputs, std::span<const std::int64_t> labels,
                                       std::uint64_t first_sample) {
  return impl_->RunBatch(inputs, {.labels = labels, .first = first_sample});
}

absl::Status AnalysisSession::RunHeldOut(std::span<const graph::Tensor> inputs, std::span<const std::int64_t> labels,
                                         std::uint64_t first_sample) {
  return impl_->RunHeldOut(inputs, {.labels = labels, .first = first_sample});
}

const report::AnalysisResult& AnalysisSession::result() const {
  impl_->Flush();
  return impl_->result;
}

report::AnalysisResult AnalysisSession::TakeResult() {
  impl_->Flush();
  return std::move(impl_->result);
}

}  // namespace qatgap::attribution
