#include "server/store/sqlite_store.h"

#include <sqlite3.h>

#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"
#include "server/analysis_conversion.h"
#include "server/store/sqlite_statement.h"

namespace qatgap::server {
namespace {

constexpr int kSchemaVersion = 2;

// Version 1. AUTOINCREMENT: page tokens hold sequence numbers, so one must never come back after a deletion.
constexpr char kSchema[] = R"sql(
CREATE TABLE analyses (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  request_id TEXT UNIQUE,
  state INTEGER NOT NULL,
  analysis BLOB NOT NULL
);
CREATE INDEX analyses_by_state ON analyses (state, sequence);
CREATE TABLE results (
  id TEXT PRIMARY KEY REFERENCES analyses (id) ON DELETE CASCADE,
  result BLOB NOT NULL
);
PRAGMA user_version = 1;
)sql";

// Version 2: analyses of one track.
constexpr char kAddTracks[] = R"sql(
ALTER TABLE analyses ADD COLUMN track TEXT;
CREATE INDEX analyses_by_track ON analyses (track, sequence) WHERE track IS NOT NULL;
PRAGMA user_version = 2;
)sql";

absl::StatusOr<Analysis> ParseAnalysis(const std::string& bytes) {
  v1::Analysis message;
  if (!message.ParseFromString(bytes)) {
    return absl::InternalError("a stored analysis cannot be read: the database is damaged");
  }
  return FromProto(message);
}

absl::Status NoAnalysis(const std::string& id) {
  return absl::NotFoundError(absl::StrCat("id: there is no analysis '", id, "'"));
}

class SqliteStore final : public Store {
 public:
  explicit SqliteStore(SqliteDatabase database) : database_(std::move(database)) {}

  absl::Status Initialize() {
    const std::scoped_lock lock(mutex_);
    // NORMAL in WAL mode survives a crash of the process; after a power cut the last commits may be missing, which
    // costs a repeated analysis, not a damaged file.
    QATGAP_RETURN_IF_ERROR(database_.Execute(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;"
        "PRAGMA busy_timeout = 5000;"));
    QATGAP_ASSIGN_OR_RETURN(SqliteStatement query, database_.Prepare("PRAGMA user_version"));
    QATGAP_ASSIGN_OR_RETURN(const bool row, query.Step());
    const std::int64_t version = row ? query.Integer(0) : 0;
    QATGAP_RETURN_IF_ERROR(query.Finish());
    if (version == 0) {
      return database_.Execute(absl::StrCat("BEGIN IMMEDIATE;", kSchema, kAddTracks, "COMMIT;"));
    }
    if (version == 1) return database_.Execute(absl::StrCat("BEGIN IMMEDIATE;", kAddTracks, "COMMIT;"));
    if (version != kSchemaVersion) {
      return absl::FailedPreconditionError(
          absl::StrCat("the data directory has schema version ", version, ", this qatgapd knows ",
                       kSchemaVersion, ": use the version of qatgap that wrote it"));
    }
    return absl::OkStatus();
  }

  absl::Status Insert(const Analysis& analysis, const std::string& request_id) override {
    const std::scoped_lock lock(mutex_);
    QATGAP_ASSIGN_OR_RETURN(
        SqliteStatement insert,
        database_.Prepare("INSERT INTO analyses (id, request_id, state, analysis, track) "
                          "VALUES (?1, NULLIF(?2, ''), ?3, ?4, NULLIF(?5, ''))"));
    insert.BindText(1, analysis.id);
    insert.BindText(2, request_id);
    insert.BindInteger(3, static_cast<std::int64_t>(analysis.state));
    insert.BindBlob(4, ToProto(analysis).SerializeAsString());
    insert.BindText(5, analysis.spec.track);
    return insert.Finish();
  }

  absl::Status Update(const Analysis& analysis) override {
    const std::scoped_lock lock(mutex_);
    return UpdateLocked(analysis);
  }

