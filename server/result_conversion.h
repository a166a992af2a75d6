// The one place where the values of the analyzers and the messages of the public contract become one another.
// The runner uses it to say what it measured, the server to keep, merge and show it. Knows no gRPC.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "analyzers/numerics/target.h"
#include "analyzers/report/analysis_result.h"
#include "qatgap/v1/analysis.pb.h"
#include "qatgap/v1/report.pb.h"
#include "qatgap/v1/target.pb.h"

namespace qatgap::server {

// Lossless: FromProto(ToProto(r)) is r, field by field.
v1::AnalysisResult ToProto(const report::AnalysisResult& result);

// INVALID_ARGUMENT naming the field, for a message that no ToProto makes: an unset enum, a wrong number of causes or
// histogram bins, an index that points nowhere. Such a message comes from a broken runner or another version's data.
absl::StatusOr<report::AnalysisResult> FromProto(const v1::AnalysisResult& message);

// As ToProto and FromProto, to and from the bytes that are stored.
std::string SerializeResult(const report::AnalysisResult& result);
absl::StatusOr<report::AnalysisResult> ParseResult(const std::string& bytes);

// The layer without its channels: its causes are those of its channels added up.
// `layer` is one of `target.layers`, and `target` one of `result.targets`.
v1::LayerSummary MakeLayerSummary(const report::AnalysisResult& result,
                                  const report::TargetResult& target,
                                  const report::LayerResult& layer);

v1::Target ToProto(const numerics::TargetDescription& target);

}  // namespace qatgap::server
