// What an operator relies on: health, reflection, metrics.
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
  EXPECT_EQ(Value("qatgap_runner_peak_bytes_count"), 2);
  EXPECT_GT(Value("qatgap_runner_peak_bytes_sum"), 0);
  EXPECT_EQ(Value("qatgap_analysis_wait_seconds_count"), 2);
  EXPECT_EQ(Value("qatgap_queue_limit"), 100);
  EXPECT_EQ(Value("qatgap_runner_slots"), 1);
  // "ok", "crash" and twice "samples".
  EXPECT_EQ(Value("qatgap_artifact_bytes_total{direction=\"received\"}"), 2 + 5 + 7 + 7);
  EXPECT_EQ(Value("qatgap_artifact_bytes_total{direction=\"to_runner\"}"), 2 + 5 + 7 + 7);
}

}  // namespace
}  // namespace qatgap::server