  absl::Status UpdateWithResult(const Analysis& analysis, const std::string& result) override {
    const std::scoped_lock lock(mutex_);
    QATGAP_RETURN_IF_ERROR(database_.Execute("BEGIN IMMEDIATE"));
    absl::Status status = UpdateLocked(analysis);
    if (status.ok()) status = PutResultLocked(analysis.id, result);
    if (status.ok()) status = database_.Execute("COMMIT");
    if (!status.ok()) database_.Execute("ROLLBACK").IgnoreError();
    return status;
  }

  absl::StatusOr<Analysis> Get(const std::string& id) const override {
    QATGAP_ASSIGN_OR_RETURN(std::optional<std::string> bytes,
                            FindBytes("SELECT analysis FROM analyses WHERE id = ?1", id));
    if (!bytes) return NoAnalysis(id);
    return ParseAnalysis(*bytes);
  }

  absl::StatusOr<std::optional<Analysis>> FindByRequestId(
      const std::string& request_id) const override {
    QATGAP_ASSIGN_OR_RETURN(
        std::optional<std::string> bytes,
        FindBytes("SELECT analysis FROM analyses WHERE request_id = ?1", request_id));
    if (!bytes) return std::optional<Analysis>();
    QATGAP_ASSIGN_OR_RETURN(Analysis analysis, ParseAnalysis(*bytes));
    return std::make_optional(std::move(analysis));
  }

  absl::StatusOr<std::string> GetResult(const std::string& id) const override {
    QATGAP_ASSIGN_OR_RETURN(std::optional<std::string> bytes,
                            FindBytes("SELECT result FROM results WHERE id = ?1", id));
    if (!bytes) return absl::NotFoundError(absl::StrCat("analysis '", id, "' has no result"));
    return *std::move(bytes);
  }

  absl::StatusOr<std::vector<StoredAnalysis>> List(const ListQuery& query) const override {
    const std::scoped_lock lock(mutex_);
    QATGAP_ASSIGN_OR_RETURN(
        SqliteStatement select,
        database_.Prepare("SELECT sequence, analysis FROM analyses "
                          "WHERE (?1 = 0 OR sequence < ?1) AND (?2 < 0 OR state = ?2) AND (?4 = '' OR track = ?4) "
                          "ORDER BY sequence DESC LIMIT ?3"));
    select.BindInteger(1, query.before_sequence);
    select.BindInteger(2, query.state ? static_cast<std::int64_t>(*query.state) : -1);
    select.BindInteger(3, static_cast<std::int64_t>(query.limit));
    select.BindText(4, query.track);
    return Collect(select);
  }

  absl::StatusOr<std::vector<Analysis>> ListLatestOfTracks(std::size_t limit) const override {
    const std::scoped_lock lock(mutex_);
    QATGAP_ASSIGN_OR_RETURN(
        SqliteStatement select,
        database_.Prepare("SELECT sequence, analysis FROM analyses WHERE sequence IN "
                          "(SELECT max(sequence) FROM analyses WHERE track IS NOT NULL AND state = ?1 GROUP BY track) "
                          "ORDER BY sequence DESC LIMIT ?2"));
    select.BindInteger(1, static_cast<std::int64_t>(AnalysisState::kSucceeded));
    select.BindInteger(2, static_cast<std::int64_t>(limit));
    return CollectAnalyses(select);
  }

  absl::StatusOr<std::vector<Analysis>> ListUnfinished() const override {
    const std::scoped_lock lock(mutex_);
    QATGAP_ASSIGN_OR_RETURN(SqliteStatement select,
                            database_.Prepare("SELECT sequence, analysis FROM analyses "
                                              "WHERE state IN (?1, ?2) ORDER BY sequence"));
    select.BindInteger(1, static_cast<std::int64_t>(AnalysisState::kQueued));
    select.BindInteger(2, static_cast<std::int64_t>(AnalysisState::kRunning));
    return CollectAnalyses(select);
  }

