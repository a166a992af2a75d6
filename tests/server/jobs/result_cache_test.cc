#include "server/jobs/result_cache.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::server {
namespace {

using qatgap::testing::StatusIs;

ResultCache::Entry MakeEntry(std::size_t channels) {
  report::Report report;
  report.result.layers.emplace_back();
  report.result.targets.emplace_back().layers.emplace_back().channels.resize(channels);
  return std::make_shared<const report::IndexedReport>(std::move(report));
}

class ResultCacheTest : public ::testing::Test {
 protected:
  // Whether it had to be loaded.
  bool Loads(ResultCache& cache, const std::string& id, std::size_t channels = 100) {
    bool loaded = false;
    EXPECT_TRUE(cache.Get(id, [&]() -> absl::StatusOr<ResultCache::Entry> {
                       loaded = true;
                       return MakeEntry(channels);
                     }).ok());
    return loaded;
  }
  const std::size_t one = MakeEntry(100)->bytes();
};

TEST_F(ResultCacheTest, AResultIsAsLargeAsItsChannels) {
  EXPECT_EQ(MakeEntry(200)->bytes() - one, 100 * sizeof(report::ChannelResult));
}

TEST_F(ResultCacheTest, TheLeastRecentlyUsedGoesFirst) {
  ResultCache cache(2 * one);
  EXPECT_TRUE(Loads(cache, "a"));
  EXPECT_TRUE(Loads(cache, "b"));
  EXPECT_FALSE(Loads(cache, "a"));
  EXPECT_TRUE(Loads(cache, "c"));
  EXPECT_EQ(cache.bytes(), 2 * one);
  EXPECT_FALSE(Loads(cache, "a"));
  EXPECT_TRUE(Loads(cache, "b"));
}

TEST_F(ResultCacheTest, TheLastOneStaysHoweverLargeItIs) {
  ResultCache cache(one);
  EXPECT_TRUE(Loads(cache, "small"));
  EXPECT_TRUE(Loads(cache, "large", 1000));
  EXPECT_FALSE(Loads(cache, "large"));
  EXPECT_TRUE(Loads(cache, "small"));
  EXPECT_EQ(cache.bytes(), one);
}

TEST_F(ResultCacheTest, AnErrorIsNotKept) {
  ResultCache cache(one);
  EXPECT_THAT(cache.Get("a", [] { return absl::NotFoundError("gone"); }).status(), StatusIs(absl::StatusCode::kNotFound, ::testing::_));
  EXPECT_EQ(cache.bytes(), 0U);
  EXPECT_TRUE(Loads(cache, "a"));
}

}  // namespace
}  // namespace qatgap::server
