#include <memory>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/commands/upload.h"
#include "client/lib/error_details.h"
#include "client/lib/local_file.h"
#include "client/output_directory.h"
#include "client/target_argument.h"
#include "client/terminal/text.h"

namespace qatgap::cli {
namespace {

struct HandoffOptions {
  std::string qat;
  std::string converted;
  std::string target;
  std::string out;
  std::string server;
  bool force = false;
  bool quiet = false;
};

absl::Status HandoffIn(client::Client& client, Environment& environment, const HandoffOptions& options,
                       const v1::TargetRef& target) {
  if (const auto known = AskForTarget(client, options.target, target); !known.ok()) return known.status();
  v1::CreateHandoffRequest request;
  *request.mutable_target() = target;
  const bool converted = !options.converted.empty();
  if (absl::Status s = Upload(client, environment.err, options.quiet, converted ? options.converted : options.qat,
                              converted ? request.mutable_converted_model() : request.mutable_qat_model());
      !s.ok()) {
    return s;
  }
  std::string archive;
  absl::Status got = client.CreateHandoff(request, [&](std::string_view bytes) {
    archive.append(bytes);
    return absl::OkStatus();
  });
  if (!got.ok()) return got;
  const auto files = Unpack(archive, options.out, options.force);
  if (!files.ok()) return files.status();
  *environment.out.stream << "wrote " << *files << " files to " << terminal::Sanitize(options.out)
                          << "; start with its README.md\n";
  return absl::OkStatus();
}

absl::Status Handoff(Environment& environment, const HandoffOptions& options) {
  if (options.qat.empty() == options.converted.empty()) {
    return client::WithRemedy(
        absl::InvalidArgumentError(options.qat.empty() ? "no model is given" : "two models are given, a handoff is of one"),
        "pass --qat FILE or --converted FILE");
  }
  absl::Status readable = options.qat.empty() ? client::CheckReadable("converted model", options.converted)
                                              : client::CheckReadable("QAT model", options.qat);
  if (!readable.ok()) return readable;
  if (absl::Status writable = CheckOutputDirectory("--out", options.out, options.force); !writable.ok()) return writable;
  const auto target = ReadTarget(options.target);
  if (!target.ok()) return target.status();
  auto session = Session::Open(environment, options.server);
  if (!session.ok()) return session.status();
  return session->Explain(HandoffIn(session->client(), environment, options, *target));
}

}  // namespace

void AddHandoff(CLI::App& app, Command* chosen) {
  auto options = std::make_shared<HandoffOptions>();
  CLI::App* command =
      app.add_subcommand("handoff", "Write what a hardware engineer needs of a model: integers, formula, vectors");
  command->add_option("--qat", options->qat, "A QAT model: the integers that conversion would ship")->type_name("FILE");
  command->add_option("--converted", options->converted, "A converted model")->type_name("FILE");
  command->add_option("--target", options->target, "A target of `qatgap target list`, or a file that describes your own")
      ->type_name("NAME|FILE")
      ->required();
  command->add_option("--out", options->out, "The directory to write; new or empty")->type_name("DIR")->required();
  command->add_flag("--force", options->force, "Replace what an earlier call wrote to --out");
  AddServerOption(*command, &options->server);
  AddQuietFlag(*command, &options->quiet);
  command->footer(
      R"(For each layer the integer weights and biases, multiplier and shift of every channel, zero points and
clamps, the batch-norm fold, and input and output vectors for a test bench: as .npy, JSON and a C
header. No samples are needed; equal calls write equal bytes.

Examples:
  qatgap handoff --qat model_qat.pt --target cmsis-nn --out handoff
  qatgap handoff --converted model_int8.pt --target my_accelerator.yaml --out handoff --force
  qatgap target verify --target cmsis-nn --vectors handoff/layers)");
  command->callback([chosen, options] {
    *chosen = [options](Environment& environment) { return Handoff(environment, *options); };
  });
}

}  // namespace qatgap::cli
