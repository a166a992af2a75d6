// A result of which nothing was measured, as the answer to an inspection.
#pragma once

#include "analyzers/report/analysis_result.h"
#include "qatgap/v1/model.pb.h"

namespace qatgap::server {

// Without what only running data gives: causes, samples, comparisons, accuracies. With its text for people.
v1::InspectModelResponse ToInspection(const report::AnalysisResult& result);

}  // namespace qatgap::server
