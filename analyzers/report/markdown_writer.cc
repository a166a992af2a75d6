// Markdown whose tables are aligned, so that it reads in a terminal as it does in a ticket.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "analyzers/report/detail_tables.h"
#include "analyzers/report/detail_view.h"
#include "analyzers/report/layer_view.h"
#include "analyzers/report/report.h"
#include "analyzers/report/what_if_table.h"
#include "analyzers/report/wording.h"
#include "analyzers/status/string_view.h"

namespace qatgap::report {
namespace {

// Prose that may hold a model's names: nothing in it starts HTML, a link, emphasis or a mention.
std::string Escaped(std::string_view text) {
  return absl::StrReplaceAll(DisplayText(text), {{"\\", "\\\\"},
                                                 {"`", "\\`"},
                                                 {"*", "\\*"},
                                                 {"[", "\\["},
                                                 {"]", "\\]"},
                                                 {"<", "\\<"},
                                                 {">", "\\>"},
                                                 {"|", "\\|"},
                                                 {"@", "\\@"},
                                                 {"~", "\\~"},
                                                 {"#", "\\#"},
                                                 {"&", "\\&"}});
}

// A name as code: nothing inside is interpreted but the table's bar, which is escaped.
std::string Code(std::string_view name) {
  return absl::StrCat("`", absl::StrReplaceAll(DisplayName(name), {{"`", "'"}, {"|", "\\|"}}), "`");
}

struct Column {
  std::string title;
  bool right = false;
};

std::string Table(const std::vector<Column>& columns,
                  const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < columns.size(); ++c) {
    widths.push_back(std::max<std::size_t>(3, CharacterCount(columns[c].title)));
    for (const std::vector<std::string>& row : rows) {
      widths[c] = std::max(widths[c], CharacterCount(row[c]));
    }
  }
  std::string table;
  const auto cell = [&](std::size_t c, const std::string& text) {
    const std::string padding(widths[c] - CharacterCount(text), ' ');
    absl::StrAppend(&table, "| ", columns[c].right ? padding : "", text,
                    columns[c].right ? "" : padding, " ");
  };
  for (std::size_t c = 0; c < columns.size(); ++c) cell(c, columns[c].title);
  absl::StrAppend(&table, "|\n");
  for (std::size_t c = 0; c < columns.size(); ++c) {
    cell(c, columns[c].right ? absl::StrCat(std::string(widths[c] - 1, '-'), ":")
                             : std::string(widths[c], '-'));
  }
  absl::StrAppend(&table, "|\n");
  for (const std::vector<std::string>& row : rows) {
    for (std::size_t c = 0; c < columns.size(); ++c) cell(c, row[c]);
    absl::StrAppend(&table, "|\n");
  }
  return table;
}

std::string DecibelText(std::optional<double> decibel) {
  return decibel ? Significant(*decibel, 3) : "-";
}

std::string WorstText(const LayerView& layer) {
  const Cause worst = WorstCause(layer);
  if (worst == Cause::kTotal) return "bit exact";
  return absl::StrCat(Words(worst), " ",
                      Percent(SharesOf(layer).share[static_cast<std::size_t>(worst)]));
}

std::string LayerTable(const std::vector<LayerView>& layers) {
  std::vector<std::vector<std::string>> rows;
  for (const LayerView& layer : layers) {
    const statistics::DifferenceStatistics& total = layer.of(Cause::kTotal);
    const statistics::DifferenceStatistics& rounding = layer.of(Cause::kBiasRounding);
    const statistics::DifferenceStatistics& saturation = layer.of(Cause::kBiasSaturation);
    const std::string source = layer.info->source_line.empty() ? "" : absl::StrCat(" ", Code(layer.info->source_line));
    rows.push_back({absl::StrCat(Code(layer.Title()), source), Escaped(layer.info->kind),
                    PercentOf(total.changed, total.count), Grouped(total.max_absolute),
                    DecibelText(statistics::SqnrDecibel(total, layer.zero_point())),
                    PercentOf(rounding.changed, rounding.count),
                    PercentOf(saturation.changed, saturation.count), WorstText(layer)});
  }
  return Table({{"layer"},
                {"kind"},
                {"changed", /*right=*/true},
                {"max LSB", /*right=*/true},
                {"SQNR dB", /*right=*/true},
                {"bias rounding", /*right=*/true},
                {"bias saturation", /*right=*/true},
                {"largest cause"}},
               rows);
}

std::string ComparisonTable(const TargetResult& target, std::uint64_t samples, std::uint64_t labelled) {
  std::vector<std::vector<std::string>> rows;
  const bool has_labels = labelled > 0 && !target.accuracies.empty();
  for (const PathComparison& comparison : target.comparisons) {
    const statistics::DifferenceStatistics s = MergeOutputs(comparison);
    rows.push_back({absl::StrCat(Words(comparison.path), " against ", Words(comparison.reference)),
                    PercentOf(s.changed, s.count), Grouped(s.max_absolute),
                    absl::StrCat(Grouped(comparison.top1_changed), " of ", Grouped(samples))});
    if (!has_labels) continue;
    const auto difference = AccuracyDifferenceOf(target, comparison, labelled);
    rows.back().push_back(difference ? AccuracyPhrase(*difference) : "-");
  }
  std::vector<Column> columns{{"paths"},
                              {"output values changed", /*right=*/true},
                              {"max LSB", /*right=*/true},
                              {"answers changed", /*right=*/true}};
  if (has_labels) columns.push_back({"accuracy"});
  return Table(columns, rows);
}

std::string WhatIfText(const AnalysisResult& result, const TargetResult& target) {
  const WhatIfTable table = MakeWhatIfTable(result, target);
  std::vector<Column> columns{{"layer"}};
  for (const std::string& title : table.titles) columns.push_back({title, /*right=*/true});
  columns.push_back({"recommended"});
  std::vector<std::vector<std::string>> rows;
  for (const WhatIfTable::Row& row : table.rows) {
    std::vector<std::string>& cells = rows.emplace_back(1, Code(row.layer));
    cells.insert(cells.end(), row.cells.begin(), row.cells.end());
    cells.push_back(Escaped(row.recommended));
  }
  return absl::StrCat(WhatIfCaption(), ".\n\n", Table(columns, rows));
}

std::string DetailText(const TextTable& table) {
  std::vector<Column> columns;
  for (const TextTable::Column& column : table.columns) {
    columns.push_back({column.title, /*right=*/column.kind == TextTable::Kind::kNumber});
  }
  std::vector<std::vector<std::string>> rows;
  for (const TextTable::Row& row : table.rows) {
    std::vector<std::string>& cells = rows.emplace_back();
    for (std::size_t c = 0; c < row.cells.size(); ++c) {
      cells.push_back(table.columns[c].kind == TextTable::Kind::kName ? Code(row.cells[c]) : Escaped(row.cells[c]));
    }
  }
  return absl::StrCat(table.caption, ".\n\n", Table(columns, rows));
}

std::string FindingText(const Finding& finding) {
  std::string text = absl::StrCat("* **", Escaped(finding.id), " ",
                                  Text(ToString(finding.severity)), "**: ", Escaped(finding.title));
  if (!finding.layer.empty()) absl::StrAppend(&text, ", layer ", Code(finding.layer));
  if (!finding.target.empty()) absl::StrAppend(&text, ", target ", Code(finding.target));
  if (!finding.channels.empty()) absl::StrAppend(&text, ", ", ChannelList(finding.channels));
  absl::StrAppend(&text, ".");
  if (!finding.detail.empty()) absl::StrAppend(&text, " ", Escaped(finding.detail));
  if (!finding.advice.empty()) absl::StrAppend(&text, "\n  Advice: ", Escaped(finding.advice));
  return absl::StrCat(text, "\n");
}

}  // namespace

