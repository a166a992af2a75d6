#include "analyzers/attribution/layer_analysis.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "analyzers/attribution/weight_adjustment.h"
#include "analyzers/execution/host.h"
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

absl::StatusOr<LayerLadder> MakeLadder(const numerics::TargetDescription& target, const graph::MacLayer& qat,
                                       const graph::MacLayer& deployed, std::size_t index,
                                       const std::optional<graph::MacLayer>& adjusted) {
  return LayerLadder::Create(target, QatConstants(qat, QatInput(qat, deployed, index)),
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
    QATGAP_ASSIGN_OR_RETURN(execution::LayerKernel qat_kernel,
                            execution::LayerKernel::Create(qat, QatInput(qat, deployed, index)));
    QATGAP_ASSIGN_OR_RETURN(execution::LayerKernel deployed_kernel,
                            execution::LayerKernel::Create(deployed, deployed_input));
    Reaching reaching{std::move(qat_kernel), std::move(deployed_kernel), {}, {}, {}};
    for (std::size_t t = 0; t < targets.size(); ++t) {
      const std::optional<graph::MacLayer> adjusted = AdjustWeights(deployed, targets[t], deployed_input);
      reaching.adjusted.emplace_back();
      if (adjusted) {
        QATGAP_ASSIGN_OR_RETURN(reaching.adjusted.back(), execution::LayerKernel::Create(*adjusted, deployed_input));
      }
      QATGAP_ASSIGN_OR_RETURN(LayerLadder ladder, MakeLadder(targets[t], qat, deployed, index, adjusted));
      reaching.result_index.push_back(results[t].layers.size());
      report::LayerResult result = ladder.MakeResult(layer, static_cast<std::int64_t>(index));
      if (targets[t].engine == numerics::Engine::kNone) {
        result.engine_note = "no engine of this target is linked in";
      } else if (!execution::HasEngine(targets[t].engine)) {
        result.engine_note = "this host's LibTorch lacks the engine";
      }
      results[t].layers.push_back(std::move(result));
      reaching.ladders.push_back(std::move(ladder));
    }
    analysis.reaching_.push_back(std::move(reaching));
  }
  return analysis;
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

absl::Status LayerAnalysis::Add(const execution::LayerOutput& output, std::vector<report::TargetResult>& results) {
  const std::size_t index = InputIndex(output.input_grid);
  Reaching& reaching = reaching_[index];
  const numerics::QuantParams& grid =
      output.input_grid != nullptr ? *output.input_grid : deployed_->input_grids[index];
  QATGAP_ASSIGN_OR_RETURN(const graph::Tensor codes, execution::ToCodes(output.input, grid));
  QATGAP_ASSIGN_OR_RETURN(const graph::Tensor accumulators, reaching.deployed.Accumulate(codes));
  LadderInput input;
  input.elements = output.codes.dim(1);
  input.fake_quant = output.codes.data<std::int32_t>();
  input.accumulators = accumulators.data<std::int32_t>();
  graph::Tensor qat_rows;
  if (output.input_grid == nullptr) {
    QATGAP_ASSIGN_OR_RETURN(qat_rows, reaching.qat.SumReals(output.input));
    input.qat_sums = qat_rows.data<double>();
  } else {
    QATGAP_ASSIGN_OR_RETURN(qat_rows, reaching.qat.Accumulate(codes));
    input.qat_accumulators = qat_rows.data<std::int32_t>();
  }
  return AddEngines(reaching, input, codes, output.input.dim(0), results);
}

absl::Status LayerAnalysis::AddEngines(Reaching& reaching, const LadderInput& input, const graph::Tensor& codes,
                                       std::int64_t samples, std::vector<report::TargetResult>& results) {
  std::map<numerics::Engine, absl::StatusOr<graph::Tensor>> engine_rows;  // targets may share an engine
  const auto input_codes = codes.data<std::int32_t>();
  const std::int32_t max_code =
      input_codes.empty() ? 0 : *std::max_element(input_codes.begin(), input_codes.end());
  for (std::size_t t = 0; t < targets_.size(); ++t) {
    report::LayerResult& result = results[t].layers[reaching.result_index[t]];
    const numerics::Engine engine = targets_[t].engine;
    std::span<const std::int32_t> rows;
    if (execution::HasEngine(engine)) {
      auto it = engine_rows.find(engine);
      if (it == engine_rows.end()) {
        it = engine_rows.emplace(engine, reaching.deployed.RunEngine(engine, codes)).first;
      }
      if (it->second.ok()) {
        rows = it->second->data<std::int32_t>();
        result.engine_measured = true;
        if (execution::MaySaturateInt16Pairs(engine, *deployed_, max_code)) result.engine_note = kInt16Pairs;
      } else if (absl::IsFailedPrecondition(it->second.status())) {
        result.engine_note = std::string(it->second.status().message());
      } else {
        return it->second.status();
      }
    }
    graph::Tensor adjusted;
    LadderInput target_input = input;
    if (reaching.adjusted[t]) {
      QATGAP_ASSIGN_OR_RETURN(adjusted, reaching.adjusted[t]->Accumulate(codes));
      target_input.adjusted_accumulators = adjusted.data<std::int32_t>();
    }
    reaching.ladders[t].Add(target_input, rows, samples, result);
  }
  return absl::OkStatus();
}

}  // namespace qatgap::attribution
