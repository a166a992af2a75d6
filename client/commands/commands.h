// The commands. Each Add function describes one to the parser and sets `*chosen` when it is used.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "client/cli.h"

namespace qatgap::cli {

using Command = std::function<absl::Status(Environment&)>;

void AddAnalyze(CLI::App& app, Command* chosen);
void AddList(CLI::App& app, Command* chosen);
void AddGet(CLI::App& app, Command* chosen);
void AddWatch(CLI::App& app, Command* chosen);
void AddCancel(CLI::App& app, Command* chosen);
void AddDelete(CLI::App& app, Command* chosen);
void AddTarget(CLI::App& app, Command* chosen);
void AddInspect(CLI::App& app, Command* chosen);
void AddHandoff(CLI::App& app, Command* chosen);
void AddGate(CLI::App& app, Command* chosen);
void AddCompare(CLI::App& app, Command* chosen);
void AddBaseline(CLI::App& app, Command* chosen);
// Below `qatgap target`:
void AddVerify(CLI::App& group, Command* chosen);
void AddIdentify(CLI::App& group, Command* chosen);

// --server, which QATGAP_SERVER stands in for.
void AddServerOption(CLI::App& command, std::string* server);

// --json for commands that print one answer.
void AddJsonOption(CLI::App& command, std::string* path);
// --quiet for commands that upload.
void AddQuietFlag(CLI::App& command, bool* quiet);

// Opens a session for a command that needs a service that lasts. Errors: INVALID_ARGUMENT when
// `server` is empty.
absl::StatusOr<Session> OpenLasting(Environment& environment, const std::string& server);

}  // namespace qatgap::cli
