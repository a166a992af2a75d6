// The what-ifs of a target as a table: one row a layer and reaching input, the same in every writer.
#pragma once

#include <string>
#include <vector>

#include "analyzers/report/analysis_result.h"

namespace qatgap::report {

struct WhatIfTable {
  // The ways of which any layer has a row, in the order of the enum; `titles` are their heads.
  std::vector<std::string> titles;
  struct Row {
    std::string layer;               // title of the layer
    std::vector<std::string> cells;  // outputs changed against the trained model; "-": not measured
    std::string recommended;         // advice and gain; "-" where nothing helps enough
  };
  std::vector<Row> rows;
};
WhatIfTable MakeWhatIfTable(const AnalysisResult& result, const TargetResult& target);

// What the table says in general, in one sentence.
std::string WhatIfCaption();

}  // namespace qatgap::report
