// The report files a user asks for: --json, --html, --markdown, --csv, --emit-bias.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/lib/client.h"
#include "client/terminal/output.h"

namespace qatgap::cli {

struct ReportFiles {
  std::string json;
  std::string html;
  std::string markdown;
  std::string csv;
  std::string biases;

  bool any() const {
    return !json.empty() || !html.empty() || !markdown.empty() || !csv.empty() || !biases.empty();
  }
};

void AddReportOptions(CLI::App& command, ReportFiles* files);

// Whether all of them can be written and none is one of `inputs` or named twice.
absl::Status CheckReportFiles(const ReportFiles& files, const std::vector<std::string>& inputs);

// Downloads each and says so on `err`, unless quiet.
absl::Status WriteReportFiles(const ReportFiles& files, client::Client& client,
                              const std::string& id, const terminal::Output& err, bool quiet);

}  // namespace qatgap::cli
