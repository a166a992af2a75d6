// SQLite's C interface behind absl::Status: one connection and its prepared statements.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace qatgap::server {

// A prepared statement on loan from its database, reset when it goes out of scope. Indexes of parameters start at 1,
// of columns at 0. A failed Bind is reported by the Step or Finish that follows.
class SqliteStatement {
 public:
  SqliteStatement(sqlite3* database, sqlite3_stmt* statement);
  SqliteStatement(SqliteStatement&&) = default;
  SqliteStatement& operator=(SqliteStatement&&) = delete;

  // The bytes are copied.
  void BindText(int index, const std::string& value);
  void BindBlob(int index, const std::string& value);
  void BindInteger(int index, std::int64_t value);

  // True when there is a row. ALREADY_EXISTS for a broken constraint, RESOURCE_EXHAUSTED for a full disk, else INTERNAL.
  absl::StatusOr<bool> Step();
  // Steps until there is no row and resets.
  absl::Status Finish();

  std::int64_t Integer(int column) const;
  std::string Blob(int column) const;

 private:
  struct Reset {
    void operator()(sqlite3_stmt* statement) const;
  };
  sqlite3* database_;
  std::unique_ptr<sqlite3_stmt, Reset> statement_;
  int bind_result_ = 0;
};

// Not thread-safe.
class SqliteDatabase {
 public:
  static absl::StatusOr<SqliteDatabase> Open(const std::string& path);

  // Prepared once for each `sql`, which must outlive the database (a literal). One loan at a time.
  absl::StatusOr<SqliteStatement> Prepare(const char* sql);
  // Runs statements without parameters or rows.
  absl::Status Execute(const std::string& sql);
  // Rows the last INSERT, UPDATE or DELETE changed.
  int Changes() const;

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  explicit SqliteDatabase(sqlite3* database) : database_(database) {}

  // Destroyed after the statements: they refer to it.
  std::unique_ptr<sqlite3, Close> database_;
  std::map<std::string_view, std::unique_ptr<sqlite3_stmt, Finalize>> statements_;
};

}  // namespace qatgap::server
