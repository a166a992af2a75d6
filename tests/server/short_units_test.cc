// Calls that wait for a unit of work: verify, identify, inspect, hand off, over the wire.
#include <sys/stat.h>

#include <fstream>
#include <future>
#include <string>
#include <thread>

#include "tests/server/raw_call.h"
#include "tests/server/server_fixture.h"

namespace qatgap::server {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class ShortUnitsTest : public ServerTest {
 protected:
  v1::VerifyTargetRequest VerifyRequest(const std::string& script) {
    v1::VerifyTargetRequest request;
    request.mutable_target()->set_name("pytorch-qnnpack");
    *request.mutable_vectors() = MakeRef(script, "captures.zip");
    return request;
  }
  grpc::Status Verify(const v1::VerifyTargetRequest& request, v1::VerifyTargetResponse* response = nullptr) {
    grpc::ClientContext context;
    v1::VerifyTargetResponse ignored;
    return targets->VerifyTarget(&context, request, response == nullptr ? &ignored : response);
  }
  grpc::Status Verify(const std::string& script) { return Verify(VerifyRequest(script)); }
  grpc::Status Identify(const v1::IdentifyTargetRequest& request, v1::IdentifyTargetResponse* response) {
    grpc::ClientContext context;
    return targets->IdentifyTarget(&context, request, response);
  }
  v1::InspectModelRequest InspectRequest(const std::string& script) {
    v1::InspectModelRequest request;
    *request.mutable_qat_model() = MakeRef(script, "model.pt");
    return request;
  }
  grpc::Status Inspect(const v1::InspectModelRequest& request, v1::InspectModelResponse* response) {
    grpc::ClientContext context;
    return models->InspectModel(&context, request, response);
  }
  v1::CreateHandoffRequest HandoffRequest(const std::string& script) {
    v1::CreateHandoffRequest request;
    *request.mutable_qat_model() = MakeRef(script, "model.pt");
    request.mutable_target()->set_name("generic-int32");
    return request;
  }
  grpc::Status Handoff(const v1::CreateHandoffRequest& request, std::string* bytes) {
    grpc::ClientContext context;
    const auto reader = models->CreateHandoff(&context, request);
    v1::CreateHandoffResponse response;
    largest_chunk_ = 0;
    while (reader->Read(&response)) {
      largest_chunk_ = std::max(largest_chunk_, response.chunk().size());
      *bytes += response.chunk();
    }
    return reader->Finish();
  }
  // A script that hangs, and the pid of the runner once it does.
  std::string HangingScript() {
    const std::string fifo = directory.path() + "/fifo" + std::to_string(fifos_++);
    EXPECT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    fifo_ = fifo;
    return "hang-at " + fifo;
  }
  int WaitForHangingRunner() {
    int pid = 0;
    std::ifstream(fifo_) >> pid;  // blocks until the runner opens it
    return pid;
  }

