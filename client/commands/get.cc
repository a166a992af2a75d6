#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/commands/report_files.h"
#include "client/commands/results.h"
#include "client/lib/error_details.h"
#include "client/terminal/text.h"

namespace qatgap::cli {
namespace {

struct GetOptions {
  std::string id;
  std::string server;
  ReportFiles files;
};

void PrintFacts(const terminal::Output& out, const v1::Analysis& analysis) {
  const auto print = [&](const std::string& name, const std::string& value) {
    if (value.empty()) return;
    *out.stream << name << std::string(name.size() < 11 ? 11 - name.size() : 1, ' ')
                << terminal::Sanitize(value) << '\n';
  };
  const v1::AnalysisSpec& spec = analysis.spec();
  print("analysis", analysis.id());
  print("title", spec.title());
  print("track", spec.track());
  print("state", std::string(client::StateName(analysis.state())));
  if (analysis.progress().samples_total() > 0) {
    print("samples", absl::StrCat(analysis.progress().samples_done(), " of ",
                                  analysis.progress().samples_total(), " run"));
  }
  print("qat", spec.qat_model().name());
  print("converted", spec.converted_model().name());
  print("data", spec.samples().name());
  for (const v1::SampleInput& input : spec.sample_inputs()) {
    print("data", input.input_name().empty() ? input.file().name()
                                             : absl::StrCat(input.input_name(), "=", input.file().name()));
  }
  print("labels", spec.labels().name());
  print("targets", TargetsText(spec, ", "));
  if (analysis.state() == v1::ANALYSIS_STATE_FAILED) print("error", analysis.error().message());
}

absl::Status Get(Environment& environment, const GetOptions& options) {
  if (absl::Status checked = CheckReportFiles(options.files, {}); !checked.ok()) return checked;
  auto session = OpenLasting(environment, options.server);
  if (!session.ok()) return session.status();
  const auto analysis = session->client().Get(options.id);
  if (!analysis.ok()) return analysis.status();
  PrintFacts(environment.out, *analysis);
  if (analysis->state() != v1::ANALYSIS_STATE_SUCCEEDED) {
    if (!options.files.any()) return absl::OkStatus();
    absl::Status nothing = absl::FailedPreconditionError(
        absl::StrCat("the analysis has no report (", options.id, " is ",
                     std::string(client::StateName(analysis->state())), ")"));
    if (client::HasEnded(analysis->state())) return nothing;
    return client::WithRemedy(nothing, absl::StrCat("wait for it with: qatgap watch ", options.id));
  }
  *environment.out.stream << '\n';
  if (absl::Status printed =
          PrintResults(environment.out, session->client(), *analysis, /*headlines_only=*/false);
      !printed.ok()) {
    return printed;
  }
  return WriteReportFiles(options.files, session->client(), options.id, environment.err,
                          /*quiet=*/false);
}

}  // namespace

void AddGet(CLI::App& app, Command* chosen) {
  auto options = std::make_shared<GetOptions>();
  CLI::App* command = app.add_subcommand("get", "Show an analysis and write its report");
  command->add_option("ID", options->id, "The analysis")->required();
  AddServerOption(*command, &options->server);
  AddReportOptions(*command, &options->files);
  command->footer(
      R"(Shows the state of any analysis. The exit code is 0 for one that failed, unless a report is asked
for: `qatgap watch` is the command that judges.

Examples:
  qatgap get ID --server 127.0.0.1:50551
  qatgap get ID --server 127.0.0.1:50551 --html report.html --json report.json)");
  command->callback([chosen, options] {
    *chosen = [options](Environment& environment) { return Get(environment, *options); };
  });
}

}  // namespace qatgap::cli
