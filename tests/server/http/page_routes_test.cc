// The web page's data over the wire: a real server, a real HTTP client, results of the fake runner.
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/server/http/raw_http.h"
#include "tests/server/server_fixture.h"

namespace qatgap::server {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using nlohmann::json;

class PageRoutesTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    options.http_listen = "127.0.0.1:0";
    Start();
  }
  std::string Ask(const std::string& path, const std::string& headers = "") {
    return Exchange(server->http_address(), Request("GET " + path, headers));
  }
  json Get(const std::string& path) {
    const std::string answer = Ask("/api/v1/" + path);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 ")) << path;
    EXPECT_THAT(answer, HasSubstr("Content-Type: application/json\r\n"));
    return json::parse(BodyOf(answer), nullptr, /*allow_exceptions=*/false);
  }
};

TEST_F(PageRoutesTest, ThePageAndWhatItRefersTo) {
  const std::string page = Ask("/");
  EXPECT_THAT(page, AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("Content-Type: text/html; charset=utf-8"), HasSubstr("src=\"app.js\"")));
  EXPECT_THAT(Ask("/app.js"), AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("Content-Type: text/javascript")));
  EXPECT_THAT(Ask("/app.css"), AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("Content-Type: text/css")));
  const std::size_t tag = page.find("ETag: ") + 6;
  const std::string etag = page.substr(tag, page.find("\r\n", tag) - tag);
  EXPECT_THAT(Ask("/", "If-None-Match: " + etag + "\r\n"), StartsWith("HTTP/1.1 304 "));
  EXPECT_THAT(Ask("/", "If-None-Match: \"other\"\r\n"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(PageRoutesTest, AnalysesInPagesNewestFirst) {
  EXPECT_THAT(Get("analyses")["analyses"], IsEmpty());
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) ids.insert(ids.begin(), Run("ok").id());
  std::vector<std::string> listed;
  std::string token;
  do {
    const json page = Get("analyses?page_size=2&page_token=" + token);
    EXPECT_LE(page["analyses"].size(), 2U);
    for (const json& analysis : page["analyses"]) listed.push_back(analysis["id"]);
    token = page["next_page_token"];
  } while (!token.empty());
  EXPECT_EQ(listed, ids);
}

TEST_F(PageRoutesTest, AnAnalysisInTheList) {
  const std::string id = Run("ok").id();
  const json row = Get("analyses")["analyses"][0];
  EXPECT_EQ(row["id"], id);
  EXPECT_EQ(row["title"], "a title");
  EXPECT_EQ(row["track"], "");
  EXPECT_EQ(row["state"], "succeeded");
  EXPECT_EQ(row["create_time"], "2023-11-14T22:13:20+00:00");
  EXPECT_EQ(row["progress"], json::parse(R"({"samples_done": 0, "samples_total": 12})")) << "the fake runner tells no progress";
  EXPECT_EQ(row["qat_model"], "model.pt");
  EXPECT_EQ(row["converted_model"], "");
  EXPECT_EQ(row["targets"], json::parse(R"(["pytorch-qnnpack"])"));
  EXPECT_EQ(row["verdicts"][0]["target"], "pytorch-qnnpack");
  EXPECT_EQ(row["error"], "");
  EXPECT_TRUE(row["gate"].is_null());
  EXPECT_EQ(row.count("report"), 0U);
}

TEST_F(PageRoutesTest, StatesAreFiltered) {
  const std::string failed = Run("failure 3 broken").id();
  Run("ok");
  const json page = Get("analyses?state=failed");
  ASSERT_EQ(page["analyses"].size(), 1U);
  EXPECT_EQ(page["analyses"][0]["id"], failed);
  EXPECT_THAT(page["analyses"][0]["error"].get<std::string>(), HasSubstr("broken"));
  EXPECT_THAT(Get("analyses?track=none")["analyses"], IsEmpty());
}

TEST_F(PageRoutesTest, ARunningAnalysisHasNoReport) {
  const std::string id = MustCreate(MakeSpec("hang"));
  WaitForRunnerPid(id);
  const json analysis = Get("analyses/" + id);
  EXPECT_EQ(analysis["state"], "running");
  EXPECT_EQ(analysis.count("report"), 0U);
  EXPECT_TRUE(analysis["end_time"].is_null());
  EXPECT_THAT(Ask("/api/v1/analyses/" + id + "/layers"), AllOf(StartsWith("HTTP/1.1 409 "), HasSubstr("FAILED_PRECONDITION")));
}

TEST_F(PageRoutesTest, AnAnalysisItsLayersAndChannels) {
  v1::AnalysisSpec spec = MakeSpec("layers 5");
  spec.add_targets("generic-int8");
  const std::string id = "analyses/" + WatchToEnd(MustCreate(spec)).id();
  const json analysis = Get(id);
  EXPECT_EQ(analysis["report"]["layer_count"], 5);
  ASSERT_EQ(analysis["report"]["targets"].size(), 2U);
  EXPECT_EQ(analysis["report"]["targets"][1]["name"], "generic-int8");

  std::vector<std::string> names;
  std::string token;
  do {
    const json page = Get(id + "/layers?target=generic-int8&page_size=2&page_token=" + token);
    for (const json& layer : page["layers"]) names.push_back(layer["name"]);
    token = page["next_page_token"];
  } while (!token.empty());
  EXPECT_THAT(names, ElementsAre("layer0", "layer1", "layer2", "layer3", "layer4"));

  const json layer = Get(id + "/layers/3?target=generic-int8&input=0");
  EXPECT_EQ(layer["layer"]["name"], "layer3");
  EXPECT_EQ(layer["channel_count"], 2);
  EXPECT_EQ(Get(id + "/layers/3/channels?target=generic-int8&input=0")["count"].size(), 2U);
  EXPECT_EQ(Get(id + "/layers/3/channels"), Get(id + "/layers/3/channels?target=pytorch-qnnpack&input=0"));
  EXPECT_TRUE(Get(id + "/graph")["nodes"].is_null());
}

TEST_F(PageRoutesTest, TwoAnalysesCompared) {
  const std::string before = Run("ok").id(), after = Run("ok").id();
  const json comparison = Get("compare?before=" + before + "&after=" + after + "&target=pytorch-qnnpack");
  EXPECT_THAT(comparison["movements"], IsEmpty());
  EXPECT_EQ(comparison["target"], "pytorch-qnnpack");
  EXPECT_FALSE(comparison["layers"].empty());
}

TEST_F(PageRoutesTest, NoAnalysisIsTracked) {
  Run("ok");
  EXPECT_THAT(Get("tracks")["tracks"], IsEmpty());
  EXPECT_THAT(Ask("/api/v1/tracks/a%2Fb"), AllOf(StartsWith("HTTP/1.1 404 "), HasSubstr("'a/b'")));
}

TEST_F(PageRoutesTest, ReportsAsFiles) {
  const std::string id = Run("ok").id();
  const std::string path = "/api/v1/analyses/" + id + "/report?format=";
  EXPECT_THAT(Ask(path + "json"), AllOf(HasSubstr("attachment; filename=\"qatgap-" + id + ".json\""), HasSubstr("\"statistics\"")));
  EXPECT_THAT(Ask(path + "html"), AllOf(HasSubstr("Content-Type: text/html"), HasSubstr("attachment;"), HasSubstr("qatgap-data")));
  EXPECT_THAT(Ask(path + "markdown"), AllOf(HasSubstr(".md\""), HasSubstr("# a title")));
  EXPECT_THAT(Ask(path + "csv"), AllOf(HasSubstr("Content-Type: text/csv"), HasSubstr("\r\npytorch-qnnpack,0,layer0,")));
  grpc::Status status;
  EXPECT_EQ(BodyOf(Ask(path + "csv")), Report(id, v1::REPORT_FORMAT_CSV, &status));
  EXPECT_THAT(status, GrpcOk());
}

TEST_F(PageRoutesTest, ADeletedAnalysisIsGoneThoughItWasRead) {
  const std::string id = Run("ok").id();
  Get("analyses/" + id + "/layers");
  grpc::ClientContext context;
  v1::DeleteAnalysisRequest request;
  request.set_id(id);
  v1::DeleteAnalysisResponse response;
  ASSERT_THAT(analyses->DeleteAnalysis(&context, request, &response), GrpcOk());
  EXPECT_THAT(Ask("/api/v1/analyses/" + id + "/layers"), StartsWith("HTTP/1.1 404 "));
}

TEST_F(PageRoutesTest, HostileNamesArriveAsText) {
  v1::AnalysisSpec spec = MakeSpec("ok");
  const std::string hostile = "<img src=x onerror=alert(1)>\"\\";
  spec.set_title(hostile);
  const std::string id = WatchToEnd(MustCreate(spec)).id();
  EXPECT_EQ(Get("analyses/" + id)["title"], hostile);
  EXPECT_THAT(Ask("/api/v1/analyses/" + id + "/report?format=html"), Not(HasSubstr("<img")));
}

struct Wrong {
  std::string name, path, status, code;
};
class WrongRequests : public PageRoutesTest, public ::testing::WithParamInterface<Wrong> {};
TEST_P(WrongRequests, GetAnErrorThatTells) {
  const std::string id = Run("ok").id();
  std::string path = GetParam().path;
  if (const std::size_t at = path.find("ID"); at != std::string::npos) path.replace(at, 2, id);
  const std::string answer = Ask(path);
  EXPECT_THAT(answer, AllOf(StartsWith("HTTP/1.1 " + GetParam().status + " "), HasSubstr("Cache-Control: no-store")));
  const json body = json::parse(BodyOf(answer), nullptr, /*allow_exceptions=*/false);
  EXPECT_EQ(body["error"]["code"], GetParam().code) << answer;
  EXPECT_THAT(body["error"]["message"].get<std::string>(), Not(IsEmpty()));
}
const std::string kApi = "/api/v1/";
INSTANTIATE_TEST_SUITE_P(
    PageRoutesTest, WrongRequests,
    ::testing::Values(
        Wrong{"Path", "/nothing", "404", "NOT_FOUND"}, Wrong{"PathUpwards", "/../../etc/passwd", "404", "NOT_FOUND"},
        Wrong{"PathUpwardsEncoded", "/%2e%2e/%2e%2e/etc/passwd", "404", "NOT_FOUND"}, Wrong{"PathWithNul", "/app.js%00", "404", "NOT_FOUND"},
        Wrong{"Endpoint", kApi + "nothing", "404", "NOT_FOUND"}, Wrong{"EmptyEndpoint", kApi, "404", "NOT_FOUND"},
        Wrong{"Part", kApi + "analyses/ID/nothing", "404", "NOT_FOUND"},
        Wrong{"PartOfALayer", kApi + "analyses/ID/layers/0/nothing", "404", "NOT_FOUND"},
        Wrong{"PartOfChannels", kApi + "analyses/ID/layers/0/channels/1", "404", "NOT_FOUND"},
        Wrong{"Analysis", kApi + "analyses/no-such", "404", "NOT_FOUND"},
        Wrong{"AnalysisWithoutId", kApi + "analyses/", "400", "INVALID_ARGUMENT"},
        Wrong{"AnalysisOfAHostileName", kApi + "analyses/%27%3B%20DROP%20TABLE%20analyses%3B", "404", "NOT_FOUND"},
        Wrong{"LongId", kApi + "analyses/" + std::string(5000, 'a'), "400", "INVALID_ARGUMENT"},
        Wrong{"Layer", kApi + "analyses/ID/layers/99", "404", "NOT_FOUND"}, Wrong{"LayerBelowZero", kApi + "analyses/ID/layers/-1", "404", "NOT_FOUND"},
        Wrong{"LayerNoNumber", kApi + "analyses/ID/layers/x", "400", "INVALID_ARGUMENT"},
        Wrong{"LayerHuge", kApi + "analyses/ID/layers/99999999999999999999", "400", "INVALID_ARGUMENT"},
        Wrong{"Input", kApi + "analyses/ID/layers/0?input=7", "404", "NOT_FOUND"},
        Wrong{"InputNoNumber", kApi + "analyses/ID/layers/0?input=%00", "400", "INVALID_ARGUMENT"},
        Wrong{"Target", kApi + "analyses/ID/layers?target=none", "404", "NOT_FOUND"},
        Wrong{"Sort", kApi + "analyses/ID/layers?sort=size", "400", "INVALID_ARGUMENT"},
        Wrong{"PageSizeNegative", kApi + "analyses?page_size=-1", "400", "INVALID_ARGUMENT"},
        Wrong{"PageSizeNoNumber", kApi + "analyses?page_size=many", "400", "INVALID_ARGUMENT"},
        Wrong{"PageToken", kApi + "analyses?page_token=AAAA", "400", "INVALID_ARGUMENT"},
        Wrong{"PageTokenOfAnotherListing", kApi + "analyses/ID/layers?page_token=MTphbmFseXNlczow", "400", "INVALID_ARGUMENT"},
        Wrong{"State", kApi + "analyses?state=done", "400", "INVALID_ARGUMENT"},
        Wrong{"Format", kApi + "analyses/ID/report?format=pdf", "400", "INVALID_ARGUMENT"},
        Wrong{"CompareWithout", kApi + "compare", "400", "INVALID_ARGUMENT"},
        Wrong{"CompareUnknown", kApi + "compare?before=ID&after=none", "404", "NOT_FOUND"},
        Wrong{"TrackWithoutName", kApi + "tracks/", "404", "NOT_FOUND"}),
    [](const auto& param) { return param.param.name; });

TEST_F(PageRoutesTest, AHugePageSizeMeansTheMost) {
  Run("ok");
  EXPECT_EQ(Get("analyses?page_size=9223372036854775807")["analyses"].size(), 1U);
}

class PageStartTest : public ServerTest {
 protected:
  absl::Status StartWith(const std::string& http_listen, bool insecure = false) {
    options.http_listen = http_listen;
    options.insecure = insecure;
    auto started = Server::Start(options, nullptr, std::make_unique<FakeClock>(now));
    return started.status();
  }
};

TEST_F(PageStartTest, OtherHostsMayNotReachItWithoutInsecure) {
  const absl::Status status = StartWith("0.0.0.0:0");
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), AllOf(StartsWith("--http-listen:"), HasSubstr("--insecure")));
}

TEST_F(PageStartTest, AMalformedAddressOrAUnixSocketIsRefused) {
  for (const char* address : {"host", "unix:/tmp/x", "127.0.0.1:99999"}) {
    const absl::Status status = StartWith(address);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << address;
    EXPECT_THAT(std::string(status.message()), StartsWith("--http-listen:"));
  }
}

}  // namespace
}  // namespace qatgap::server
