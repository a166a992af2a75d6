#include "server/runner_process/event_decoder.h"

#include <google/protobuf/io/coded_stream.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"
#include "qatgap/runner/v1/unit.pb.h"
#include "server/result_conversion.h"
#include "server/samples_conversion.h"

namespace qatgap::server {
namespace {

// Far above any result (100 000 channels under ten targets take about 800 MB), and below protobuf's own limit.
constexpr std::uint32_t kMaxEventBytes = 1U << 30;
constexpr std::size_t kMaxVarintBytes = 5;
constexpr std::size_t kTailBytes = 4096;

void Fill(const BlobFile& blob, int fd, runner::v1::BlobDescriptor& message) {
  message.set_fd(blob.fd.valid() ? fd : -1);
  message.set_name(blob.name);
}

void FillTask(const UnitOfWork& unit, runner::v1::WorkUnit& message) {
  switch (unit.kind) {
    case UnitKind::kAnalysis: {
      runner::v1::AnalysisTask& task = *message.mutable_analysis();
      task.set_batch_size(unit.batch_size);
      task.set_max_samples(unit.max_samples);
      task.set_unit_index(unit.unit_index);
      task.set_unit_count(unit.unit_count);
      task.set_what_if(unit.what_if);
      task.set_sensitivity(unit.sensitivity);
      task.set_worst_samples(static_cast<std::uint32_t>(unit.worst_samples));
      return;
    }
    case UnitKind::kVerify:
      message.mutable_verify();
      return;
    case UnitKind::kIdentify:
      message.mutable_identify();
      return;
    case UnitKind::kInspect:
      message.mutable_inspect();
      return;
    case UnitKind::kHandoff:
      message.mutable_handoff();
      return;
  }
}

absl::Status Garbage(const std::string& what) {
  return absl::InternalError(absl::StrCat("the runner wrote what is no event: ", what));
}

absl::Status ToStatus(const runner::v1::Failure& failure) {
  const auto code = static_cast<absl::StatusCode>(failure.code());
  // OK and numbers outside google.rpc.Code are the runner's bug.
  const bool known = failure.code() > 0 && failure.code() <= 16;
  return absl::Status(known ? code : absl::StatusCode::kInternal, failure.message());
}

bool IsPathByte(char c) {
  constexpr std::string_view kDelimiters = ":;,'\"`()<>=[]";
  return absl::ascii_isgraph(static_cast<unsigned char>(c)) &&
         kDelimiters.find(c) == std::string_view::npos;
}

}  // namespace

std::string EncodeWorkUnit(const UnitOfWork& unit, const RunnerLimits& limits) {
  runner::v1::WorkUnit message;
  Fill(unit.qat_model, kFirstBlobFd, *message.mutable_qat_model());
  Fill(unit.converted_model, kFirstBlobFd + 1, *message.mutable_converted_model());
  Fill(unit.samples, kFirstBlobFd + 2, *message.mutable_samples());
  Fill(unit.labels, kFirstBlobFd + 3, *message.mutable_labels());
  Fill(unit.vectors, kFirstBlobFd + 4, *message.mutable_vectors());
  Fill(unit.held_out, kFirstBlobFd + 5, *message.mutable_held_out());
  Fill(unit.held_out_labels, kFirstBlobFd + 6, *message.mutable_held_out_labels());
  int next = kFirstBlobFd + static_cast<int>(kFirstSampleBlob);
  for (const SampleBlob& input : unit.sample_inputs) {
    runner::v1::SampleBlob& part = *message.add_sample_inputs();
    part.set_input_name(input.input_name);
    Fill(input.file, next++, *part.mutable_file());
  }
  for (const samples::Normalization& part : unit.normalizations) *message.add_normalizations() = ToProto(part);
  for (const std::string& target : unit.targets) message.add_targets(target);
  for (const std::string& description : unit.target_descriptions) message.add_target_descriptions(description);
  FillTask(unit, message);
  message.mutable_limits()->set_memory_bytes(limits.memory_bytes);
  message.mutable_limits()->set_cpu_seconds(limits.cpu_seconds);
  return message.SerializeAsString();
}

absl::StatusOr<std::optional<RunnerEvent>> EventDecoder::Next() {
  const std::string_view rest = std::string_view(buffer_).substr(offset_);
  google::protobuf::io::CodedInputStream stream(
      reinterpret_cast<const std::uint8_t*>(rest.data()),
      static_cast<int>(std::min(rest.size(), kMaxVarintBytes)));
  std::uint32_t size = 0;
  if (!stream.ReadVarint32(&size)) {
    if (rest.size() >= kMaxVarintBytes) return Garbage("no size");
    return std::optional<RunnerEvent>();
  }
  if (size > kMaxEventBytes) return Garbage(absl::StrCat("a size of ", size, " bytes"));
  const auto header = static_cast<std::size_t>(stream.CurrentPosition());
  if (rest.size() - header < size) return std::optional<RunnerEvent>();
  runner::v1::RunnerEvent event;
  if (!event.ParseFromArray(rest.data() + header, static_cast<int>(size))) {
    return Garbage(absl::StrCat(size, " bytes that do not parse"));
  }
  offset_ += header + size;
  if (offset_ == buffer_.size()) {
    buffer_.clear();
    offset_ = 0;
  }
  switch (event.event_case()) {
    case runner::v1::RunnerEvent::kStarted:
      return std::optional<RunnerEvent>(
          StartedEvent{.samples_of_unit = event.started().samples_of_unit(),
                       .samples_total = event.started().samples_total()});
    case runner::v1::RunnerEvent::kProgress:
      return std::optional<RunnerEvent>(
          ProgressEvent{.samples_done = event.progress().samples_done()});
    case runner::v1::RunnerEvent::kFailure:
      return std::optional<RunnerEvent>(FailureEvent{.status = ToStatus(event.failure())});
    case runner::v1::RunnerEvent::kResult: {
      absl::StatusOr<report::AnalysisResult> result = FromProto(event.result());
      if (!result.ok()) return Garbage(std::string(result.status().message()));
      return std::optional<RunnerEvent>(*std::move(result));
    }
    case runner::v1::RunnerEvent::kAnswer:
      return std::optional<RunnerEvent>(AnswerEvent{.bytes = std::move(*event.mutable_answer())});
    case runner::v1::RunnerEvent::EVENT_NOT_SET:
      break;
  }
  return Garbage("an empty event");
}

std::string PresentableTail(std::string_view text) {
  if (text.size() > kTailBytes) {
    text.remove_prefix(text.size() - kTailBytes);
    // The cut may have gone through a path.
    text.remove_prefix(std::min(text.find_first_of(" \n"), text.size()));
  }
  std::string tail;
  for (std::size_t i = 0; i < text.size();) {
    const bool word_start = i == 0 || !IsPathByte(text[i - 1]);
    if (text[i] == '/' && word_start) {
      std::size_t end = i;
      while (end < text.size() && IsPathByte(text[end])) ++end;
      const std::string_view path = text.substr(i, end - i);
      tail.append(path.substr(path.rfind('/') + 1));
      i = end;
      continue;
    }
    const char c = text[i++];
    // Bytes that are no ASCII could be cut in the middle of a character, and a message must be UTF-8.
    tail.push_back(c == '\n' || absl::ascii_isprint(static_cast<unsigned char>(c)) ? c : '?');
  }
  while (!tail.empty() && tail.back() == '\n') tail.pop_back();
  return tail;
}

}  // namespace qatgap::server
