// What-ifs between the values of the analyzers and the messages of the public contract; part of result_conversion.h.
#pragma once

#include <span>
#include <vector>

#include "absl/status/status.h"
#include "analyzers/report/analysis_result.h"
#include "qatgap/v1/what_if.pb.h"

namespace qatgap::server {

void FillWhatIfs(const std::vector<report::LayerWhatIfs>& what_ifs,
                 google::protobuf::RepeatedPtrField<v1::LayerWhatIfs>& field);

// INVALID_ARGUMENT: an unset enum, an index that points to none of `layers` or of its inputs.
absl::Status ReadWhatIfs(const google::protobuf::RepeatedPtrField<v1::LayerWhatIfs>& field,
                         std::span<const report::LayerInfo> layers, std::vector<report::LayerWhatIfs>& what_ifs);

}  // namespace qatgap::server
