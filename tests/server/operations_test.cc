// What an operator relies on: health, reflection, metrics and their table.
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "tests/server/raw_call.h"
#include "tests/server/server_fixture.h"

namespace qatgap::server {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kHealthCheck[] = "/grpc.health.v1.Health/Check";
constexpr char kHealthWatch[] = "/grpc.health.v1.Health/Watch";
constexpr char kReflection[] = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
const std::string kServing("\x08\x01", 2);     // field 1, SERVING
const std::string kNotServing("\x08\x02", 2);  // field 1, NOT_SERVING

class OperationsTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    options.metrics_listen = "127.0.0.1:0";
    Start();
  }
  // The value of one series, "name{label}".
  double Value(const std::string& series) {
    std::istringstream lines(Scrape(server->metrics_address()));
    std::string line;
    while (std::getline(lines, line)) {
      if (line.rfind(series + " ", 0) == 0) return std::stod(line.substr(series.size() + 1));
    }
    ADD_FAILURE() << "no series " << series;
    return -1;
  }
};

TEST_F(OperationsTest, HealthOfEachService) {
  for (const char* service : {"", "qatgap.v1.AnalysisService", "qatgap.v1.ArtifactService",
                              "qatgap.v1.TargetService", "qatgap.v1.ModelService"}) {
    RawCall call(channel, kHealthCheck, EncodeString(1, service));
    std::string response;
    ASSERT_TRUE(call.Read(&response)) << service << call.Finish().error_message();
    EXPECT_EQ(response, kServing) << service;
  }
  RawCall unknown(channel, kHealthCheck, EncodeString(1, "qatgap.v1.Nothing"));
  std::string response;
  EXPECT_FALSE(unknown.Read(&response));
}

TEST_F(OperationsTest, HealthWatchSeesTheEnd) {
  RawCall watch(channel, kHealthWatch, EncodeString(1, "qatgap.v1.AnalysisService"));
  std::string response;
  ASSERT_TRUE(watch.Read(&response));
  EXPECT_EQ(response, kServing);
  server->Stop();
  ASSERT_TRUE(watch.Read(&response));
  EXPECT_EQ(response, kNotServing);
  watch.Finish();
}

TEST_F(OperationsTest, ReflectionListsTheServices) {
  RawCall call(channel, kReflection, EncodeString(7, "*"));
  std::string response;
  ASSERT_TRUE(call.Read(&response));
  EXPECT_THAT(response,
              AllOf(HasSubstr("qatgap.v1.AnalysisService"), HasSubstr("qatgap.v1.ArtifactService"),
                    HasSubstr("qatgap.v1.TargetService"), HasSubstr("qatgap.v1.ModelService"),
                    HasSubstr("grpc.health.v1.Health")));
  call.Finish();
}

TEST_F(OperationsTest, MetricsCount) {
  EXPECT_EQ(Run("ok").state(), v1::ANALYSIS_STATE_SUCCEEDED);
  EXPECT_EQ(Run("crash").state(), v1::ANALYSIS_STATE_FAILED);
  EXPECT_EQ(Value("qatgap_analyses{state=\"succeeded\"}"), 1);
  EXPECT_EQ(Value("qatgap_analyses{state=\"failed\"}"), 1);
  EXPECT_EQ(Value("qatgap_analyses{state=\"running\"}"), 0);
  EXPECT_EQ(Value("qatgap_analyses_finished_total{state=\"succeeded\"}"), 1);
  EXPECT_EQ(Value("qatgap_analysis_duration_seconds_count"), 2);
  EXPECT_EQ(Value("qatgap_samples_total"), 12);
  EXPECT_EQ(Value("qatgap_layers_total"), 2);
  EXPECT_EQ(Value("qatgap_runner_exits_total{reason=\"success\"}"), 1);
  EXPECT_EQ(Value("qatgap_runner_exits_total{reason=\"signal\"}"), 1);
  EXPECT_GT(Value("qatgap_runner_peak_bytes"), 0);
  // "ok", "crash" and twice "samples".
  EXPECT_EQ(Value("qatgap_artifact_bytes_total{direction=\"received\"}"), 2 + 5 + 7 + 7);
  EXPECT_EQ(Value("qatgap_artifact_bytes_total{direction=\"to_runner\"}"), 2 + 5 + 7 + 7);
}

// name -> type, of the metrics named qatgap_*.
std::map<std::string, std::string> ScrapedTypes(const std::string& text) {
  std::map<std::string, std::string> types;
  const std::regex line("# TYPE (qatgap_\\w+) (\\w+)");
  for (std::sregex_iterator match(text.begin(), text.end(), line), end; match != end; ++match) {
    types[(*match)[1]] = (*match)[2];
  }
  return types;
}

// Label names of each metric; le is the histogram's own.
std::map<std::string, std::set<std::string>> ScrapedLabels(const std::string& text) {
  std::map<std::string, std::set<std::string>> labels;
  const std::regex series("(?:^|\n)(qatgap_\\w+)\\{([^}]*)\\}");
  const std::regex label("(\\w+)=");
  for (std::sregex_iterator match(text.begin(), text.end(), series), end; match != end; ++match) {
    const std::string name = std::regex_replace((*match)[1].str(), std::regex("_bucket$"), "");
    const std::string inside = (*match)[2];
    for (std::sregex_iterator part(inside.begin(), inside.end(), label); part != end; ++part) {
      if ((*part)[1] != "le") labels[name].insert((*part)[1]);
    }
  }
  return labels;
}

TEST_F(OperationsTest, DocumentedMetricsAreTheServedOnes) {
  const std::string text = Scrape(server->metrics_address());
  std::map<std::string, std::string> types;
  std::map<std::string, std::set<std::string>> labels;
  std::ifstream table(QATGAP_SOURCE_DIR "/docs/metrics.md");
  ASSERT_TRUE(table.good());
  const std::regex row("\\| `(qatgap_\\w+)` \\| (\\w+) \\|([^|]*)\\|.*");
  const std::regex label("`(\\w+)`");
  std::string line;
  while (std::getline(table, line)) {
    std::smatch match;
    if (!std::regex_match(line, match, row)) continue;
    types[match[1]] = match[2];
    const std::string cell = match[3];
    for (std::sregex_iterator part(cell.begin(), cell.end(), label), end; part != end; ++part) {
      labels[match[1]].insert((*part)[1]);
    }
  }
  EXPECT_EQ(types, ScrapedTypes(text));
  auto scraped = ScrapedLabels(text);
  for (const auto& [name, type] : types) {
    if (type == "histogram") scraped.erase(name + "_sum");
    if (type == "histogram") scraped.erase(name + "_count");
  }
  std::erase_if(scraped, [](const auto& entry) { return entry.second.empty(); });
  EXPECT_EQ(labels, scraped);
}

}  // namespace
}  // namespace qatgap::server
