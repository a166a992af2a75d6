#include "analyzers/attribution/layer_analysis.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/attribution/path_analysis.h"
#include "analyzers/attribution/weight_adjustment.h"
#include "analyzers/execution/host.h"
#include "analyzers/graph/tensor_rows.h"
#include "analyzers/numerics/requantization_kernels.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::attribution {
namespace {

std::string KindOf(const graph::MacLayer& layer) {
  if (layer.kind == graph::OpKind::kLinear) return "linear";
  const std::string dims = absl::StrCat(layer.weight.shape().size() - 2, "d");
  const std::string conv = absl::StrCat(layer.convolution.transposed ? "transposed conv" : "conv", dims);
  if (layer.convolution.groups == 1) return conv;
  const bool depthwise = layer.weight.dim(1) == 1 && layer.convolution.groups > 1;
  return absl::StrCat(depthwise ? "depthwise " : "grouped ", conv);
}

numerics::MacConstants Constants(const graph::MacLayer& layer, const numerics::QuantParams& input) {
  return {.input = input,
          .weight = layer.weight_params,
          .output = layer.output,
          .bias = {},
          .activation = layer.activation,
          .channels = layer.output_channels,
          .traits = graph::TraitsOf(layer, input, execution::HostHasVnni())};
}

// Whether the accumulators of the two are the same integers for every input.
bool HaveOneProduct(const graph::MacLayer& qat, const numerics::QuantParams& qat_input, const graph::MacLayer& deployed,
                    const numerics::QuantParams& deployed_input) {
  if (qat.input_grids.empty() || qat_input.zero_points != deployed_input.zero_points ||
      qat_input.quant_min != deployed_input.quant_min || qat_input.quant_max != deployed_input.quant_max ||
      qat.weight_params.zero_points != deployed.weight_params.zero_points ||
      qat.weight_params.axis != deployed.weight_params.axis || qat.weight.shape() != deployed.weight.shape()) {
    return false;
  }
  const auto trained = qat.weight.data<std::int32_t>(), shipped = deployed.weight.data<std::int32_t>();
  return std::equal(trained.begin(), trained.end(), shipped.begin());
}

constexpr char kInt16Pairs[] =
    "int16 pair saturation: this host's kernel adds pairs of products in a saturating int16, and activation "
    "codes above 127 reach it; the residual includes that effect, which qatgap does not model yet";

}  // namespace

numerics::MacConstants QatConstants(const graph::MacLayer& layer, const numerics::QuantParams& input) {
  numerics::MacConstants constants = Constants(layer, input);
  constants.bias = layer.bias;
  return constants;
}

numerics::MacConstants DeployedConstants(const graph::MacLayer& layer, const numerics::QuantParams& input,
                                         const numerics::TargetDescription& target) {
  numerics::MacConstants constants = Constants(layer, input);
  constants.bias.assign(layer.shipped_bias.begin(), layer.shipped_bias.end());
  if (layer.stored_bias.empty()) return constants;
  const auto rules = numerics::ResolveTarget(target, constants.traits);
  if (!rules.ok()) return constants;  // LayerArithmetic::Create says why
  if (rules->bias.mode != numerics::BiasMode::kInteger || rules->bias.scale == numerics::BiasScale::kOwnPowerOfTwo) {
    return constants;
  }
  constants.bias = layer.bias;
  constants.stored_bias = layer.stored_bias;
  return constants;
}

const numerics::QuantParams& QatInput(const graph::MacLayer& qat, const graph::MacLayer& deployed, std::size_t index) {
  return index < qat.input_grids.size() ? qat.input_grids[index] : deployed.input_grids[index];
}

absl::StatusOr<LayerLadder> MakeLadder(const numerics::TargetDescription& target, LayerLadder::Arithmetic exact,
                                       const graph::MacLayer& deployed, std::size_t index,
                                       const std::optional<graph::MacLayer>& adjusted) {
  return LayerLadder::Create(target, std::move(exact),
                             DeployedConstants(deployed, deployed.input_grids[index], target),
                             adjusted ? adjusted->weight_params.scales : std::vector<double>{});
}

report::LayerInfo DescribeLayer(const graph::MacLayer& qat, const graph::MacLayer& deployed) {
  report::LayerInfo info{.name = qat.name,
                         .kind = KindOf(qat),
                         .channels = qat.output_channels,
                         .weight_shape = qat.weight.shape(),
                         .activation = qat.activation,
                         .output = qat.output,
                         .inputs = deployed.input_grids,
                         .input_off_grid = qat.input_grids.empty()};
  const auto trained = qat.weight.data<std::int32_t>();
  const auto shipped = deployed.weight.data<std::int32_t>();
  info.weights = trained.size();
  for (std::size_t i = 0; i < trained.size(); ++i) info.weight_codes_changed += trained[i] != shipped[i] ? 1U : 0U;
  return info;
}

