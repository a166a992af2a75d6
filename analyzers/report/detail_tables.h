// Tables of a target that Markdown and HTML both show, as plain text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analyzers/report/report.h"

namespace qatgap::report {

struct TextTable {
  enum class Kind { kText, kNumber, kName };  // a name comes from the model
  struct Column {
    std::string title;
    Kind kind = Kind::kText;
  };
  std::string title, caption;
  std::vector<Column> columns;
  struct Row {
    std::vector<std::string> cells;  // one a column; the first is what the row is about
    std::optional<std::int64_t> layer = std::nullopt;  // index into AnalysisResult::layers
  };
  std::vector<Row> rows;  // not empty
};

// What each layer's bias alone does, the worst channels, the worst samples, held-out samples against the others: those that
// have a row, in this order. Bounded: the largest 20 layers, 10 channels, 10 samples.
std::vector<TextTable> DetailTables(const AnalysisResult& result, const TargetResult& target);

}  // namespace qatgap::report
