#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/commands/results.h"
#include "client/lib/error_details.h"

namespace qatgap::cli {
namespace {

struct WatchOptions {
  std::string id;
  std::string server;
};

absl::Status Watch(Environment& environment, const WatchOptions& options) {
  auto session = OpenLasting(environment, options.server);
  if (!session.ok()) return session.status();
  const auto ended = Follow(environment.err, session->client(), options.id, /*quiet=*/false);
  if (!ended.ok()) {
    if (!environment.cancellation->requested()) return ended.status();
    return client::WithDetail(absl::CancelledError("interrupted"),
                              absl::StrCat("analysis ", options.id, " goes on"));
  }
  if (absl::Status outcome = client::OutcomeOf(*ended); !outcome.ok()) return outcome;
  return PrintResults(environment.out, session->client(), *ended, /*headlines_only=*/false);
}

}  // namespace

void AddWatch(CLI::App& app, Command* chosen) {
  auto options = std::make_shared<WatchOptions>();
  CLI::App* command = app.add_subcommand("watch", "Follow an analysis to its end and show it");
  command->add_option("ID", options->id, "The analysis")->required();
  AddServerOption(*command, &options->server);
  command->footer(R"(Ctrl-C stops the watching, not the analysis.

Examples:
  qatgap watch ID --server 127.0.0.1:7070)");
  command->callback([chosen, options] {
    *chosen = [options](Environment& environment) { return Watch(environment, *options); };
  });
}

}  // namespace qatgap::cli
