// What a client may ask for. Every violation is INVALID_ARGUMENT (an unknown target: NOT_FOUND) and names the field.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "qatgap/v1/analysis.pb.h"
#include "qatgap/v1/model.pb.h"
#include "qatgap/v1/target.pb.h"
#include "server/jobs/synchronous_units.h"
#include "server/store/analysis.h"

namespace qatgap::server {

// Checks the limits of analysis.proto and fills in its defaults.
absl::StatusOr<AnalysisSpec> ValidateSpec(const v1::AnalysisSpec& message);

// An AnalysisSpec.track, or empty.
absl::Status ValidateTrack(const std::string& track, const std::string& field);
absl::Status ValidateRequestId(const std::string& request_id);
// Of an analysis: not empty, not long.
absl::Status ValidateId(const std::string& id);
// NOT_FOUND names the nearest target; `field` is "spec.targets".
absl::Status ValidateTarget(const std::string& name, const std::string& field);

// The units that these requests ask for.
absl::StatusOr<ShortUnit> ValidateUnit(const v1::VerifyTargetRequest& message);
absl::StatusOr<ShortUnit> ValidateUnit(const v1::IdentifyTargetRequest& message);
// Fills in the default target.
absl::StatusOr<ShortUnit> ValidateUnit(const v1::InspectModelRequest& message);
absl::StatusOr<ShortUnit> ValidateUnit(const v1::CreateHandoffRequest& message);

}  // namespace qatgap::server
