// Analyses and their specifications between the core's values and the messages of the public contract.
#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "qatgap/v1/analysis.pb.h"
#include "server/store/analysis.h"

namespace qatgap::server {

google::protobuf::Timestamp ToProto(absl::Time time);
v1::AnalysisState ToProto(AnalysisState state);
v1::AnalysisProgress ToProto(const AnalysisProgress& progress);
v1::Analysis ToProto(const Analysis& analysis);

// Takes every value as it stands; what a client may ask for is checked in services/request_validation.h.
ArtifactRef FromProto(const v1::ArtifactRef& message);
AnalysisSpec FromProto(const v1::AnalysisSpec& message);
// INVALID_ARGUMENT when the state is not set.
absl::StatusOr<AnalysisState> FromProto(v1::AnalysisState state);
absl::StatusOr<Analysis> FromProto(const v1::Analysis& message);

}  // namespace qatgap::server
