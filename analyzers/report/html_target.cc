#include "analyzers/report/html_target.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <tuple>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "analyzers/report/detail_tables.h"
#include "analyzers/report/html_parts.h"
#include "analyzers/report/layer_view.h"
#include "analyzers/report/what_if_table.h"
#include "analyzers/report/wording.h"

namespace qatgap::report {
namespace {

using statistics::DifferenceStatistics;

constexpr std::size_t kTopChannels = 6;

std::string Decibel(std::optional<double> value) {
  return value ? absl::StrCat(Significant(*value, 3), " dB") : "-";
}

std::string SourceLine(const LayerInfo& layer) {
  if (layer.source_line.empty()) return "";
  return absl::StrCat(" <span class=\"soft small\">", Escape(DisplayName(layer.source_line)), "</span>");
}

std::string LayerTable(const std::vector<LayerView>& layers) {
  std::vector<std::vector<std::string>> rows;
  for (const LayerView& layer : layers) {
    const DifferenceStatistics& total = layer.of(Cause::kTotal);
    const LayerShares shares = SharesOf(layer);
    const Cause worst = WorstCause(layer);
    const std::string mix =
        shares.defined
            ? absl::StrCat(ShareBar(shares.share, /*big=*/false), "<div class=\"parts\">",
                           Escape(ShareWords(shares.share, 3)), "</div>")
            : "<span class=\"good\">bit exact</span>";
    rows.push_back({absl::StrCat(Escape(layer.Title()), "<span class=\"kind\">",
                                 Escape(DisplayName(layer.info->kind)), "</span>", SourceLine(*layer.info)),
                    PercentOf(total.changed, total.count), Grouped(total.max_absolute),
                    Decibel(statistics::SqnrDecibel(total, layer.zero_point())), mix,
                    worst == Cause::kTotal ? "-" : std::string(Words(worst))});
  }
  return HtmlTable(
      "Each layer fed the trained model's inputs: how its output codes differ, and why",
      {{"layer"},
       {"changed", /*numeric=*/true},
       {"max LSB", /*numeric=*/true},
       {"SQNR", /*numeric=*/true},
       {"causes", /*numeric=*/false, /*wide=*/true},
       {"largest cause"}},
      rows);
}

std::string OutputTable(const AnalysisResult& result, const TargetResult& target) {
  std::vector<std::vector<std::string>> rows;
  for (const PathComparison& comparison : target.comparisons) {
    for (std::size_t i = 0; i < comparison.outputs.size(); ++i) {
      const DifferenceStatistics& s = comparison.outputs[i];
      std::string name =
          absl::StrCat(Words(comparison.path), " against ", Words(comparison.reference));
      if (comparison.outputs.size() > 1) absl::StrAppend(&name, ", output ", i + 1);
      const bool grid = i < result.outputs.size() && result.outputs[i].zero_points.size() == 1;
      rows.push_back(
          {name, PercentOf(s.changed, s.count), Grouped(s.max_absolute),
           statistics::MeanAbsoluteLsb(s) ? Significant(*statistics::MeanAbsoluteLsb(s), 3) : "-",
           grid ? Decibel(statistics::SqnrDecibel(s, result.outputs[i].zero_point())) : "-",
           i == 0 ? absl::StrCat(Grouped(comparison.top1_changed), " of ", Grouped(result.samples))
                  : "-"});
    }
  }
  return HtmlTable("The model's outputs, path against path, each path with its own inputs",
                   {{"paths"},
                    {"changed", /*numeric=*/true},
                    {"max LSB", /*numeric=*/true},
                    {"mean |LSB|", /*numeric=*/true},
                    {"SQNR", /*numeric=*/true},
                    {"answers changed", /*numeric=*/true}},
                   rows);
}

std::string AccuracyTable(const AnalysisResult& result, const TargetResult& target) {
  std::vector<std::vector<std::string>> rows;
  for (const PathAccuracy& accuracy : target.accuracies) {
    rows.push_back({std::string(Words(accuracy.path)), PercentOf(accuracy.correct, result.labelled),
                    Grouped(accuracy.correct)});
  }
  return HtmlTable(absl::StrCat("Accuracy over ", Counted(result.labelled, "labelled sample")),
                   {{"path"}, {"accuracy", /*numeric=*/true}, {"correct", /*numeric=*/true}}, rows);
}

std::string WhatIfSection(const AnalysisResult& result, const TargetResult& target) {
  const WhatIfTable table = MakeWhatIfTable(result, target);
  std::vector<HtmlColumn> columns{{"layer"}};
  for (const std::string& title : table.titles) columns.push_back({title, /*numeric=*/true});
  columns.push_back({"recommended"});
  std::vector<std::vector<std::string>> rows;
  for (const WhatIfTable::Row& row : table.rows) {
    std::vector<std::string>& cells = rows.emplace_back(1, Escape(row.layer));
    cells.insert(cells.end(), row.cells.begin(), row.cells.end());
    cells.push_back(Escape(row.recommended));
  }
  return absl::StrCat("<h3>What would help</h3>\n", HtmlTable(WhatIfCaption(), columns, rows, NarrowTable::kScrolls));
}

// The channels a reader wants first: saturated, then those whose stored bias is farthest off, then
// the most changed.
std::vector<std::size_t> TopChannels(const LayerView& layer) {
  const std::vector<ChannelResult>& channels = layer.result->channels;
  std::vector<std::size_t> order(channels.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto key = [&](std::size_t c) {
    return std::tuple(channels[c].bias.saturated, std::abs(channels[c].bias.residual_lsb),
                      channels[c].causes[static_cast<std::size_t>(Cause::kTotal)].sum_squares);
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return key(a) > key(b); });
  order.resize(std::min(order.size(), kTopChannels));
  return order;
}

std::string ChannelTable(const LayerView& layer, bool integer_bias) {
  std::vector<std::vector<std::string>> rows;
  for (const std::size_t c : TopChannels(layer)) {
    const ChannelResult& channel = layer.result->channels[c];
    const DifferenceStatistics& total = channel.causes[static_cast<std::size_t>(Cause::kTotal)];
    std::vector<std::string> row{absl::StrCat(c), Significant(channel.bias.real)};
    if (integer_bias) {
      row.push_back(absl::StrCat(channel.bias.stored));
      row.push_back(Significant(channel.bias.scale));
      row.push_back(Significant(channel.bias.residual_lsb, 3));
      row.push_back(channel.bias.saturated
                        ? absl::StrCat("<strong class=\"error\">yes</strong>, wanted ",
                                       Significant(channel.bias.rounded, 6))
                        : "no");
    }
    row.push_back(Significant(channel.multiplier));
    row.push_back(PercentOf(total.changed, total.count));
    rows.push_back(std::move(row));
  }
  std::vector<HtmlColumn> columns{{"channel"}, {"bias, real", /*numeric=*/true}};
  if (integer_bias) {
    columns.insert(columns.end(), {{"stored integer", /*numeric=*/true},
                                   {"scale", /*numeric=*/true},
                                   {"residual, LSB", /*numeric=*/true},
                                   {"saturated"}});
  }
  columns.insert(columns.end(), {{"multiplier", /*numeric=*/true}, {"changed", /*numeric=*/true}});
  return HtmlTable(absl::StrCat(integer_bias ? "Channels with the largest bias residual, "
                                             : "Channels with the largest difference, ",
                                rows.size(), " of ", layer.result->channels.size()),
                   columns, rows, NarrowTable::kScrolls);
}

std::string DetailHtml(const TextTable& table) {
  std::vector<HtmlColumn> columns;
  for (const TextTable::Column& column : table.columns) {
    columns.push_back({column.title, /*numeric=*/column.kind == TextTable::Kind::kNumber});
  }
  std::vector<std::vector<std::string>> rows;
  for (const TextTable::Row& row : table.rows) {
    std::vector<std::string>& cells = rows.emplace_back();
    for (const std::string& cell : row.cells) cells.push_back(Escape(cell));
  }
  return HtmlTable(table.caption, columns, rows, NarrowTable::kScrolls);
}

std::string LayerDetails(const LayerView& layer, bool integer_bias) {
  const DifferenceStatistics& total = layer.of(Cause::kTotal);
  const LayerInfo& info = *layer.info;
  std::string facts = absl::StrCat(Counted(layer.result->samples, "sample"), ", ",
                                   Grouped(total.changed), " of ", Counted(total.count, "output"),
                                   " changed; output ", numerics::ToString(info.output));
  if (!info.module_stack.empty()) absl::StrAppend(&facts, "; ", DisplayText(info.module_stack));
  if (layer.input() != nullptr) {
    absl::StrAppend(&facts, "; input ", numerics::ToString(*layer.input()));
  }
  if (info.input_off_grid) {
    absl::StrAppend(&facts, "; the trained model feeds this layer reals that lie on no grid");
  }
  absl::StrAppend(&facts,
                  "; weight codes changed by conversion: ", Grouped(info.weight_codes_changed),
                  " of ", Grouped(info.weights));
  if (!layer.result->engine_note.empty()) {
    absl::StrAppend(&facts, "; engine: ", JoinedNotes(layer.result->engine_note));
  }
  return absl::StrCat(
      "<details><summary>", Escape(layer.Title()), " <span class=\"soft small\">",
      PercentOf(total.changed, total.count), " changed, at most ", Grouped(total.max_absolute),
      " LSB</span></summary><div>\n<p class=\"small\">", Escape(facts), ".</p>\n",
      HistogramFigure(total.histogram.bins()), ChannelTable(layer, integer_bias), "</div></details>\n");
}

// The `limit` layers with the largest differences, in layer order.
std::vector<const LayerView*> Detailed(const std::vector<LayerView>& layers, std::size_t limit) {
  std::vector<const LayerView*> chosen;
  for (const LayerView& layer : layers) chosen.push_back(&layer);
  if (chosen.size() <= limit) return chosen;
  std::stable_sort(chosen.begin(), chosen.end(), [](const LayerView* a, const LayerView* b) {
    return a->of(Cause::kTotal).sum_squares > b->of(Cause::kTotal).sum_squares;
  });
  chosen.resize(limit);
  std::sort(chosen.begin(), chosen.end());  // pointers into one vector
  return chosen;
}

}  // namespace

std::string TargetSection(const Report& report, const AnalysisResult& result,
                          const TargetResult& target, std::size_t number, std::size_t details) {
  const TargetVerdict verdict = VerdictOf(report, target);
  const std::vector<LayerView> layers = ViewsOf(result, target);
  std::string html =
      absl::StrCat("<section id=\"target-", number, "\" aria-labelledby=\"target-", number,
                   "-title\">\n<h2 id=\"target-", number, "-title\">",
                   Escape(target.title.empty() ? target.name : target.title),
                   "</h2>\n<p class=\"soft small\">target <code>", Escape(target.name), "</code>, ",
                   Escape(numerics::ToString(target.evidence.kind)),
                   target.evidence.detail.empty() ? "" : ": ", Escape(target.evidence.detail),
                   "</p>\n<p class=\"headline\">", Escape(verdict.headline), "</p>\n");
  const CauseShares shares = SharesOf(target);
  if (shares.defined) {
    absl::StrAppend(
        &html, ShareBar(shares.share, /*big=*/true), ShareLegend(shares.share),
        "<p class=\"small soft\">Shares of the squared difference between the trained and "
        "the deployed model, over all layers. A cause that offsets the others is drawn at "
        "half height.</p>\n");
  }
  absl::StrAppend(&html, "<ul class=\"say\">");
  for (const std::string& sentence : verdict.sentences) {
    absl::StrAppend(&html, absl::StartsWith(sentence, "WARNING") ? "<li class=\"alarm\">" : "<li>",
                    Escape(sentence), "</li>\n");
  }
  absl::StrAppend(&html, "</ul>\n");
  if (!layers.empty()) absl::StrAppend(&html, "<h3>Layers</h3>\n", LayerTable(layers));
  if (!target.comparisons.empty()) {
    absl::StrAppend(&html, "<h3>Outputs</h3>\n", OutputTable(result, target));
  }
  if (result.labelled > 0 && !target.accuracies.empty()) {
    absl::StrAppend(&html, "<h3>Accuracy</h3>\n", AccuracyTable(result, target));
  }
  for (const TextTable& table : DetailTables(result, target)) {
    absl::StrAppend(&html, "<h3>", Escape(table.title), "</h3>\n", DetailHtml(table));
  }
  if (!target.what_ifs.empty()) absl::StrAppend(&html, WhatIfSection(result, target));
  const std::vector<const LayerView*> detailed = Detailed(layers, details);
  if (!detailed.empty()) absl::StrAppend(&html, "<h3>Layer by layer</h3>\n");
  for (const LayerView* layer : detailed) {
    absl::StrAppend(&html, LayerDetails(*layer, target.bias_mode == numerics::BiasMode::kInteger));
  }
  if (detailed.size() < layers.size()) {
    absl::StrAppend(
        &html, "<p class=\"small soft\">The layers with the largest differences; details of ",
        Counted(layers.size() - detailed.size(), "more layer"), " are in the JSON report.</p>\n");
  }
  return absl::StrCat(html, "</section>\n");
}

}  // namespace qatgap::report
