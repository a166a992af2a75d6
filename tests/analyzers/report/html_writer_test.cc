#include <cstdlib>
#include <fstream>
#include <regex>
#include <string>

#include "analyzers/report/report.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/report/sample_report.h"

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

TEST(HtmlWriterTest, HasASectionForEachThingAReaderLooksFor) {
  const std::string html = WriteHtml(RealisticReport(12));
  EXPECT_THAT(html, HasSubstr("<!doctype html>"));
  EXPECT_THAT(html, HasSubstr("prefers-color-scheme:dark"));
  EXPECT_THAT(html, HasSubstr("id=\"target-0\""));
  EXPECT_THAT(html, HasSubstr("id=\"target-1\""));
  EXPECT_THAT(html, HasSubstr("QG001"));
  EXPECT_THAT(html, HasSubstr("Raise the channel&#39;s weight scale"));
  EXPECT_THAT(html, HasSubstr("aten::softmax"));
  EXPECT_THAT(html, HasSubstr(std::string(64, 'a')));
  EXPECT_THAT(html, HasSubstr("features.1.conv.0"));
  EXPECT_THAT(html, HasSubstr("Accuracy over 24 labelled samples"));
  // For looking at it: QATGAP_SAMPLE_HTML names a file to write.
  if (const char* path = std::getenv("QATGAP_SAMPLE_HTML")) std::ofstream(path) << html;
}

TEST(HtmlWriterTest, MakesNoRequestAndRunsNoScript) {
  const std::string html = WriteHtml(RealisticReport(4));
  for (const char* forbidden : {"<script", "http://", "https://", "src=", "@import", "url(",
                                "<link", "onload", "<iframe", "javascript:"}) {
    EXPECT_THAT(html, Not(HasSubstr(forbidden)));
  }
  EXPECT_THAT(html, HasSubstr("default-src 'none'"));
}

TEST(HtmlWriterTest, EveryElementIsClosed) {
  const std::string html = WriteHtml(RealisticReport(6));
  for (const std::string tag :
       {"section", "table", "tr", "details", "div", "ul", "svg", "h2", "h3", "p"}) {
    const std::regex open("<" + tag + "[ >]");
    const auto opened =
        std::distance(std::sregex_iterator(html.begin(), html.end(), open), std::sregex_iterator());
    EXPECT_EQ(opened, Occurrences(html, "</" + tag + ">")) << tag;
  }
}

TEST(HtmlWriterTest, TablesHaveCaptionsAndScopes) {
  const std::string html = WriteHtml(RealisticReport(3));
  EXPECT_EQ(Occurrences(html, "<table"), Occurrences(html, "<caption>"));
  EXPECT_EQ(Occurrences(html, "<th"), Occurrences(html, "scope=") + Occurrences(html, "<thead"));
  EXPECT_EQ(Occurrences(html, "<svg class=\"bar"), Occurrences(html, "role=\"img\" aria-label=\"") -
                                                       Occurrences(html, "class=\"histogram\""));
}

TEST(HtmlWriterTest, HostileNamesAreText) {
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
  EXPECT_EQ(Occurrences(html, "</style>"), 1);
  EXPECT_THAT(html, Not(HasSubstr("\x01")));
  EXPECT_THAT(html, Not(HasSubstr("\xff")));
  EXPECT_THAT(html, HasSubstr("&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;"));
}

TEST(HtmlWriterTest, SixtyLayersStayBelowAMegabyte) {
  EXPECT_LT(WriteHtml(RealisticReport(60)).size(), 1'000'000U);
}

TEST(HtmlWriterTest, EmptyReportIsAPage) {
  const std::string html = WriteHtml(Report{});
  EXPECT_THAT(html, HasSubstr("Nothing was left out."));
  EXPECT_THAT(html, Not(HasSubstr(">nan")));
}

}  // namespace
}  // namespace qatgap::report
