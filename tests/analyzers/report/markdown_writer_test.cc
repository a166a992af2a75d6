#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "analyzers/report/report.h"
#include "analyzers/report/wording.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/report/sample_report.h"

namespace qatgap::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(MarkdownWriterTest, HasVerdictsLayersFindingsAndWhatWasNotMeasured) {
  const std::string text = WriteMarkdown(RealisticReport(5));
  EXPECT_THAT(text, HasSubstr("# MobileNet v2, nightly\n"));
  EXPECT_THAT(text, HasSubstr("## Target `pytorch-fbgemm`"));
  EXPECT_THAT(text, HasSubstr("**This target keeps the bias in float"));
  EXPECT_THAT(text, HasSubstr("| `classifier.1`      | linear "));
  EXPECT_THAT(text,
              HasSubstr("* **QG001 error**: Bias saturates int32, layer `features.1.conv.0`"));
  EXPECT_THAT(text, HasSubstr("* `head.softmax` (aten::softmax): runs in float"));
  if (const char* path = std::getenv("QATGAP_SAMPLE_MARKDOWN")) std::ofstream(path) << text;
}

TEST(MarkdownWriterTest, TableLinesHaveOneWidth) {
  std::istringstream lines(WriteMarkdown(RealisticReport(12)));
  std::string line;
  std::size_t width = 0;
  int tables = 0;
  while (std::getline(lines, line)) {
    if (line.empty() || line[0] != '|') {
      width = 0;
      continue;
    }
    if (width == 0) {
      width = CharacterCount(line);
      ++tables;
    }
    EXPECT_EQ(CharacterCount(line), width) << line;
  }
  EXPECT_EQ(tables, 5);  // layers and outputs of two targets, channels of the one that stores its bias
}

TEST(MarkdownWriterTest, SourceLinesFormatsAndNotesAreShown) {
  Report report = RealisticReport(2);
  report.result.layers[0].source_line = "model.py:42";
  report.result.converted_format = "ONNX, QDQ";
  report.result.notes = {"the fake-quant model was rebuilt"};
  const std::string text = WriteMarkdown(report);
  EXPECT_THAT(text, HasSubstr(absl::StrCat("`", report.result.layers[0].name, "` `model.py:42`")));
  EXPECT_THAT(text, HasSubstr("Converted model: ONNX, QDQ."));
  const std::string note = "* Note: the fake-quant model was rebuilt.";
  EXPECT_THAT(text, HasSubstr(note));
  EXPECT_EQ(text.find(note), text.rfind(note)) << "once in a report";
}

TEST(MarkdownWriterTest, HostileNamesStayText) {
  Report report = RealisticReport(2);
  const std::string hostile = "`|<img src=x>\n# [a](http://b) @all\x1b[31m";
  report.title = hostile;
  report.result.layers[0].name = hostile;
  report.result.layers[0].kind = hostile;
  report.result.findings[0].layer = hostile;
  report.result.findings[0].detail = hostile;
  report.result.unmeasured[0].name = hostile;
  const std::string text = WriteMarkdown(report);
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(text, Not(HasSubstr("\n# [a]")));
  EXPECT_THAT(text, HasSubstr("`'\\|<img src=x> # [a](http://b) @all\xEF\xBF\xBD[31m`"));
  EXPECT_THAT(text, HasSubstr("\\`\\|\\<img src=x\\> \\# \\[a\\](http://b) \\@all"));
}

TEST(MarkdownWriterTest, EmptyReport) {
  EXPECT_THAT(WriteMarkdown(Report{}), HasSubstr("0 samples, 0 layers, 0 targets."));
}

}  // namespace
}  // namespace qatgap::report
