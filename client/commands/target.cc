#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "client/commands/commands.h"
#include "client/target_argument.h"
#include "client/terminal/table.h"
#include "client/terminal/text.h"

namespace qatgap::cli {
namespace {

struct TargetOptions {
  std::string server;
  std::string name;
};

std::string EvidenceName(v1::EvidenceKind kind) {
  switch (kind) {
    case v1::EVIDENCE_KIND_VERIFIED:
      return "verified";
    case v1::EVIDENCE_KIND_FROM_SOURCE:
      return "from source";
    default:
      return "unverified";
  }
}

std::string BiasModeName(v1::BiasMode mode) {
  switch (mode) {
    case v1::BIAS_MODE_FLOAT_BEFORE_SCALE:
      return "float, before scaling";
    case v1::BIAS_MODE_FLOAT_AFTER_SCALE:
      return "float, after scaling";
    case v1::BIAS_MODE_INTEGER:
      return "integer";
    default:
      return "by layer";  // the target delegates: each layer has the bias of what it is delegated to
  }
}

std::string EngineName(v1::Engine engine) {
  switch (engine) {
    case v1::ENGINE_FBGEMM:
      return "FBGEMM";
    case v1::ENGINE_QNNPACK:
      return "QNNPACK";
    case v1::ENGINE_X86:
      return "x86";
    case v1::ENGINE_ONEDNN:
      return "oneDNN";
    default:
      return "-";
  }
}

absl::Status ListIn(client::Client& client, const terminal::Output& out) {
  const auto targets = client.ListTargets();
  if (!targets.ok()) return targets.status();
  using terminal::Align;
  terminal::Table table({{"target", Align::kLeft, 0},
                         {"bias", Align::kLeft, 0},
                         {"evidence", Align::kLeft, 0},
                         {"engine", Align::kLeft, 0},
                         {"title", Align::kLeft, 20}});
  for (const v1::Target& target : *targets) {
    table.AddRow({target.name(), BiasModeName(target.bias_mode()),
                  EvidenceName(target.evidence().kind()), EngineName(target.engine()),
                  target.title()});
  }
  for (const std::string& line : table.Lines(out.is_terminal ? out.columns : 0)) {
    *out.stream << line << '\n';
  }
  return absl::OkStatus();
}

absl::Status ShowIn(client::Client& client, const terminal::Output& out, const std::string& name,
                    const v1::TargetRef& ref) {
  const auto target = AskForTarget(client, name, ref);
  if (!target.ok()) return target.status();
  *out.stream << terminal::Styled(out, terminal::Style::kBold, terminal::Sanitize(target->name()))
              << "  " << terminal::Sanitize(target->title()) << "\n\n";
  const auto print = [&](const std::string& text) {
    for (const absl::string_view paragraph : absl::StrSplit(text, '\n')) {
      // Formulas are set with leading spaces; leave such lines as they are.
      const std::string safe = terminal::Sanitize(std::string(paragraph));
      if (!safe.empty() && safe.front() == ' ') {
        *out.stream << safe << '\n';
        continue;
      }
      for (const std::string& line : terminal::Wrap(safe, out.columns)) *out.stream << line << '\n';
    }
  };
  // The description has all the other fields; it ends with a line end.
  if (!target->description().empty()) {
    print(std::string(absl::StripSuffix(target->description(), "\n")));
    return absl::OkStatus();
  }
  if (!target->summary().empty()) print(target->summary() + "\n");
  print(absl::StrCat("bias:     ", BiasModeName(target->bias_mode())));
  print(absl::StrCat("engine:   ", EngineName(target->engine())));
  print(absl::StrCat("evidence: ", EvidenceName(target->evidence().kind()),
                     target->evidence().detail().empty() ? "" : ", ", target->evidence().detail()));
  if (!target->source().empty()) print(absl::StrCat("source:   ", target->source()));
  print(absl::StrCat("digest:   ", target->arithmetic_digest()));
  return absl::OkStatus();
}

}  // namespace

void AddTarget(CLI::App& app, Command* chosen) {
  auto options = std::make_shared<TargetOptions>();
  CLI::App* group = app.add_subcommand("target", "Targets: list, show, hold against vectors, identify");
  group->require_subcommand(1);
  group->footer(R"(Examples:
  qatgap target list
  qatgap target show pytorch-qnnpack
  qatgap target verify --target my_accelerator.yaml --vectors captures
  qatgap target identify --vectors captures)");

  CLI::App* list = group->add_subcommand("list", "List the targets");
  AddServerOption(*list, &options->server);
  list->footer(R"("verified" means that vectors made by the real runtime agree bit for bit.

Examples:
  qatgap target list
  qatgap target list --server 127.0.0.1:50551)");
  list->callback([chosen, options] {
    *chosen = [options](Environment& environment) -> absl::Status {
      auto session = Session::Open(environment, options->server);
      if (!session.ok()) return session.status();
      return session->Explain(ListIn(session->client(), environment.out));
    };
  });

  CLI::App* show = group->add_subcommand("show", "Show one target: formula, rounding, limits");
  show->add_option("NAME|FILE", options->name, "A target of `qatgap target list`, or a file that describes your own")
      ->required();
  AddServerOption(*show, &options->server);
  show->footer(R"(Examples:
  qatgap target show pytorch-qnnpack
  qatgap target show my_accelerator.yaml)");
  show->callback([chosen, options] {
    *chosen = [options](Environment& environment) -> absl::Status {
      const auto ref = ReadTarget(options->name);
      if (!ref.ok()) return ref.status();
      auto session = Session::Open(environment, options->server);
      if (!session.ok()) return session.status();
      return session->Explain(ShowIn(session->client(), environment.out, options->name, *ref));
    };
  });
  AddVerify(*group, chosen);
  AddIdentify(*group, chosen);
}

}  // namespace qatgap::cli
