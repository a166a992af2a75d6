// The report as one file that opens from disk without a network.
#pragma once

#include <cstddef>
#include <string>

#include "analyzers/report/report.h"

namespace qatgap::report {

// The web page with its script, its styles and the answers it would ask a server for inside; a Content-Security-Policy
// allows just these. Readers without a script get verdicts, tables of layers and findings. Channels of the layers with the
// largest differences come first: those that would make the file larger than `max_bytes` are left out, and the page says so.
std::string WriteHtml(const Report& report, std::size_t max_bytes = 3'000'000);

}  // namespace qatgap::report