std::string WriteMarkdown(const Report& report) {
  AnalysisResult result = report.result;
  Canonicalize(result);
  std::string text = absl::StrCat(
      "# ", Escaped(report.title.empty() ? "QAT gap" : DisplayName(report.title)), "\n\n",
      Counted(result.samples, "sample"), ", ", Counted(result.layers.size(), "layer"), ", ",
      Counted(result.targets.size(), "target"), ". QAT model: ", Escaped(result.qat_format), ".",
      result.converted_format.empty() ? ""
                                      : absl::StrCat(" Converted model: ", Escaped(result.converted_format), "."),
      "\n");
  for (const TargetResult& target : result.targets) {
    const TargetVerdict verdict = VerdictOf(report, target);
    absl::StrAppend(&text, "\n## Target ", Code(target.name), "\n\n**", Escaped(verdict.headline),
                    "**\n\n");
    for (const std::string& sentence : verdict.sentences) {
      absl::StrAppend(&text, "* ", Escaped(sentence), "\n");
    }
    const std::vector<LayerView> layers = ViewsOf(result, target);
    if (!layers.empty()) {
      absl::StrAppend(&text, "\n### Layers, each fed the trained model's inputs\n\n",
                      LayerTable(layers));
    }
    if (!target.comparisons.empty()) {
      absl::StrAppend(&text, "\n### The model's outputs\n\n",
                      ComparisonTable(target, result.samples, result.labelled));
    }
    for (const TextTable& table : DetailTables(result, target)) {
      absl::StrAppend(&text, "\n### ", table.title, "\n\n", DetailText(table));
    }
    if (!target.what_ifs.empty()) absl::StrAppend(&text, "\n### What would help\n\n", WhatIfText(result, target));
  }
  absl::StrAppend(&text, "\n## Findings\n\n");
  if (result.findings.empty()) absl::StrAppend(&text, "None.\n");
  for (const Finding& finding : result.findings) absl::StrAppend(&text, FindingText(finding));
  absl::StrAppend(&text, "\n## Not measured\n\n");
  if (result.unmeasured.empty()) absl::StrAppend(&text, "Nothing was left out.\n");
  for (const Unmeasured& entry : result.unmeasured) {
    absl::StrAppend(&text, "* ", Code(entry.name), " (", Escaped(entry.what),
                    entry.is_mac_layer ? ", MAC layer" : "", "): ", Escaped(entry.reason), "\n");
  }
  return text;
}

}  // namespace qatgap::report
