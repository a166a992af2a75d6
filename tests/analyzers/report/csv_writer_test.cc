#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "analyzers/report/report.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/report/sample_report.h"
#include "tests/analyzers/report/small_report.h"

namespace qatgap::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::vector<std::string> Lines(const std::string& csv) { return absl::StrSplit(csv, "\r\n", absl::SkipEmpty()); }

TEST(CsvWriterTest, ARowForEachLayerTargetAndCause) {
  const std::vector<std::string> lines = Lines(WriteCsv(SmallReport()));
  // Two targets, two layers, seven causes without the engine's residual, and the header.
  ASSERT_EQ(lines.size(), 1U + 2 * 2 * 7);
  EXPECT_THAT(lines[0], StartsWith("target,layer_index,layer,kind,input_index,samples,cause,count,changed,changed_rate,"));
  EXPECT_EQ(lines[2], "t1,0,a,conv2d,0,4,conversion,200,2,0.01,2,2,2,1,0.01,0.01,0.1,,0.6666666666666666");
  EXPECT_EQ(lines[7], "t1,0,a,conv2d,0,4,total,200,3,0.015,3,3,3,1,0.015,0.015,0.1224744871391589,,1");
  EXPECT_THAT(lines[8], StartsWith("t1,1,b,linear,"));
}

TEST(CsvWriterTest, TheEnginesResidualWhereItWasMeasured) {
  EXPECT_THAT(WriteCsv(RealisticReport(2)), HasSubstr(",engine_residual,"));
}

TEST(CsvWriterTest, NamesAreNeitherColumnsNorFormulas) {
  Report report = SmallReport();
  report.result.layers[0].name = "=HYPERLINK(\"x\",1)";
  report.result.layers[1].name = "-1,\"b\"\r\nrow";
  const std::string csv = WriteCsv(report);
  EXPECT_THAT(csv, HasSubstr(",\"'=HYPERLINK(\"\"x\"\",1)\","));
  EXPECT_THAT(csv, HasSubstr(",\"'-1,\"\"b\"\"  row\","));
  EXPECT_THAT(csv, Not(HasSubstr("\nrow")));
}

TEST(CsvWriterTest, AnEmptyReportIsAHeader) { EXPECT_EQ(Lines(WriteCsv(Report{})).size(), 1U); }

}  // namespace
}  // namespace qatgap::report
