#include "client/terminal/table.h"

#include <algorithm>
#include <utility>

#include "client/terminal/text.h"

namespace qatgap::terminal {
namespace {
constexpr std::size_t kGap = 2;
}  // namespace

void Table::AddRow(const std::vector<std::string>& cells) {
  std::vector<std::string> row;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    row.push_back(i < cells.size() ? Sanitize(cells[i]) : "");
  }
  rows_.push_back(std::move(row));
}

std::vector<std::string> Table::Lines(std::size_t max_columns) const {
  std::vector<std::size_t> widths;
  std::size_t total = 0;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = DisplayWidth(columns_[i].heading);
    for (const auto& row : rows_) width = std::max(width, DisplayWidth(row[i]));
    widths.push_back(width);
    total += width + (i == 0 ? 0 : kGap);
  }
  for (std::size_t i = 0; i < columns_.size() && max_columns > 0 && total > max_columns; ++i) {
    if (columns_[i].shortest == 0 || widths[i] <= columns_[i].shortest) continue;
    const std::size_t cut = std::min(total - max_columns, widths[i] - columns_[i].shortest);
    widths[i] -= cut;
    total -= cut;
  }

  const auto line_of = [&](const auto& cell_of) {
    std::string line;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::string cell = Shorten(cell_of(i), widths[i]);
      const std::string padding(widths[i] - DisplayWidth(cell), ' ');
      if (i > 0) line.append(kGap, ' ');
      line += columns_[i].align == Align::kRight ? padding + cell : cell + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    return line;
  };
  std::vector<std::string> lines;
  lines.push_back(
      line_of([&](std::size_t i) -> const std::string& { return columns_[i].heading; }));
  for (const auto& row : rows_) {
    lines.push_back(line_of([&](std::size_t i) -> const std::string& { return row[i]; }));
  }
  return lines;
}

}  // namespace qatgap::terminal
