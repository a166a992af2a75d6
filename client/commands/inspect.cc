#include <memory>
#include <string>
#include <vector>

#include "client/commands/answer.h"
#include "client/commands/commands.h"
#include "client/commands/model_options.h"
#include "client/commands/upload.h"
#include "client/output_file.h"
#include "client/target_argument.h"

namespace qatgap::cli {
namespace {

struct InspectOptions {
  std::string qat;
  std::string converted;
  std::vector<std::string> targets;
  std::string json;
  std::string server;
  bool quiet = false;
};

absl::Status InspectIn(client::Client& client, Environment& environment, const InspectOptions& options,
                       const std::vector<v1::TargetRef>& targets) {
  v1::InspectModelRequest request;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const auto known = AskForTarget(client, options.targets[i], targets[i]);
    if (!known.ok()) return known.status();
    *request.add_targets() = targets[i];
  }
  const auto upload = [&](const std::string& path, v1::ArtifactRef* artifact) {
    return Upload(client, environment.err, options.quiet, path, artifact);
  };
  if (!options.qat.empty()) {
    if (absl::Status s = upload(options.qat, request.mutable_qat_model()); !s.ok()) return s;
  }
  if (!options.converted.empty()) {
    if (absl::Status s = upload(options.converted, request.mutable_converted_model()); !s.ok()) return s;
  }
  const auto answer = client.InspectModel(request);
  if (!answer.ok()) return answer.status();
  return ShowAnswer(environment.out, answer->text(), answer->result(), options.json);
}

absl::Status Inspect(Environment& environment, const InspectOptions& options) {
  if (absl::Status s = CheckModels(options.qat, options.converted); !s.ok()) return s;
  if (!options.json.empty()) {
    if (absl::Status writable = CheckWritable("--json", options.json); !writable.ok()) return writable;
  }
  const auto targets = ReadTargets(options.targets);
  if (!targets.ok()) return targets.status();
  auto session = Session::Open(environment, options.server);
  if (!session.ok()) return session.status();
  return session->Explain(InspectIn(session->client(), environment, options, *targets));
}

}  // namespace

void AddInspect(CLI::App& app, Command* chosen) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App* command = app.add_subcommand("inspect", "Look at a model's biases and multipliers without data");
  command
      ->add_option("--qat", options->qat,
                   "The QAT model, or a float one beside --converted; without it qatgap rebuilds it from --converted")
      ->type_name("FILE");
  command
      ->add_option("--converted", options->converted,
                   "The converted model; without it qatgap lowers the QAT model itself")
      ->type_name("FILE");
  command
      ->add_option("--target", options->targets,
                   "A target of `qatgap target list`, or a file that describes your own; may be repeated "
                   "(default generic-int32)")
      ->type_name("NAME|FILE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  AddJsonOption(*command, &options->json);
  AddServerOption(*command, &options->server);
  AddQuietFlag(*command, &options->quiet);
  command->footer(
      R"(For each target the layers with their worst bias error, saturated biases and multipliers, then the
findings: what the constants of the model already say is wrong. No samples are needed. Findings are
a result: the exit code is 0 with and without them.

Examples:
  qatgap inspect --qat model_qat.pt
  qatgap inspect --converted model_int8.tflite --target tflite-reference
  qatgap inspect --qat model_qat.pt --converted model_int8.pt --target cmsis-nn \
      --target my_accelerator.yaml --json inspection.json)");
  command->callback([chosen, options] {
    *chosen = [options](Environment& environment) { return Inspect(environment, *options); };
  });
}

}  // namespace qatgap::cli
