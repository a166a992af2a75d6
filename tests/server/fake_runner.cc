// A stand-in for qatgap-runner: speaks the private protocol, and does what the first line of the model blob (or of the
// converted model or the vectors, where there is none) says.
//   ok                 a result, or the answer that was asked for
//   archive N          an answer of N bytes
//   unreadable         an answer that is no message
//   wrong-kind         an answer where a result is due, and the other way round
//   layers N           a result with N layers
//   paths              a result with two paths compared, and labels
//   gate               progress with our pid as samples_done, then waits for SIGUSR1, then a result
//   flood              many progress events, then a result
//   hang-at FIFO       writes our pid to the FIFO, then waits for ever
//   hang               progress with our pid, then waits for ever
//   crash              writes a path to standard error and aborts
//   kill               dies of SIGKILL, as the kernel's out-of-memory killer would do it
//   exit N             exits with N, no result
//   late-exit N        a result, then exits with N
//   garbage            bytes that are no event
//   truncated          the first half of a result
//   bad-result         a result that no analysis gives
//   failure CODE TEXT  reports that error
//   inspect            fails with its descriptors, environment, process group and limits as the message
//   second-fails       unit 0 gates, unit 1 reports INTERNAL
#include <fcntl.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/util/delimited_message_util.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "qatgap/runner/v1/unit.pb.h"
#include "qatgap/v1/target.pb.h"

