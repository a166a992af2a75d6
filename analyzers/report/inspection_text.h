// What is known of a model without running data, as text for people.
#pragma once

#include <string>

#include "analyzers/report/analysis_result.h"

namespace qatgap::report {

// A table of the layers for each target, what could not be looked at, then the findings, the worst first. Lines end with
// '\n' and are not wrapped. Names are made fit to be shown.
std::string WriteInspection(const AnalysisResult& result);

}  // namespace qatgap::report
