#include "analyzers/attribution/models.h"

#include <utility>

#include "absl/strings/str_cat.h"
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

}  // namespace

absl::StatusOr<AnalysisModels> CombineModels(std::optional<GivenModel> reference, std::optional<GivenModel> converted) {
  QATGAP_RETURN_IF_ERROR(CheckKinds(reference, converted));
  AnalysisModels models;
  if (reference && reference->kind == GivenKind::kQat) {
    models.qat = std::move(reference->graph);
    models.qat_format = std::move(reference->format);
  } else if (!reference) {
    QATGAP_ASSIGN_OR_RETURN(models.qat, graph::FakeQuantTwin(converted->graph));
    models.qat_format = absl::StrCat("fake-quant twin of the converted model (", converted->format, ")");
  } else {
    return absl::UnimplementedError("a float model as the reference");
  }
  if (converted) models.converted = std::move(converted->graph);
  return models;
}

}  // namespace qatgap::attribution
