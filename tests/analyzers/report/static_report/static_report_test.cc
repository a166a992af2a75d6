#include "analyzers/report/static_report/static_report.h"

#include <openssl/sha.h>
#include <zlib.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "analyzers/report/html_writer.h"
#include "analyzers/report/views/views.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/report/sample_report.h"
#include "tests/analyzers/report/small_report.h"

namespace qatgap::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

int Occurrences(const std::string& text, const std::string& part) {
  int found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++found;
  }
  return found;
}

// What stands between two texts, the first of which occurs once.
std::string Between(const std::string& text, const std::string& from, const std::string& to) {
  EXPECT_EQ(Occurrences(text, from), 1) << from;
  const std::size_t start = text.find(from) + from.size();
  return text.substr(start, text.find(to, start) - start);
}

std::string MainOf(const std::string& html) { return Between(html, "<main id=\"main\" tabindex=\"-1\">", "</main>"); }

// The answers that the page carries.
nlohmann::json DataOf(const std::string& html) {
  std::string packed;
  EXPECT_TRUE(absl::Base64Unescape(Between(html, "<script id=\"qatgap-data\" type=\"text/plain\">", "</script>"), &packed));
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_in = static_cast<uInt>(packed.size());
  std::string text;
  std::array<char, 65536> out{};
  int result = Z_OK;
  while (result == Z_OK) {
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = out.size();
    result = inflate(&stream, Z_NO_FLUSH);
    text.append(out.data(), out.size() - stream.avail_out);
  }
  EXPECT_EQ(result, Z_STREAM_END);
  inflateEnd(&stream);
  return nlohmann::json::parse(text);
}

