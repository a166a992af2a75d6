#include "client/cli.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/commands/commands.h"
#include "client/lib/error_details.h"
#include "client/terminal/text.h"

namespace qatgap::cli {
namespace {

constexpr char kFooter[] = R"(Exit codes:
  0    done; a large gap is a result, not an error
  1    `target verify`: something is not exact; `target identify`: nothing found is; `gate`: a limit is
       broken
  2    usage or bad input: a wrong option, a missing or unreadable file, a model that cannot be
       analysed, an unknown target or analysis
  3    `gate`: the report cannot be judged: another model, other samples, a figure that is missing
  4    the service cannot be reached, the analysis failed inside it, or someone else cancelled it
  130  interrupted; the analysis that `analyze` had created is cancelled

Environment:
  QATGAP_SERVER   address of the service where --server is not given
  QATGAP_QATGAPD  qatgapd to start where there is no service (default: the one beside qatgap)
  NO_COLOR        no colours when set

Examples:
  qatgap analyze --qat model_qat.pt --converted model_int8.pt --samples calib.npz \
      --target pytorch-qnnpack
  qatgap inspect --qat model_qat.pt --target cmsis-nn
  qatgap handoff --converted model_int8.pt --target generic-int32 --out handoff
  qatgap target verify --target my_accelerator.yaml --vectors captures
  qatgap target list
  qatgap list --server 127.0.0.1:50551)";

}  // namespace

absl::StatusOr<Session> Session::Open(Environment& environment, const std::string& address,
                                      int runners) {
  Session session;
  std::string where = address;
  if (where.empty()) {
    PrivateServerOptions options;
    options.binary = environment.qatgapd;
    options.runners = runners;
    options.cancellation = environment.cancellation;
    auto server = PrivateServer::Start(std::move(options));
    if (!server.ok()) return server.status();
    session.private_server_ = std::move(*server);
    where = session.private_server_->address();
  }
  client::ConnectOptions options;
  if (session.private_server_ != nullptr) options.reconnect_limit = {};
  options.address = where;
  options.cancellation = environment.cancellation;
  auto connected = client::Client::Connect(std::move(options));
  if (!connected.ok()) return connected.status();
  session.client_ = std::move(*connected);
  return session;
}

absl::Status Session::Explain(const absl::Status& status) const {
  return private_server_ == nullptr ? status : private_server_->Explain(status);
}

int ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kExitDone;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kOutOfRange:
      return kExitBadInput;
    default:
      return kExitFailed;
  }
}

void PrintError(const terminal::Output& err, const absl::Status& status) {
  *err.stream << terminal::Styled(err, terminal::Style::kRed, "error:") << ' '
              << terminal::SanitizeLines(std::string(status.message())) << '\n';
  if (const std::string detail = client::DetailOf(status); !detail.empty()) {
    for (const absl::string_view line : absl::StrSplit(detail, '\n')) {
      *err.stream << "  | " << terminal::Sanitize(std::string(line)) << '\n';
    }
  }
  if (const std::string remedy = client::RemedyOf(status); !remedy.empty()) {
    *err.stream << terminal::Styled(err, terminal::Style::kBold, "remedy:") << ' '
                << terminal::Sanitize(remedy) << '\n';
  }
  err.stream->flush();
}

int RunCli(const std::vector<std::string>& arguments, Environment& environment) {
  CLI::App app(
      "Measures how far the integer model that runs is from the quantization-aware-trained model,\n"
      "layer by layer and cause by cause.",
      "qatgap");
  app.set_version_flag("--version", absl::StrCat("qatgap ", QATGAP_VERSION), "Print the version");
  app.require_subcommand(1);
  app.footer(kFooter);
  Command chosen;
  AddAnalyze(app, &chosen);
  AddList(app, &chosen);
  AddGet(app, &chosen);
  AddWatch(app, &chosen);
  AddCancel(app, &chosen);
  AddDelete(app, &chosen);
  AddTarget(app, &chosen);
  AddInspect(app, &chosen);
  AddHandoff(app, &chosen);
  AddGate(app, &chosen);
  AddCompare(app, &chosen);
  AddBaseline(app, &chosen);

  try {
    // CLI11 takes the last argument first.
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    app.parse(std::move(reversed));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      app.exit(error, *environment.out.stream, *environment.err.stream);
      environment.out.stream->flush();
      return kExitDone;
    }
    std::string help = "qatgap";
    for (const CLI::App* at = &app; !at->get_subcommands().empty();) {
      at = at->get_subcommands().front();
      absl::StrAppend(&help, " ", at->get_name());
    }
    PrintError(environment.err, client::WithRemedy(absl::InvalidArgumentError(error.what()),
                                                   absl::StrCat("see ", help, " --help")));
    return kExitBadInput;
  }

  const absl::Status status = chosen(environment);
  environment.out.stream->flush();
  if (status.ok()) return environment.verdict;
  if (environment.cancellation->requested()) {
    *environment.err.stream << "interrupted";
    if (!absl::IsCancelled(status)) {
      *environment.err.stream << ": " << terminal::Sanitize(std::string(status.message()));
    } else if (const std::string detail = client::DetailOf(status); !detail.empty()) {
      *environment.err.stream << ": " << terminal::Sanitize(detail);
    }
    *environment.err.stream << std::endl;
    return kExitInterrupted;
  }
  PrintError(environment.err, status);
  return ExitCodeOf(status);
}

}  // namespace qatgap::cli
