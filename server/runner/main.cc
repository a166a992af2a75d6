// qatgap-runner: a contained child of qatgapd that runs one unit of work. Standard input: a WorkUnit; standard output:
// RunnerEvents. Exit code 0 whenever a result or a failure was sent, 1 when not even that was possible.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <iostream>
#include <iterator>
#include <string>

#include "analyzers/execution/host.h"
#include "server/result_conversion.h"
#include "server/runner/containment.h"
#include "server/runner/event_writer.h"
#include "server/runner/unit_of_work.h"

namespace qatgap::runner {
namespace {

Blob FromProto(const v1::BlobDescriptor& blob, bool given) {
  return {.fd = given ? blob.fd() : -1, .name = blob.name()};
}

UnitOfWork FromProto(const v1::WorkUnit& message) {
  return {.qat_model = FromProto(message.qat_model(), message.has_qat_model()),
          .converted_model = FromProto(message.converted_model(), message.has_converted_model()),
          .samples = FromProto(message.samples(), message.has_samples()),
          .labels = FromProto(message.labels(), message.has_labels()),
          .targets = {message.targets().begin(), message.targets().end()},
          .batch_size = message.batch_size(),
          .max_samples = message.max_samples(),
          .unit_index = message.unit_index(),
          .unit_count = message.unit_count()};
}

absl::StatusOr<report::AnalysisResult> Run(const v1::WorkUnit& message, EventWriter& events) {
  if (absl::Status contained = Contain({.memory_bytes = message.limits().memory_bytes(),
                                        .cpu_seconds = message.limits().cpu_seconds()});
      !contained.ok()) {
    return contained;
  }
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
  try {
    return RunUnit(FromProto(message), progress);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(
        "the unit ran out of memory; use a smaller batch, or raise the server's memory limit");
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
  const absl::StatusOr<report::AnalysisResult> result = Run(message, events);
  if (result.ok()) {
    *last.mutable_result() = server::ToProto(*result);
  } else {
    last.mutable_failure()->set_code(static_cast<int>(result.status().code()));
    last.mutable_failure()->set_message(std::string(result.status().message()));
  }
  return events.Write(last).ok() ? 0 : 1;
}

}  // namespace
}  // namespace qatgap::runner

int main() { return qatgap::runner::Main(); }
