#include <algorithm>
#include <cctype>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/commands/commands.h"
#include "client/commands/gate_options.h"
#include "client/commands/model_options.h"
#include "client/commands/report_files.h"
#include "client/commands/results.h"
#include "client/commands/upload.h"
#include "client/lib/error_details.h"
#include "client/lib/local_file.h"
#include "client/samples_argument.h"
#include "client/target_argument.h"
#include "client/terminal/text.h"

namespace qatgap::cli {
namespace {

constexpr std::size_t kLongestTitle = 200;
constexpr std::size_t kLongestTrack = 64;

struct AnalyzeOptions {
  std::string qat;
  std::string converted;
  std::vector<std::string> samples;
  std::vector<std::string> normalize;
  std::string labels;
  std::vector<std::string> targets;
  std::string server;
  ReportFiles files;
  GateOptions gate;
  std::string title;
  std::string track;
  std::int64_t batch_size = 0;
  std::uint64_t max_samples = 0;
  int parallel = 0;
  bool detach = false;
  bool quiet = false;
  bool what_if = false;
  bool sensitivity = false;
  std::uint32_t worst_samples = 10;
  std::string held_out;
  std::string held_out_labels;
};

// What --samples and --normalize say.
struct Samples {
  std::vector<SamplesArgument> files;
  std::optional<SamplesArgument> held_out;
  std::vector<v1::Normalization> normalizations;
};

absl::StatusOr<Samples> ReadSamples(const AnalyzeOptions& options) {
  Samples samples;
  for (const std::string& value : options.samples) {
    auto argument = ReadSamplesArgument(value);
    if (!argument.ok()) return argument.status();
    samples.files.push_back(*std::move(argument));
  }
  if (!options.held_out.empty()) {
    auto argument = ReadSamplesArgument(options.held_out);
    if (!argument.ok()) return argument.status();
    if (!argument->input_name.empty()) {
      return client::WithRemedy(
          absl::InvalidArgumentError(absl::StrCat("--held-out takes one file without INPUT= ('",
                                                  terminal::Sanitize(options.held_out), "')")),
          "put the arrays of several inputs into one .npz or .safetensors, named after them");
    }
    samples.held_out = *std::move(argument);
  }
  for (const std::string& value : options.normalize) {
    auto normalization = ReadNormalization(value);
    if (!normalization.ok()) return normalization.status();
    samples.normalizations.push_back(*std::move(normalization));
  }
  return samples;
}

absl::Status CheckLabels(const std::string& what, const std::string& path) {
  if (absl::Status readable = client::CheckReadable(what, path); !readable.ok()) return readable;
  for (const char* ending : {".npy", ".npz", ".safetensors"}) {
    if (absl::EndsWithIgnoreCase(path, ending)) return absl::OkStatus();
  }
  return client::WithRemedy(
      absl::InvalidArgumentError(absl::StrCat("not a .npy, .npz or .safetensors file: ", what, " (", path, ")")),
      "save it with numpy.save or numpy.savez");
}

absl::Status CheckTrack(const AnalyzeOptions& options) {
  if (options.track.empty()) return absl::OkStatus();
  const bool valid = options.track.size() <= kLongestTrack && std::all_of(options.track.begin(), options.track.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-';
  });
  if (!valid) {
    return absl::InvalidArgumentError(absl::StrCat("--track must be 1 to ", kLongestTrack,
                                                   " of A-Z a-z 0-9 _ . - ('", terminal::Sanitize(options.track), "')"));
  }
  if (options.server.empty()) {
    return client::WithRemedy(
        absl::InvalidArgumentError("--track needs a service that lasts: a private one ends with the call, and nobody "
                                   "can scrape it"),
        "pass --server ADDR or set QATGAP_SERVER");
  }
  return absl::OkStatus();
}

// Everything that can be known before there is a service.
absl::Status Check(const AnalyzeOptions& options, const Samples& samples) {
  if (absl::Status s = CheckModels(options.qat, options.converted); !s.ok()) return s;
  std::vector<std::string> inputs;
  for (const SamplesArgument& file : samples.files) inputs.push_back(file.path);
  if (!options.qat.empty()) inputs.push_back(options.qat);
  if (!options.converted.empty()) inputs.push_back(options.converted);
  if (!options.labels.empty()) {
    if (absl::Status s = CheckLabels("labels", options.labels); !s.ok()) return s;
    inputs.push_back(options.labels);
  }
  if (!options.held_out_labels.empty()) {
    if (absl::Status s = CheckLabels("held-out labels", options.held_out_labels); !s.ok()) return s;
    if (options.held_out.empty()) {
      return client::WithRemedy(absl::InvalidArgumentError("--held-out-labels without the samples they are of"),
                                "pass --held-out PATH too");
    }
    inputs.push_back(options.held_out_labels);
  }
  if (samples.held_out) inputs.push_back(samples.held_out->path);
  if (options.title.size() > kLongestTitle) {
    return absl::InvalidArgumentError(absl::StrCat("--title is too long (", options.title.size(),
                                                   " bytes, at most ", kLongestTitle, ")"));
  }
  if (absl::Status s = CheckTrack(options); !s.ok()) return s;
  if (options.detach && options.server.empty()) {
    return client::WithRemedy(
        absl::InvalidArgumentError("--detach needs a service that lasts: a private one ends with "
                                   "the call"),
        "pass --server ADDR or set QATGAP_SERVER");
  }
  if (options.gate.wanted()) {
    if (absl::Status s = CheckGateOptions(options.gate, "--gate-"); !s.ok()) return s;
    if (options.detach) {
      return client::WithRemedy(absl::InvalidArgumentError("--detach does not wait, so no gate can be evaluated"),
                                "drop --detach, or run qatgap gate later");
    }
  }
  if (options.detach && options.files.any()) {
    return client::WithRemedy(
        absl::InvalidArgumentError("--detach does not wait, so no report can be written"),
        "drop --json, --html, --markdown, --csv and --emit-bias; `qatgap get ID` writes them later");
  }
  return CheckReportFiles(options.files, inputs);
}

absl::StatusOr<v1::AnalysisSpec> UploadAll(client::Client& client, const terminal::Output& err,
                                           const AnalyzeOptions& options, const Samples& samples,
                                           const std::vector<v1::TargetRef>& targets) {
  v1::AnalysisSpec spec;
  const auto upload = [&](const std::string& path, v1::ArtifactRef* artifact) {
    return Upload(client, err, options.quiet, path, artifact);
  };
  const auto upload_samples = [&](const SamplesArgument& file, v1::ArtifactRef* artifact) {
    if (!file.folder) return upload(file.path, artifact);
    const auto packed = PackSamples(file.path);
    return packed.ok() ? upload(packed->path(), artifact) : packed.status();
  };
  if (!options.qat.empty()) {
    if (absl::Status s = upload(options.qat, spec.mutable_qat_model()); !s.ok()) return s;
  }
  if (!options.converted.empty()) {
    absl::Status s = upload(options.converted, spec.mutable_converted_model());
    if (!s.ok()) return s;
  }
  const bool one = samples.files.size() == 1 && samples.files.front().input_name.empty();
  for (const SamplesArgument& file : samples.files) {
    v1::SampleInput* input = one ? nullptr : spec.add_sample_inputs();
    if (input != nullptr) input->set_input_name(file.input_name);
    v1::ArtifactRef* artifact = one ? spec.mutable_samples() : input->mutable_file();
    if (absl::Status s = upload_samples(file, artifact); !s.ok()) return s;
  }
  if (samples.held_out) {
    if (absl::Status s = upload_samples(*samples.held_out, spec.mutable_held_out()); !s.ok()) return s;
  }
  if (!options.held_out_labels.empty()) {
    if (absl::Status s = upload(options.held_out_labels, spec.mutable_held_out_labels()); !s.ok()) return s;
  }
  for (const v1::Normalization& normalization : samples.normalizations) *spec.add_normalizations() = normalization;
  if (!options.labels.empty()) {
    if (absl::Status s = upload(options.labels, spec.mutable_labels()); !s.ok()) return s;
  }
  for (const v1::TargetRef& target : targets) {
    if (target.has_description()) {
      spec.add_target_descriptions(target.description());
    } else {
      spec.add_targets(target.name());
    }
  }
  spec.set_batch_size(options.batch_size);
  spec.set_max_samples(options.max_samples);
  spec.set_parallel_units(options.parallel);
  spec.set_title(options.title);
  spec.set_what_if(options.what_if);
  spec.set_sensitivity(options.sensitivity);
  spec.set_worst_samples(options.worst_samples);
  spec.set_track(options.track);
  return spec;
}

// Stops the analysis after an interruption and says how that went.
absl::Status Abandon(client::Client& client, const std::string& id) {
  const auto cancelled = client.Cancel(id);
  const std::string what = cancelled.ok()
                               ? absl::StrCat("analysis ", id, " is cancelled")
                               : absl::StrCat("analysis ", id, " could not be cancelled (",
                                              std::string(cancelled.status().message()), ")");
  return client::WithDetail(absl::CancelledError("interrupted"), what);
}

absl::Status AnalyzeIn(client::Client& client, Environment& environment,
                       const AnalyzeOptions& options, const Samples& samples,
                       const std::vector<v1::TargetRef>& targets) {
  // Unknown and malformed targets are told before anything large is sent.
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const auto known = AskForTarget(client, options.targets[i], targets[i]);
    if (!known.ok()) return known.status();
  }
  const auto spec = UploadAll(client, environment.err, options, samples, targets);
  if (!spec.ok()) return spec.status();
  const auto created = client.Create(*spec);
  if (!created.ok()) return created.status();
  const std::string& id = created->id();
  if (options.detach) {
    *environment.out.stream << terminal::Sanitize(id) << '\n';
    return absl::OkStatus();
  }
  const auto ended = Follow(environment.err, client, id, options.quiet);
  if (!ended.ok()) {
    return environment.cancellation->requested() ? Abandon(client, id) : ended.status();
  }
  if (absl::Status outcome = client::OutcomeOf(*ended); !outcome.ok()) return outcome;
  if (absl::Status s = PrintResults(environment.out, client, *ended, options.quiet); !s.ok()) {
    return s;
  }
  if (absl::Status written = WriteReportFiles(options.files, client, id, environment.err, options.quiet); !written.ok()) {
    return written;
  }
  if (!options.gate.wanted()) return absl::OkStatus();
  v1::ReportSource report;
  report.set_analysis_id(id);
  return RunGate(client, environment, options.gate, std::move(report), options.files.json, options.quiet);
}

