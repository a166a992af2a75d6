// The biases as each target stores them: what a QAT model is trained on with so that storing them changes nothing.
#pragma once

#include <string>

#include "analyzers/report/report.h"

namespace qatgap::report {

// Canonical JSON, one line, keys sorted; docs/what_if.md describes every member. `values` are stored * scale in binary64.
std::string WriteBiases(const Report& report);

}  // namespace qatgap::report
