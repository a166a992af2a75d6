#include "analyzers/report/html_parts.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "analyzers/report/wording.h"

namespace qatgap::report {
namespace {

constexpr std::size_t kParts = static_cast<std::size_t>(Cause::kTotal);
constexpr int kHistogramLimitBin = statistics::kHistogramLimit + 1;  // of difference 0

// Causes that have a share, the largest magnitude first.
std::vector<std::size_t> ByMagnitude(const std::array<double, kCauseCount>& share) {
  std::vector<std::size_t> causes;
  for (std::size_t cause = 0; cause < kParts; ++cause) {
    if (share[cause] != 0) causes.push_back(cause);
  }
  std::stable_sort(causes.begin(), causes.end(), [&](std::size_t a, std::size_t b) {
    return std::abs(share[a]) > std::abs(share[b]);
  });
  return causes;
}

std::string Phrase(const std::array<double, kCauseCount>& share, std::size_t cause) {
  return absl::StrCat(Words(static_cast<Cause>(cause)), share[cause] < 0 ? " offsets " : " ",
                      Percent(std::abs(share[cause])));
}

std::string BinName(int bin) {
  const int difference = bin - kHistogramLimitBin;
  if (bin == 0) return absl::StrCat("<\xE2\x88\x92", statistics::kHistogramLimit);
  if (bin == statistics::kHistogramBins - 1) return absl::StrCat(">", statistics::kHistogramLimit);
  if (difference < 0) return absl::StrCat("\xE2\x88\x92", -difference);
  return absl::StrCat(difference > 0 ? "+" : "", difference);
}

}  // namespace

std::string Escape(std::string_view text) {
  return absl::StrReplaceAll(
      DisplayText(text),
      {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}});
}

std::string HtmlTable(std::string_view caption, const std::vector<HtmlColumn>& columns,
                      const std::vector<std::vector<std::string>>& rows, NarrowTable narrow) {
  const bool wraps = narrow == NarrowTable::kRowsWrap;
  std::string html =
      absl::StrCat("<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"",
                   Escape(caption), "\"><table", wraps ? " class=\"rows\"" : "", "><caption>",
                   Escape(caption), "</caption><thead><tr>");
  for (const HtmlColumn& column : columns) {
    absl::StrAppend(&html, "<th scope=\"col\"", column.numeric ? " class=\"n\"" : "", ">",
                    Escape(column.title), "</th>");
  }
  absl::StrAppend(&html, "</tr></thead><tbody>\n");
  for (const std::vector<std::string>& row : rows) {
    absl::StrAppend(&html, "<tr><th scope=\"row\">", row[0], "</th>");
    for (std::size_t c = 1; c < row.size(); ++c) {
      const std::string kind = columns[c].numeric ? " class=\"n\"" : "";
      absl::StrAppend(
          &html, "<td", columns[c].wide ? " class=\"mix\"" : kind,
          wraps ? absl::StrCat(" data-label=\"", Escape(columns[c].title), "\"") : std::string(),
          ">", row[c], "</td>");
    }
    absl::StrAppend(&html, "</tr>\n");
  }
  return absl::StrCat(html, "</tbody></table></div>\n");
}

std::string ShareWords(const std::array<double, kCauseCount>& share, std::size_t limit) {
  std::vector<std::string> phrases;
  for (const std::size_t cause : ByMagnitude(share)) {
    if (phrases.size() == limit) break;
    phrases.push_back(Phrase(share, cause));
  }
  return absl::StrJoin(phrases, ", ");
}

std::string ShareBar(const std::array<double, kCauseCount>& share, bool big) {
  double all = 0;
  for (std::size_t cause = 0; cause < kParts; ++cause) all += std::abs(share[cause]);
  std::string html = absl::StrCat("<svg class=\"bar", big ? " big" : "",
                                  "\" viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" "
                                  "role=\"img\" aria-label=\"",
                                  Escape(ShareWords(share, kParts)), "\">");
  double x = 0;
  for (std::size_t cause = 0; cause < kParts; ++cause) {
    if (share[cause] == 0 || !(all > 0)) continue;
    const double width = 100 * std::abs(share[cause]) / all;
    if (width >= 0.05) {
      absl::StrAppendFormat(
          &html, "<rect class=\"k%d%s\" x=\"%.2f\" y=\"%d\" width=\"%.2f\" height=\"%d\"/>", cause,
          share[cause] < 0 ? " off" : "", x, share[cause] < 0 ? 5 : 0, width,
          share[cause] < 0 ? 5 : 10);
    }
    x += width;
  }
  return absl::StrCat(html, "</svg>");
}

std::string ShareLegend(const std::array<double, kCauseCount>& share) {
  std::string html = "<ul class=\"legend\">";
  for (std::size_t cause = 0; cause < kParts; ++cause) {
    if (share[cause] == 0) continue;
    absl::StrAppend(&html, "<li><svg viewBox=\"0 0 10 10\" aria-hidden=\"true\"><rect class=\"k",
                    cause, "\" width=\"10\" height=\"10\" rx=\"2\"/></svg>",
                    Escape(Phrase(share, cause)), "</li>");
  }
  return absl::StrCat(html, "</ul>\n");
}

std::string HistogramFigure(const statistics::Histogram::Bins& histogram) {
  constexpr double kBarWidth = 20;
  constexpr double kHeight = 70;
  const std::uint64_t largest = *std::max_element(histogram.begin(), histogram.end());
  const double top = std::log10(static_cast<double>(largest) + 1);
  const std::uint64_t count = std::accumulate(histogram.begin(), histogram.end(), std::uint64_t{0});
  std::vector<std::string> words;
  std::string bars;
  for (int bin = 0; bin < statistics::kHistogramBins; ++bin) {
    const std::uint64_t n = histogram[static_cast<std::size_t>(bin)];
    const double x = kBarWidth * bin;
    if (n > 0) {
      const double height = kHeight * std::log10(static_cast<double>(n) + 1) / top;
      absl::StrAppendFormat(
          &bars, "<rect class=\"%s\" x=\"%g\" y=\"%.1f\" width=\"16\" height=\"%.1f\"/>",
          bin == kHistogramLimitBin ? "zero" : "hist", x + 2, kHeight - height, height);
      words.push_back(absl::StrCat(BinName(bin), ": ", Grouped(n), " (", PercentOf(n, count), ")"));
    }
    absl::StrAppendFormat(&bars, "<text x=\"%g\" y=\"82\">%s</text>", x + 10, Escape(BinName(bin)));
  }
  return absl::StrCat(
      "<svg class=\"histogram\" viewBox=\"0 0 380 86\" role=\"img\" "
      "aria-label=\"Histogram of the total difference in LSB, logarithmic\">",
      bars, "</svg>\n<p class=\"small soft\">", Escape(absl::StrJoin(words, " \xC2\xB7 ")),
      "</p>\n");
}

}  // namespace qatgap::report
