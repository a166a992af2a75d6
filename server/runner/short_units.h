// The units of work that a call waits for: no samples, no progress, one answer.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "analyzers/report/analysis_result.h"
#include "server/runner/unit_of_work.h"

namespace qatgap::runner {

// A serialized qatgap.v1.VerifyTargetResponse. Errors: those of vectors::ReadArchive, ReadCases and Verify.
absl::StatusOr<std::string> RunVerify(const UnitOfWork& unit);

// A serialized qatgap.v1.IdentifyTargetResponse. Errors: those of vectors::ReadArchive, ReadCases and Identify.
absl::StatusOr<std::string> RunIdentify(const UnitOfWork& unit);

// A result of which nothing is measured. Errors: those of the frontends and of AnalysisSession::Create.
absl::StatusOr<report::AnalysisResult> RunInspect(const UnitOfWork& unit);

// A zip archive. Errors: those of the frontends and of handoff::MakeHandoff.
absl::StatusOr<std::string> RunHandoff(const UnitOfWork& unit);

}  // namespace qatgap::runner
