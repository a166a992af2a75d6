#include "server/analysis_conversion.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"
#include "server/samples_conversion.h"
#include "server/summary_conversion.h"

namespace qatgap::server {
namespace {

void Fill(const ArtifactRef& ref, v1::ArtifactRef& message) {
  message.set_sha256(ref.sha256);
  message.set_name(ref.name);
}

absl::Time FromMessage(const google::protobuf::Timestamp& message) {
  return absl::FromUnixSeconds(message.seconds()) + absl::Nanoseconds(message.nanos());
}

void Fill(const AnalysisSpec& spec, v1::AnalysisSpec& message) {
  if (spec.qat_model.given()) Fill(spec.qat_model, *message.mutable_qat_model());
  if (spec.converted_model.given()) Fill(spec.converted_model, *message.mutable_converted_model());
  if (spec.samples.given()) Fill(spec.samples, *message.mutable_samples());
  for (const SampleInput& input : spec.sample_inputs) {
    v1::SampleInput& part = *message.add_sample_inputs();
    part.set_input_name(input.input_name);
    Fill(input.file, *part.mutable_file());
  }
  for (const samples::Normalization& normalization : spec.normalizations) {
    *message.add_normalizations() = ToProto(normalization);
  }
  if (spec.labels.given()) Fill(spec.labels, *message.mutable_labels());
  for (const std::string& target : spec.targets) message.add_targets(target);
  for (const std::string& description : spec.target_descriptions) message.add_target_descriptions(description);
  message.set_batch_size(spec.batch_size);
  message.set_max_samples(spec.max_samples);
  message.set_parallel_units(spec.parallel_units);
  message.set_title(spec.title);
  message.set_what_if(spec.what_if);
  message.set_sensitivity(spec.sensitivity);
  message.set_worst_samples(static_cast<std::uint32_t>(spec.worst_samples));
  if (spec.held_out.given()) Fill(spec.held_out, *message.mutable_held_out());
  if (spec.held_out_labels.given()) Fill(spec.held_out_labels, *message.mutable_held_out_labels());
  message.set_track(spec.track);
}

}  // namespace

google::protobuf::Timestamp ToProto(absl::Time time) {
  google::protobuf::Timestamp message;
  const std::int64_t seconds = absl::ToUnixSeconds(time);
  message.set_seconds(seconds);
  message.set_nanos(static_cast<std::int32_t>(
      absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
  return message;
}

v1::AnalysisState ToProto(AnalysisState state) {
  return static_cast<v1::AnalysisState>(static_cast<int>(state) + 1);
}
static_assert(static_cast<int>(v1::ANALYSIS_STATE_CANCELLED) ==
              static_cast<int>(AnalysisState::kCancelled) + 1);

v1::AnalysisProgress ToProto(const AnalysisProgress& progress) {
  v1::AnalysisProgress message;
  message.set_samples_done(progress.samples_done);
  message.set_samples_total(progress.samples_total);
  return message;
}

v1::Analysis ToProto(const Analysis& analysis) {
  v1::Analysis message;
  message.set_id(analysis.id);
  Fill(analysis.spec, *message.mutable_spec());
  message.set_state(ToProto(analysis.state));
  *message.mutable_create_time() = ToProto(analysis.create_time);
  if (analysis.start_time) *message.mutable_start_time() = ToProto(*analysis.start_time);
  if (analysis.end_time) *message.mutable_end_time() = ToProto(*analysis.end_time);
  *message.mutable_progress() = ToProto(analysis.progress);
  if (analysis.state == AnalysisState::kFailed) {
    message.mutable_error()->set_code(static_cast<int>(analysis.error.code()));
    message.mutable_error()->set_message(std::string(analysis.error.message()));
  }
  for (const report::TargetVerdict& verdict : analysis.verdicts) {
    v1::Verdict& part = *message.add_verdicts();
    part.set_target(verdict.target);
    part.set_headline(verdict.headline);
    for (const std::string& sentence : verdict.sentences) part.add_sentences(sentence);
  }
  message.set_runner_peak_bytes(analysis.runner_peak_bytes);
  for (const report::TargetSummary& summary : analysis.summaries) Fill(summary, *message.add_summaries());
  return message;
}

ArtifactRef FromProto(const v1::ArtifactRef& message) {
  return {.sha256 = message.sha256(), .name = message.name()};
}

AnalysisSpec FromProto(const v1::AnalysisSpec& message) {
  std::vector<SampleInput> inputs;
  for (const v1::SampleInput& input : message.sample_inputs()) {
    inputs.push_back({.input_name = input.input_name(), .file = FromProto(input.file())});
  }
  std::vector<samples::Normalization> normalizations;
  for (const v1::Normalization& part : message.normalizations()) normalizations.push_back(FromProto(part));
  return {.qat_model = FromProto(message.qat_model()),
          .converted_model = FromProto(message.converted_model()),
          .samples = FromProto(message.samples()),
          .labels = FromProto(message.labels()),
          .targets = {message.targets().begin(), message.targets().end()},
          .target_descriptions = {message.target_descriptions().begin(), message.target_descriptions().end()},
          .batch_size = message.batch_size(),
          .max_samples = message.max_samples(),
          .parallel_units = message.parallel_units(),
          .title = message.title(),
          .sample_inputs = std::move(inputs),
          .normalizations = std::move(normalizations),
          .what_if = message.what_if(),
          .sensitivity = message.sensitivity(),
          .worst_samples = message.has_worst_samples() ? message.worst_samples() : kDefaultWorstSamples,
          .held_out = FromProto(message.held_out()),
          .held_out_labels = FromProto(message.held_out_labels()),
          .track = message.track()};
}

absl::StatusOr<AnalysisState> FromProto(v1::AnalysisState state) {
  const int index = static_cast<int>(state) - 1;
  if (index < 0 || index >= static_cast<int>(kAnalysisStateCount)) {
    return absl::InvalidArgumentError(absl::StrCat("state: ", static_cast<int>(state),
                                                   " is no AnalysisState"));
  }
  return static_cast<AnalysisState>(index);
}

absl::StatusOr<Analysis> FromProto(const v1::Analysis& message) {
  Analysis analysis;
  analysis.id = message.id();
  analysis.spec = FromProto(message.spec());
  QATGAP_ASSIGN_OR_RETURN(analysis.state, FromProto(message.state()));
  analysis.create_time = FromMessage(message.create_time());
  if (message.has_start_time()) analysis.start_time = FromMessage(message.start_time());
  if (message.has_end_time()) analysis.end_time = FromMessage(message.end_time());
  analysis.progress = {.samples_done = message.progress().samples_done(),
                       .samples_total = message.progress().samples_total()};
  if (message.has_error()) {
    analysis.error = absl::Status(static_cast<absl::StatusCode>(message.error().code()),
                                  message.error().message());
  }
  for (const v1::Verdict& verdict : message.verdicts()) {
    analysis.verdicts.push_back(
        {.target = verdict.target(),
         .headline = verdict.headline(),
         .sentences = {verdict.sentences().begin(), verdict.sentences().end()}});
  }
  analysis.runner_peak_bytes = message.runner_peak_bytes();
  for (const v1::TargetSummary& summary : message.summaries()) analysis.summaries.push_back(FromProto(summary));
  return analysis;
}

}  // namespace qatgap::server