absl::StatusOr<LayerAnalysis> LayerAnalysis::Create(std::int64_t layer, const graph::MacLayer& qat,
                                                    const graph::MacLayer& deployed,
                                                    std::span<const numerics::TargetDescription> targets,
                                                    std::vector<report::TargetResult>& results) {
  LayerAnalysis analysis(qat, deployed, targets);
  for (std::size_t index = 0; index < deployed.input_grids.size(); ++index) {
    const numerics::QuantParams& deployed_input = deployed.input_grids[index];
    QATGAP_ASSIGN_OR_RETURN(execution::LayerKernel deployed_kernel,
                            execution::LayerKernel::Create(deployed, deployed_input));
    std::optional<execution::LayerKernel> qat_kernel;
    const bool one_product = HaveOneProduct(qat, QatInput(qat, deployed, index), deployed, deployed_input);
    if (!one_product) {
      QATGAP_ASSIGN_OR_RETURN(qat_kernel, execution::LayerKernel::Create(qat, QatInput(qat, deployed, index)));
    }
    QATGAP_ASSIGN_OR_RETURN(const LayerLadder::Arithmetic exact,
                            LayerLadder::Exact(QatConstants(qat, QatInput(qat, deployed, index))));
    std::vector<LayerLadder> ladders;
    std::vector<std::optional<execution::LayerKernel>> adjusted_kernels;
    std::vector<std::size_t> result_index;
    for (std::size_t t = 0; t < targets.size(); ++t) {
      const std::optional<graph::MacLayer> adjusted = AdjustWeights(deployed, targets[t], deployed_input);
      adjusted_kernels.emplace_back();
      if (adjusted) {
        QATGAP_ASSIGN_OR_RETURN(adjusted_kernels.back(), execution::LayerKernel::Create(*adjusted, deployed_input));
      }
      QATGAP_ASSIGN_OR_RETURN(LayerLadder ladder, MakeLadder(targets[t], exact, deployed, index, adjusted));
      result_index.push_back(results[t].layers.size());
      report::LayerResult result = ladder.MakeResult(layer, static_cast<std::int64_t>(index));
      if (targets[t].engine == numerics::Engine::kNone) {
        result.engine_note = "no engine of this target is linked in";
      } else if (!execution::HasEngine(targets[t].engine)) {
        result.engine_note = "this host's LibTorch lacks the engine";
      }
      results[t].layers.push_back(std::move(result));
      ladders.push_back(std::move(ladder));
    }
    analysis.reaching_.push_back({std::move(qat_kernel), std::move(deployed_kernel),
                                  TargetLadders(std::move(ladders), one_product), std::move(adjusted_kernels),
                                  std::move(result_index), {}, {}});
  }
  return analysis;
}

void LayerAnalysis::ShareWith(PathAnalysis& paths, std::size_t layer) const {
  for (std::size_t index = 0; index < reaching_.size(); ++index) {
    const Reaching& reaching = reaching_[index];
    paths.UseKernel(layer, deployed_->input_grids[index], reaching.deployed);
    for (std::size_t t = 0; t < targets_.size(); ++t) {
      paths.UseArithmetic(t, layer, index, reaching.ladders.ladder(t).shared_deployed());
    }
  }
}

// The QAT model's grids and the deployed ones are both in branch order. Where their numbers differ (convert() gave two
// branches one scale, say) the nearest deployed scale is taken.
std::size_t LayerAnalysis::InputIndex(const numerics::QuantParams* grid) const {
  if (grid == nullptr || reaching_.size() == 1) return 0;
  if (qat_->input_grids.size() == reaching_.size()) {
    const auto it = std::find(qat_->input_grids.begin(), qat_->input_grids.end(), *grid);
    if (it != qat_->input_grids.end()) return static_cast<std::size_t>(it - qat_->input_grids.begin());
  }
  const auto distance = [&](const numerics::QuantParams& other) {
    return std::abs(std::log(other.scale() / grid->scale()));
  };
  const auto it = std::min_element(deployed_->input_grids.begin(), deployed_->input_grids.end(),
                                   [&](const auto& a, const auto& b) { return distance(a) < distance(b); });
  return static_cast<std::size_t>(it - deployed_->input_grids.begin());
}