  std::size_t largest_chunk_ = 0;
  int fifos_ = 0;
  std::string fifo_;
};

TEST_F(ShortUnitsTest, VerifyPassesTheRunnersAnswerOn) {
  Start();
  v1::VerifyTargetResponse response;
  ASSERT_THAT(Verify(VerifyRequest("ok"), &response), GrpcOk());
  EXPECT_EQ(response.target().name(), "pytorch-qnnpack");
  EXPECT_EQ(response.elements(), 7U);
  EXPECT_EQ(response.text(), "verified captures.zip");
}

TEST_F(ShortUnitsTest, VerifyTakesATargetOfOnesOwn) {
  Start();
  v1::VerifyTargetRequest request = VerifyRequest("ok");
  request.mutable_target()->set_description(OwnTarget("mine", 24));
  v1::VerifyTargetResponse response;
  ASSERT_THAT(Verify(request, &response), GrpcOk());
  EXPECT_EQ(response.target().name(), OwnTarget("mine", 24));
  // The name of a shipped one does no harm here: people copy a file and try a change.
  request.mutable_target()->set_description(OwnTarget("generic-int32", 24));
  EXPECT_THAT(Verify(request, &response), GrpcOk());
}

TEST_F(ShortUnitsTest, VerifyNamesTheField) {
  Start();
  const v1::VerifyTargetRequest good = VerifyRequest("ok");
  const auto expect = [&](grpc::StatusCode code, const char* prefix, auto change) {
    v1::VerifyTargetRequest request = good;
    change(request);
    EXPECT_THAT(Verify(request), GrpcStatusIs(code, StartsWith(prefix)));
  };
  expect(grpc::INVALID_ARGUMENT, "target:", [](auto& r) { r.clear_target(); });
  expect(grpc::INVALID_ARGUMENT, "target.name:", [](auto& r) { r.mutable_target()->set_name(""); });
  expect(grpc::NOT_FOUND, "target.name:", [](auto& r) { r.mutable_target()->set_name("pytorch-qnnpak"); });
  expect(grpc::INVALID_ARGUMENT, "target.description:", [](auto& r) { r.mutable_target()->set_description("x"); });
  expect(grpc::INVALID_ARGUMENT, "vectors:", [](auto& r) { r.clear_vectors(); });
  expect(grpc::INVALID_ARGUMENT, "vectors.sha256:", [](auto& r) { r.mutable_vectors()->set_sha256("x"); });
  expect(grpc::INVALID_ARGUMENT, "vectors.name:", [](auto& r) { r.mutable_vectors()->set_name("a/b.zip"); });
  expect(grpc::NOT_FOUND, "vectors.sha256:",
         [](auto& r) { r.mutable_vectors()->set_sha256(std::string(64, 'f')); });
}

TEST_F(ShortUnitsTest, TheRunnersErrorsAreTheCalls) {
  Start();
  EXPECT_THAT(Verify("failure 3 case conv_basic: weight.scales[2] is nan"),
              GrpcStatusIs(grpc::INVALID_ARGUMENT, HasSubstr("weight.scales[2]")));
  EXPECT_THAT(Verify("failure 9 no such layer"), GrpcStatusIs(grpc::FAILED_PRECONDITION, "no such layer"));
  EXPECT_THAT(Verify("crash"), GrpcStatusIs(grpc::INTERNAL, AllOf(StartsWith("the verification failed"),
                                                                  HasSubstr("model.pt"), Not(HasSubstr("/srv")))));
  EXPECT_THAT(Verify("kill"), GrpcStatusIs(grpc::RESOURCE_EXHAUSTED, HasSubstr("fewer or smaller vectors")));
  EXPECT_THAT(Verify("garbage"), GrpcStatusIs(grpc::INTERNAL, HasSubstr("in the middle of an event")));
  EXPECT_THAT(Verify("unreadable"), GrpcStatusIs(grpc::INTERNAL, HasSubstr("cannot be read")));
  EXPECT_THAT(Verify("wrong-kind"), GrpcStatusIs(grpc::INTERNAL, HasSubstr("not asked for")));
  EXPECT_THAT(Verify("ok"), GrpcOk()) << "the server is well";
}

TEST_F(ShortUnitsTest, NoRunner) {
  runner_path = directory.path() + "/no-such-runner";
  Start();
  EXPECT_THAT(Verify("ok"), GrpcStatusIs(grpc::INTERNAL, HasSubstr("cannot start the runner")));
}

TEST_F(ShortUnitsTest, TooLong) {
  unit_timeout = absl::Milliseconds(100);
  Start();
  EXPECT_THAT(Verify("hang"), GrpcStatusIs(grpc::RESOURCE_EXHAUSTED,
                                           AllOf(HasSubstr("the verification took longer"), HasSubstr("--unit-timeout"))));
}

TEST_F(ShortUnitsTest, AClientThatGoesEndsTheChild) {
  Start();
  const v1::VerifyTargetRequest request = VerifyRequest(HangingScript());
  grpc::ClientContext context;
  auto call = std::async(std::launch::async, [&] {
    v1::VerifyTargetResponse response;
    return targets->VerifyTarget(&context, request, &response);
  });
  const int pidfd = OpenPid(WaitForHangingRunner());
  ASSERT_GE(pidfd, 0);
  context.TryCancel();
  EXPECT_TRUE(WaitForEnd(pidfd));
  EXPECT_THAT(call.get(), GrpcStatusIs(grpc::CANCELLED, ::testing::_));
  EXPECT_THAT(Verify("ok"), GrpcOk()) << "its slot is free again";
}

TEST_F(ShortUnitsTest, AStoppingServerEndsTheCall) {
  Start();
  const v1::VerifyTargetRequest request = VerifyRequest(HangingScript());
  auto call = std::async(std::launch::async, [&] { return Verify(request); });
  const int pidfd = OpenPid(WaitForHangingRunner());
  server->Stop();
  EXPECT_TRUE(WaitForEnd(pidfd));
  EXPECT_THAT(call.get(), GrpcStatusIs(grpc::UNAVAILABLE, HasSubstr("stopping")));
}

TEST_F(ShortUnitsTest, TooManyCalls) {
  options.max_queued = 1;
  Start();
  const v1::VerifyTargetRequest hanging = VerifyRequest(HangingScript());
  grpc::ClientContext context;
  auto call = std::async(std::launch::async, [&] {
    v1::VerifyTargetResponse response;
    return targets->VerifyTarget(&context, hanging, &response);
  });
  WaitForHangingRunner();
  EXPECT_THAT(Verify("ok"), GrpcStatusIs(grpc::RESOURCE_EXHAUSTED, HasSubstr("--max-queued")));
  context.TryCancel();
  call.wait();
}

TEST_F(ShortUnitsTest, AnAnalysisAndACallShareTheRunners) {
  Start();  // one runner
  const v1::VerifyTargetRequest hanging = VerifyRequest(HangingScript());
  grpc::ClientContext context;
  auto call = std::async(std::launch::async, [&] {
    v1::VerifyTargetResponse response;
    return targets->VerifyTarget(&context, hanging, &response);
  });
  WaitForHangingRunner();
  const std::string id = MustCreate(MakeSpec("ok"));
  // A call behind both: first come, first served.
  const v1::VerifyTargetRequest behind = VerifyRequest("ok");
  auto last = std::async(std::launch::async, [&] { return Verify(behind); });
  EXPECT_EQ(Get(id).state(), v1::ANALYSIS_STATE_QUEUED);
  context.TryCancel();
  EXPECT_EQ(WatchToEnd(id).state(), v1::ANALYSIS_STATE_SUCCEEDED);
  EXPECT_THAT(last.get(), GrpcOk());
}

TEST_F(ShortUnitsTest, ACallWaitsForAnAnalysis) {
  Start();
  const std::string id = MustCreate(MakeSpec("hang"));
  WaitForRunnerPid(id);
  const v1::VerifyTargetRequest request = VerifyRequest("ok");
  grpc::ClientContext gone;
  auto left = std::async(std::launch::async, [&] {
    v1::VerifyTargetResponse response;
    return targets->VerifyTarget(&gone, request, &response);
  });
  auto call = std::async(std::launch::async, [&] { return Verify(request); });
  gone.TryCancel();  // one that waits can leave
  EXPECT_THAT(left.get(), GrpcStatusIs(grpc::CANCELLED, ::testing::_));
  grpc::ClientContext context;
  v1::CancelAnalysisRequest cancel;
  cancel.set_id(id);
  v1::CancelAnalysisResponse cancelled;
  ASSERT_THAT(analyses->CancelAnalysis(&context, cancel, &cancelled), GrpcOk());
  EXPECT_THAT(call.get(), GrpcOk());
}

TEST_F(ShortUnitsTest, MetricsCountThem) {
  options.metrics_listen = "127.0.0.1:0";
  Start();
  EXPECT_THAT(Verify("ok"), GrpcOk());
  EXPECT_FALSE(Verify("crash").ok());
  const std::string text = Scrape(server->metrics_address());
  EXPECT_THAT(text, AllOf(HasSubstr("qatgap_rpcs_total{code=\"OK\",method=\"VerifyTarget\"} 1\n"),
                          HasSubstr("qatgap_rpcs_total{code=\"INTERNAL\",method=\"VerifyTarget\"} 1\n"),
                          HasSubstr("qatgap_runner_exits_total{reason=\"success\"} 1\n"),
                          HasSubstr("qatgap_runner_exits_total{reason=\"signal\"} 1\n"),
                          HasSubstr("qatgap_artifact_bytes_total{direction=\"to_runner\"} 7\n")));
}

TEST_F(ShortUnitsTest, Identify) {
  Start();
  v1::IdentifyTargetRequest request;
  v1::IdentifyTargetResponse response;
  EXPECT_THAT(Identify(request, &response), GrpcStatusIs(grpc::INVALID_ARGUMENT, StartsWith("vectors:")));
  *request.mutable_vectors() = MakeRef("failure 3 no case", "captures.zip");
  EXPECT_THAT(Identify(request, &response), GrpcStatusIs(grpc::INVALID_ARGUMENT, "no case"));
  *request.mutable_vectors() = MakeRef("ok", "captures.zip");
  ASSERT_THAT(Identify(request, &response), GrpcOk());
  EXPECT_TRUE(response.exact());
  EXPECT_EQ(response.text(), "identified captures.zip");
  *request.mutable_vectors() = MakeRef("crash", "captures.zip");
  EXPECT_THAT(Identify(request, &response), GrpcStatusIs(grpc::INTERNAL, StartsWith("the identification failed")));
  request.mutable_vectors()->set_sha256(std::string(64, 'f'));
  EXPECT_THAT(Identify(request, &response), GrpcStatusIs(grpc::NOT_FOUND, StartsWith("vectors.sha256:")));
}

TEST_F(ShortUnitsTest, InspectGivesWhatNeedsNoData) {
  Start();
  v1::InspectModelResponse response;
  ASSERT_THAT(Inspect(InspectRequest("ok"), &response), GrpcOk());
  ASSERT_EQ(response.result().targets_size(), 1);
  EXPECT_EQ(response.result().targets(0).name(), "generic-int32") << "the default";
  ASSERT_EQ(response.result().layers_size(), 2);
  const v1::ChannelResult& second = response.result().targets(0).layers(1).channels(1);
  EXPECT_EQ(second.multiplier(), 0.25);
  EXPECT_EQ(second.causes_size(), 0);
  EXPECT_THAT(response.text(), AllOf(HasSubstr("target generic-int32"), HasSubstr("layer1"), HasSubstr("no findings")));
}

TEST_F(ShortUnitsTest, InspectUnderSeveralTargets) {
  Start();
  v1::InspectModelRequest request = InspectRequest("ok");
  request.add_targets()->set_description(OwnTarget("mine", 24));
  request.add_targets()->set_name("pytorch-qnnpack");
  v1::InspectModelResponse response;
  ASSERT_THAT(Inspect(request, &response), GrpcOk());
  ASSERT_EQ(response.result().targets_size(), 2);
  EXPECT_EQ(response.result().targets(0).name(), "pytorch-qnnpack");
  EXPECT_THAT(response.result().targets(1).name(), StartsWith("own:"));
}

TEST_F(ShortUnitsTest, InspectErrors) {
  Start();
  v1::InspectModelRequest request;
  v1::InspectModelResponse response;
  EXPECT_THAT(Inspect(request, &response), GrpcStatusIs(grpc::INVALID_ARGUMENT, StartsWith("qat_model:")));
  request = InspectRequest("ok");
  request.mutable_converted_model()->set_name("int8.pt");
  EXPECT_THAT(Inspect(request, &response), GrpcStatusIs(grpc::INVALID_ARGUMENT, StartsWith("converted_model.sha256:")));
  request = InspectRequest("ok");
  request.add_targets();
  EXPECT_THAT(Inspect(request, &response), GrpcStatusIs(grpc::INVALID_ARGUMENT, StartsWith("targets[0]:")));
  request.mutable_targets(0)->set_name("generic-int33");
  EXPECT_THAT(Inspect(request, &response), GrpcStatusIs(grpc::NOT_FOUND, StartsWith("targets[0].name:")));
  request.mutable_targets(0)->set_name("generic-int32");
  request.add_targets()->set_name("generic-int32");
  EXPECT_THAT(Inspect(request, &response), GrpcStatusIs(grpc::INVALID_ARGUMENT, HasSubstr("named twice")));
  EXPECT_THAT(Inspect(InspectRequest("failure 9 cannot be paired"), &response),
              GrpcStatusIs(grpc::FAILED_PRECONDITION, "cannot be paired"));
  EXPECT_THAT(Inspect(InspectRequest("bad-result"), &response), GrpcStatusIs(grpc::INTERNAL, HasSubstr("no event")));
  EXPECT_THAT(Inspect(InspectRequest("wrong-kind"), &response), GrpcStatusIs(grpc::INTERNAL, HasSubstr("asked for")));
}

TEST_F(ShortUnitsTest, HandoffComesInChunks) {
  Start();
  std::string bytes;
  ASSERT_THAT(Handoff(HandoffRequest("archive 2500000"), &bytes), GrpcOk());
  EXPECT_EQ(bytes, std::string(2'500'000, 'z'));
  EXPECT_EQ(largest_chunk_, std::size_t{1} << 20);
  v1::CreateHandoffRequest converted;
  *converted.mutable_converted_model() = MakeRef("ok", "int8.pt");
  converted.mutable_target()->set_description(OwnTarget("mine", 24));
  bytes.clear();
  ASSERT_THAT(Handoff(converted, &bytes), GrpcOk());
  EXPECT_EQ(bytes, "archive of int8.pt");
}

TEST_F(ShortUnitsTest, HandoffErrors) {
  Start();
  std::string bytes;
  v1::CreateHandoffRequest request;
  EXPECT_THAT(Handoff(request, &bytes), GrpcStatusIs(grpc::INVALID_ARGUMENT, StartsWith("qat_model:")));
  request = HandoffRequest("ok");
  request.clear_target();
  EXPECT_THAT(Handoff(request, &bytes), GrpcStatusIs(grpc::INVALID_ARGUMENT, StartsWith("target:")));
  request.mutable_target()->set_name("nobody");
  EXPECT_THAT(Handoff(request, &bytes), GrpcStatusIs(grpc::NOT_FOUND, StartsWith("target.name:")));
  request = HandoffRequest("ok");
  request.mutable_qat_model()->set_sha256(std::string(64, 'f'));
  EXPECT_THAT(Handoff(request, &bytes), GrpcStatusIs(grpc::NOT_FOUND, StartsWith("qat_model.sha256:")));
  EXPECT_THAT(Handoff(HandoffRequest("failure 9 layer fc: refused"), &bytes),
              GrpcStatusIs(grpc::FAILED_PRECONDITION, "layer fc: refused"));
  EXPECT_THAT(Handoff(HandoffRequest("crash"), &bytes),
              GrpcStatusIs(grpc::INTERNAL, StartsWith("the handoff failed")));
  EXPECT_TRUE(bytes.empty());
}

}  // namespace
}  // namespace qatgap::server
