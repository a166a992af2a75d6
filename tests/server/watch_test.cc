// The watch stream: order, coalescing, cancellation, the server's end.
#include <csignal>
#include <thread>

#include "tests/server/server_fixture.h"

namespace qatgap::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Event = v1::WatchAnalysisResponse;

class WatchTest : public ServerTest {};

TEST_F(WatchTest, StateProgressLayersEnd) {
  Start();
  const std::string id = MustCreate(MakeSpec("gate"));
  const int pid = WaitForRunnerPid(id);
  std::vector<Event> events;
  const v1::Analysis last = WatchToEnd(id, [&](const Event& event) {
    // The first event is there while the analysis runs: only now may it go on.
    if (events.empty()) ::kill(pid, SIGUSR1);
    events.push_back(event);
  });
  EXPECT_EQ(last.state(), v1::ANALYSIS_STATE_SUCCEEDED);
  ASSERT_GE(events.size(), 4U);
  EXPECT_EQ(events.front().analysis().state(), v1::ANALYSIS_STATE_RUNNING);
  EXPECT_EQ(events.front().analysis().progress().samples_total(), 12U);
  std::vector<std::string> layers;
  for (std::size_t i = 1; i + 1 < events.size(); ++i) {
    if (events[i].has_finished_layer()) {
      layers.push_back(events[i].finished_layer().info().name());
      EXPECT_EQ(events[i].finished_layer().causes_size(), 8);
      EXPECT_EQ(events[i].finished_layer().causes(0).count(), 24U) << "two channels, 12 samples";
    } else {
      EXPECT_TRUE(events[i].has_progress());
      EXPECT_TRUE(layers.empty()) << "progress after a finished layer";
    }
  }
  EXPECT_THAT(layers, ElementsAre("layer0", "layer1"));
  EXPECT_EQ(events.back().analysis().state(), v1::ANALYSIS_STATE_SUCCEEDED);
}

TEST_F(WatchTest, SeesTheStartOfAQueuedOne) {
  Start();
  const std::string blocker = MustCreate(MakeSpec("gate"));
  const int pid = WaitForRunnerPid(blocker);
  std::vector<v1::AnalysisState> states;
  const std::string id = MustCreate(MakeSpec("ok"));
  WatchToEnd(id, [&](const Event& event) {
    if (!event.has_analysis()) return;
    if (states.empty()) ::kill(pid, SIGUSR1);
    states.push_back(event.analysis().state());
  });
  // RUNNING may be merged into nothing else but a later state.
  EXPECT_EQ(states.front(), v1::ANALYSIS_STATE_QUEUED);
  EXPECT_EQ(states.back(), v1::ANALYSIS_STATE_SUCCEEDED);
}

TEST_F(WatchTest, AnEndedOneIsOneEvent) {
  Start();
  const std::string id = Run("ok").id();
  int events = 0;
  EXPECT_EQ(WatchToEnd(id, [&](const Event&) { ++events; }).state(), v1::ANALYSIS_STATE_SUCCEEDED);
  EXPECT_EQ(events, 1);
}

TEST_F(WatchTest, AWatcherThatDoesNotReadHoldsNobodyUp) {
  Start();
  const std::string id = MustCreate(MakeSpec("flood"));
  grpc::ClientContext lazy_context;
  v1::WatchAnalysisRequest request;
  request.set_id(id);
  const auto lazy = analyses->WatchAnalysis(&lazy_context, request);
  Event event;
  ASSERT_TRUE(lazy->Read(&event));  // and no more
  EXPECT_EQ(WatchToEnd(id).state(), v1::ANALYSIS_STATE_SUCCEEDED);
  int left = 0;
  while (lazy->Read(&event)) ++left;
  EXPECT_THAT(lazy->Finish(), GrpcOk());
  EXPECT_EQ(event.analysis().state(), v1::ANALYSIS_STATE_SUCCEEDED) << "the last event";
  EXPECT_LT(left, 20001) << "progress is merged";
}

TEST_F(WatchTest, ACancelledClientIsForgotten) {
  Start();
  const std::string id = MustCreate(MakeSpec("gate"));
  const int pid = WaitForRunnerPid(id);  // cancels its own watch
  for (int i = 0; i < 3; ++i) EXPECT_EQ(WaitForRunnerPid(id), pid);
  ::kill(pid, SIGUSR1);
  EXPECT_EQ(WatchToEnd(id).state(), v1::ANALYSIS_STATE_SUCCEEDED);
}

TEST_F(WatchTest, EndsWithTheServer) {
  Start();
  const std::string id = MustCreate(MakeSpec("hang"));
  const int pidfd = OpenPid(WaitForRunnerPid(id));
  grpc::ClientContext context;
  v1::WatchAnalysisRequest request;
  request.set_id(id);
  const auto reader = analyses->WatchAnalysis(&context, request);
  Event event;
  ASSERT_TRUE(reader->Read(&event));
  std::thread stopper([&] { server->Stop(); });
  while (reader->Read(&event)) {
  }
  EXPECT_THAT(reader->Finish(), GrpcStatusIs(grpc::UNAVAILABLE, HasSubstr("run anew")));
  stopper.join();
  EXPECT_TRUE(WaitForEnd(pidfd));
}

}  // namespace
}  // namespace qatgap::server
