#include "client/commands/commands.h"
#include "client/lib/error_details.h"

namespace qatgap::cli {

void AddServerOption(CLI::App& command, std::string* server) {
  command.add_option("--server", *server, "Address of the service: HOST:PORT or unix:PATH")
      ->type_name("ADDR")
      ->envname("QATGAP_SERVER");
}

void AddJsonOption(CLI::App& command, std::string* path) {
  command.add_option("--json", *path, "Write the answer as JSON to this file")->type_name("FILE");
}

void AddQuietFlag(CLI::App& command, bool* quiet) {
  command.add_flag("--quiet", *quiet, "No progress of uploads");
}

absl::StatusOr<Session> OpenLasting(Environment& environment, const std::string& server) {
  if (server.empty()) {
    return client::WithRemedy(
        absl::InvalidArgumentError(
            "no service is named, and a private server keeps nothing after its call"),
        "pass --server ADDR or set QATGAP_SERVER");
  }
  return Session::Open(environment, server);
}

}  // namespace qatgap::cli
