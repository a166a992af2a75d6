#include "server/store/sqlite_statement.h"

#include <sqlite3.h>

#include "absl/strings/str_cat.h"

namespace qatgap::server {
namespace {

// SQLite's messages name tables, columns and constraints, never paths.
absl::Status ToStatus(int result, sqlite3* database) {
  const std::string message = absl::StrCat(
      "database: ", database == nullptr ? sqlite3_errstr(result) : sqlite3_errmsg(database));
  switch (result & 0xff) {
    case SQLITE_CONSTRAINT:
      return absl::AlreadyExistsError(message);
    case SQLITE_FULL:
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG:
      return absl::ResourceExhaustedError(message);
    case SQLITE_NOTADB:
      return absl::FailedPreconditionError(message);
    default:
      return absl::InternalError(message);
  }
}

}  // namespace

SqliteStatement::SqliteStatement(sqlite3* database, sqlite3_stmt* statement)
    : database_(database), statement_(statement) {}

void SqliteStatement::Reset::operator()(sqlite3_stmt* statement) const {
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
}

// SQLITE_TRANSIENT is a C cast of -1 to a function pointer; a null destructor would not copy.
void SqliteStatement::BindText(int index, const std::string& value) {
  const int result = sqlite3_bind_text64(statement_.get(), index, value.data(), value.size(),
                                         reinterpret_cast<sqlite3_destructor_type>(-1),
                                         SQLITE_UTF8);
  if (result != SQLITE_OK) bind_result_ = result;
}

void SqliteStatement::BindBlob(int index, const std::string& value) {
  const int result = sqlite3_bind_blob64(statement_.get(), index, value.data(), value.size(),
                                         reinterpret_cast<sqlite3_destructor_type>(-1));
  if (result != SQLITE_OK) bind_result_ = result;
}

void SqliteStatement::BindInteger(int index, std::int64_t value) {
  const int result = sqlite3_bind_int64(statement_.get(), index, value);
  if (result != SQLITE_OK) bind_result_ = result;
}

absl::StatusOr<bool> SqliteStatement::Step() {
  if (bind_result_ != SQLITE_OK) return ToStatus(bind_result_, database_);
  const int result = sqlite3_step(statement_.get());
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  return ToStatus(result, database_);
}

absl::Status SqliteStatement::Finish() {
  while (true) {
    const absl::StatusOr<bool> row = Step();
    if (!row.ok() || !*row) {
      sqlite3_reset(statement_.get());
      return row.status();
    }
  }
}

std::int64_t SqliteStatement::Integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string SqliteStatement::Blob(int column) const {
  const void* data = sqlite3_column_blob(statement_.get(), column);
  if (data == nullptr) return {};
  return {static_cast<const char*>(data),
          static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

void SqliteDatabase::Close::operator()(sqlite3* database) const { sqlite3_close(database); }
void SqliteDatabase::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

absl::StatusOr<SqliteDatabase> SqliteDatabase::Open(const std::string& path) {
  sqlite3* raw = nullptr;
  const int result = sqlite3_open_v2(
      path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  SqliteDatabase database(raw);  // a failed open gives a handle to close too
  if (result != SQLITE_OK) return ToStatus(result, raw);
  return database;
}

absl::StatusOr<SqliteStatement> SqliteDatabase::Prepare(const char* sql) {
  auto& statement = statements_[sql];
  if (statement == nullptr) {
    sqlite3_stmt* raw = nullptr;
    const int result =
        sqlite3_prepare_v3(database_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
    if (result != SQLITE_OK) return ToStatus(result, database_.get());
    statement.reset(raw);
  }
  return SqliteStatement(database_.get(), statement.get());
}

absl::Status SqliteDatabase::Execute(const std::string& sql) {
  const int result = sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  return result == SQLITE_OK ? absl::OkStatus() : ToStatus(result, database_.get());
}

int SqliteDatabase::Changes() const { return sqlite3_changes(database_.get()); }

}  // namespace qatgap::server
