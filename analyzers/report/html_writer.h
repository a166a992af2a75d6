// The static report for readers without a script: verdicts, targets, findings, what was not measured, where it comes from.
#pragma once

#include <string>

#include "analyzers/report/report.h"

namespace qatgap::report {

// What stands inside <main>. Links lead inside it only.
std::string HtmlContent(const Report& report);
// The report's title, escaped.
std::string HtmlTitle(const Report& report);

}  // namespace qatgap::report