namespace {

namespace pb = qatgap::v1;
using qatgap::runner::v1::RunnerEvent;
using qatgap::runner::v1::WorkUnit;

constexpr std::uint64_t kSamples = 12;

void Send(const RunnerEvent& event) {
  google::protobuf::util::SerializeDelimitedToFileDescriptor(event, STDOUT_FILENO);
}

void SendProgress(std::uint64_t samples_done) {
  RunnerEvent event;
  event.mutable_progress()->set_samples_done(samples_done);
  Send(event);
}

std::uint64_t FirstSample(const WorkUnit& unit, int index) {
  if (!unit.has_analysis()) return 0;
  return kSamples * static_cast<std::uint64_t>(index) / static_cast<std::uint64_t>(unit.analysis().unit_count());
}

void SendStarted(const WorkUnit& unit) {
  RunnerEvent event;
  event.mutable_started()->set_samples_of_unit(FirstSample(unit, unit.analysis().unit_index() + 1) -
                                               FirstSample(unit, unit.analysis().unit_index()));
  event.mutable_started()->set_samples_total(kSamples);
  Send(event);
}

// One element a sample: the reference is 10 + s, the difference s % 3 - 1.
void Measure(const WorkUnit& unit, pb::DifferenceStatistics& statistics) {
  std::array<std::uint64_t, 19> histogram{};
  for (auto s = FirstSample(unit, unit.analysis().unit_index()); s < FirstSample(unit, unit.analysis().unit_index() + 1); ++s) {
    const auto d = static_cast<std::int64_t>(s % 3) - 1;
    const auto reference = static_cast<std::int64_t>(10 + s);
    statistics.set_count(statistics.count() + 1);
    statistics.set_changed(statistics.changed() + (d != 0 ? 1 : 0));
    statistics.set_sum(statistics.sum() + d);
    statistics.set_sum_absolute(statistics.sum_absolute() + (d != 0 ? 1 : 0));
    statistics.set_sum_squares(statistics.sum_squares() + (d != 0 ? 1 : 0));
    statistics.set_max_absolute(1);
    statistics.set_reference_sum(statistics.reference_sum() + reference);
    statistics.set_reference_sum_squares(statistics.reference_sum_squares() +
                                         static_cast<std::uint64_t>(reference * reference));
    statistics.set_cross_sum(statistics.cross_sum() + reference * d);
    statistics.set_cross_total(statistics.cross_total() + (d != 0 ? 1 : 0));
    ++histogram[static_cast<std::size_t>(d + 9)];
  }
  for (const std::uint64_t bin : histogram) statistics.add_histogram(bin);
}

void Fill(pb::QuantParams& params) {
  params.add_scales(0.5);
  params.add_zero_points(10);
  params.set_quant_max(255);
  params.set_axis(-1);
}

pb::AnalysisResult MakeResult(const WorkUnit& unit, int layers) {
  pb::AnalysisResult result;
  result.mutable_environment()->set_tool_version("fake");
  result.mutable_environment()->set_batch_size(unit.analysis().batch_size());
  result.mutable_environment()->set_threads(1);
  result.set_qat_format("fake");
  result.set_mac_layers(layers);
  result.set_samples(FirstSample(unit, unit.analysis().unit_index() + 1) - FirstSample(unit, unit.analysis().unit_index()));
  for (int i = 0; i < layers; ++i) {
    pb::LayerInfo& layer = *result.add_layers();
    layer.set_name("layer" + std::to_string(i));
    layer.set_kind("linear");
    layer.set_channels(2);
    layer.add_weight_shape(2);
    layer.add_weight_shape(3);
    layer.set_weights(6);
    Fill(*layer.mutable_output());
    Fill(*layer.add_inputs());
  }
  std::vector<std::string> names(unit.targets().begin(), unit.targets().end());
  // The text is not read here: "own:" and its size stand for it.
  for (const std::string& text : unit.target_descriptions()) names.push_back("own:" + std::to_string(text.size()));
  for (const std::string& name : names) {
    pb::TargetResult& target = *result.add_targets();
    target.set_name(name);
    target.set_title("Title of " + name);
    target.set_bias_mode(pb::BIAS_MODE_INTEGER);
    target.mutable_evidence()->set_kind(pb::EVIDENCE_KIND_UNVERIFIED);
    for (int i = 0; i < layers; ++i) {
      pb::LayerResult& layer = *target.add_layers();
      layer.set_layer(i);
      layer.set_samples(result.samples());
      for (int c = 0; c < 2; ++c) {
        pb::ChannelResult& channel = *layer.add_channels();
        channel.set_multiplier(0.25);
        for (int cause = 0; cause < 8; ++cause) Measure(unit, *channel.add_causes());
      }
    }
  }
  return result;
}

// Of every target: two paths held against the fake-quant one, of all samples but one right.
void AddPaths(const WorkUnit& unit, pb::AnalysisResult& result) {
  result.set_labelled(result.samples());
  for (pb::TargetResult& target : *result.mutable_targets()) {
    for (const pb::Path path : {pb::PATH_FLOAT_BIAS, pb::PATH_TARGET}) {
      pb::PathComparison& comparison = *target.add_comparisons();
      comparison.set_path(path);
      comparison.set_reference(pb::PATH_FAKE_QUANT);
      comparison.set_top1_changed(1);
      Measure(unit, *comparison.add_outputs());
      for (int i = 0; i < result.layers_size(); ++i) Measure(unit, *comparison.add_layers());
      pb::PathAccuracy& accuracy = *target.add_accuracies();
      accuracy.set_path(path);
      accuracy.set_correct(result.samples() - 1);
    }
    for (pb::LayerResult& layer : *target.mutable_layers()) layer.set_engine_measured(true);
  }
}

void SendResult(const WorkUnit& unit, int layers = 2) {
  RunnerEvent event;
  *event.mutable_result() = MakeResult(unit, layers);
  Send(event);
}

std::string MakeAnswer(const WorkUnit& unit) {
  if (unit.has_verify()) {
    pb::VerifyTargetResponse answer;
    answer.mutable_target()->set_name(unit.targets_size() > 0 ? unit.targets(0) : unit.target_descriptions(0));
    answer.set_elements(7);
    answer.set_text("verified " + unit.vectors().name());
    return answer.SerializeAsString();
  }
  if (unit.has_identify()) {
    pb::IdentifyTargetResponse answer;
    answer.set_exact(true);
    answer.add_shipped("tosa");
    answer.set_text("identified " + unit.vectors().name());
    return answer.SerializeAsString();
  }
  return "archive of " + unit.qat_model().name() + unit.converted_model().name();
}

void SendAnswer(const std::string& bytes) {
  RunnerEvent event;
  event.set_answer(bytes);
  Send(event);
}

void SendFailure(int code, const std::string& message) {
  RunnerEvent event;
  event.mutable_failure()->set_code(code);
  event.mutable_failure()->set_message(message);
  Send(event);
}

[[noreturn]] void Hang() {
  while (true) ::pause();
}

void WaitForGate(const WorkUnit& unit) {
  sigset_t gate;
  ::sigemptyset(&gate);
  ::sigaddset(&gate, SIGUSR1);
  ::sigprocmask(SIG_BLOCK, &gate, nullptr);
  SendStarted(unit);
  SendProgress(static_cast<std::uint64_t>(::getpid()));
  int received = 0;
  ::sigwait(&gate, &received);
}

std::string Inspect(const WorkUnit& unit) {
  std::ostringstream out;
  out << "fds";
  for (int fd = 0; fd < 4096; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) out << ' ' << fd;
  }
  out << "; writable";
  for (const int fd : {unit.qat_model().fd(), unit.samples().fd()}) {
    out << ' ' << ((::fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY);
  }
  out << "; leads " << (::getpgrp() == ::getpid()) << "; environment";
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    out << ' ' << text.substr(0, text.find('='));
  }
  out << "; memory " << unit.limits().memory_bytes() << "; seconds " << unit.limits().cpu_seconds()
      << "; names " << unit.qat_model().name() << ' ' << unit.samples().name() << ' '
      << unit.labels().fd();
  return out.str();
}

