// What a finished analysis gives: layers, reports, the same from any number of units, also after a restart.
#include <nlohmann/json.hpp>

#include "tests/server/server_fixture.h"

namespace qatgap::server {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class ResultsTest : public ServerTest {
 protected:
  grpc::Status Layers(const v1::ListLayerResultsRequest& request,
                      v1::ListLayerResultsResponse* response) {
    grpc::ClientContext context;
    return analyses->ListLayerResults(&context, request, response);
  }
  std::string Json(const std::string& id) {
    grpc::Status status;
    std::string text = Report(id, v1::REPORT_FORMAT_JSON, &status);
    EXPECT_THAT(status, GrpcOk());
    return text;
  }
};

TEST_F(ResultsTest, ReportFormats) {
  Start();
  const std::string id = Run("ok").id();
  grpc::Status status;
  const auto json = nlohmann::json::parse(Json(id), nullptr, /*allow_exceptions=*/false);
  ASSERT_TRUE(json.is_object());
  EXPECT_TRUE(json.contains("statistics"));
  EXPECT_THAT(json.dump(), AllOf(HasSubstr(id), HasSubstr("a title"), HasSubstr("model.pt")));
  EXPECT_THAT(Report(id, v1::REPORT_FORMAT_HTML, &status), StartsWith("<!"));
  EXPECT_THAT(status, GrpcOk());
  EXPECT_THAT(Report(id, v1::REPORT_FORMAT_MARKDOWN, &status), HasSubstr("layer0"));
  EXPECT_THAT(status, GrpcOk());
  Report(id, v1::REPORT_FORMAT_UNSPECIFIED, &status);
  EXPECT_THAT(status, GrpcStatusIs(grpc::INVALID_ARGUMENT, StartsWith("format:")));
}

TEST_F(ResultsTest, NoResultYetOrEver) {
  Start();
  for (const std::string& id : {Run("crash").id(), MustCreate(MakeSpec("hang"))}) {
    grpc::Status status;
    Report(id, v1::REPORT_FORMAT_JSON, &status);
    EXPECT_THAT(status, GrpcStatusIs(grpc::FAILED_PRECONDITION, HasSubstr("no result")));
    v1::ListLayerResultsRequest request;
    request.set_id(id);
    v1::ListLayerResultsResponse response;
    EXPECT_THAT(Layers(request, &response),
                GrpcStatusIs(grpc::FAILED_PRECONDITION, HasSubstr("no result")));
  }
}

TEST_F(ResultsTest, LayersInPages) {
  Start();
  v1::AnalysisSpec spec = MakeSpec("layers 5");
  spec.add_targets("generic-int8");
  const std::string id = WatchToEnd(MustCreate(spec)).id();
  v1::ListLayerResultsRequest request;
  request.set_id(id);
  request.set_page_size(4);
  std::vector<std::string> rows;
  do {
    v1::ListLayerResultsResponse response;
    ASSERT_THAT(Layers(request, &response), GrpcOk());
    EXPECT_LE(response.layers_size(), 4);
    for (const auto& layer : response.layers()) rows.push_back(layer.target() + " " + layer.info().name());
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  ASSERT_EQ(rows.size(), 10U);
  EXPECT_EQ(rows[0], "pytorch-qnnpack layer0");
  EXPECT_EQ(rows[5], "generic-int8 layer0");
  EXPECT_EQ(rows[9], "generic-int8 layer4");

  v1::ListLayerResultsResponse response;
  request.Clear();
  request.set_id(id);
  request.set_target("generic-int8");
  ASSERT_THAT(Layers(request, &response), GrpcOk());
  EXPECT_EQ(response.layers_size(), 5);
  request.set_page_token("x");
  EXPECT_THAT(Layers(request, &response),
              GrpcStatusIs(grpc::INVALID_ARGUMENT, StartsWith("page_token:")));
  request.clear_page_token();
  request.set_target("generic-int16");
  EXPECT_THAT(Layers(request, &response),
              GrpcStatusIs(grpc::INVALID_ARGUMENT, StartsWith("target:")));
}

TEST_F(ResultsTest, UnitsDoNotChangeTheStatistics) {
  options.runners = 2;
  Start();
  std::vector<std::string> statistics;
  for (const int units : {1, 2, 5}) {
    v1::AnalysisSpec spec = MakeSpec("ok");
    spec.set_parallel_units(units);
    const v1::Analysis analysis = WatchToEnd(MustCreate(spec));
    ASSERT_EQ(analysis.state(), v1::ANALYSIS_STATE_SUCCEEDED) << analysis.error().message();
    statistics.push_back(nlohmann::json::parse(Json(analysis.id()))["statistics"].dump());
  }
  EXPECT_EQ(statistics[0], statistics[1]);
  EXPECT_EQ(statistics[0], statistics[2]);
}

TEST_F(ResultsTest, SurviveARestart) {
  Start();
  const v1::Analysis ended = Run("ok");
  const std::string report = Json(ended.id());
  const std::string running = MustCreate(MakeSpec("hang"));
  WaitForRunnerPid(running);
  v1::Analysis queued;
  ASSERT_THAT(Create(MakeSpec("ok"), &queued, "same request"), GrpcOk());
  Stop();
  options.runners = 2;  // or the first one hangs again before the second
  Start();
  EXPECT_EQ(Get(ended.id()).SerializeAsString(), ended.SerializeAsString());
  EXPECT_EQ(Json(ended.id()), report);
  EXPECT_EQ(WatchToEnd(queued.id()).state(), v1::ANALYSIS_STATE_SUCCEEDED);
  v1::Analysis again;
  ASSERT_THAT(Create(MakeSpec("ok"), &again, "same request"), GrpcOk());
  EXPECT_EQ(again.id(), queued.id());
  EXPECT_NE(WaitForRunnerPid(running), 0) << "it runs anew";
}

}  // namespace
}  // namespace qatgap::server
