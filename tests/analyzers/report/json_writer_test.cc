#include <cmath>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "analyzers/report/report.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/analyzers/report/sample_report.h"

namespace qatgap::report {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(JsonWriterTest, ParsesAndHoldsWhatWasMeasured) {
  const Report report = RealisticReport(4);
  const Json json = Json::parse(WriteJson(report));
  EXPECT_EQ(json["schema_version"], 1);
  EXPECT_EQ(json["analysis"]["id"], "a-0001");
  EXPECT_EQ(json["inputs"]["labels"], nullptr);
  EXPECT_EQ(json["inputs"]["qat_model"]["bytes"], 14'123'456);
  EXPECT_EQ(json["verdicts"].size(), 2U);
  const Json& statistics = json["statistics"];
  EXPECT_EQ(statistics["samples"], 24);
  EXPECT_EQ(statistics["batch_size"], 8);
  const Json& layer = statistics["targets"][0]["layers"][3];
  EXPECT_EQ(layer["layer"], "classifier.1");
  EXPECT_EQ(layer["input"]["scales"][0], 0.0171);
  const auto merged = MergeChannels(report.result.targets[0].layers[3]);
  for (std::size_t cause = 0; cause < kCauseCount; ++cause) {
    const Json& sums = layer["causes"][std::string(ToString(static_cast<Cause>(cause)))];
    EXPECT_EQ(sums["changed"], merged[cause].changed);
    EXPECT_EQ(sums["sum_squares"], merged[cause].sum_squares);
    EXPECT_EQ(sums["bit_exact"], merged[cause].changed == 0);
    EXPECT_EQ(sums["sqnr_db"].is_null(), merged[cause].changed == 0);
    EXPECT_EQ(sums["histogram"].size(), 19U);
  }
}

TEST(JsonWriterTest, SourcesFormatsNotesAndSeveralInputs) {
  Report report = RealisticReport(2);
  report.result.layers[0].source_line = "model.py:42";
  report.result.layers[0].module_stack = "Net > conv: Conv2d";
  report.result.converted_format = "ONNX, QDQ";
  report.result.notes = {"rebuilt"};
  report.sample_inputs = {{.input_name = "ids", .file = report.samples}};
  report.samples = {};
  report.normalizations = {"ids: (x * 2 - 0) / 1, channel axis 1"};
  const Json json = Json::parse(WriteJson(report));
  EXPECT_EQ(json["statistics"]["layers"][0]["source_line"], "model.py:42");
  EXPECT_EQ(json["statistics"]["layers"][0]["module_stack"], "Net > conv: Conv2d");
  EXPECT_EQ(json["statistics"]["converted_format"], "ONNX, QDQ");
  EXPECT_EQ(json["statistics"]["notes"], Json::array({"rebuilt"}));
  EXPECT_EQ(json["inputs"]["samples"], nullptr);
  EXPECT_EQ(json["inputs"]["sample_inputs"][0]["input_name"], "ids");
  EXPECT_EQ(json["inputs"]["sample_inputs"][0]["name"], "images_512.npz");
  EXPECT_EQ(json["inputs"]["normalizations"].size(), 1U);
}

TEST(JsonWriterTest, ChannelColumnsHaveOneEntryForEachChannel) {
  const Report report = RealisticReport(4);
  const Json json = Json::parse(WriteStatisticsJson(report));
  const Json& columns = json["targets"][0]["layers"][3]["channels"];
  EXPECT_EQ(columns["bias_saturated"][2], true);
  EXPECT_EQ(columns["bias_stored"][2], -2147483648);
  for (const auto& [name, column] : columns.items()) {
    if (name == "causes") continue;
    EXPECT_EQ(column.size(), 8U) << name;
  }
  for (const auto& [name, cause] : columns["causes"].items()) {
    for (const auto& [sum, column] : cause.items()) EXPECT_EQ(column.size(), 8U) << name << sum;
  }
}

TEST(JsonWriterTest, StatisticsAreThatMemberByteForByte) {
  const Report report = RealisticReport(2);
  EXPECT_THAT(WriteJson(report),
              HasSubstr(absl::StrCat("\"statistics\":", WriteStatisticsJson(report))));
}

TEST(JsonWriterTest, StatisticsDependOnNothingButMeasurements) {
  Report report = RealisticReport(2);
  const std::string before = WriteStatisticsJson(report);
  report.analysis_id = "other";
  report.title = "other";
  report.create_time = "later";
  report.run_seconds = 99;
  report.runner_peak_bytes = 1;
  report.units = 77;
  report.qat_model.name = "renamed.pt";
  report.result.environment.cpu_features = {"neon"};
  report.result.environment.threads = 4;
  EXPECT_EQ(WriteStatisticsJson(report), before);
}

TEST(JsonWriterTest, NoEngineMeansNullNotZero) {
  Report report = RealisticReport(2);
  for (LayerResult& layer : report.result.targets[0].layers) layer.engine_measured = false;
  const Json json = Json::parse(WriteStatisticsJson(report));
  const Json& layer = json["targets"][0]["layers"][0];
  EXPECT_TRUE(layer["causes"]["engine_residual"].is_null());
  EXPECT_TRUE(layer["channels"]["causes"]["engine_residual"].is_null());
}

TEST(JsonWriterTest, NeverHoldsNanOrInfinity) {
  Report report = RealisticReport(2);
  report.run_seconds = std::numeric_limits<double>::infinity();
  ChannelResult& channel = report.result.targets[0].layers[0].channels[0];
  channel.bias.rounded = std::numeric_limits<double>::infinity();
  channel.bias.residual_lsb = std::nan("");
  channel.multiplier = -std::numeric_limits<double>::infinity();
  const std::string text = WriteJson(report);
  EXPECT_FALSE(Json::parse(text).is_discarded());
  for (const char* word : {":nan", ":inf", ":-inf", "[nan", ",nan", ",inf", "NaN", "Infinity"}) {
    EXPECT_THAT(text, Not(HasSubstr(word)));
  }
  EXPECT_FALSE(Json::parse(WriteJson(Report{})).is_discarded());
}

TEST(JsonWriterTest, IntegersStayIntegers) {
  Report report = RealisticReport(2);
  report.result.targets[0].layers[0].channels[0].bias.rounded = -1.6e10;
  report.result.targets[0].layers[0].channels[1].bias.rounded = 1e30;
  report.result.targets[0].layers[0].channels[0].causes[0].sum_squares = 18446744073709551615U;
  const std::string text = WriteStatisticsJson(report);
  EXPECT_THAT(text, HasSubstr("-16000000000,1e+30"));
  EXPECT_THAT(text, HasSubstr("18446744073709551615"));
}

TEST(JsonWriterTest, BytesThatAreNotUtf8AreReplaced) {
  Report report = RealisticReport(2);
  report.result.layers[0].name = "\xff\xfe\"\n";
  report.title = std::string(1, static_cast<char>(0xC3));
  EXPECT_FALSE(Json::parse(WriteJson(report)).is_discarded());
}

}  // namespace
}  // namespace qatgap::report