  absl::StatusOr<std::array<std::int64_t, kAnalysisStateCount>> CountByState() const override {
    const std::scoped_lock lock(mutex_);
    QATGAP_ASSIGN_OR_RETURN(
        SqliteStatement select,
        database_.Prepare("SELECT state, count(*) FROM analyses GROUP BY state"));
    std::array<std::int64_t, kAnalysisStateCount> counts{};
    while (true) {
      QATGAP_ASSIGN_OR_RETURN(const bool row, select.Step());
      if (!row) return counts;
      const auto state = static_cast<std::size_t>(select.Integer(0));
      if (state < counts.size()) counts[state] = select.Integer(1);
    }
  }

  absl::Status Delete(const std::string& id) override {
    const std::scoped_lock lock(mutex_);
    QATGAP_ASSIGN_OR_RETURN(SqliteStatement statement,
                            database_.Prepare("DELETE FROM analyses WHERE id = ?1"));
    statement.BindText(1, id);
    QATGAP_RETURN_IF_ERROR(statement.Finish());
    return database_.Changes() == 0 ? NoAnalysis(id) : absl::OkStatus();
  }

 private:
  absl::Status UpdateLocked(const Analysis& analysis) {
    QATGAP_ASSIGN_OR_RETURN(
        SqliteStatement update,
        database_.Prepare("UPDATE analyses SET state = ?2, analysis = ?3 WHERE id = ?1"));
    update.BindText(1, analysis.id);
    update.BindInteger(2, static_cast<std::int64_t>(analysis.state));
    update.BindBlob(3, ToProto(analysis).SerializeAsString());
    QATGAP_RETURN_IF_ERROR(update.Finish());
    return database_.Changes() == 0 ? NoAnalysis(analysis.id) : absl::OkStatus();
  }

  absl::Status PutResultLocked(const std::string& id, const std::string& result) {
    QATGAP_ASSIGN_OR_RETURN(
        SqliteStatement insert,
        database_.Prepare("INSERT OR REPLACE INTO results (id, result) VALUES (?1, ?2)"));
    insert.BindText(1, id);
    insert.BindBlob(2, result);
    return insert.Finish();
  }

  absl::StatusOr<std::optional<std::string>> FindBytes(const char* sql,
                                                       const std::string& key) const {
    const std::scoped_lock lock(mutex_);
    QATGAP_ASSIGN_OR_RETURN(SqliteStatement select, database_.Prepare(sql));
    select.BindText(1, key);
    QATGAP_ASSIGN_OR_RETURN(const bool row, select.Step());
    if (!row) return std::optional<std::string>();
    return std::make_optional(select.Blob(0));
  }

  static absl::StatusOr<std::vector<StoredAnalysis>> Collect(SqliteStatement& select) {
    std::vector<StoredAnalysis> rows;
    while (true) {
      QATGAP_ASSIGN_OR_RETURN(const bool row, select.Step());
      if (!row) return rows;
      QATGAP_ASSIGN_OR_RETURN(Analysis analysis, ParseAnalysis(select.Blob(1)));
      rows.push_back({.sequence = select.Integer(0), .analysis = std::move(analysis)});
    }
  }

  static absl::StatusOr<std::vector<Analysis>> CollectAnalyses(SqliteStatement& select) {
    QATGAP_ASSIGN_OR_RETURN(std::vector<StoredAnalysis> rows, Collect(select));
    std::vector<Analysis> analyses;
    for (StoredAnalysis& row : rows) analyses.push_back(std::move(row.analysis));
    return analyses;
  }

  mutable std::mutex mutex_;
  mutable SqliteDatabase database_;  // under mutex_
};

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenSqliteStore(const std::string& path) {
  QATGAP_ASSIGN_OR_RETURN(SqliteDatabase database, SqliteDatabase::Open(path));
  auto store = std::make_unique<SqliteStore>(std::move(database));
  QATGAP_RETURN_IF_ERROR(store->Initialize());
  return absl::StatusOr<std::unique_ptr<Store>>(std::move(store));
}

}  // namespace qatgap::server