absl::StatusOr<LayerAnalysis::Computed> LayerAnalysis::Compute(const execution::LayerOutput& output) const {
  Computed batch;
  batch.index = InputIndex(output.input_grid);
  const Reaching& reaching = reaching_[batch.index];
  const numerics::QuantParams& grid =
      output.input_grid != nullptr ? *output.input_grid : deployed_->input_grids[batch.index];
  QATGAP_ASSIGN_OR_RETURN(batch.codes, execution::ToCodes(output.input, grid));
  QATGAP_ASSIGN_OR_RETURN(batch.accumulators, reaching.deployed.Accumulate(batch.codes));
  batch.fake_quant = execution::ToChannelMajor(*qat_, output.codes);
  LadderInput& input = batch.input;
  input.elements = batch.fake_quant.dim(1);
  input.fake_quant = batch.fake_quant.data<std::int32_t>();
  input.accumulators = batch.accumulators.data<std::int32_t>();
  if (output.input_grid == nullptr) {
    QATGAP_ASSIGN_OR_RETURN(batch.qat_rows, reaching.qat->SumReals(output.input));
    input.qat_sums = batch.qat_rows.data<double>();
  } else {
    batch.qat_rows = batch.accumulators;
    if (reaching.qat) {
      QATGAP_ASSIGN_OR_RETURN(batch.qat_rows, reaching.qat->Accumulate(batch.codes));
    }
    input.qat_accumulators = batch.qat_rows.data<std::int32_t>();
  }
  return batch;
}

absl::Status LayerAnalysis::PrepareWhatIfs() {
  for (std::size_t index = 0; index < reaching_.size(); ++index) {
    for (const numerics::TargetDescription& target : targets_) {
      QATGAP_ASSIGN_OR_RETURN(LayerWhatIf what_if,
                              LayerWhatIf::Create(target, *qat_, *deployed_, index,
                                                  AdjustWeights(*deployed_, target, deployed_->input_grids[index])));
      reaching_[index].what_ifs.push_back(std::move(what_if));
    }
  }
  return absl::OkStatus();
}

absl::Status LayerAnalysis::Calibrate(const execution::LayerOutput& output) {
  QATGAP_ASSIGN_OR_RETURN(Computed batch, Compute(output));
  Reaching& reaching = reaching_[batch.index];
  for (std::size_t t = 0; t < reaching.what_ifs.size(); ++t) {
    graph::Tensor adjusted;
    LadderInput input = batch.input;
    if (reaching.adjusted[t]) {
      QATGAP_ASSIGN_OR_RETURN(adjusted, reaching.adjusted[t]->Accumulate(batch.codes));
      input.adjusted_accumulators = adjusted.data<std::int32_t>();
    }
    reaching.what_ifs[t].Calibrate(input, output.input.dim(0));
  }
  return absl::OkStatus();
}

void LayerAnalysis::StartWhatIfs(std::int64_t layer, std::vector<report::TargetResult>& results) {
  for (std::size_t index = 0; index < reaching_.size(); ++index) {
    Reaching& reaching = reaching_[index];
    for (std::size_t t = 0; t < reaching.what_ifs.size(); ++t) {
      reaching.what_if_index.push_back(results[t].what_ifs.size());
      results[t].what_ifs.push_back(reaching.what_ifs[t].Start(layer, static_cast<std::int64_t>(index)));
    }
  }
}

absl::Status LayerAnalysis::AddWhatIfs(const execution::LayerOutput& output,
                                       std::vector<report::TargetResult>& results) {
  QATGAP_ASSIGN_OR_RETURN(Computed batch, Compute(output));
  Reaching& reaching = reaching_[batch.index];
  for (std::size_t t = 0; t < reaching.what_ifs.size(); ++t) {
    graph::Tensor adjusted;
    LadderInput input = batch.input;
    if (reaching.adjusted[t]) {
      QATGAP_ASSIGN_OR_RETURN(adjusted, reaching.adjusted[t]->Accumulate(batch.codes));
      input.adjusted_accumulators = adjusted.data<std::int32_t>();
    }
    QATGAP_RETURN_IF_ERROR(
        reaching.what_ifs[t].Add(input, batch.codes, results[t].what_ifs[reaching.what_if_index[t]]));
  }
  return absl::OkStatus();
}

