// A table in plain columns.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace qatgap::terminal {

enum class Align { kLeft, kRight };

struct Column {
  std::string heading;
  Align align = Align::kLeft;
  // May be cut to this many columns when the table is too wide; 0: never cut.
  std::size_t shortest = 0;
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // As many cells as columns; sanitized here.
  void AddRow(const std::vector<std::string>& cells);
  bool empty() const { return rows_.empty(); }

  // The heading first, one line each, no trailing spaces. Columns that may be cut are, from the
  // left, until the table fits `max_columns`; 0 means no limit.
  std::vector<std::string> Lines(std::size_t max_columns) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace qatgap::terminal
