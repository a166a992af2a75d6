// Pages of ListLayerResults.
#pragma once

#include "absl/status/status.h"
#include "analyzers/report/analysis_result.h"
#include "qatgap/v1/analysis.pb.h"

namespace qatgap::server {

// Layers in target then execution order. INVALID_ARGUMENT for a bad page size or token, or a target that the analysis
// was not asked for.
absl::Status FillLayerPage(const v1::ListLayerResultsRequest& request,
                           const report::AnalysisResult& result,
                           v1::ListLayerResultsResponse& response);

}  // namespace qatgap::server
