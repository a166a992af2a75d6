#include "analyzers/report/what_if_table.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "analyzers/report/what_if_view.h"
#include "analyzers/report/wording.h"

namespace qatgap::report {
namespace {

std::string Title(WhatIf what_if) {
  switch (what_if) {
    case WhatIf::kPlain:
      return "as deployed";
    case WhatIf::kStorage8:
      return "8 bits";
    case WhatIf::kStorage16:
      return "16 bits";
    case WhatIf::kStorage24:
      return "24 bits";
    case WhatIf::kStorage32:
      return "32 bits";
    case WhatIf::kErrorAwareRounding:
      return "least error";
    case WhatIf::kZeroPointRounding:
      return "with zero point";
    case WhatIf::kFakeQuantizedBias:
      return "trained so";
    case WhatIf::kAdjustedWeights:
      return "adjusted weights";
    case WhatIf::kExplicitAdd:
      return "quantized add";
  }
  return "unknown";
}

}  // namespace

WhatIfTable MakeWhatIfTable(const AnalysisResult& result, const TargetResult& target) {
  WhatIfTable table;
  std::vector<WhatIf> columns;
  for (std::size_t i = 0; i < kWhatIfCount; ++i) {
    const auto what_if = static_cast<WhatIf>(i);
    const bool any = std::any_of(target.what_ifs.begin(), target.what_ifs.end(),
                                 [&](const LayerWhatIfs& layer) { return FindRow(layer, what_if) != nullptr; });
    if (!any) continue;
    columns.push_back(what_if);
    table.titles.push_back(Title(what_if));
  }
  for (const LayerWhatIfs& layer : target.what_ifs) {
    WhatIfTable::Row& row = table.rows.emplace_back();
    row.layer = TitleOf(result, layer);
    for (const WhatIf what_if : columns) {
      const WhatIfRow* measured = FindRow(layer, what_if);
      row.cells.push_back(measured == nullptr
                              ? "-"
                              : PercentOf(measured->against_fake_quant.changed, measured->against_fake_quant.count));
    }
    const std::optional<Recommendation> found = RecommendationOf(layer);
    row.recommended = found
                          ? absl::StrCat(Advice(found->what_if), ": ", Grouped(found->gain()), " of ",
                                         Grouped(found->count), " fewer (", PercentOf(found->gain(), found->count), ")")
                          : "-";
  }
  return table;
}

std::string WhatIfCaption() {
  return "Each layer with its bias kept in another way, fed the trained model's inputs: outputs that differ from the "
         "trained "
         "model's. Recommended is what saves one changed output in 10,000 and more";
}

}  // namespace qatgap::report