std::string ReadAll(int fd) {
  std::string text;
  std::array<char, 4096> buffer{};
  ssize_t count = 0;
  while ((count = ::read(fd, buffer.data(), buffer.size())) > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
  return text;
}

}  // namespace

int main() {
  WorkUnit unit;
  if (!unit.ParseFromString(ReadAll(STDIN_FILENO))) return 2;
  const bool gives_result = unit.has_analysis() || unit.has_inspect();
  int fd = unit.qat_model().fd();
  if (fd < 0) fd = unit.converted_model().fd();
  if (fd < 0) fd = unit.vectors().fd();
  std::istringstream script(ReadAll(fd));
  std::string verb;
  int number = 0;
  script >> verb;
  if (verb == "ok" && !gives_result) {
    SendAnswer(MakeAnswer(unit));
  } else if (verb == "archive") {
    script >> number;
    SendAnswer(std::string(static_cast<std::size_t>(number), 'z'));
  } else if (verb == "unreadable") {
    SendAnswer("\xff\xff\xff");
  } else if (verb == "wrong-kind") {
    if (gives_result) SendAnswer("what?");
    SendResult(unit);
  } else if (verb == "ok") {
    SendStarted(unit);
    SendResult(unit);
  } else if (verb == "layers") {
    script >> number;
    SendStarted(unit);
    SendResult(unit, number);
  } else if (verb == "paths") {
    SendStarted(unit);
    RunnerEvent event;
    *event.mutable_result() = MakeResult(unit, 2);
    AddPaths(unit, *event.mutable_result());
    Send(event);
  } else if (verb == "gate") {
    WaitForGate(unit);
    SendResult(unit);
  } else if (verb == "flood") {
    SendStarted(unit);
    for (std::uint64_t i = 0; i < 20000; ++i) SendProgress(i % kSamples);
    SendProgress(kSamples);
    SendResult(unit);
  } else if (verb == "hang-at") {
    std::string fifo;
    script >> fifo;
    std::ofstream(fifo) << ::getpid() << std::endl;
    Hang();
  } else if (verb == "hang") {
    SendStarted(unit);
    SendProgress(static_cast<std::uint64_t>(::getpid()));
    Hang();
  } else if (verb == "crash") {
    std::cerr << "loading /srv/private/model.pt: bad magic\n";
    std::abort();
  } else if (verb == "kill") {
    ::raise(SIGKILL);
  } else if (verb == "exit") {
    script >> number;
    return number;
  } else if (verb == "late-exit") {
    script >> number;
    SendResult(unit);
    return number;
  } else if (verb == "garbage") {
    std::cout << "Segmentation fault, or so" << std::flush;
  } else if (verb == "truncated") {
    std::ostringstream whole;
    RunnerEvent event;
    *event.mutable_result() = MakeResult(unit, 2);
    google::protobuf::util::SerializeDelimitedToOstream(event, &whole);
    std::cout << whole.str().substr(0, whole.str().size() / 2) << std::flush;
  } else if (verb == "bad-result") {
    RunnerEvent event;
    *event.mutable_result() = MakeResult(unit, 2);
    event.mutable_result()->mutable_targets(0)->mutable_layers(0)->set_layer(7);
    Send(event);
  } else if (verb == "failure") {
    script >> number;
    std::string text;
    std::getline(script >> std::ws, text);
    SendFailure(number, text);
    return 1;
  } else if (verb == "inspect") {
    SendFailure(9, Inspect(unit));
  } else if (verb == "second-fails") {
    if (unit.analysis().unit_index() == 1) {
      SendFailure(13, "the second one fails");
      return 1;
    }
    WaitForGate(unit);
    SendResult(unit);
  } else {
    return 3;
  }
  return 0;
}
