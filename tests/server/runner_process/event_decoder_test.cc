#include "server/runner_process/event_decoder.h"

#include <google/protobuf/util/delimited_message_util.h>
#include <unistd.h>

#include <sstream>

#include "gtest/gtest.h"
#include "qatgap/runner/v1/unit.pb.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::server {
namespace {

using ::qatgap::testing::StatusIs;
using ::testing::HasSubstr;

std::string Delimited(const runner::v1::RunnerEvent& event) {
  std::ostringstream out;
  google::protobuf::util::SerializeDelimitedToOstream(event, &out);
  return out.str();
}

std::string Progress(std::uint64_t samples) {
  runner::v1::RunnerEvent event;
  event.mutable_progress()->set_samples_done(samples);
  return Delimited(event);
}

TEST(EventDecoderTest, BytesOneByOne) {
  runner::v1::RunnerEvent started;
  started.mutable_started()->set_samples_of_unit(5);
  started.mutable_started()->set_samples_total(10);
  const std::string stream = Delimited(started) + Progress(300);
  EventDecoder decoder;
  std::vector<RunnerEvent> events;
  for (const char byte : stream) {
    decoder.Append(std::string_view(&byte, 1));
    auto event = decoder.Next();
    QATGAP_ASSERT_OK(event);
    if (event->has_value()) events.push_back(**event);
  }
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(std::get<StartedEvent>(events[0]).samples_total, 10U);
  EXPECT_EQ(std::get<ProgressEvent>(events[1]).samples_done, 300U);
  EXPECT_FALSE(decoder.HasPartialEvent());
}

TEST(EventDecoderTest, SeveralAtOnceAndARest) {
  EventDecoder decoder;
  decoder.Append(Progress(1) + Progress(2) + Progress(3).substr(0, 2));
  EXPECT_TRUE((*decoder.Next()).has_value());
  EXPECT_TRUE((*decoder.Next()).has_value());
  EXPECT_FALSE((*decoder.Next()).has_value());
  EXPECT_TRUE(decoder.HasPartialEvent());
}

TEST(EventDecoderTest, Garbage) {
  for (const std::string& bytes :
       {std::string(6, '\xff'), std::string("\xff\xff\xff\xff\x0f"), std::string("\x03zzz"),
        std::string("\0", 1)}) {
    EventDecoder decoder;
    decoder.Append(bytes);
    EXPECT_THAT(decoder.Next(), StatusIs(absl::StatusCode::kInternal, HasSubstr("no event")));
  }
}

TEST(EventDecoderTest, FailureCodes) {
  for (const auto& [code, expected] :
       {std::pair(9, absl::StatusCode::kFailedPrecondition), std::pair(0, absl::StatusCode::kInternal),
        std::pair(17, absl::StatusCode::kInternal), std::pair(-1, absl::StatusCode::kInternal)}) {
    runner::v1::RunnerEvent event;
    event.mutable_failure()->set_code(code);
    event.mutable_failure()->set_message("why");
    EventDecoder decoder;
    decoder.Append(Delimited(event));
    EXPECT_EQ(std::get<FailureEvent>(**decoder.Next()).status, absl::Status(expected, "why"));
  }
}

TEST(EncodeWorkUnitTest, BlobsThatAreNotGivenAreMinusOne) {
  UnitOfWork unit;
  unit.targets = {"t"};
  unit.unit_count = 2;
  runner::v1::WorkUnit message;
  ASSERT_TRUE(message.ParseFromString(EncodeWorkUnit(unit, {.memory_bytes = 1, .cpu_seconds = 2})));
  EXPECT_EQ(message.labels().fd(), -1);
  EXPECT_EQ(message.vectors().fd(), -1);
  EXPECT_EQ(message.analysis().unit_count(), 2);
  EXPECT_EQ(message.limits().cpu_seconds(), 2U);
}

TEST(EncodeWorkUnitTest, SampleInputsHaveTheNumbersBehindTheOthers) {
  UnitOfWork unit;
  for (const char* name : {"ids", "mask"}) {
    SampleBlob& blob = unit.sample_inputs.emplace_back();
    blob.input_name = name;
    blob.file.name = "f.npy";
    blob.file.fd = UniqueFd(::dup(0));
  }
  unit.normalizations.push_back({.input_name = "mask", .mean = {0.5}, .std = {}, .scale = 2, .channel_axis = -1});
  runner::v1::WorkUnit message;
  ASSERT_TRUE(message.ParseFromString(EncodeWorkUnit(unit, {})));
  EXPECT_EQ(message.samples().fd(), -1);
  ASSERT_EQ(message.sample_inputs_size(), 2);
  EXPECT_EQ(message.sample_inputs(0).file().fd(), 10);
  EXPECT_EQ(message.sample_inputs(1).file().fd(), 11);
  EXPECT_EQ(message.sample_inputs(1).input_name(), "mask");
  ASSERT_EQ(message.normalizations_size(), 1);
  EXPECT_EQ(message.normalizations(0).mean(0), 0.5);
  EXPECT_EQ(message.normalizations(0).channel_axis(), -1);
}

TEST(EncodeWorkUnitTest, EveryKindHasItsTask) {
  using runner::v1::WorkUnit;
  for (const auto& [kind, task] :
       {std::pair(UnitKind::kAnalysis, WorkUnit::kAnalysis), std::pair(UnitKind::kVerify, WorkUnit::kVerify),
        std::pair(UnitKind::kIdentify, WorkUnit::kIdentify), std::pair(UnitKind::kInspect, WorkUnit::kInspect),
        std::pair(UnitKind::kHandoff, WorkUnit::kHandoff)}) {
    UnitOfWork unit;
    unit.kind = kind;
    unit.target_descriptions = {"name: mine"};
    WorkUnit message;
    ASSERT_TRUE(message.ParseFromString(EncodeWorkUnit(unit, {})));
    EXPECT_EQ(message.task_case(), task);
    EXPECT_EQ(message.target_descriptions(0), "name: mine");
  }
}

TEST(EventDecoderTest, AnswerIsPassedOnAsItIs) {
  runner::v1::RunnerEvent event;
  const std::string bytes("\0\xff not a message", 16);
  event.set_answer(bytes);
  EventDecoder decoder;
  decoder.Append(Delimited(event));
  EXPECT_EQ(std::get<AnswerEvent>(**decoder.Next()).bytes, bytes);
}

TEST(PresentableTailTest, CutsPathsAndKeepsTheRest) {
  EXPECT_EQ(PresentableTail("at /home/me/src/a.cc:12: 3/4 and/or \"/x/y.so\"(+0x1)\n\n"),
            "at a.cc:12: 3/4 and/or \"y.so\"(+0x1)");
  EXPECT_EQ(PresentableTail("bell \a and \xc3\xa9"), "bell ? and ??");
  EXPECT_EQ(PresentableTail(""), "");
}

TEST(PresentableTailTest, LongTextKeepsItsEnd) {
  const std::string tail = PresentableTail("/very/long" + std::string(5000, 'x') + " the end");
  EXPECT_LE(tail.size(), 4096U);
  EXPECT_EQ(tail, " the end");
}

}  // namespace
}  // namespace qatgap::server
