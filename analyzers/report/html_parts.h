// Pieces of the page: escaping, tables, bars of shares, histograms. Every text that enters goes through Escape.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "analyzers/report/analysis_result.h"

namespace qatgap::report {

// For element content and quoted attributes: & < > " '. Also what DisplayText does.
std::string Escape(std::string_view text);

struct HtmlColumn {
  std::string_view title;
  bool numeric = false;
  bool wide = false;
};
// What a table does where the page is as narrow as a phone.
enum class NarrowTable { kRowsWrap, kScrolls };
// `rows` hold HTML; the first cell of a row is its header.
std::string HtmlTable(std::string_view caption, const std::vector<HtmlColumn>& columns,
                      const std::vector<std::vector<std::string>>& rows,
                      NarrowTable narrow = NarrowTable::kRowsWrap);

// A stacked bar, each cause as wide as its share of the sum of |share|; what offsets the others is half as high. The
// label lists the values.
std::string ShareBar(const std::array<double, kCauseCount>& share, bool big);
// Colours, names and values of the causes that have a share.
std::string ShareLegend(const std::array<double, kCauseCount>& share);
// "conversion 71.2 %, requantization offsets 3 %": the `limit` largest, as plain text.
std::string ShareWords(const std::array<double, kCauseCount>& share, std::size_t limit);

// Counts by difference in LSB; heights are logarithmic. With its numbers as text.
std::string HistogramFigure(const statistics::Histogram::Bins& histogram);

}  // namespace qatgap::report
