#include <memory>
#include <string>

#include "client/commands/answer.h"
#include "client/commands/commands.h"
#include "client/commands/upload.h"
#include "client/output_file.h"
#include "client/target_argument.h"
#include "client/vectors_archive.h"

namespace qatgap::cli {
namespace {

struct VerifyOptions {
  std::string target;
  std::string vectors;
  std::string json;
  std::string server;
  bool quiet = false;
};

absl::Status VerifyIn(client::Client& client, Environment& environment, const VerifyOptions& options,
                      const v1::TargetRef& target, const std::string& archive) {
  if (const auto known = AskForTarget(client, options.target, target); !known.ok()) return known.status();
  v1::VerifyTargetRequest request;
  *request.mutable_target() = target;
  if (absl::Status s = Upload(client, environment.err, options.quiet, archive, request.mutable_vectors()); !s.ok()) {
    return s;
  }
  const auto answer = client.VerifyTarget(request);
  if (!answer.ok()) return answer.status();
  environment.verdict = answer->exact() ? kExitDone : kExitNotExact;
  return ShowAnswer(environment.out, answer->text(), *answer, options.json);
}

absl::Status Verify(Environment& environment, const VerifyOptions& options) {
  if (!options.json.empty()) {
    if (absl::Status writable = CheckWritable("--json", options.json); !writable.ok()) return writable;
  }
  const auto target = ReadTarget(options.target);
  if (!target.ok()) return target.status();
  const auto archive = VectorsArchive::Pack(options.vectors);
  if (!archive.ok()) return archive.status();
  auto session = Session::Open(environment, options.server);
  if (!session.ok()) return session.status();
  return session->Explain(VerifyIn(session->client(), environment, options, *target, archive->path()));
}

}  // namespace

void AddVerify(CLI::App& group, Command* chosen) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App* command = group.add_subcommand("verify", "Hold a target against vectors of the real thing, bit by bit");
  command->add_option("--target", options->target, "A target of `qatgap target list`, or a file that describes your own")
      ->type_name("NAME|FILE")
      ->required();
  command->add_option("--vectors", options->vectors, "A directory with a folder for each case")
      ->type_name("DIR")
      ->required();
  AddJsonOption(*command, &options->json);
  AddServerOption(*command, &options->server);
  AddQuietFlag(*command, &options->quiet);
  command->footer(
      R"(Computes every output element of every case and compares. Where one differs, the first ones are shown
with every intermediate value: accumulator, bias, product, rounded, clamped. Exit code 0 when all is
exact, 1 when not. tests/golden/README.md describes the vectors.

Examples:
  qatgap target verify --target pytorch-qnnpack --vectors tests/golden/vectors/pytorch-qnnpack
  qatgap target verify --target my_accelerator.yaml --vectors captures --json verification.json)");
  command->callback([chosen, options] {
    *chosen = [options](Environment& environment) { return Verify(environment, *options); };
  });
}

}  // namespace qatgap::cli
