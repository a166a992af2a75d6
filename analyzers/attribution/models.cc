#include "analyzers/attribution/models.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/attribution/pairing.h"
#include "analyzers/graph/mac_layers.h"
#include "analyzers/graph/passes/fake_quant_twin.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::attribution {
namespace {

absl::Status CheckKinds(const std::optional<GivenModel>& reference, const std::optional<GivenModel>& converted) {
  if (!reference && !converted) return absl::FailedPreconditionError("no model was given; give the QAT model");
  if (converted && converted->kind == GivenKind::kQat) {
    return absl::InvalidArgumentError(absl::StrCat("'", converted->name, "' was given as the converted model but still has "
                                                   "fake-quants; give the output of convert()"));
  }
  if (converted && converted->kind == GivenKind::kFloat) {
    return absl::InvalidArgumentError(absl::StrCat("'", converted->name, "' was given as the converted model but has no "
                                                   "integer weights; give the output of convert()"));
  }
  if (reference && reference->kind == GivenKind::kConverted) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", reference->name, "' was given as the QAT model but is a converted one; give the model as it was trained, "
        "before convert(), or this one as the converted model alone"));
  }
  if (reference && reference->kind == GivenKind::kFloat && !converted) {
    return absl::FailedPreconditionError(absl::StrCat(
        "'", reference->name, "' is a float model without fake-quants: there is nothing to compare it with; give the QAT "
        "model, or the converted model beside it"));
  }
  return absl::OkStatus();
}

// Puts the float model's biases into the twin; layers pair as those of a QAT model do.
absl::Status TakeBiases(const GivenModel& reference, const graph::Graph& converted, graph::Graph& twin) {
  QATGAP_ASSIGN_OR_RETURN(const graph::MacLayers real, graph::FindFloatLayers(reference.graph));
  QATGAP_ASSIGN_OR_RETURN(const graph::MacLayers codes, graph::FindMacLayers(converted));
  auto pairing = PairLayers(real, codes);
  if (!pairing.ok()) {
    return absl::FailedPreconditionError(absl::StrCat("'", reference.name, "' is a float model whose layers do not pair with "
                                                      "those of the converted model: ", pairing.status().message()));
  }
  int taken = 0;
  for (const LayerPair& pair : pairing->pairs) {
    const graph::MacLayer& layer = codes.layers[pair.deployed];
    // Behind a batch norm that the converted model kept, its bias is another one.
    if (!layer.batch_norms.empty() || real.layers[pair.qat].shipped_bias.empty()) continue;
    taken += graph::ReplaceBias(twin, layer.product, real.layers[pair.qat].shipped_bias) ? 1 : 0;
  }
  // Integer biases that are replaced are not "the reals they stand for".
  std::erase_if(twin.notices, [](const graph::Notice& notice) { return notice.kind == graph::NoticeKind::kTwinRebuilt; });
  twin.notices.push_back(
      {graph::NoticeKind::kFloatBiases, "",
       absl::StrCat(taken, " of ", codes.layers.size(), " layers have the bias of the float model '", reference.name,
                    "', paired by ", pairing->by_order ? "execution order" : "name",
                    "; weights and scales are the converted model's: how weights were rounded cannot be seen")});
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<AnalysisModels> CombineModels(std::optional<GivenModel> reference, std::optional<GivenModel> converted) {
  QATGAP_RETURN_IF_ERROR(CheckKinds(reference, converted));
  AnalysisModels models;
  if (reference && reference->kind == GivenKind::kQat) {
    models.qat = std::move(reference->graph);
    models.qat_format = std::move(reference->format);
  } else {
    QATGAP_ASSIGN_OR_RETURN(models.qat, graph::FakeQuantTwin(converted->graph));
    models.reference_rebuilt = true;
    models.qat_format = absl::StrCat("fake-quant twin of the converted model (", converted->format, ")");
    if (reference) {
      QATGAP_RETURN_IF_ERROR(TakeBiases(*reference, converted->graph, models.qat));
      absl::StrAppend(&models.qat_format, " with the biases of the float model (", reference->format, ")");
    }
  }
  if (converted) models.converted = std::move(converted->graph);
  return models;
}

}  // namespace qatgap::attribution
