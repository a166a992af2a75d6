#include "server/metrics/tracked_models.h"

#include <prometheus/text_serializer.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qatgap::server {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

TrackedFigures Figures(const std::string& track, int created, std::vector<std::string> layers) {
  TrackedFigures figures;
  figures.track = track;
  figures.analysis_id = absl::StrCat(track, created);
  figures.create_time = absl::FromUnixSeconds(created);
  figures.end_time = absl::FromUnixSeconds(created) + absl::Milliseconds(1500);
  figures.samples = 8;
  TargetFigures& target = figures.targets.emplace_back();
  target.name = "tosa";
  for (std::string& name : layers) {
    LayerFigures& layer = target.layers.emplace_back();
    layer.name = std::move(name);
    layer.causes[static_cast<std::size_t>(report::Cause::kTotal)] = {
        .changed_ratio = 0.25, .max_error_lsb = 3, .sqnr_decibels = {}};
  }
  return figures;
}

// The lines of the page that start with one of the names.
std::vector<std::string> Lines(const TrackedModels& models, std::vector<std::string> names) {
  std::vector<std::string> lines;
  const std::string page = prometheus::TextSerializer().Serialize(models.Collect());
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(page, '\n'))) {
    for (const std::string& name : names) {
      if (line.starts_with(name) && line.find_first_of("{ ") == name.size()) lines.push_back(line);
    }
  }
  return lines;
}

TEST(TrackedModelsTest, SeriesOfALayer) {
  TrackedModels models({.max_layers = 5, .max_tracks = 2});
  models.Show(Figures("net", 100, {"conv"}));
  EXPECT_THAT(Lines(models, {"qatgap_layer_changed_ratio", "qatgap_layer_max_error_lsb", "qatgap_layer_sqnr_decibels"}),
              ElementsAre(R"(qatgap_layer_changed_ratio{track="net",target="tosa",layer="conv",cause="total"} 0.25)",
                          R"(qatgap_layer_max_error_lsb{track="net",target="tosa",layer="conv",cause="total"} 3)"));
  EXPECT_THAT(Lines(models, {"qatgap_track_samples", "qatgap_track_last_success_timestamp_seconds",
                             "qatgap_track_exported_layers", "qatgap_track_dropped_layers", "qatgap_tracks",
                             "qatgap_tracks_limit", "qatgap_tracks_dropped_total", "qatgap_tracked_layers_limit"}),
              UnorderedElementsAre(
                  "qatgap_track_samples{track=\"net\"} 8",
                  "qatgap_track_last_success_timestamp_seconds{track=\"net\"} 101.5",
                  "qatgap_track_exported_layers{track=\"net\",target=\"tosa\"} 1",
                  "qatgap_track_dropped_layers{track=\"net\",target=\"tosa\"} 0", "qatgap_tracks 1",
                  "qatgap_tracks_limit 2", "qatgap_tracks_dropped_total 0", "qatgap_tracked_layers_limit 5"));
}

TEST(TrackedModelsTest, TheNextAnalysisReplacesEverySeries) {
  TrackedModels models({});
  models.Show(Figures("net", 100, {"old", "kept"}));
  models.Show(Figures("net", 101, {"kept"}));
  EXPECT_THAT(Lines(models, {"qatgap_layer_changed_ratio"}),
              ElementsAre(R"(qatgap_layer_changed_ratio{track="net",target="tosa",layer="kept",cause="total"} 0.25)"));
  EXPECT_THAT(Lines(models, {"qatgap_track_exported_layers"}),
              ElementsAre(R"(qatgap_track_exported_layers{track="net",target="tosa"} 1)"));
}

// Two analyses at one time may end in either order.
TEST(TrackedModelsTest, AnOlderAnalysisThatEndsLaterIsNotShown) {
  TrackedModels models({});
  models.Show(Figures("net", 101, {"new"}));
  models.Show(Figures("net", 100, {"old"}));
  EXPECT_THAT(Lines(models, {"qatgap_layer_changed_ratio"}),
              ElementsAre(R"(qatgap_layer_changed_ratio{track="net",target="tosa",layer="new",cause="total"} 0.25)"));
}

TEST(TrackedModelsTest, TheOldestTrackGoesWhereThereAreTooMany) {
  TrackedModels models({.max_layers = 5, .max_tracks = 2});
  for (const auto& [track, created] : std::vector<std::pair<std::string, int>>{{"b", 102}, {"a", 101}, {"c", 103}}) {
    models.Show(Figures(track, created, {}));
  }
  EXPECT_THAT(Lines(models, {"qatgap_track_samples"}),
              ElementsAre("qatgap_track_samples{track=\"b\"} 8", "qatgap_track_samples{track=\"c\"} 8"));
  EXPECT_THAT(Lines(models, {"qatgap_tracks", "qatgap_tracks_dropped_total"}),
              UnorderedElementsAre("qatgap_tracks 2", "qatgap_tracks_dropped_total 1"));
}

TEST(TrackedModelsTest, RemovesTheTrackThatShowsTheAnalysis) {
  TrackedModels models({});
  models.Show(Figures("net", 100, {"conv"}));
  models.Remove("net99");
  EXPECT_THAT(Lines(models, {"qatgap_tracks"}), Contains("qatgap_tracks 1"));
  models.Remove("net100");
  EXPECT_THAT(Lines(models, {"qatgap_tracks"}), Contains("qatgap_tracks 0"));
  EXPECT_THAT(Lines(models, {"qatgap_layer_changed_ratio", "qatgap_track_samples"}), IsEmpty());
}

TEST(TrackedModelsTest, HostileNamesStayInTheirLabel) {
  TrackedModels models({});
  models.Show(Figures("net", 100, {"a\"} 1\nqatgap_tracks 9\n", "back\\slash", "<img onerror=x>"}));
  EXPECT_THAT(
      Lines(models, {"qatgap_layer_changed_ratio", "qatgap_tracks"}),
      UnorderedElementsAre(
          R"(qatgap_layer_changed_ratio{track="net",target="tosa",layer="a\"} 1\nqatgap_tracks 9\n",cause="total"} 0.25)",
          R"(qatgap_layer_changed_ratio{track="net",target="tosa",layer="back\\slash",cause="total"} 0.25)",
          R"(qatgap_layer_changed_ratio{track="net",target="tosa",layer="<img onerror=x>",cause="total"} 0.25)",
          "qatgap_tracks 1"));
}

}  // namespace
}  // namespace qatgap::server