absl::Status Analyze(Environment& environment, const AnalyzeOptions& options) {
  const auto samples = ReadSamples(options);
  if (!samples.ok()) return samples.status();
  if (absl::Status checked = Check(options, *samples); !checked.ok()) return checked;
  const auto targets = ReadTargets(options.targets);
  if (!targets.ok()) return targets.status();
  auto session = Session::Open(environment, options.server, options.parallel);
  if (!session.ok()) return session.status();
  return session->Explain(AnalyzeIn(session->client(), environment, options, *samples, *targets));
}

}  // namespace

void AddAnalyze(CLI::App& app, Command* chosen) {
  auto options = std::make_shared<AnalyzeOptions>();
  CLI::App* command = app.add_subcommand(
      "analyze", "Measure the gap between a QAT model and what runs on a target");
  command
      ->add_option("--qat", options->qat,
                   "The QAT model, or a float one beside --converted; without it qatgap rebuilds it from --converted")
      ->type_name("FILE");
  command
      ->add_option("--converted", options->converted,
                   "The converted model; without it qatgap lowers the QAT model itself")
      ->type_name("FILE");
  command
      ->add_option("--samples", options->samples,
                   "Calibration samples: .npy, .npz, .safetensors or a folder of .npy; may be repeated, an input each")
      ->type_name("[INPUT=]PATH")
      ->required()
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command
      ->add_option("--normalize", options->normalize,
                   "What is done to uint8 or float samples: mean=...,std=...,scale=1/255[,axis=1]; may be repeated")
      ->type_name("[INPUT:]KEY=N,...")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command
      ->add_option("--labels", options->labels,
                   "Labels, one array of integers: adds the accuracy of every path")
      ->type_name("FILE");
  command
      ->add_option("--target", options->targets,
                   "A target of `qatgap target list`, or a file that describes your own; may be repeated")
      ->type_name("NAME|FILE")
      ->required()
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  AddServerOption(*command, &options->server);
  AddReportOptions(*command, &options->files);
  AddGateOptions(*command, &options->gate, "--gate-");
  command->add_option("--title", options->title, "A name for the analysis, at most 200 bytes")
      ->type_name("TEXT");
  command
      ->add_option("--track", options->track,
                   "The model's name in the metrics: the service exports its newest analysis layer by layer")
      ->type_name("NAME");
  command
      ->add_option("--batch-size", options->batch_size, "Samples a batch, 1 to 4096 (default 32)")
      ->check(CLI::Range(1, 4096))
      ->type_name("N");
  command->add_option("--max-samples", options->max_samples, "Use only the first N samples")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  command
      ->add_option("--parallel", options->parallel,
                   "Split the samples over N runners, 1 to 64 (default 1); the result is the same")
      ->check(CLI::Range(1, 64))
      ->type_name("N");
  command->add_flag("--what-if", options->what_if,
                    "Also measure other ways of keeping the bias, and recommend the one that helps");
  command->add_flag("--sensitivity", options->sensitivity,
                    "Also rank the layers by what their bias alone does to the model's outputs");
  command
      ->add_option("--worst-samples", options->worst_samples,
                   "Keep the K samples whose outputs differ most, 0 to 1000 (default 10)")
      ->check(CLI::Range(0, 1000))
      ->type_name("K");
  command
      ->add_option("--held-out", options->held_out,
                   "Samples to measure and report apart, in one file as --samples; nothing is chosen from them")
      ->type_name("PATH");
  command
      ->add_option("--held-out-labels", options->held_out_labels, "Labels of the held-out samples, as --labels")
      ->type_name("FILE");
  command->add_flag("--detach", options->detach, "Print the analysis' id and do not wait");
  command->add_flag("--quiet", options->quiet, "No progress; print the verdicts' headlines only");
  command->footer(
      R"(Uploads the files, waits, prints the layers of each target and the verdict. Without --server a
private qatgapd runs for the call. Ctrl-C cancels the analysis.

Examples:
  qatgap analyze --qat model_qat.pt --converted model_int8.pt --samples calib.npz \
      --target pytorch-qnnpack
  qatgap analyze --qat model_qat.pt --samples calib.npy --labels labels.npy \
      --target pytorch-fbgemm --target pytorch-qnnpack --html report.html --json report.json
  qatgap analyze --qat model_qat.pt --samples calib.npy --target my_accelerator.yaml
  qatgap analyze --converted model_int8.tflite --samples images/ --target tflite-reference \
      --normalize mean=0.485,0.456,0.406,std=0.229,0.224,0.225,scale=1/255,axis=3
  qatgap analyze --qat encoder_qat.pt2 --samples ids=ids.npy --samples mask=mask.npy --target generic-int32
  qatgap analyze --qat model_qat.pt --samples calib.npz --target pytorch-qnnpack --rules gate.yaml \
      --baseline baseline.json --json report.json
  qatgap analyze --qat model_qat.pt --samples calib.npy --target pytorch-qnnpack \
      --server 127.0.0.1:50551 --track residual-net --detach)");
  command->callback([chosen, options] {
    *chosen = [options](Environment& environment) { return Analyze(environment, *options); };
  });
}

}  // namespace qatgap::cli
