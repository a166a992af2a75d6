#include <google/protobuf/util/time_util.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/commands/results.h"
#include "client/terminal/table.h"

namespace qatgap::cli {
namespace {

// Of the model that was given first.
std::string ModelName(const v1::AnalysisSpec& spec) {
  return spec.has_qat_model() ? spec.qat_model().name() : spec.converted_model().name();
}

struct ListOptions {
  std::string server;
  std::size_t limit = 0;
  std::string track;
};

std::string ProgressText(const v1::AnalysisProgress& progress) {
  if (progress.samples_total() == 0) return "-";
  return absl::StrCat(progress.samples_done(), "/", progress.samples_total());
}

absl::Status List(Environment& environment, const ListOptions& options) {
  auto session = OpenLasting(environment, options.server);
  if (!session.ok()) return session.status();
  const auto analyses = session->client().List(
      options.limit == 0 ? std::nullopt : std::optional<std::size_t>(options.limit), options.track);
  if (!analyses.ok()) return analyses.status();
  if (analyses->empty()) {
    *environment.err.stream << "no analyses" << std::endl;
    return absl::OkStatus();
  }
  using terminal::Align;
  terminal::Table table({{"id", Align::kLeft, 0},
                         {"state", Align::kLeft, 0},
                         {"created", Align::kLeft, 0},
                         {"samples", Align::kRight, 0},
                         {"model", Align::kLeft, 12},
                         {"targets", Align::kLeft, 12},
                         {"track", Align::kLeft, 12},
                         {"title", Align::kLeft, 12}});
  for (const v1::Analysis& analysis : *analyses) {
    google::protobuf::Timestamp created = analysis.create_time();
    created.set_nanos(0);
    table.AddRow({analysis.id(), std::string(client::StateName(analysis.state())),
                  google::protobuf::util::TimeUtil::ToString(created),
                  ProgressText(analysis.progress()), ModelName(analysis.spec()),
                  TargetsText(analysis.spec(), ","), analysis.spec().track(),
                  analysis.spec().title()});
  }
  for (const std::string& line :
       table.Lines(environment.out.is_terminal ? environment.out.columns : 0)) {
    *environment.out.stream << line << '\n';
  }
  return absl::OkStatus();
}

}  // namespace

void AddList(CLI::App& app, Command* chosen) {
  auto options = std::make_shared<ListOptions>();
  CLI::App* command = app.add_subcommand("list", "List the service's analyses, newest first");
  AddServerOption(*command, &options->server);
  command->add_option("--limit", options->limit, "At most N (default all)")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  command->add_option("--track", options->track, "Only analyses submitted with this --track")->type_name("NAME");
  command->footer(R"(Examples:
  qatgap list --server 127.0.0.1:50551
  qatgap list --track residual-net --server 127.0.0.1:50551
  QATGAP_SERVER=127.0.0.1:50551 qatgap list --limit 10)");
  command->callback([chosen, options] {
    *chosen = [options](Environment& environment) { return List(environment, *options); };
  });
}

}  // namespace qatgap::cli
