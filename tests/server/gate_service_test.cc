// GateService over the wire: one test for each error code, and the answers.
#include <map>

#include "analyzers/report/gate/surfaces.h"
#include "qatgap/v1/gate.grpc.pb.h"
#include "tests/analyzers/report/gate/gate_reports.h"
#include "tests/server/server_fixture.h"

namespace qatgap::server {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using report::gate::JsonOf;
using report::gate::Layer;
using report::gate::OneTarget;

constexpr char kRules[] = "version: 1\nrules: [{metric: injected.bias_rounding.changed_rate, max: 0.001}]";

class GateServiceTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    options.max_artifact_bytes = 3 << 20;
    Start();
    gates = v1::GateService::NewStub(channel);
    report = JsonOf(OneTarget({Layer("stem", 20000), Layer("fc", 0)}));
  }
  void TearDown() override { gates.reset(); }

  v1::EvaluateGateRequest Request(const std::string& json) {
    v1::EvaluateGateRequest request;
    *request.mutable_report()->mutable_artifact() = MakeRef(json, "report.json");
    request.set_rules(kRules);
    request.set_rules_name("gate.yaml");
    return request;
  }

  grpc::Status Evaluate(const v1::EvaluateGateRequest& request) {
    grpc::ClientContext context;
    const auto reader = gates->EvaluateGate(&context, request);
    summaries.clear();
    order.clear();
    surfaces.clear();
    for (v1::EvaluateGateResponse response; reader->Read(&response);) {
      if (response.has_summary()) {
        summaries.push_back(response.summary());
        continue;
      }
      if (order.empty() || order.back() != response.chunk().surface()) order.push_back(response.chunk().surface());
      surfaces[response.chunk().surface()] += response.chunk().chunk();
    }
    return reader->Finish();
  }

  template <typename Response, typename Reader>
  grpc::Status Drain(Reader reader, std::string* text) {
    text->clear();
    for (Response response; reader->Read(&response);) *text += response.chunk();
    return reader->Finish();
  }
  grpc::Status Compare(const v1::CompareReportsRequest& request, std::string* text) {
    grpc::ClientContext context;
    return Drain<v1::CompareReportsResponse>(gates->CompareReports(&context, request), text);
  }
  grpc::Status Baseline(const v1::CreateBaselineRequest& request, std::string* text) {
    grpc::ClientContext context;
    return Drain<v1::CreateBaselineResponse>(gates->CreateBaseline(&context, request), text);
  }

  std::unique_ptr<v1::GateService::Stub> gates;
  std::string report;
  std::vector<v1::GateSummary> summaries;
  std::vector<int> order;
  std::map<int, std::string> surfaces;
};

TEST_F(GateServiceTest, OkTheVerdictThenTheSurfacesInTheOrderAskedFor) {
  v1::EvaluateGateRequest request = Request(report);
  for (const v1::GateSurface surface : {v1::GATE_SURFACE_JSON, v1::GATE_SURFACE_TEXT, v1::GATE_SURFACE_JUNIT, v1::GATE_SURFACE_SARIF,
                                        v1::GATE_SURFACE_MARKDOWN, v1::GATE_SURFACE_GITHUB, v1::GATE_SURFACE_GITLAB}) {
    request.add_surfaces(surface);
  }
  request.set_accept_command("qatgap baseline update --report a --baseline b");
  ASSERT_THAT(Evaluate(request), GrpcOk());
  ASSERT_EQ(summaries.size(), 1U);
  EXPECT_EQ(summaries[0].verdict(), v1::GATE_VERDICT_FAIL);
  EXPECT_EQ(summaries[0].failed(), 1U);
  EXPECT_EQ(summaries[0].passed(), 1U);
  EXPECT_EQ(summaries[0].headline(), "gate failed: 1 failed, 0 warnings, 1 passed");
  EXPECT_THAT(order, ElementsAre(v1::GATE_SURFACE_JSON, v1::GATE_SURFACE_TEXT, v1::GATE_SURFACE_JUNIT, v1::GATE_SURFACE_SARIF,
                                 v1::GATE_SURFACE_MARKDOWN, v1::GATE_SURFACE_GITHUB, v1::GATE_SURFACE_GITLAB));
  // The one implementation: the bytes are the library's.
  const auto measured = report::gate::ReadReport(report, "report.json");
  const auto rules = report::gate::ParseRules(kRules, "gate.yaml");
  ASSERT_TRUE(measured.ok() && rules.ok());
  auto result = report::gate::Evaluate(*measured, std::nullopt, *rules, "2023-11-14");
  ASSERT_TRUE(result.ok());
  result->accept_command = request.accept_command();
  EXPECT_EQ(surfaces[v1::GATE_SURFACE_JSON], report::gate::WriteJson(*result));
  EXPECT_EQ(surfaces[v1::GATE_SURFACE_TEXT], report::gate::WriteText(*result));
  EXPECT_EQ(surfaces[v1::GATE_SURFACE_JUNIT], report::gate::WriteJUnit(*result));
  EXPECT_EQ(surfaces[v1::GATE_SURFACE_SARIF], report::gate::WriteSarif(*result));
  EXPECT_EQ(surfaces[v1::GATE_SURFACE_MARKDOWN], report::gate::WriteMarkdown(*result));
  EXPECT_EQ(surfaces[v1::GATE_SURFACE_GITHUB], report::gate::WriteGithubAnnotations(*result));
  EXPECT_EQ(surfaces[v1::GATE_SURFACE_GITLAB], report::gate::WriteGitlabCodeQuality(*result));
}

