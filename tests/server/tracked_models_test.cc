// Analyses with a track, over the wire: what the metrics show of them, and when.
#include <regex>
#include <set>

#include "absl/strings/str_cat.h"
#include "server/metrics/metric_descriptions.h"
#include "tests/server/raw_call.h"
#include "tests/server/server_fixture.h"

namespace qatgap::server {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class TrackedModelsWireTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    options.metrics_listen = "127.0.0.1:0";
  }

  std::string RunTracked(const std::string& script, const std::string& track) {
    v1::AnalysisSpec spec = MakeSpec(script);
    spec.set_track(track);
    const v1::Analysis ended = WatchToEnd(MustCreate(spec));
    EXPECT_EQ(ended.spec().track(), track);
    return ended.id();
  }

  // The values of a label of a metric.
  std::set<std::string> Values(const std::string& metric, const std::string& label) {
    const std::string text = Scrape(server->metrics_address());
    const std::regex series(absl::StrCat("\n", metric, "\\{[^\n]*", label, "=\"([^\"]*)\""));
    std::set<std::string> values;
    for (std::sregex_iterator match(text.begin(), text.end(), series), end; match != end; ++match) {
      values.insert((*match)[1]);
    }
    return values;
  }
  std::set<std::string> Layers() { return Values("qatgap_layer_changed_ratio", "layer"); }

  v1::ListAnalysesResponse List(const v1::ListAnalysesRequest& request, grpc::Status* status) {
    grpc::ClientContext context;
    v1::ListAnalysesResponse response;
    *status = analyses->ListAnalyses(&context, request, &response);
    return response;
  }
};

TEST_F(TrackedModelsWireTest, TheNextAnalysisReplacesTheSeries) {
  Start();
  EXPECT_THAT(Layers(), IsEmpty());
  RunTracked("layers 3", "net");
  EXPECT_THAT(Layers(), ElementsAre("layer0", "layer1", "layer2"));
  RunTracked("layers 1", "net");
  EXPECT_THAT(Layers(), ElementsAre("layer0"));
  RunTracked("crash", "net");
  EXPECT_THAT(Layers(), ElementsAre("layer0")) << "a failure shows nothing";
  Run("layers 3");
  EXPECT_THAT(Layers(), ElementsAre("layer0")) << "one without a track shows nothing";
}

TEST_F(TrackedModelsWireTest, RestoredFromTheStore) {
  options.tracks.max_tracks = 2;
  Start();
  for (const char* track : {"a", "b", "c"}) RunTracked("layers 2", track);
  RunTracked("layers 1", "b");
  RunTracked("crash", "b");
  Stop();
  Start();
  EXPECT_THAT(Values("qatgap_track_samples", "track"), ElementsAre("b", "c")) << "the newest ones";
  EXPECT_THAT(Scrape(server->metrics_address()),
              HasSubstr("\nqatgap_track_exported_layers{track=\"b\",target=\"pytorch-qnnpack\"} 1\n"));
}

TEST_F(TrackedModelsWireTest, ADeletionUncoversTheOneBefore) {
  Start();
  const std::string first = RunTracked("layers 2", "net");
  const std::string second = RunTracked("layers 1", "net");
  const auto remove = [&](const std::string& id) {
    grpc::ClientContext context;
    v1::DeleteAnalysisRequest request;
    request.set_id(id);
    v1::DeleteAnalysisResponse response;
    EXPECT_THAT(analyses->DeleteAnalysis(&context, request, &response), GrpcOk());
  };
  remove(second);
  EXPECT_THAT(Layers(), ElementsAre("layer0", "layer1"));
  remove(first);
  EXPECT_THAT(Layers(), IsEmpty());
}

TEST_F(TrackedModelsWireTest, LayersBeyondTheLimitAreCounted) {
  options.tracks.max_layers = 2;
  Start();
  RunTracked("layers 5", "net");
  EXPECT_EQ(Layers().size(), 2U);
  EXPECT_THAT(Scrape(server->metrics_address()),
              AllOf(HasSubstr("\nqatgap_track_dropped_layers{track=\"net\",target=\"pytorch-qnnpack\"} 3\n"),
                    HasSubstr("\nqatgap_tracked_layers_limit 2\n")));
}

TEST_F(TrackedModelsWireTest, ListsTheAnalysesOfATrack) {
  Start();
  const std::string first = RunTracked("ok", "net");
  const std::string second = RunTracked("ok", "net");
  RunTracked("ok", "other");
  Run("ok");
  v1::ListAnalysesRequest request;
  request.set_track("net");
  request.set_page_size(1);
  grpc::Status status;
  v1::ListAnalysesResponse page = List(request, &status);
  ASSERT_THAT(status, GrpcOk());
  ASSERT_EQ(page.analyses_size(), 1);
  EXPECT_EQ(page.analyses(0).id(), second);
  request.set_page_token(page.next_page_token());
  page = List(request, &status);
  ASSERT_EQ(page.analyses_size(), 1);
  EXPECT_EQ(page.analyses(0).id(), first);
  EXPECT_EQ(page.next_page_token(), "");
  request.set_track("other");
  List(request, &status);
  EXPECT_THAT(status, GrpcStatusIs(grpc::INVALID_ARGUMENT, HasSubstr("page_token"))) << "of another listing";
}

TEST_F(TrackedModelsWireTest, TracksHaveAnAlphabet) {
  Start();
  v1::AnalysisSpec spec = MakeSpec("ok");
  v1::Analysis analysis;
  for (const std::string& track : {std::string("a b"), std::string("\""), std::string("a\nb"), std::string("\xc3\xa9"),
                                   std::string("a\0b", 3), std::string(65, 'a')}) {
    spec.set_track(track);
    EXPECT_THAT(Create(spec, &analysis), GrpcStatusIs(grpc::INVALID_ARGUMENT, StartsWith("spec.track: "))) << track;
    v1::ListAnalysesRequest request;
    request.set_track(track);
    grpc::Status status;
    List(request, &status);
    EXPECT_THAT(status, GrpcStatusIs(grpc::INVALID_ARGUMENT, StartsWith("track: "))) << track;
  }
  spec.set_track("Az09_.-" + std::string(57, 'a'));
  EXPECT_THAT(Create(spec, &analysis), GrpcOk());
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

// What the page of a server serves is what the descriptions say, and every metric has a series.
TEST_F(TrackedModelsWireTest, DescribedMetricsAreTheServedOnes) {
  Start();
  RunTracked("paths", "net");
  const std::string text = Scrape(server->metrics_address());
  std::map<std::string, std::string> types;
  std::map<std::string, std::set<std::string>> labels;
  for (const MetricDescription& description : MetricDescriptions()) {
    types[description.name] = std::string(ToString(description.type));
    if (!description.labels.empty()) labels[description.name] = {description.labels.begin(), description.labels.end()};
    const std::string series = description.type == MetricType::kHistogram ? absl::StrCat(description.name, "_count")
                                                                          : std::string(description.name);
    EXPECT_TRUE(std::regex_search(text, std::regex(absl::StrCat("\n", series, "[{ ]")))) << series;
    EXPECT_THAT(text, HasSubstr(absl::StrCat("# HELP ", description.name, " ", description.help, "\n")));
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
