#include "server/runner/short_units.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "analyzers/attribution/analysis_session.h"
#include "analyzers/handoff/handoff.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"
#include "analyzers/vectors/case.h"
#include "analyzers/vectors/identify.h"
#include "analyzers/vectors/verify.h"
#include "server/own_targets.h"
#include "server/runner/model_reader.h"
#include "server/runner/vectors_conversion.h"
#include "server/runner/zip_writer.h"

namespace qatgap::runner {
namespace {

absl::StatusOr<std::vector<vectors::Case>> ReadCases(const Blob& blob) {
  QATGAP_ASSIGN_OR_RETURN(const std::string bytes, ReadAll(blob));
  QATGAP_ASSIGN_OR_RETURN(const vectors::Files files, vectors::ReadArchive(bytes, blob.name));
  return vectors::ReadCases(files);
}

absl::StatusOr<numerics::TargetDescription> OneTarget(const UnitOfWork& unit) {
  if (unit.targets.size() + unit.target_descriptions.size() != 1) {
    return absl::InternalError(absl::StrCat("the unit has ", unit.targets.size() + unit.target_descriptions.size(),
                                            " targets instead of one"));
  }
  if (!unit.targets.empty()) return numerics::FindTarget(unit.targets.front());
  return server::ParseOwnTarget(unit.target_descriptions.front(), "target.description");
}

}  // namespace

absl::StatusOr<std::string> RunVerify(const UnitOfWork& unit) {
  QATGAP_ASSIGN_OR_RETURN(const numerics::TargetDescription target, OneTarget(unit));
  QATGAP_ASSIGN_OR_RETURN(const std::vector<vectors::Case> cases, ReadCases(unit.vectors));
  QATGAP_ASSIGN_OR_RETURN(const vectors::Verification verification, vectors::Verify(target, cases));
  return ToProto(verification, target).SerializeAsString();
}

absl::StatusOr<std::string> RunIdentify(const UnitOfWork& unit) {
  QATGAP_ASSIGN_OR_RETURN(const std::vector<vectors::Case> cases, ReadCases(unit.vectors));
  QATGAP_ASSIGN_OR_RETURN(const vectors::Identification identification, vectors::Identify(cases));
  QATGAP_ASSIGN_OR_RETURN(const qatgap::v1::IdentifyTargetResponse answer, ToProto(identification));
  return answer.SerializeAsString();
}

absl::StatusOr<report::AnalysisResult> RunInspect(const UnitOfWork& unit) {
  QATGAP_ASSIGN_OR_RETURN(std::vector<numerics::TargetDescription> targets,
                          server::CollectTargets(unit.targets, unit.target_descriptions, ""));
  QATGAP_ASSIGN_OR_RETURN(attribution::AnalysisModels models, ReadModels(unit));
  return attribution::AnalysisSession::Inspect(std::move(models), std::move(targets),
                                               DescribeEnvironment(/*batch_size=*/1));
}

absl::StatusOr<std::string> RunHandoff(const UnitOfWork& unit) {
  QATGAP_ASSIGN_OR_RETURN(const numerics::TargetDescription target, OneTarget(unit));
  const bool converted = unit.converted_model.fd >= 0;
  const Blob& blob = converted ? unit.converted_model : unit.qat_model;
  QATGAP_ASSIGN_OR_RETURN(const frontends::Model model, ReadModel(blob));
  if (converted && model.kind != frontends::ModelKind::kConverted) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", blob.name, "' was given as the converted model but ",
        model.kind == frontends::ModelKind::kQat ? "still has fake-quants" : "has no integer weights",
        "; give the output of convert()"));
  }
  if (!converted && model.kind != frontends::ModelKind::kQat) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", blob.name, "' was given as the QAT model but is a ", Text(ToString(model.kind)),
        " one; give the model as it was trained, before convert(), or a converted model as such"));
  }
  QATGAP_ASSIGN_OR_RETURN(const handoff::Files files, handoff::MakeHandoff(model.graph, target));
  return WriteZip(files);
}

}  // namespace qatgap::runner
