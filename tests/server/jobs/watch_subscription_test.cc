#include "server/jobs/watch_subscription.h"

#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::server {
namespace {

Analysis InState(AnalysisState state) {
  Analysis analysis;
  analysis.state = state;
  return analysis;
}

TEST(WatchSubscriptionTest, KeepsOnlyTheLatest) {
  int ready = 0;
  WatchSubscription watch([&] { ++ready; });
  watch.Publish(InState(AnalysisState::kQueued));
  watch.Publish(InState(AnalysisState::kRunning));
  for (std::uint64_t i = 1; i <= 1000; ++i) {
    watch.Publish(AnalysisProgress{.samples_done = i, .samples_total = 1000});
  }
  EXPECT_EQ(ready, 1002);
  EXPECT_EQ(std::get<Analysis>(*watch.Next()).state, AnalysisState::kRunning);
  EXPECT_EQ(std::get<AnalysisProgress>(*watch.Next()).samples_done, 1000U);
  EXPECT_FALSE(watch.Next().has_value());
  EXPECT_FALSE(watch.Ended());
}

TEST(WatchSubscriptionTest, LayersThenTheEnd) {
  auto result = std::make_shared<report::AnalysisResult>();
  result->targets.resize(3);
  result->targets[0].layers.resize(2);
  result->targets[2].layers.resize(1);
  WatchSubscription watch([] {});
  watch.Publish(InState(AnalysisState::kSucceeded), result);
  watch.Publish(InState(AnalysisState::kRunning));  // too late
  std::vector<std::pair<std::size_t, std::size_t>> layers;
  std::optional<WatchEvent> event;
  while ((event = watch.Next()) && std::holds_alternative<FinishedLayer>(*event)) {
    layers.emplace_back(std::get<FinishedLayer>(*event).target, std::get<FinishedLayer>(*event).layer);
  }
  EXPECT_EQ(layers, (std::vector<std::pair<std::size_t, std::size_t>>{{0, 0}, {0, 1}, {2, 0}}));
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(std::get<Analysis>(*event).state, AnalysisState::kSucceeded);
  EXPECT_TRUE(watch.Ended());
  QATGAP_EXPECT_OK(watch.EndStatus());
  EXPECT_EQ(result.use_count(), 1) << "the result is let go";
}

TEST(WatchSubscriptionTest, EndWithAStatusAndDetach) {
  int ready = 0;
  WatchSubscription watch([&] { ++ready; });
  watch.Detach();
  watch.End(absl::UnavailableError("stopping"));
  EXPECT_EQ(ready, 0);
  EXPECT_TRUE(watch.Ended());
  EXPECT_EQ(watch.EndStatus(), absl::UnavailableError("stopping"));
}

}  // namespace
}  // namespace qatgap::server
