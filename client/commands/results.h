// What a user sees of a finished analysis.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/lib/client.h"
#include "client/terminal/output.h"
#include "client/terminal/table.h"

namespace qatgap::cli {

// "pytorch-qnnpack, 1 of your own": the latter's names come with the results.
std::string TargetsText(const v1::AnalysisSpec& spec, const char* separator);

// One row a layer and reaching input, in execution order.
terminal::Table LayerTable(const std::vector<v1::LayerSummary>& layers);

// The headline bold, the sentences wrapped below.
void PrintVerdict(const terminal::Output& out, const v1::Verdict& verdict);

// For each target its layers and its verdict; with `headlines_only` the headlines alone.
absl::Status PrintResults(const terminal::Output& out, client::Client& client,
                          const v1::Analysis& analysis, bool headlines_only);

// Follows the analysis to its end, with progress on `err`.
absl::StatusOr<v1::Analysis> Follow(const terminal::Output& err, client::Client& client,
                                    const std::string& id, bool quiet);

}  // namespace qatgap::cli