TEST_F(GateServiceTest, OkPassAndNotComparable) {
  v1::EvaluateGateRequest request = Request(report);
  request.set_rules("version: 1\nrules: [{metric: injected.bias_rounding.changed_rate, max_increase: 0}]");
  *request.mutable_baseline()->mutable_artifact() = request.report().artifact();
  ASSERT_THAT(Evaluate(request), GrpcOk());
  EXPECT_EQ(summaries[0].verdict(), v1::GATE_VERDICT_PASS);
  EXPECT_TRUE(surfaces.empty());
  *request.mutable_baseline()->mutable_artifact() = MakeRef(JsonOf(OneTarget({Layer("head", 20000)})), "baseline.json");
  ASSERT_THAT(Evaluate(request), GrpcOk());
  EXPECT_EQ(summaries[0].verdict(), v1::GATE_VERDICT_NOT_COMPARABLE);
  EXPECT_THAT(summaries[0].not_comparable(), ::testing::Contains(HasSubstr("'head ")));
}

// The dates of waivers are held against the server's clock: 14 November 2023.
TEST_F(GateServiceTest, OkWaiversEndByTheServersClock) {
  v1::EvaluateGateRequest request = Request(report);
  const std::string waiver = std::string(kRules) + "\nwaivers: [{rule: \"*\", reason: known, expires: ";
  request.set_rules(waiver + "2023-11-14}]");
  ASSERT_THAT(Evaluate(request), GrpcOk());
  EXPECT_EQ(summaries[0].verdict(), v1::GATE_VERDICT_PASS);
  EXPECT_EQ(summaries[0].waived(), 1U);
  request.set_rules(waiver + "2023-11-13}]");
  ASSERT_THAT(Evaluate(request), GrpcOk());
  EXPECT_EQ(summaries[0].verdict(), v1::GATE_VERDICT_FAIL);
}

TEST_F(GateServiceTest, OkOfAFinishedAnalysis) {
  const v1::Analysis done = Run("ok");
  v1::EvaluateGateRequest request = Request(report);
  request.mutable_report()->set_analysis_id(done.id());
  request.set_rules("version: 1\nrules: [{metric: findings.error, max: 100}]");
  ASSERT_THAT(Evaluate(request), GrpcOk());
  ASSERT_EQ(summaries.size(), 1U);
  EXPECT_EQ(summaries[0].verdict(), v1::GATE_VERDICT_PASS) << summaries[0].headline();
}

TEST_F(GateServiceTest, OkComparisonsAndBaselines) {
  v1::CreateBaselineRequest make;
  *make.mutable_report()->mutable_artifact() = MakeRef(report, "report.json");
  std::string baseline;
  ASSERT_THAT(Baseline(make, &baseline), GrpcOk());
  EXPECT_EQ(baseline, report::gate::WriteBaseline(*report::gate::ReadReport(report, "report.json")));
  v1::CompareReportsRequest compare;
  *compare.mutable_before()->mutable_artifact() = MakeRef(baseline, "baseline.json");
  *compare.mutable_after()->mutable_artifact() = MakeRef(report, "report.json");
  std::string text;
  ASSERT_THAT(Compare(compare, &text), GrpcOk());
  EXPECT_EQ(text, "nothing moved\n");
  compare.set_markdown(true);
  *compare.mutable_after()->mutable_artifact() = MakeRef(JsonOf(OneTarget({Layer("stem", 60000), Layer("fc", 0)})), "after.json");
  ASSERT_THAT(Compare(compare, &text), GrpcOk());
  EXPECT_THAT(text, HasSubstr("| pytorch-qnnpack | stem | "));
}

struct BadRequest {
  const char* name;
  void (*spoil)(v1::EvaluateGateRequest&);
  const char* message;
};
class GateServiceInvalidArgument : public GateServiceTest, public ::testing::WithParamInterface<BadRequest> {};

TEST_P(GateServiceInvalidArgument, SaysWhatIsWrong) {
  v1::EvaluateGateRequest request = Request(report);
  GetParam().spoil(request);
  EXPECT_THAT(Evaluate(request), GrpcStatusIs(grpc::StatusCode::INVALID_ARGUMENT, HasSubstr(GetParam().message)));
  EXPECT_TRUE(summaries.empty());
}

