#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/commands/answer.h"
#include "client/commands/commands.h"
#include "client/commands/upload.h"
#include "client/lib/error_details.h"
#include "client/output_directory.h"
#include "client/output_file.h"
#include "client/terminal/text.h"
#include "client/vectors_archive.h"

namespace qatgap::cli {
namespace {

struct IdentifyOptions {
  std::string vectors;
  std::string propose;
  std::string json;
  std::string server;
  bool force = false;
  bool quiet = false;
};

absl::Status WriteProposals(const terminal::Output& err, const v1::IdentifyTargetResponse& answer,
                            const IdentifyOptions& options) {
  if (answer.proposals().empty()) {
    if (!options.propose.empty()) *err.stream << "nothing to propose: --propose is not written" << std::endl;
    return absl::OkStatus();
  }
  if (options.propose.empty()) {
    *err.stream << "write the proposed vectors with --propose DIR" << std::endl;
    return absl::OkStatus();
  }
  const auto files = Unpack(answer.proposed_vectors(), options.propose, options.force);
  if (!files.ok()) return files.status();
  *err.stream << "wrote " << answer.proposals_size() << " cases to " << terminal::Sanitize(options.propose)
              << "; run them on the device and add its output.npy to each" << std::endl;
  return absl::OkStatus();
}

absl::Status IdentifyIn(client::Client& client, Environment& environment, const IdentifyOptions& options,
                        const std::string& archive) {
  v1::IdentifyTargetRequest request;
  if (absl::Status s = Upload(client, environment.err, options.quiet, archive, request.mutable_vectors()); !s.ok()) {
    return s;
  }
  const auto answer = client.IdentifyTarget(request);
  if (!answer.ok()) return answer.status();
  environment.verdict = answer->exact() ? kExitDone : kExitNotExact;
  if (absl::Status shown = ShowAnswer(environment.out, answer->text(), *answer, options.json); !shown.ok()) return shown;
  return WriteProposals(environment.err, *answer, options);
}

absl::Status Identify(Environment& environment, const IdentifyOptions& options) {
  if (!options.json.empty()) {
    if (absl::Status writable = CheckWritable("--json", options.json); !writable.ok()) return writable;
  }
  if (!options.propose.empty()) {
    absl::Status writable = CheckOutputDirectory("--propose", options.propose, options.force);
    if (!writable.ok()) return writable;
  }
  if (options.force && options.propose.empty()) {
    return client::WithRemedy(absl::InvalidArgumentError("--force goes with --propose"), "drop it, or add --propose DIR");
  }
  const auto archive = VectorsArchive::Pack(options.vectors);
  if (!archive.ok()) return archive.status();
  auto session = Session::Open(environment, options.server);
  if (!session.ok()) return session.status();
  return session->Explain(IdentifyIn(session->client(), environment, options, archive->path()));
}

}  // namespace

void AddIdentify(CLI::App& group, Command* chosen) {
  auto options = std::make_shared<IdentifyOptions>();
  CLI::App* command = group.add_subcommand("identify", "Find the descriptions that reproduce vectors of a device");
  command->add_option("--vectors", options->vectors, "A directory with a folder for each case")
      ->type_name("DIR")
      ->required();
  command
      ->add_option("--propose", options->propose,
                   "Write cases that would tell the remaining candidates apart to this new directory")
      ->type_name("DIR");
  command->add_flag("--force", options->force, "Replace what an earlier call wrote to --propose");
  AddJsonOption(*command, &options->json);
  AddServerOption(*command, &options->server);
  AddQuietFlag(*command, &options->quiet);
  command->footer(
      R"(Searches the rules a target can have (bias, rounding, multiplier, ...) for those that give every output
element of every case. Exit code 0 when there are some, 1 when the closest still differ.

Examples:
  qatgap target identify --vectors captures
  qatgap target identify --vectors captures --propose next_captures --json identified.json)");
  command->callback([chosen, options] {
    *chosen = [options](Environment& environment) { return Identify(environment, *options); };
  });
}

}  // namespace qatgap::cli
