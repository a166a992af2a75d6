#include "server/store/sqlite_store.h"

#include <sqlite3.h>

#include "gtest/gtest.h"
#include "tests/server/temporary_directory.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::server {
namespace {

using ::qatgap::testing::StatusIs;
using ::testing::HasSubstr;

class SqliteStoreTest : public ::testing::Test {
 protected:
  SqliteStoreTest() { Reopen(); }
  void Reopen() {
    store.reset();
    auto opened = OpenSqliteStore(Path());
    ASSERT_TRUE(opened.ok()) << opened.status();
    store = *std::move(opened);
  }
  std::string Path() const { return directory.path() + "/q.sqlite"; }
  static Analysis Make(const std::string& id, AnalysisState state = AnalysisState::kQueued) {
    Analysis analysis;
    analysis.id = id;
    analysis.spec = {.qat_model = {"aa", "m.pt"}, .converted_model = {}, .samples = {"bb", "s.npy"},
                     .labels = {}, .targets = {"t1", "t2"}, .target_descriptions = {"name: mine"}, .batch_size = 8, .max_samples = 9,
                     .parallel_units = 3, .title = "title", .track = "net"};
    analysis.state = state;
    analysis.create_time = absl::FromUnixNanos(1'700'000'000'123'456'789);
    return analysis;
  }

  TemporaryDirectory directory;
  std::unique_ptr<Store> store;
};

TEST_F(SqliteStoreTest, KeepsEveryField) {
  Analysis analysis = Make("a");
  QATGAP_ASSERT_OK(store->Insert(analysis, "r"));
  analysis.state = AnalysisState::kFailed;
  analysis.start_time = analysis.create_time + absl::Seconds(1);
  analysis.end_time = analysis.create_time + absl::Seconds(2);
  analysis.progress = {.samples_done = 3, .samples_total = 4};
  analysis.error = absl::ResourceExhaustedError("too much");
  analysis.verdicts = {{.target = "t1", .headline = "h", .sentences = {"s1", "s2"}}};
  analysis.runner_peak_bytes = 77;
  QATGAP_ASSERT_OK(store->Update(analysis));
  Reopen();
  const auto read = store->Get("a");
  QATGAP_ASSERT_OK(read);
  EXPECT_EQ(read->spec, analysis.spec);
  EXPECT_EQ(read->state, analysis.state);
  EXPECT_EQ(read->create_time, analysis.create_time);
  EXPECT_EQ(read->start_time, analysis.start_time);
  EXPECT_EQ(read->end_time, analysis.end_time);
  EXPECT_EQ(read->progress, analysis.progress);
  EXPECT_EQ(read->error, analysis.error);
  ASSERT_EQ(read->verdicts.size(), 1U);
  EXPECT_EQ(read->verdicts[0].sentences, analysis.verdicts[0].sentences);
  EXPECT_EQ(read->runner_peak_bytes, 77U);
}

TEST_F(SqliteStoreTest, IdsAndRequestIdsAreUnique) {
  QATGAP_ASSERT_OK(store->Insert(Make("a"), "r"));
  EXPECT_THAT(store->Insert(Make("a"), ""), StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("id")));
  EXPECT_THAT(store->Insert(Make("b"), "r"),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("request_id")));
  QATGAP_EXPECT_OK(store->Insert(Make("c"), ""));
  QATGAP_EXPECT_OK(store->Insert(Make("d"), "")) << "an empty request id is none";
  EXPECT_EQ(store->FindByRequestId("r")->value().id, "a");
  EXPECT_FALSE(store->FindByRequestId("other")->has_value());
}

TEST_F(SqliteStoreTest, ResultsComeAndGoWithTheirAnalysis) {
  QATGAP_ASSERT_OK(store->Insert(Make("a"), ""));
  EXPECT_THAT(store->GetResult("a"), StatusIs(absl::StatusCode::kNotFound, HasSubstr("no result")));
  const std::string bytes("with\0zero", 9);
  QATGAP_ASSERT_OK(store->UpdateWithResult(Make("a", AnalysisState::kSucceeded), bytes));
  EXPECT_EQ(*store->GetResult("a"), bytes);
  EXPECT_EQ(store->Get("a")->state, AnalysisState::kSucceeded);
  QATGAP_ASSERT_OK(store->Delete("a"));
  EXPECT_THAT(store->GetResult("a"), StatusIs(absl::StatusCode::kNotFound, HasSubstr("a")));
  EXPECT_THAT(store->Delete("a"), StatusIs(absl::StatusCode::kNotFound, HasSubstr("'a'")));
  EXPECT_THAT(store->Update(Make("a")), StatusIs(absl::StatusCode::kNotFound, HasSubstr("'a'")));
  EXPECT_THAT(store->UpdateWithResult(Make("a"), "x"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("'a'")));
}

