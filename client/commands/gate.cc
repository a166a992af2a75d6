// The commands of continuous integration: gate, compare, baseline update.
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/commands/gate_options.h"
#include "client/commands/upload.h"
#include "client/lib/error_details.h"
#include "client/lib/local_file.h"
#include "client/output_file.h"
#include "client/terminal/text.h"

namespace qatgap::cli {
namespace {

struct ReportGateOptions {
  std::string report;
  std::string server;
  GateOptions gate;
  bool quiet = false;
};

absl::Status GateIn(client::Client& client, Environment& environment, const ReportGateOptions& options) {
  v1::ReportSource report;
  if (absl::Status sent = Upload(client, environment.err, /*quiet=*/true, options.report, report.mutable_artifact()); !sent.ok()) {
    return sent;
  }
  return RunGate(client, environment, options.gate, std::move(report), options.report, options.quiet);
}

absl::Status Gate(Environment& environment, const ReportGateOptions& options) {
  if (absl::Status checked = CheckGateOptions(options.gate, "--"); !checked.ok()) return checked;
  if (absl::Status readable = client::CheckReadable("report", options.report); !readable.ok()) return readable;
  auto session = Session::Open(environment, options.server);
  if (!session.ok()) return session.status();
  return session->Explain(GateIn(session->client(), environment, options));
}

struct CompareOptions {
  std::string before, after, markdown, server;
};

absl::Status CompareIn(client::Client& client, Environment& environment, const CompareOptions& options) {
  v1::CompareReportsRequest request;
  for (const bool is_after : {false, true}) {
    v1::ReportSource* source = is_after ? request.mutable_after() : request.mutable_before();
    const std::string& path = is_after ? options.after : options.before;
    if (absl::Status sent = Upload(client, environment.err, /*quiet=*/true, path, source->mutable_artifact()); !sent.ok()) {
      return sent;
    }
  }
  std::string text;
  const auto append = [&](std::string_view bytes) {
    text.append(bytes);
    return absl::OkStatus();
  };
  if (absl::Status got = client.CompareReports(request, append); !got.ok()) return got;
  *environment.out.stream << terminal::SanitizeLines(text);
  if (options.markdown.empty()) return absl::OkStatus();
  text.clear();
  request.set_markdown(true);
  if (absl::Status got = client.CompareReports(request, append); !got.ok()) return got;
  auto file = OutputFile::Create(options.markdown);
  if (!file.ok()) return file.status();
  if (absl::Status appended = file->Append(text); !appended.ok()) return appended;
  return file->Commit();
}

absl::Status Compare(Environment& environment, const CompareOptions& options) {
  for (const std::string* path : {&options.before, &options.after}) {
    if (absl::Status readable = client::CheckReadable("report", *path); !readable.ok()) return readable;
  }
  if (!options.markdown.empty()) {
    if (absl::Status writable = CheckWritable("--markdown", options.markdown); !writable.ok()) return writable;
  }
  auto session = Session::Open(environment, options.server);
  if (!session.ok()) return session.status();
  return session->Explain(CompareIn(session->client(), environment, options));
}

struct UpdateOptions {
  std::string report, baseline, server;
};

absl::Status UpdateIn(client::Client& client, Environment& environment, const UpdateOptions& options) {
  v1::CreateBaselineRequest request;
  if (absl::Status sent = Upload(client, environment.err, /*quiet=*/true, options.report,
                                 request.mutable_report()->mutable_artifact());
      !sent.ok()) {
    return sent;
  }
  auto file = OutputFile::Create(options.baseline);
  if (!file.ok()) return file.status();
  if (absl::Status got = client.CreateBaseline(request, [&](std::string_view bytes) { return file->Append(bytes); }); !got.ok()) {
    return got;
  }
  if (absl::Status committed = file->Commit(); !committed.ok()) return committed;
  *environment.err.stream << "wrote " << terminal::Sanitize(options.baseline) << std::endl;
  return absl::OkStatus();
}

absl::Status Update(Environment& environment, const UpdateOptions& options) {
  if (absl::Status readable = client::CheckReadable("report", options.report); !readable.ok()) return readable;
  if (absl::Status writable = CheckWritable("--baseline", options.baseline); !writable.ok()) return writable;
  auto session = Session::Open(environment, options.server);
  if (!session.ok()) return session.status();
  return session->Explain(UpdateIn(session->client(), environment, options));
}

}  // namespace

void AddGate(CLI::App& app, Command* chosen) {
  auto options = std::make_shared<ReportGateOptions>();
  CLI::App* command = app.add_subcommand("gate", "Hold a report against limits and a baseline, for CI");
  command->add_option("--report", options->report, "A report: what `qatgap analyze --json` wrote")->type_name("FILE")->required();
  AddGateOptions(*command, &options->gate, "--");
  AddServerOption(*command, &options->server);
  command->add_flag("--quiet", options->quiet, "One line where every limit holds");
  command->footer(
      R"(Exit codes: 0 every limit holds (warnings allowed); 1 a limit is broken; 2 usage, or rules that cannot
be read or match nothing; 3 not comparable: another model, other samples, targets or arithmetic, less
coverage, a missing figure, an implausible improvement, nothing to compare; 4 the service failed.
docs/gate.md has the rules' format and every metric.

Examples:
  qatgap gate --report report.json --preset default
  qatgap gate --report report.json --baseline baseline.json --rules gate.yaml --junit gate.xml
  qatgap gate --report report.json --baseline baseline.json --preset ratchet --github)");
  command->callback([chosen, options] {
    *chosen = [options](Environment& environment) { return Gate(environment, *options); };
  });
}

void AddCompare(CLI::App& app, Command* chosen) {
  auto options = std::make_shared<CompareOptions>();
  CLI::App* command = app.add_subcommand("compare", "Show what moved between two reports");
  command->add_option("BEFORE", options->before, "The earlier report, or a baseline")->type_name("FILE")->required();
  command->add_option("AFTER", options->after, "The later report")->type_name("FILE")->required();
  command->add_option("--markdown", options->markdown, "Write it as Markdown to this file")->type_name("FILE");
  AddServerOption(*command, &options->server);
  command->footer(R"(Every metric of every layer that moved, the largest rates first. Exit code 0 whatever moved.

Examples:
  qatgap compare baseline.json report.json)");
  command->callback([chosen, options] {
    *chosen = [options](Environment& environment) { return Compare(environment, *options); };
  });
}

void AddBaseline(CLI::App& app, Command* chosen) {
  CLI::App* group = app.add_subcommand("baseline", "Keep what `qatgap gate` compares with");
  group->require_subcommand(1);
  auto options = std::make_shared<UpdateOptions>();
  CLI::App* command = group->add_subcommand("update", "Make a report the new baseline");
  command->add_option("--report", options->report, "A report: what `qatgap analyze --json` wrote")->type_name("FILE")->required();
  command->add_option("--baseline", options->baseline, "The baseline to write; keep it in your repository")
      ->type_name("FILE")
      ->required();
  AddServerOption(*command, &options->server);
  command->footer(R"(The baseline is canonical, one figure a line: a review of its diff shows what is accepted.

Examples:
  qatgap baseline update --report report.json --baseline baseline.json)");
  command->callback([chosen, options] {
    *chosen = [options](Environment& environment) { return Update(environment, *options); };
  });
}

}  // namespace qatgap::cli
