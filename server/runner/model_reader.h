// Blobs of a unit as what they hold, and what every unit says of where it runs.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "analyzers/attribution/models.h"
#include "analyzers/frontends/model.h"
#include "analyzers/report/analysis_result.h"
#include "server/runner/unit_of_work.h"

namespace qatgap::runner {

// INTERNAL when the descriptor cannot be read.
absl::StatusOr<std::string> ReadAll(const Blob& blob);

// The errors of frontends::ImportModel.
absl::StatusOr<frontends::Model> ReadModel(const Blob& blob);

// The models of an analysis or inspection. Errors: as above, and those of attribution::CombineModels.
absl::StatusOr<attribution::AnalysisModels> ReadModels(const UnitOfWork& unit);

report::Environment DescribeEnvironment(std::int64_t batch_size);

}  // namespace qatgap::runner
