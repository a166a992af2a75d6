#include "analyzers/report/static_report/static_report.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "analyzers/report/html_writer.h"
#include "analyzers/report/indexed_report.h"
#include "analyzers/report/page/page_assets.h"
#include "analyzers/report/static_report/embedded_data.h"
#include "analyzers/report/views/views.h"
#include "analyzers/status/string_view.h"

namespace qatgap::report {
namespace {

// What the script gives to encodeURIComponent.
std::string UriComponent(std::string_view text) {
  constexpr std::string_view kPlain = "-_.!~*'()";
  std::string encoded;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       kPlain.find(c) != std::string_view::npos;
    if (plain) {
      encoded += c;
    } else {
      constexpr std::string_view kDigits = "0123456789ABCDEF";
      const auto byte = static_cast<unsigned char>(c);
      encoded += '%';
      encoded += kDigits[byte / 16];
      encoded += kDigits[byte % 16];
    }
  }
  return encoded;
}

views::Json AnalysisOf(const IndexedReport& report) {
  const Report& of = report.report();
  views::Json targets = views::Json::array(), verdicts = views::Json::array();
  for (std::size_t i = 0; i < report.result().targets.size(); ++i) {
    targets.push_back(report.result().targets[i].name);
    verdicts.push_back({{"target", report.verdict(i).target}, {"headline", report.verdict(i).headline}});
  }
  return {{"id", of.analysis_id},
          {"title", of.title},
          {"track", ""},
          {"state", "succeeded"},
          {"create_time", of.create_time},
          {"start_time", nullptr},
          {"end_time", nullptr},
          {"progress", {{"samples_done", report.result().samples}, {"samples_total", report.result().samples}}},
          {"error", ""},
          {"qat_model", of.qat_model.name},
          {"converted_model", of.converted_model.name},
          {"targets", std::move(targets)},
          {"verdicts", std::move(verdicts)},
          {"gate", nullptr},
          {"report", views::OverviewOf(report)}};
}

// Every layer result of every target.
struct Entry {
  std::string path;                    // without "/channels"
  std::string query;
  views::LayerAddress address;
  std::uint64_t difference = 0;        // sum of squares of the whole
};
std::vector<Entry> EntriesOf(const IndexedReport& report, const std::string& analysis) {
  std::vector<Entry> entries;
  for (std::size_t t = 0; t < report.result().targets.size(); ++t) {
    const std::string& target = report.result().targets[t].name;
    for (const LayerView& layer : report.layers(t)) {
      entries.push_back({.path = absl::StrCat(analysis, "/layers/", layer.result->layer),
                         .query = absl::StrCat("?target=", UriComponent(target), "&input=", layer.result->input_index),
                         .address = {.target = target, .layer = layer.result->layer, .input = layer.result->input_index},
                         .difference = layer.of(Cause::kTotal).sum_squares});
    }
  }
  return entries;
}

// At most `max_bytes` where leaving out channels is enough for that.
std::string DataOf(const IndexedReport& report, std::size_t max_bytes) {
  const std::string analysis = absl::StrCat("analyses/", UriComponent(report.report().analysis_id));
  EmbeddedData data;
  data.Add(analysis, views::Dump(AnalysisOf(report)));
  data.Add(absl::StrCat(analysis, "/graph"), views::Dump(views::NetworkOf(report)));
  for (const TargetResult& target : report.result().targets) {
    const auto page = views::LayersOf(report, target.name, views::LayerOrder::kExecution, 0, target.layers.size());
    data.Add(absl::StrCat(analysis, "/layers?target=", UriComponent(target.name)),
             views::Dump({{"layers", page->layers}, {"next_page_token", ""}}));
  }
  std::vector<Entry> entries = EntriesOf(report, analysis);
  for (const Entry& entry : entries) {
    data.Add(absl::StrCat(entry.path, entry.query), views::Dump(*views::LayerOf(report, entry.address)));
  }
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.difference > b.difference; });
  for (const Entry& entry : entries) {
    const std::string path = absl::StrCat(entry.path, "/channels", entry.query);
    // The first that does not fit ends it: no layer is left out for one of smaller differences.
    if (!data.AddWithin(max_bytes, path, views::Dump(*views::ChannelsOf(report, entry.address)))) break;
  }
  return data.Finish();
}

// `text` instead of what stands between `from` and `to`, both included. embed.mjs checks that the page has them, once.
void Replace(std::string& page, std::string_view from, std::string_view to, std::string_view text) {
  const std::size_t start = page.find(from);
  const std::size_t end = page.find(to, start);
  if (start == std::string::npos || end == std::string::npos) return;
  page.replace(start, end + to.size() - start, text);
}

std::string PolicyOf(const PageAsset& script, const PageAsset& style, const PageAsset& noscript) {
  return absl::StrCat("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'sha256-",
                      Text(script.sha256), "'; style-src 'sha256-", Text(style.sha256), "' 'sha256-", Text(noscript.sha256),
                      "'; img-src data:; base-uri 'none'; form-action 'none'\">\n");
}

}  // namespace

std::string WriteHtml(const Report& report, std::size_t max_bytes) {
  const PageAsset& script = PageAssetOf("app.js");
  const PageAsset& style = PageAssetOf("app.css");
  const PageAsset& noscript = PageAssetOf("noscript.css");
  std::string page(PageAssetOf("index.html").bytes);
  Replace(page, "<title>", "</title>", absl::StrCat(PolicyOf(script, style, noscript), "<title>", HtmlTitle(report), "</title>"));
  Replace(page, "<link rel=\"stylesheet\"", ">",
          absl::StrCat("<style>", Text(style.bytes), "</style>\n<noscript><style>", Text(noscript.bytes), "</style></noscript>"));
  // From the end to the front, so that nothing that comes from the report is searched.
  const std::string content = HtmlContent(report);
  constexpr std::size_t kTags = 100;
  const std::size_t fixed = page.size() + content.size() + script.bytes.size() + kTags;
  const std::string data = DataOf(IndexedReport(report), max_bytes > fixed ? max_bytes - fixed : 0);
  Replace(page, "<script src=\"app.js\">", "</script>",
          absl::StrCat("<script id=\"qatgap-data\" type=\"text/plain\">", data, "</script>\n<script>", Text(script.bytes),
                       "</script>"));
  const std::size_t open = page.find('>', page.find("<main id=\"main\"")) + 1;
  page.replace(open, page.find("</main>", open) - open, content);
  return page;
}

}  // namespace qatgap::report
