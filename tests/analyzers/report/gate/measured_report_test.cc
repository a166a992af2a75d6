#include "analyzers/report/gate/measured_report.h"

#include <random>

#include "analyzers/report/gate/surfaces.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/analyzers/report/gate/gate_reports.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::report::gate {
namespace {

using testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(MeasuredReportTest, FiguresAreThoseOfTheJson) {
  const std::string json = JsonOf(OneTarget({Layer("stem", 20000), Layer("fc", 0, 30000, {1})}));
  const auto report = ReadReport(json, "report.json");
  QATGAP_ASSERT_OK(report);
  const auto document = nlohmann::json::parse(json);
  ASSERT_EQ(report->targets.size(), 1U);
  const MeasuredTarget& target = report->targets[0];
  EXPECT_EQ(target.name, "pytorch-qnnpack");
  ASSERT_EQ(target.layers.size(), 2U);
  const auto& rounding = document["statistics"]["targets"][0]["layers"][0]["causes"]["bias_rounding"];
  EXPECT_GT(rounding["changed"].get<double>(), 0);
  EXPECT_EQ(target.layers[0].metrics.at("injected.bias_rounding.changed_rate"), rounding["changed_rate"].get<double>());
  EXPECT_EQ(target.layers[0].metrics.at("injected.bias_rounding.max_lsb"), rounding["max_absolute"].get<double>());
  EXPECT_EQ(target.layers[1].metrics.at("bias.saturated_channels"), 1.0);
  EXPECT_EQ(target.layers[0].metrics.at("bias.saturated_channels"), 0.0);
  EXPECT_EQ(target.layers[0].metrics.at("injected.engine_residual.changed"), std::nullopt);  // no engine ran
  EXPECT_EQ(report->identity.layers.size(), 2U);
}

// Every figure that a report gives has a name that rules may use, and the list has no two names alike.
TEST(MeasuredReportTest, EveryFigureHasAName) {
  const auto report = ReadReport(WriteJson(RealisticReport(3)), "report.json");
  QATGAP_ASSERT_OK(report);
  std::size_t figures = 0;
  for (const MeasuredTarget& target : report->targets) {
    for (const auto& [name, value] : target.metrics) {
      ASSERT_NE(FindMetric(name), nullptr) << name;
      EXPECT_FALSE(FindMetric(name)->of_layer) << name;
      ++figures;
    }
    for (const MeasuredLayer& layer : target.layers) {
      for (const auto& [name, value] : layer.metrics) {
        ASSERT_NE(FindMetric(name), nullptr) << name;
        EXPECT_TRUE(FindMetric(name)->of_layer) << name;
        ++figures;
      }
    }
  }
  EXPECT_GT(figures, 500U);
  for (std::size_t i = 1; i < AllMetrics().size(); ++i) EXPECT_LT(AllMetrics()[i - 1].name, AllMetrics()[i].name);
}

TEST(MeasuredReportTest, ABaselineReadsBackEqual) {
  const MeasuredReport report = Measured(OneTarget({Layer("stem", 20000), Layer("fc", 0, 30000)}));
  const std::string text = WriteBaseline(report);
  const auto read = ReadReport(text, "baseline.json");
  QATGAP_ASSERT_OK(read);
  EXPECT_EQ(read->identity.layers, report.identity.layers);
  EXPECT_EQ(read->identity.samples, report.identity.samples);
  ASSERT_EQ(read->targets.size(), report.targets.size());
  EXPECT_EQ(read->targets[0].metrics, report.targets[0].metrics);
  ASSERT_EQ(read->targets[0].layers.size(), 2U);
  EXPECT_EQ(read->targets[0].layers[1].metrics, report.targets[0].layers[1].metrics);
  EXPECT_EQ(WriteBaseline(*read), text);  // canonical
  EXPECT_THAT(text, HasSubstr("\n"));     // one figure a line
}

struct Bad {
  const char* name;
  const char* json;
  const char* what;
};
class BadReports : public ::testing::TestWithParam<Bad> {};

TEST_P(BadReports, AreRefused) {
  EXPECT_THAT(ReadReport(GetParam().json, "r.json"),
              StatusIs(absl::StatusCode::kInvalidArgument, ::testing::AllOf(HasSubstr("r.json"), HasSubstr(GetParam().what))));
}

INSTANTIATE_TEST_SUITE_P(Files, BadReports,
                         ::testing::Values(Bad{"Empty", "", "qatgap analyze --json"}, Bad{"Array", "[]", "not a JSON object"},
                                           Bad{"NoVersion", "{}", "schema_version"},
                                           Bad{"OtherVersion", R"({"schema_version": 2})", "schema_version 2"},
                                           Bad{"NoStatistics",
                                               R"({"schema_version": 1, "analysis": {}, "environment": {}, "inputs": {}})",
                                               "statistics"},
                                           Bad{"BaselineOfAnotherVersion", R"({"qatgap_baseline": 7})", "qatgap_baseline"},
                                           Bad{"BaselineCut", R"({"qatgap_baseline": 1, "analysis_id": ""})", "tool_version"}),
                         [](const auto& bad) { return std::string(bad.param.name); });

TEST(MeasuredReportTest, DamagedReportsAreErrorsOrReports) {
  const std::string json = JsonOf(OneTarget({Layer("stem", 20000)}));
  const std::string baseline = WriteBaseline(Measured(OneTarget({Layer("stem", 20000)})));
  std::mt19937 random(7);
  std::size_t refused = 0;
  for (int i = 0; i < 400; ++i) {
    std::string damaged = i % 2 == 0 ? json : baseline;
    for (int k = 0; k < 3; ++k) damaged[random() % damaged.size()] = static_cast<char>(random() % 256);
    if (i % 5 == 0) damaged.resize(random() % damaged.size());
    const auto report = ReadReport(damaged, "damaged.json");
    if (!report.ok()) {
      EXPECT_EQ(report.status().code(), absl::StatusCode::kInvalidArgument);
      ++refused;
    }
  }
  EXPECT_GT(refused, 100U);
  EXPECT_FALSE(ReadReport(std::string(100000, '['), "deep.json").ok());
}

}  // namespace
}  // namespace qatgap::report::gate