TEST_F(SqliteStoreTest, ListsByStateAndPosition) {
  QATGAP_ASSERT_OK(store->Insert(Make("a"), ""));
  QATGAP_ASSERT_OK(store->Insert(Make("b", AnalysisState::kRunning), ""));
  QATGAP_ASSERT_OK(store->Insert(Make("c", AnalysisState::kSucceeded), ""));
  QATGAP_ASSERT_OK(store->Insert(Make("d"), ""));
  const auto first = store->List({.limit = 2, .before_sequence = 0, .state = {}});
  ASSERT_EQ(first->size(), 2U);
  EXPECT_EQ((*first)[0].analysis.id, "d");
  // A deletion between two pages skips and repeats nothing.
  QATGAP_ASSERT_OK(store->Delete("c"));
  const auto rest = store->List({.limit = 9, .before_sequence = (*first)[1].sequence, .state = {}});
  ASSERT_EQ(rest->size(), 2U);
  EXPECT_EQ((*rest)[0].analysis.id, "b");
  const auto queued = store->List({.limit = 9, .before_sequence = 0, .state = AnalysisState::kQueued});
  EXPECT_EQ(queued->size(), 2U);
  const auto unfinished = store->ListUnfinished();
  ASSERT_EQ(unfinished->size(), 3U);
  EXPECT_EQ((*unfinished)[0].id, "a");
  const auto counts = store->CountByState();
  EXPECT_EQ((*counts)[0], 2);
  EXPECT_EQ((*counts)[1], 1);
  EXPECT_EQ((*counts)[2], 0);
}

TEST_F(SqliteStoreTest, ListsByTrack) {
  const auto insert = [&](const std::string& id, const std::string& track, AnalysisState state) {
    Analysis analysis = Make(id, state);
    analysis.spec.track = track;
    QATGAP_ASSERT_OK(store->Insert(analysis, ""));
  };
  const auto ids = [](const std::vector<Analysis>& analyses) {
    std::string text;
    for (const Analysis& analysis : analyses) text += analysis.id;
    return text;
  };
  insert("a", "x", AnalysisState::kSucceeded);
  insert("b", "y", AnalysisState::kSucceeded);
  insert("c", "x", AnalysisState::kSucceeded);
  insert("d", "y", AnalysisState::kFailed);
  insert("e", "", AnalysisState::kSucceeded);
  insert("f", "z", AnalysisState::kRunning);
  const auto of_x = store->List({.limit = 9, .before_sequence = 0, .state = {}, .track = "x"});
  ASSERT_EQ(of_x->size(), 2U);
  EXPECT_EQ((*of_x)[0].analysis.id, "c");
  EXPECT_EQ((*of_x)[1].analysis.id, "a");
  EXPECT_EQ(store->List({.limit = 9, .state = AnalysisState::kFailed, .track = "y"})->size(), 1U);
  EXPECT_TRUE(store->List({.limit = 9, .track = "X"})->empty());
  EXPECT_EQ(store->List({.limit = 9})->size(), 6U);
  EXPECT_EQ(ids(*store->ListLatestOfTracks(9)), "cb");
  EXPECT_EQ(ids(*store->ListLatestOfTracks(1)), "c");
  QATGAP_ASSERT_OK(store->Delete("c"));
  EXPECT_EQ(ids(*store->ListLatestOfTracks(9)), "ba");
}

// What version 1 made, with one analysis.
TEST_F(SqliteStoreTest, TakesOverTheFirstSchema) {
  QATGAP_ASSERT_OK(store->Insert(Make("a"), "r"));
  store.reset();
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(Path().c_str(), &database), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(database,
                         "DROP INDEX analyses_by_track; ALTER TABLE analyses DROP COLUMN track; PRAGMA user_version = 1",
                         nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(database);
  Reopen();
  EXPECT_EQ(store->Get("a")->spec.title, "title");
  QATGAP_ASSERT_OK(store->Insert(Make("b"), ""));
  const auto tracked = store->List({.limit = 9, .before_sequence = 0, .state = {}, .track = "net"});
  ASSERT_EQ(tracked->size(), 1U) << "version 1 knew no tracks";
  EXPECT_EQ((*tracked)[0].analysis.id, "b");
}

TEST_F(SqliteStoreTest, RefusesANewerSchema) {
  store.reset();
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(Path().c_str(), &database), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(database, "PRAGMA user_version = 99", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(database);
  EXPECT_THAT(OpenSqliteStore(Path()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("schema version 99")));
}

}  // namespace
}  // namespace qatgap::server