absl::Status LayerAnalysis::Add(const execution::LayerOutput& output, std::vector<report::TargetResult>& results) {
  const std::size_t index = InputIndex(output.input_grid);
  Reaching& reaching = reaching_[index];
  if (!reaching.what_if_index.empty()) QATGAP_RETURN_IF_ERROR(AddWhatIfs(output, results));
  const std::int64_t samples = output.input.dim(0);
  for (std::size_t t = 0; t < targets_.size(); ++t) {
    results[t].layers[reaching.result_index[t]].samples += static_cast<std::uint64_t>(samples);
  }
  LadderInput input;
  if (output.input_grid == nullptr) {
    // Sums of reals depend on the shape of the batch: it stays whole.
    const graph::Tensor* x = &output.input;
    QATGAP_ASSIGN_OR_RETURN(const graph::Tensor codes, execution::ToCodes(*x, deployed_->input_grids[index]));
    QATGAP_ASSIGN_OR_RETURN(const graph::Tensor sums, reaching.qat->SumReals(*x));
    input.qat_sums = sums.data<double>();
    const graph::Tensor fake_quant = execution::ToChannelMajor(*qat_, output.codes);
    input.fake_quant = fake_quant.data<std::int32_t>();
    return AddSamples(reaching, input, codes, results);
  }
  // Integers do not: a part of the batch at a time stays in the cache, and memory does not grow with the batch.
  const bool divides = output.input.shape().size() > 1 && samples > 0;
  const std::int64_t part =
      divides ? execution::SamplesOfPart(samples, output.codes.elements() + output.input.elements()) : samples;
  for (std::int64_t first = 0; first < samples; first += part) {
    const auto rows = [&](const graph::Tensor& whole) {
      return divides ? graph::Rows(whole, first, std::min(part, samples - first)) : whole;
    };
    const graph::Tensor x = rows(output.input);
    QATGAP_ASSIGN_OR_RETURN(const graph::Tensor codes, execution::ToCodes(x, *output.input_grid));
    LadderInput of_part = input;
    const graph::Tensor fake_quant = execution::ToChannelMajor(*qat_, rows(output.codes));
    of_part.fake_quant = fake_quant.data<std::int32_t>();
    QATGAP_RETURN_IF_ERROR(AddSamples(reaching, of_part, codes, results));
  }
  return absl::OkStatus();
}

absl::Status LayerAnalysis::AddSamples(Reaching& reaching, LadderInput input, const graph::Tensor& codes,
                                       std::vector<report::TargetResult>& results) {
  QATGAP_ASSIGN_OR_RETURN(const graph::Tensor accumulators, reaching.deployed.Accumulate(codes));
  input.elements = accumulators.dim(1);
  input.accumulators = accumulators.data<std::int32_t>();
  graph::Tensor qat_accumulators;
  if (input.qat_sums.empty()) {
    qat_accumulators = accumulators;
    if (reaching.qat) {
      QATGAP_ASSIGN_OR_RETURN(qat_accumulators, reaching.qat->Accumulate(codes));
    }
    input.qat_accumulators = qat_accumulators.data<std::int32_t>();
  }
  std::map<numerics::Engine, absl::StatusOr<graph::Tensor>> engine_rows;  // targets may share an engine
  std::vector<graph::Tensor> kept;
  TargetLadders::Rows engines(targets_.size()), adjusted(targets_.size());
  for (std::size_t t = 0; t < targets_.size(); ++t) {
    if (execution::HasEngine(targets_[t].engine)) {
      QATGAP_ASSIGN_OR_RETURN(const graph::Tensor* rows,
                              EngineRows(reaching, t, codes, engine_rows, results[t].layers[reaching.result_index[t]]));
      if (rows != nullptr) engines[t] = rows->data<std::int32_t>();
    }
    if (reaching.adjusted[t]) {
      QATGAP_ASSIGN_OR_RETURN(graph::Tensor own, reaching.adjusted[t]->Accumulate(codes));
      kept.push_back(std::move(own));
      adjusted[t] = kept.back().data<std::int32_t>();
    }
  }
  reaching.ladders.Add(input, adjusted, engines);
  return absl::OkStatus();
}

void LayerAnalysis::Flush(std::vector<report::TargetResult>& results) {
  for (Reaching& reaching : reaching_) {
    std::vector<report::LayerResult*> of_targets;
    for (std::size_t t = 0; t < targets_.size(); ++t) of_targets.push_back(&results[t].layers[reaching.result_index[t]]);
    reaching.ladders.Flush(of_targets);
  }
}

// nullptr where the engine cannot run the layer: `result` says why.
absl::StatusOr<const graph::Tensor*> LayerAnalysis::EngineRows(
    Reaching& reaching, std::size_t target, const graph::Tensor& codes,
    std::map<numerics::Engine, absl::StatusOr<graph::Tensor>>& known, report::LayerResult& result) {
  const numerics::Engine engine = targets_[target].engine;
  auto it = known.find(engine);
  if (it == known.end()) it = known.emplace(engine, reaching.deployed.RunEngine(engine, codes)).first;
  if (it->second.ok()) {
    const auto input_codes = codes.data<std::int32_t>();
    const std::int32_t largest = input_codes.empty() ? 0 : numerics::LeastAndGreatest(input_codes).second;
    result.engine_measured = true;
    if (execution::MaySaturateInt16Pairs(engine, *deployed_, largest)) result.engine_note = kInt16Pairs;
    return &*it->second;
  }
  if (!absl::IsFailedPrecondition(it->second.status())) return it->second.status();
  result.engine_note = std::string(it->second.status().message());
  return nullptr;
}

}  // namespace qatgap::attribution
