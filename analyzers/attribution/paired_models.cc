#include "analyzers/attribution/paired_models.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "analyzers/graph/passes/lower.h"
#include "analyzers/graph/passes/rebase_codes.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::attribution {
namespace {

// Removes pairs whose deployed input is off every grid: without codes there is no ladder.
void DropOffGrid(const graph::MacLayers& deployed, Pairing& pairing, const graph::MacLayers& qat) {
  std::vector<LayerPair> kept;
  for (const LayerPair& pair : pairing.pairs) {
    if (!deployed.layers[pair.deployed].input_grids.empty()) {
      kept.push_back(pair);
      continue;
    }
    pairing.unmeasured.push_back(
        {.name = qat.layers[pair.qat].name,
         .what = std::string(ToString(qat.layers[pair.qat].kind)),
         .reason = "its input is not quantized in the deployed model, so the layer runs in float",
         .is_mac_layer = true});
  }
  pairing.pairs = std::move(kept);
}

// What integer biases of the deployed model were rounded from is the paired layer's bias.
void TakeRealBiases(const graph::MacLayers& qat, const Pairing& pairing, graph::MacLayers& deployed) {
  for (const LayerPair& pair : pairing.pairs) {
    graph::MacLayer& layer = deployed.layers[pair.deployed];
    if (layer.stored_bias.empty()) continue;
    layer.bias = qat.layers[pair.qat].bias;
    layer.bias.resize(layer.stored_bias.size(), 0.0);  // a QAT layer without a bias
  }
}

// X86InductorQuantizer, for one, leaves the outputs of linears in float: such a model was prepared, and has no codes.
absl::Status NoLayer(const std::vector<graph::UnmatchedMac>& unmatched) {
  constexpr const char* kWhat = "the QAT model has no layer with quantized weights and a quantized output";
  if (unmatched.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(kWhat, ", nor any convolution or linear; export the model after prepare_qat"));
  }
  const auto in_float = std::find_if(unmatched.begin(), unmatched.end(),
                                     [](const graph::UnmatchedMac& mac) { return mac.quantized_weight; });
  const graph::UnmatchedMac& first = in_float == unmatched.end() ? unmatched.front() : *in_float;
  return absl::FailedPreconditionError(absl::StrCat(
      kWhat, "; '", first.name, "': ", first.reason,
      in_float == unmatched.end()
          ? "; export the model after prepare_qat"
          : "; its weights are quantized, but a layer is measured in codes of its output: choose a quantizer or a "
            "qconfig that quantizes the outputs of layers too, as XNNPACKQuantizer does"));
}

// Codes are subtracted from codes: where the deployed layers are all signed and QAT trained unsigned ones, or the other
// way round, the QAT model's codes are shifted. No real changes by it.
absl::Status MatchCodeBases(AnalysisModels& models, PairedModels& paired) {
  using graph::CodeBase;
  for (const CodeBase base : {CodeBase::kSigned, CodeBase::kUnsigned}) {
    const CodeBase other = base == CodeBase::kSigned ? CodeBase::kUnsigned : CodeBase::kSigned;
    bool deployed_on_base = true, qat_on_other = false;
    for (const LayerPair& pair : paired.pairing.pairs) {
      deployed_on_base &= graph::IsOnBase(paired.deployed_layers.layers[pair.deployed].output, base);
      qat_on_other |= graph::IsOnBase(paired.qat_layers.layers[pair.qat].output, other);
    }
    if (!deployed_on_base || !qat_on_other) continue;
    graph::RebaseCodes(models.qat, base);
    QATGAP_ASSIGN_OR_RETURN(paired.qat_layers, graph::FindMacLayers(models.qat));
    return absl::OkStatus();
  }
  return absl::OkStatus();
}

// A model that cannot be lowered can still be compared with its converted one.
absl::Status KeepLowered(const absl::StatusOr<graph::Graph>& lowered, PairedModels& paired) {
  if (lowered.ok()) {
    QATGAP_ASSIGN_OR_RETURN(paired.lowered_layers, graph::FindMacLayers(*lowered));
    return absl::OkStatus();
  }
  paired.pairing.unmeasured.push_back({.name = "conversion",
                                .what = "constants of the converted model against convert()'s",
                                .reason = std::string(lowered.status().message()),
                                .is_mac_layer = false});
  return absl::OkStatus();
}

}  // namespace

const graph::MacLayer* PairedModels::LoweredAs(const std::string& name) const {
  for (const graph::MacLayer& layer : lowered_layers.layers) {
    if (layer.name == name) return &layer;
  }
  return nullptr;
}

absl::Status PairModels(AnalysisModels& models, PairedModels& paired) {
  absl::StatusOr<graph::Graph> lowered = absl::FailedPreconditionError("the reference was rebuilt");
  if (!models.reference_rebuilt) lowered = graph::Lower(models.qat);
  const bool lower = !models.converted;
  if (lower) {
    if (!lowered.ok()) return lowered.status();
    paired.deployed = *std::move(lowered);
  } else {
    paired.deployed = *std::move(models.converted);
  }
  QATGAP_ASSIGN_OR_RETURN(paired.qat_layers, graph::FindMacLayers(models.qat));
  QATGAP_ASSIGN_OR_RETURN(paired.deployed_layers, graph::FindMacLayers(paired.deployed));
  if (paired.qat_layers.layers.empty()) return NoLayer(paired.qat_layers.unmatched);
  QATGAP_ASSIGN_OR_RETURN(paired.pairing, PairLayers(paired.qat_layers, paired.deployed_layers));
  if (paired.pairing.by_order) {
    models.qat.notices.push_back({graph::NoticeKind::kPairedByOrder, "",
                                  absl::StrCat("the ", paired.pairing.pairs.size(), " layers of the two models have other names: "
                                               "they were paired in execution order")});
  }
  QATGAP_RETURN_IF_ERROR(MatchCodeBases(models, paired));
  if (!lower && !models.reference_rebuilt) QATGAP_RETURN_IF_ERROR(KeepLowered(lowered, paired));
  TakeRealBiases(paired.qat_layers, paired.pairing, paired.deployed_layers);
  DropOffGrid(paired.deployed_layers, paired.pairing, paired.qat_layers);
  if (models.qat.body.outputs.size() != paired.deployed.body.outputs.size()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the models do not pair: the QAT model has ", models.qat.body.outputs.size(),
        " outputs, the converted model ", paired.deployed.body.outputs.size()));
  }
  return absl::OkStatus();
}

}  // namespace qatgap::attribution