std::string Sha256Base64(const std::string& text) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return absl::Base64Escape(absl::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

TEST(StaticReportTest, HasASectionForEachThingAReaderWithoutAScriptLooksFor) {
  const std::string page = WriteHtml(RealisticReport(12));
  EXPECT_THAT(page, HasSubstr("<!doctype html>"));
  const std::string html = MainOf(page);
  EXPECT_THAT(html, HasSubstr("MobileNet v2, nightly"));
  EXPECT_THAT(html, HasSubstr("id=\"target-0\""));
  EXPECT_THAT(html, HasSubstr("id=\"target-1\""));
  EXPECT_THAT(html, HasSubstr("QG001"));
  EXPECT_THAT(html, HasSubstr("Raise the channel&#39;s weight scale"));
  EXPECT_THAT(html, HasSubstr("aten::softmax"));
  EXPECT_THAT(html, HasSubstr(std::string(64, 'a')));
  EXPECT_THAT(html, HasSubstr("features.1.conv.0"));
  EXPECT_THAT(html, HasSubstr("Accuracy over 24 labelled samples"));
  // For looking at it: QATGAP_SAMPLE_HTML names a file to write.
  if (const char* path = std::getenv("QATGAP_SAMPLE_HTML")) std::ofstream(path) << page;
}

TEST(StaticReportTest, ThePolicyAllowsItsOwnScriptAndStylesAlone) {
  const std::string html = WriteHtml(RealisticReport(4));
  const std::string policy = Between(html, "<meta http-equiv=\"Content-Security-Policy\" content=\"", "\"");
  const std::string script = Sha256Base64(Between(html, "\n<script>", "</script>"));
  const std::string noscript = Between(html, "<noscript><style>", "</style>");
  const std::string style = Between(html.substr(0, html.find("<noscript>")), "<style>", "</style>");
  EXPECT_EQ(policy, absl::StrCat("default-src 'none'; script-src 'sha256-", script, "'; style-src 'sha256-",
                                 Sha256Base64(style), "' 'sha256-", Sha256Base64(noscript),
                                 "'; img-src data:; base-uri 'none'; form-action 'none'"));
  EXPECT_LT(html.find("Content-Security-Policy"), html.find("<style>")) << "a policy holds for what follows it";
  EXPECT_EQ(Occurrences(html, "<script"), 2);
}

TEST(StaticReportTest, TheContentMakesNoRequestAndRunsNoScript) {
  const std::string html = MainOf(WriteHtml(RealisticReport(4)));
  for (const char* forbidden : {"<script", "http://", "https://", "src=", "@import", "url(",
                                "<link", "onload", "<iframe", "javascript:", "style="}) {
    EXPECT_THAT(html, Not(HasSubstr(forbidden)));
  }
}

TEST(StaticReportTest, CarriesTheAnswersThatThePageAsksFor) {
  const Report report = SmallReport();
  const IndexedReport indexed(report);
  const nlohmann::json data = DataOf(WriteHtml(report));
  std::vector<std::string> paths;
  for (const auto& [path, answer] : data.items()) paths.push_back(path);
  EXPECT_THAT(paths, ::testing::UnorderedElementsAre(
                         "analyses/id1", "analyses/id1/graph", "analyses/id1/layers?target=t1", "analyses/id1/layers?target=t2",
                         "analyses/id1/layers/0?target=t1&input=0", "analyses/id1/layers/0?target=t2&input=0",
                         "analyses/id1/layers/1?target=t1&input=0", "analyses/id1/layers/1?target=t2&input=0",
                         "analyses/id1/layers/0/channels?target=t1&input=0", "analyses/id1/layers/0/channels?target=t2&input=0",
                         "analyses/id1/layers/1/channels?target=t1&input=0", "analyses/id1/layers/1/channels?target=t2&input=0"));
  EXPECT_EQ(data["analyses/id1"]["report"], views::OverviewOf(indexed));
  EXPECT_EQ(data["analyses/id1"]["state"], "succeeded");
  EXPECT_EQ(data["analyses/id1/graph"], views::NetworkOf(indexed));
  EXPECT_EQ(data["analyses/id1/layers?target=t2"]["layers"],
            views::LayersOf(indexed, "t2", views::LayerOrder::kExecution, 0, 9)->layers);
  EXPECT_EQ(data["analyses/id1/layers/1?target=t1&input=0"], *views::LayerOf(indexed, {.target = "t1", .layer = 1}));
  EXPECT_EQ(data["analyses/id1/layers/1/channels?target=t1&input=0"], *views::ChannelsOf(indexed, {.target = "t1", .layer = 1}));
}

TEST(StaticReportTest, NamesInPathsAreEncodedAsTheScriptDoes) {
  Report report = SmallReport();
  report.analysis_id = "a/b?\xc3\xa9";
  report.result.targets[0].name = "my target'&";
  const nlohmann::json data = DataOf(WriteHtml(report));
  EXPECT_TRUE(data.contains("analyses/a%2Fb%3F%C3%A9/layers?target=my%20target'%26"));
}

TEST(StaticReportTest, ChannelsOfTheSmallestDifferencesAreLeftOutOfALargeFile) {
  const Report report = RealisticReport(6);
  const std::size_t whole = WriteHtml(report).size();
  const std::string html = WriteHtml(report, whole - 600);
  EXPECT_LE(html.size(), whole - 600);
  const nlohmann::json data = DataOf(html);
  const IndexedReport indexed(report);
  std::uint64_t smallest_kept = ~std::uint64_t{0}, largest_left = 0;
  int kept = 0, left = 0;
  for (std::size_t t = 0; t < 2; ++t) {
    for (const LayerView& layer : indexed.layers(t)) {
      const std::string path = absl::StrCat("analyses/a-0001/layers/", layer.result->layer, "/channels?target=",
                                            indexed.result().targets[t].name, "&input=0");
      const std::uint64_t difference = layer.of(Cause::kTotal).sum_squares;
      const bool has = data.contains(path);
      ++(has ? kept : left);
      if (has) smallest_kept = std::min(smallest_kept, difference);
      if (!has) largest_left = std::max(largest_left, difference);
    }
  }
  EXPECT_GT(kept, 0);
  EXPECT_GT(left, 0);
  EXPECT_GE(smallest_kept, largest_left);
  EXPECT_EQ(DataOf(WriteHtml(report, 1)).size(), 2U + 2 + 12) << "all but channels, however little is allowed";
}

TEST(StaticReportTest, EveryElementIsClosed) {
  const std::string html = HtmlContent(RealisticReport(6));
  for (const std::string tag :
       {"section", "table", "tr", "details", "div", "ul", "svg", "h2", "h3", "p"}) {
    const std::regex open("<" + tag + "[ >]");
    const auto opened =
        std::distance(std::sregex_iterator(html.begin(), html.end(), open), std::sregex_iterator());
    EXPECT_EQ(opened, Occurrences(html, "</" + tag + ">")) << tag;
  }
}

TEST(StaticReportTest, TablesHaveCaptionsAndScopes) {
  const std::string html = HtmlContent(RealisticReport(3));
  EXPECT_EQ(Occurrences(html, "<table"), Occurrences(html, "<caption>"));
  EXPECT_EQ(Occurrences(html, "<th"), Occurrences(html, "scope=") + Occurrences(html, "<thead"));
  EXPECT_EQ(Occurrences(html, "<svg class=\"bar"), Occurrences(html, "role=\"img\" aria-label=\"") -
                                                       Occurrences(html, "class=\"histogram\""));
}

TEST(StaticReportTest, HostileNamesAreText) {
  Report report = RealisticReport(3);
  const std::string hostile = "<img src=x onerror=alert(1)>\"'&\x01\xff</style>";
  report.title = hostile;
  report.analysis_id = hostile;
  report.create_time = hostile;
  report.qat_model.name = hostile;
  report.qat_model.sha256 = hostile;
  AnalysisResult& result = report.result;
  result.qat_format = hostile;
  result.environment.tool_version = hostile;
  result.environment.libtorch_version = hostile;
  result.environment.cpu_features = {hostile};
  result.environment.engines = {hostile};
  for (LayerInfo& layer : result.layers) layer.name = layer.kind = hostile;
  for (TargetResult& target : result.targets) {
    target.name = target.title = target.evidence.detail = hostile;
    for (LayerResult& layer : target.layers) layer.engine_note = hostile;
  }
  for (Finding& finding : result.findings) {
    finding.id = finding.title = finding.layer = finding.target = hostile;
    finding.detail = finding.advice = hostile;
  }
  for (Unmeasured& entry : result.unmeasured) entry.name = entry.what = entry.reason = hostile;
  const std::string html = WriteHtml(report);
  EXPECT_THAT(html, Not(HasSubstr("<img")));
  EXPECT_EQ(Occurrences(html, "</style>"), 2) << "the page's own";
  EXPECT_EQ(Occurrences(html, "<script"), 2) << "the page's own";
  EXPECT_THAT(html, Not(HasSubstr("\x01")));
  EXPECT_THAT(html, Not(HasSubstr("\xff")));
  EXPECT_THAT(html, HasSubstr("&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;"));
}

// As large as MobileNetV2 under four targets: 53 layers of 17,000 channels in all.
TEST(StaticReportTest, AMobileNetUnderFourTargetsHasThreeMegabytes) {
  std::vector<LayerRecipe> layers;
  for (int i = 0; i < 53; ++i) {
    LayerRecipe& layer = layers.emplace_back();
    layer.name = absl::StrCat("features.", i / 3, ".conv.", i % 3);
    layer.channels = i == 52 ? 360 : 320;
    layer.causes = {Rate(900), Rate(40000), Rate(700), Rate(0), Rate(0), Rate(18000), Rate(0)};
  }
  std::vector<TargetRecipe> targets(4);
  for (std::size_t t = 0; t < targets.size(); ++t) {
    targets[t].name = absl::StrCat("target-", t);
    targets[t].layers = layers;
  }
  const std::string html = WriteHtml(WithProvenance(SampleUnit(targets, 0, /*codes_per_channel=*/256)));
  EXPECT_LE(html.size(), 3'000'000U);
  RecordProperty("bytes", static_cast<int>(html.size()));
  const nlohmann::json data = DataOf(html);
  std::size_t channels = 0, layers_held = 0;
  for (const auto& [path, answer] : data.items()) {
    if (path.find("/channels?") != std::string::npos) ++channels;
    if (path.find("/layers/") != std::string::npos && path.find("/channels") == std::string::npos) ++layers_held;
  }
  EXPECT_EQ(layers_held, 53U * 4);
  EXPECT_EQ(channels, 53U * 4) << "none is left out; the file has " << html.size() << " bytes";
}

TEST(StaticReportTest, EmptyReportIsAPage) {
  const std::string html = WriteHtml(Report{});
  EXPECT_THAT(html, HasSubstr("Nothing was left out."));
  EXPECT_THAT(html, Not(HasSubstr(">nan")));
}

}  // namespace
}  // namespace qatgap::report
