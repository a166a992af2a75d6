// The commands that end an analysis: cancel and delete.
#include <memory>
#include <string>

#include "client/commands/commands.h"
#include "client/terminal/text.h"

namespace qatgap::cli {
namespace {

struct EndOptions {
  std::string id;
  std::string server;
};

absl::Status Cancel(Environment& environment, const EndOptions& options) {
  auto session = OpenLasting(environment, options.server);
  if (!session.ok()) return session.status();
  const auto analysis = session->client().Cancel(options.id);
  if (!analysis.ok()) return analysis.status();
  *environment.err.stream << terminal::Sanitize(options.id) << ": "
                          << client::StateName(analysis->state()) << std::endl;
  return absl::OkStatus();
}

absl::Status Delete(Environment& environment, const EndOptions& options) {
  auto session = OpenLasting(environment, options.server);
  if (!session.ok()) return session.status();
  if (absl::Status deleted = session->client().Delete(options.id); !deleted.ok()) return deleted;
  *environment.err.stream << terminal::Sanitize(options.id) << ": deleted" << std::endl;
  return absl::OkStatus();
}

}  // namespace

void AddCancel(CLI::App& app, Command* chosen) {
  auto options = std::make_shared<EndOptions>();
  CLI::App* command = app.add_subcommand("cancel", "Stop an analysis");
  command->add_option("ID", options->id, "The analysis")->required();
  AddServerOption(*command, &options->server);
  command->footer(R"(Cancelling twice does no harm. An analysis that has succeeded or failed cannot be cancelled.

Examples:
  qatgap cancel ID --server 127.0.0.1:7070)");
  command->callback([chosen, options] {
    *chosen = [options](Environment& environment) { return Cancel(environment, *options); };
  });
}

void AddDelete(CLI::App& app, Command* chosen) {
  auto options = std::make_shared<EndOptions>();
  CLI::App* command = app.add_subcommand("delete", "Delete an analysis and its results");
  command->add_option("ID", options->id, "The analysis")->required();
  AddServerOption(*command, &options->server);
  command->footer(R"(An analysis that is queued or running must be cancelled first.

Examples:
  qatgap delete ID --server 127.0.0.1:7070)");
  command->callback([chosen, options] {
    *chosen = [options](Environment& environment) { return Delete(environment, *options); };
  });
}

}  // namespace qatgap::cli
