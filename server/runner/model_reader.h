// Blobs of a unit as what they hold, and what every unit says of where it runs.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "analyzers/attribution/analysis_session.h"
#include "analyzers/frontends/torchscript/torchscript_frontend.h"
#include "analyzers/report/analysis_result.h"
#include "server/runner/unit_of_work.h"

namespace qatgap::runner {

// INTERNAL when the descriptor cannot be read.
absl::StatusOr<std::string> ReadAll(const Blob& blob);

// INVALID_ARGUMENT for a model of the other kind; the frontend's errors.
absl::StatusOr<frontends::Model> ReadModel(const Blob& blob, frontends::ModelKind wanted);

// The models of an analysis or inspection. FAILED_PRECONDITION for a QAT model of several inputs.
absl::StatusOr<attribution::AnalysisModels> ReadModels(const UnitOfWork& unit);

report::Environment DescribeEnvironment(std::int64_t batch_size);

}  // namespace qatgap::runner
