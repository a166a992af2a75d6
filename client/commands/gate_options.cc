#include "client/commands/gate_options.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/commands/upload.h"
#include "client/lib/error_details.h"
#include "client/lib/local_file.h"
#include "client/output_file.h"
#include "client/terminal/text.h"

namespace qatgap::cli {
namespace {

struct Surface {
  const char* option;
  std::string GateOptions::* path;
  v1::GateSurface surface;
  const char* help;
};

constexpr std::size_t kSurfaces = 5;
const Surface (&Surfaces())[kSurfaces] {
  static const Surface surfaces[kSurfaces] = {
      {"junit", &GateOptions::junit, v1::GATE_SURFACE_JUNIT, "Write a JUnit test case for each rule, target and layer"},
      {"sarif", &GateOptions::sarif, v1::GATE_SURFACE_SARIF, "Write SARIF 2.1.0"},
      {"gitlab", &GateOptions::gitlab, v1::GATE_SURFACE_GITLAB, "Write GitLab's code quality report"},
      {"markdown", &GateOptions::markdown, v1::GATE_SURFACE_MARKDOWN, "Write the failing rows as Markdown"},
      {"json", &GateOptions::json, v1::GATE_SURFACE_JSON, "Write every check as JSON"}};
  return surfaces;
}

absl::StatusOr<std::string> RulesText(const GateOptions& options) {
  if (options.rules.empty()) return absl::StrCat("version: 1\npreset: ", options.preset, "\n");
  std::ifstream in(options.rules, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in.good() && !in.eof()) return absl::InvalidArgumentError(absl::StrCat("the rules cannot be read (", options.rules, ")"));
  return text;
}

// In single quotes where a shell would change it.
std::string Shell(const std::string& argument) {
  constexpr char kPlain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-+=:@%";
  if (!argument.empty() && argument.find_first_not_of(kPlain) == std::string::npos) return argument;
  std::string quoted = "'";
  for (const char c : argument) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

int ExitCodeOf(v1::GateVerdict verdict) {
  switch (verdict) {
    case v1::GATE_VERDICT_PASS:
      return kExitDone;
    case v1::GATE_VERDICT_FAIL:
      return kExitGateFailed;
    default:
      return kExitNotComparable;
  }
}

absl::Status WriteWhole(const std::string& path, const std::string& bytes) {
  auto file = OutputFile::Create(path);
  if (!file.ok()) return file.status();
  if (absl::Status appended = file->Append(bytes); !appended.ok()) return appended;
  return file->Commit();
}

// The summary of a step of a GitHub workflow: appended to, since earlier commands may have written there.
absl::Status AppendStepSummary(const std::string& markdown) {
  const char* path = std::getenv("GITHUB_STEP_SUMMARY");
  if (path == nullptr || *path == '\0') return absl::OkStatus();
  std::ofstream out(path, std::ios::app | std::ios::binary);
  out << markdown << '\n';
  out.flush();
  if (out.good()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("the step summary cannot be written (", path, ")"));
}

}  // namespace

void AddGateOptions(CLI::App& command, GateOptions* options, const std::string& prefix) {
  command.add_option("--rules", options->rules, "Limits on metrics: docs/gate.md")->type_name("FILE");
  command.add_option("--preset", options->preset, "Limits that are shipped: strict, default, ratchet")->type_name("NAME");
  command.add_option("--baseline", options->baseline, "An earlier report, or what `qatgap baseline update` wrote")
      ->type_name("FILE");
  for (const Surface& surface : Surfaces()) {
    const bool taken = std::string(surface.option) == "json" || std::string(surface.option) == "markdown";
    command.add_option(absl::StrCat(taken ? prefix : "--", surface.option), options->*surface.path, surface.help)
        ->type_name("FILE");
  }
  command.add_flag("--github", options->github, "Annotations for GitHub Actions, and its step summary");
}

absl::Status CheckGateOptions(const GateOptions& options, const std::string& prefix) {
  if (options.rules.empty() == options.preset.empty()) {
    return client::WithRemedy(absl::InvalidArgumentError(options.wanted() ? "both --rules and --preset are given"
                                                                          : "there are no rules"),
                              "pass --rules FILE, or --preset strict, default or ratchet; a rules file may name a preset");
  }
  if (!options.rules.empty()) {
    if (absl::Status readable = client::CheckReadable("rules", options.rules); !readable.ok()) return readable;
  }
  if (!options.baseline.empty()) {
    if (absl::Status readable = client::CheckReadable("baseline", options.baseline); !readable.ok()) return readable;
  }
  for (const Surface& surface : Surfaces()) {
    if ((options.*surface.path).empty()) continue;
    const bool taken = std::string(surface.option) == "json" || std::string(surface.option) == "markdown";
    if (absl::Status writable = CheckWritable(absl::StrCat(taken ? prefix : "--", surface.option), options.*surface.path);
        !writable.ok()) {
      return writable;
    }
  }
  return absl::OkStatus();
}

absl::Status RunGate(client::Client& client, Environment& environment, const GateOptions& options, v1::ReportSource report,
                     const std::string& report_path, bool quiet) {
  v1::EvaluateGateRequest request;
  *request.mutable_report() = std::move(report);
  const auto rules = RulesText(options);
  if (!rules.ok()) return rules.status();
  request.set_rules(*rules);
  request.set_rules_name(options.rules.empty() ? absl::StrCat("preset ", options.preset) : client::BaseName(options.rules));
  if (!options.baseline.empty()) {
    if (absl::Status sent = Upload(client, environment.err, /*quiet=*/true, options.baseline,
                                   request.mutable_baseline()->mutable_artifact());
        !sent.ok()) {
      return sent;
    }
    if (!report_path.empty()) {
      request.set_accept_command(absl::StrCat("qatgap baseline update --report ", Shell(report_path), " --baseline ",
                                              Shell(options.baseline)));
    }
  }
  request.add_surfaces(v1::GATE_SURFACE_TEXT);
  if (options.github) request.add_surfaces(v1::GATE_SURFACE_GITHUB);
  for (const Surface& surface : Surfaces()) {
    const bool summary = options.github && surface.surface == v1::GATE_SURFACE_MARKDOWN;
    if (!(options.*surface.path).empty() || summary) request.add_surfaces(surface.surface);
  }
  std::map<v1::GateSurface, std::string> surfaces;
  const auto summary = client.EvaluateGate(request, &surfaces);
  if (!summary.ok()) return summary.status();
  environment.verdict = ExitCodeOf(summary->verdict());
  // Quiet of what holds only: a broken limit must say where.
  const bool short_text = quiet && summary->verdict() == v1::GATE_VERDICT_PASS;
  *environment.out.stream << terminal::SanitizeLines(short_text ? absl::StrCat(summary->headline(), "\n")
                                                           : surfaces[v1::GATE_SURFACE_TEXT]);
  if (options.github) *environment.out.stream << terminal::SanitizeLines(surfaces[v1::GATE_SURFACE_GITHUB]);
  environment.out.stream->flush();
  const auto tell = [&](const absl::Status& written) {
    if (!written.ok()) PrintError(environment.err, written);
  };
  if (options.github) tell(AppendStepSummary(surfaces[v1::GATE_SURFACE_MARKDOWN]));
  for (const Surface& surface : Surfaces()) {
    const std::string& path = options.*surface.path;
    if (!path.empty()) tell(WriteWhole(path, surfaces[surface.surface]));
  }
  return absl::OkStatus();
}

}  // namespace qatgap::cli
