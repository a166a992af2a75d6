// qatgap-runner: a contained child of qatgapd that runs one unit of work. Standard input: a WorkUnit; standard output:
// RunnerEvents. Exit code 0 whenever a result or a failure was sent, 1 when not even that was possible.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <iostream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "analyzers/execution/host.h"
#include "analyzers/status/status_macros.h"
#include "server/result_conversion.h"
#include "server/runner/containment.h"
#include "server/runner/event_writer.h"
#include "server/runner/short_units.h"
#include "server/runner/unit_of_work.h"
#include "server/samples_conversion.h"

namespace qatgap::runner {
namespace {

Blob FromProto(const v1::BlobDescriptor& blob, bool given) {
  return {.fd = given ? blob.fd() : -1, .name = blob.name()};
}

UnitOfWork FromProto(const v1::WorkUnit& message) {
  std::vector<SampleBlob> samples;
  if (message.samples().fd() >= 0 && message.has_samples()) {
    samples.push_back({.input_name = "", .file = FromProto(message.samples(), true)});
  }
  for (const v1::SampleBlob& input : message.sample_inputs()) {
    samples.push_back({.input_name = input.input_name(), .file = FromProto(input.file(), true)});
  }
  std::vector<samples::Normalization> normalizations;
  for (const auto& part : message.normalizations()) normalizations.push_back(server::FromProto(part));
  return {.qat_model = FromProto(message.qat_model(), message.has_qat_model()),
          .converted_model = FromProto(message.converted_model(), message.has_converted_model()),
          .labels = FromProto(message.labels(), message.has_labels()),
          .vectors = FromProto(message.vectors(), message.has_vectors()),
          .held_out = FromProto(message.held_out(), message.has_held_out()),
          .held_out_labels = FromProto(message.held_out_labels(), message.has_held_out_labels()),
          .samples = std::move(samples),
          .normalizations = std::move(normalizations),
          .targets = {message.targets().begin(), message.targets().end()},
          .target_descriptions = {message.target_descriptions().begin(), message.target_descriptions().end()},
          .batch_size = message.analysis().batch_size(),
          .max_samples = message.analysis().max_samples(),
          .unit_index = message.analysis().unit_index(),
          .unit_count = message.analysis().unit_count(),
          .what_if = message.analysis().what_if(),
          .sensitivity = message.analysis().sensitivity(),
          .worst_samples = message.analysis().worst_samples()};
}

absl::StatusOr<report::AnalysisResult> RunAnalysis(const UnitOfWork& unit, EventWriter& events) {
  const UnitProgress progress{
      .started =
          [&](std::uint64_t samples_of_unit, std::uint64_t samples_total) {
            v1::RunnerEvent event;
            event.mutable_started()->set_samples_of_unit(samples_of_unit);
            event.mutable_started()->set_samples_total(samples_total);
            return events.Write(event);
          },
      .advanced =
          [&](std::uint64_t samples_done) {
            v1::RunnerEvent event;
            event.mutable_progress()->set_samples_done(samples_done);
            return events.Write(event);
          }};
  return RunUnit(unit, progress);
}

// The unit's last event, unless it fails.
absl::StatusOr<v1::RunnerEvent> Run(const v1::WorkUnit& message, EventWriter& events) {
  const UnitOfWork unit = FromProto(message);
  v1::RunnerEvent event;
  absl::StatusOr<std::string> answer;
  switch (message.task_case()) {
    case v1::WorkUnit::kAnalysis:
    case v1::WorkUnit::kInspect: {
      QATGAP_ASSIGN_OR_RETURN(const report::AnalysisResult result,
                              message.has_analysis() ? RunAnalysis(unit, events) : RunInspect(unit));
      *event.mutable_result() = server::ToProto(result);
      return event;
    }
    case v1::WorkUnit::kVerify:
      answer = RunVerify(unit);
      break;
    case v1::WorkUnit::kIdentify:
      answer = RunIdentify(unit);
      break;
    case v1::WorkUnit::kHandoff:
      answer = RunHandoff(unit);
      break;
    case v1::WorkUnit::TASK_NOT_SET:
      return absl::InternalError("the unit of work has no task; qatgapd and qatgap-runner differ in version");
  }
  QATGAP_RETURN_IF_ERROR(answer.status());
  event.set_answer(*std::move(answer));
  return event;
}

absl::StatusOr<v1::RunnerEvent> RunContained(const v1::WorkUnit& message, EventWriter& events) {
  QATGAP_RETURN_IF_ERROR(Contain({.memory_bytes = message.limits().memory_bytes(),
                                  .cpu_seconds = message.limits().cpu_seconds()}));
  try {
    return Run(message, events);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(
        message.has_analysis() ? "the unit ran out of memory; use a smaller batch, or raise the server's memory limit"
                               : "the unit ran out of memory; raise the server's memory limit");
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  }
}

int Main() {
  std::signal(SIGPIPE, SIG_IGN);
  execution::UseOneThread();
  execution::DescribeHost();  // reads processor features before the file system is given up
  const std::string bytes{std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
  EventWriter events(STDOUT_FILENO);
  v1::RunnerEvent last;
  v1::WorkUnit message;
  if (!message.ParseFromString(bytes)) {
    last.mutable_failure()->set_code(static_cast<int>(absl::StatusCode::kInternal));
    last.mutable_failure()->set_message("the unit of work cannot be read; qatgapd and qatgap-runner differ in version");
    return events.Write(last).ok() ? 0 : 1;
  }
  absl::StatusOr<v1::RunnerEvent> ended = RunContained(message, events);
  if (ended.ok()) {
    last = *std::move(ended);
  } else {
    last.mutable_failure()->set_code(static_cast<int>(ended.status().code()));
    last.mutable_failure()->set_message(std::string(ended.status().message()));
  }
  return events.Write(last).ok() ? 0 : 1;
}

}  // namespace
}  // namespace qatgap::runner

int main() { return qatgap::runner::Main(); }