INSTANTIATE_TEST_SUITE_P(
    Requests, GateServiceInvalidArgument,
    ::testing::Values(
        BadRequest{"NoReport", [](auto& request) { request.clear_report(); }, "report: is required"},
        BadRequest{"NoName", [](auto& request) { request.mutable_report()->mutable_artifact()->clear_name(); }, "report.artifact.name"},
        BadRequest{"NoSourceOfTheBaseline", [](auto& request) { request.mutable_baseline(); }, "baseline: is required"},
        BadRequest{"NoRules", [](auto& request) { request.clear_rules(); }, "rules: must have"},
        BadRequest{"LongRules", [](auto& request) { request.set_rules(std::string(300 << 10, '#')); }, "rules: must have"},
        BadRequest{"LongName", [](auto& request) { request.set_rules_name(std::string(256, 'a')); }, "rules_name: has 256"},
        BadRequest{"LongCommand", [](auto& request) { request.set_accept_command(std::string(5000, 'a')); }, "accept_command: has 5000"},
        BadRequest{"SurfaceTwice",
                   [](auto& request) {
                     request.add_surfaces(v1::GATE_SURFACE_TEXT);
                     request.add_surfaces(v1::GATE_SURFACE_TEXT);
                   },
                   "surfaces: 1"},
        BadRequest{"UnknownSurface", [](auto& request) { request.add_surfaces(static_cast<v1::GateSurface>(99)); }, "surfaces: 99"},
        BadRequest{"UnspecifiedSurface", [](auto& request) { request.add_surfaces(v1::GATE_SURFACE_UNSPECIFIED); }, "surfaces: 0"},
        BadRequest{"UnknownMetric", [](auto& request) { request.set_rules("version: 1\nrules: [{metric: coverag, min: 1}]"); },
                   "gate.yaml"},
        BadRequest{"ARuleThatMatchesNothing",
                   [](auto& request) { request.set_rules("version: 1\nrules: [{metric: injected.total.changed, layers: [stm], max: 0}]"); },
                   "the nearest is 'stem'"},
        BadRequest{"NoBaselineForARuleThatCompares", [](auto& request) { request.set_rules("version: 1\npreset: ratchet"); },
                   "compares with a baseline"}),
    [](const auto& bad) { return std::string(bad.param.name); });

TEST_F(GateServiceTest, InvalidArgumentForWhatIsNoReport) {
  EXPECT_THAT(Evaluate(Request("{}")), GrpcStatusIs(grpc::StatusCode::INVALID_ARGUMENT,
                                                    AllOf(HasSubstr("report.json"), HasSubstr("schema_version"))));
  std::string text;
  EXPECT_THAT(Baseline({}, &text), GrpcStatusIs(grpc::StatusCode::INVALID_ARGUMENT, HasSubstr("report: is required")));
  EXPECT_THAT(Compare({}, &text), GrpcStatusIs(grpc::StatusCode::INVALID_ARGUMENT, HasSubstr("before: is required")));
}

TEST_F(GateServiceTest, NotFoundForAnArtifactOrAnAnalysisThatIsNotThere) {
  v1::EvaluateGateRequest request = Request(report);
  request.mutable_report()->mutable_artifact()->set_sha256(std::string(64, '0'));
  EXPECT_THAT(Evaluate(request), GrpcStatusIs(grpc::StatusCode::NOT_FOUND, HasSubstr(std::string(64, '0'))));
  const std::string id(32, '0');
  request.mutable_report()->set_analysis_id(id);
  EXPECT_THAT(Evaluate(request), GrpcStatusIs(grpc::StatusCode::NOT_FOUND, HasSubstr(id)));
  request.mutable_report()->set_analysis_id("../x");
  EXPECT_THAT(Evaluate(request), GrpcStatusIs(grpc::StatusCode::NOT_FOUND, HasSubstr("'../x'")));
  v1::CreateBaselineRequest make;
  make.mutable_report()->set_analysis_id(id);
  std::string text;
  EXPECT_THAT(Baseline(make, &text), GrpcStatusIs(grpc::StatusCode::NOT_FOUND, HasSubstr(id)));
}

TEST_F(GateServiceTest, FailedPreconditionForAnAnalysisWithoutAResult) {
  const v1::Analysis failed = Run("failure 3 no such layer");
  v1::EvaluateGateRequest request = Request(report);
  request.mutable_report()->set_analysis_id(failed.id());
  EXPECT_THAT(Evaluate(request), GrpcStatusIs(grpc::StatusCode::FAILED_PRECONDITION, HasSubstr(failed.id())));
  v1::CompareReportsRequest compare;
  *compare.mutable_before() = request.report();
  *compare.mutable_after() = request.report();
  std::string text;
  EXPECT_THAT(Compare(compare, &text), GrpcStatusIs(grpc::StatusCode::FAILED_PRECONDITION, HasSubstr(failed.id())));
}

}  // namespace
}  // namespace qatgap::server
