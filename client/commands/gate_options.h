// What `qatgap gate` and `qatgap analyze --rules` share: the rules, the baseline, the files to write.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli.h"
#include "client/lib/client.h"
#include "qatgap/v1/gate.pb.h"

namespace qatgap::cli {

struct GateOptions {
  std::string rules;     // a file
  std::string preset;    // or the name of a preset
  std::string baseline;  // a file
  std::string junit, sarif, gitlab, markdown, json;  // files to write
  bool github = false;   // annotations on standard output, Markdown to the file that GITHUB_STEP_SUMMARY names

  bool wanted() const { return !rules.empty() || !preset.empty(); }
};

// `prefix` stands before names that `command` uses for something else: "--gate-" gives --gate-json.
void AddGateOptions(CLI::App& command, GateOptions* options, const std::string& prefix);

// Before anything is sent: one of rules and preset, files that can be read and written.
absl::Status CheckGateOptions(const GateOptions& options, const std::string& prefix);

// Evaluates, prints, writes the files and sets environment.verdict to the exit code of the verdict. A file that cannot be
// written is told on the error stream and changes no exit code. `report_path` names the report in the command that accepts
// it; empty when there is no such file.
absl::Status RunGate(client::Client& client, Environment& environment, const GateOptions& options, v1::ReportSource report,
                     const std::string& report_path, bool quiet);

}  // namespace qatgap::cli
