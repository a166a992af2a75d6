#include "analyzers/report/views/views.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/report/sample_report.h"
#include "tests/analyzers/report/small_report.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::report::views {
namespace {

using qatgap::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Json Parse(const char* text) { return Json::parse(text); }

std::vector<std::string> NamesOf(const Json& layers) {
  std::vector<std::string> names;
  for (const Json& layer : layers) names.push_back(layer["name"]);
  return names;
}

TEST(OverviewTest, ATargetsTotalsSharesAndOutputs) {
  const IndexedReport report(SmallReport());
  const Json overview = OverviewOf(report);
  const Json& target = overview["targets"][0];
  EXPECT_EQ(target["name"], "t1");
  EXPECT_EQ(target["coverage"], Parse(R"({"analysed": 2, "mac_layers": 2})"));
  // Of 300 codes 7 moved: 6 by conversion, 1 by bias rounding.
  EXPECT_EQ(target["totals"]["total"],
            Json({{"count", 300}, {"changed", 7}, {"max_absolute", 1}, {"changed_rate", 7.0 / 300}}));
  EXPECT_EQ(target["totals"]["bias_rounding"]["changed"], 1);
  EXPECT_EQ(target["shares"]["conversion"], 6.0 / 7);
  EXPECT_EQ(target["shares"]["bias_rounding"], 1.0 / 7);
  EXPECT_EQ(target["headline"], VerdictOf(report.report(), report.result().targets[0]).headline);
  EXPECT_EQ(target["paths"][0]["path"], "target");
  EXPECT_EQ(target["paths"][0]["top1_changed"], 1);
  EXPECT_EQ(target["paths"][0]["outputs"][0]["changed_rate"], 0.25);
  EXPECT_EQ(target["paths"][0]["outputs"][0].count("cross_total"), 0U);
  EXPECT_EQ(target["paths"][0]["outputs"][0].count("reference_sum"), 0U);
  EXPECT_EQ(overview["layer_count"], 2);
  EXPECT_EQ(overview["inputs"]["qat_model"], Parse(R"({"name": "m.pt", "sha256": "aa", "bytes": 5})"));
  EXPECT_TRUE(overview["inputs"]["labels"].is_null());
}

// Layer "b" as deployed changes `plain` of 100 outputs against the trained model, with 16 bits of bias `wide`.
Report WithWhatIfs(std::uint64_t plain, std::uint64_t wide) {
  Report report = SmallReport();
  const auto row = [](WhatIf what_if, std::uint64_t changed) {
    return WhatIfRow{.what_if = what_if,
                     .measured = true,
                     .is_remedy = what_if != WhatIf::kPlain,
                     .against_float_bias = Moved(100, changed / 2, 0),
                     .against_fake_quant = Moved(100, changed, 0)};
  };
  report.result.targets[0].what_ifs = {
      {.layer = 1,
       .calibration_samples = 4,
       .rows = {row(WhatIf::kPlain, plain), row(WhatIf::kStorage16, wide),
                {.what_if = WhatIf::kExplicitAdd, .note = "the target has no add"}}}};
  return report;
}

TEST(WhatIfsTest, OfATargetWaysAndWhatIsRecommended) {
  const Json what_ifs = OverviewOf(IndexedReport(WithWhatIfs(20, 6)))["targets"][0]["what_ifs"];
  ASSERT_EQ(what_ifs["ways"].size(), 2U) << "the add was not measured";
  EXPECT_EQ(what_ifs["ways"][1], Parse(R"({"what_if": "storage_16_bits", "words": "bias stored in 16 bits", "layers": 1,
      "better": 1, "worse": 0, "count": 100, "changed_before": 20, "changed_after": 6, "changed_rate": 0.06})"));
  EXPECT_EQ(what_ifs["recommended"], Parse(R"([{"layer_index": 1, "input_index": 0, "title": "b",
      "what_if": "storage_16_bits", "advice": "store the bias in 16 bits", "count": 100, "changed_before": 20,
      "changed_after": 6, "gain_rate": 0.14}])"));
}

TEST(WhatIfsTest, NothingIsRecommendedThatDoesNotHelp) {
  const Json what_ifs = OverviewOf(IndexedReport(WithWhatIfs(20, 20)))["targets"][0]["what_ifs"];
  EXPECT_THAT(what_ifs["recommended"], IsEmpty());
}

TEST(WhatIfsTest, OfALayerEveryRow) {
  const IndexedReport report(WithWhatIfs(20, 6));
  const auto layer = LayerOf(report, {.target = "t1", .layer = 1});
  ASSERT_TRUE(layer.ok()) << layer.status();
  const Json& what_ifs = (*layer)["what_ifs"];
  EXPECT_EQ(what_ifs["calibration_samples"], 4);
  EXPECT_EQ(what_ifs["recommendation"]["changed_after"], 6);
  ASSERT_EQ(what_ifs["rows"].size(), 3U);
  EXPECT_EQ(what_ifs["rows"][1]["against_fake_quant"]["changed"], 6);
  EXPECT_EQ(what_ifs["rows"][1]["against_float_bias"]["changed"], 3);
  EXPECT_EQ(what_ifs["rows"][2], Parse(R"({"what_if": "explicit_add", "words": "bias in a quantized add behind the layer",
      "note": "the target has no add", "against_fake_quant": null, "against_float_bias": null})"));
}

TEST(WhatIfsTest, NullWhereNotAskedFor) {
  const IndexedReport report(SmallReport());
  EXPECT_TRUE(OverviewOf(report)["targets"][0]["what_ifs"].is_null());
  const auto layer = LayerOf(report, {.target = "t1", .layer = 1});
  ASSERT_TRUE(layer.ok()) << layer.status();
  EXPECT_TRUE((*layer)["what_ifs"].is_null());
}

TEST(OverviewTest, AFindingNamesItsLayer) {
  const Json overview = OverviewOf(IndexedReport(SmallReport()));
  EXPECT_EQ(overview["findings"], Parse(R"([{"id": "QG001", "severity": "error", "title": "Saturates", "layer": "b",
      "layer_index": 1, "target": "t1", "channels": [0], "detail": "d", "advice": "do"}])"));
}

TEST(LayersTest, ARow) {
  const auto page = LayersOf(IndexedReport(SmallReport()), "t1", LayerOrder::kExecution, 0, 10);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->next, 0U);
  ASSERT_THAT(NamesOf(page->layers), ElementsAre("a", "b"));
  const Json& row = page->layers[0];
  EXPECT_EQ(row["channels"], 2);
  EXPECT_EQ(row["source_line"], "m.py:3");
  EXPECT_EQ(row["findings"], Parse(R"({"error": 0, "warning": 0, "info": 0})"));
  // Two channels of 100 codes: 2 and 1 moved in the first. The signal is all zero: reference 10, zero point 10.
  EXPECT_EQ(row["causes"]["total"], Parse(R"({"count": 200, "changed": 3, "changed_rate": 0.015, "max_absolute": 1,
      "sqnr_db": null, "share": 1.0})"));
  EXPECT_EQ(row["causes"]["conversion"]["share"], 2.0 / 3);
  EXPECT_TRUE(row["causes"]["engine_residual"].is_null());
  EXPECT_EQ(row["accumulated"], Parse(R"({"fake_quant>target": {"changed_rate": 0.05, "max_absolute": 1, "sqnr_db": null}})"));
  EXPECT_EQ(page->layers[1]["findings"]["error"], 1);
}

TEST(LayersTest, AFindingOfAnotherTargetIsNotCounted) {
  const auto page = LayersOf(IndexedReport(SmallReport()), "t2", LayerOrder::kExecution, 0, 10);
  EXPECT_EQ(page->layers[1]["findings"]["error"], 0);
}

TEST(LayersTest, Orders) {
  const IndexedReport report(SmallReport());
  const auto names = [&](LayerOrder order) { return NamesOf(LayersOf(report, "", order, 0, 10)->layers); };
  EXPECT_THAT(names(LayerOrder::kExecution), ElementsAre("a", "b"));
  EXPECT_THAT(names(LayerOrder::kChanged), ElementsAre("b", "a"));  // 4 % against 1.5 %
  EXPECT_THAT(names(LayerOrder::kBias), ElementsAre("a", "b"));     // 0.5 % against none
  EXPECT_THAT(ParseLayerOrder("size"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("changed")));
}

TEST(LayersTest, PagesHoldEachLayerOnce) {
  const IndexedReport report(RealisticReport(7));
  std::vector<std::string> names;
  std::size_t first = 0, pages = 0;
  do {
    const auto page = LayersOf(report, "", LayerOrder::kExecution, first, 3);
    ASSERT_TRUE(page.ok());
    for (const std::string& name : NamesOf(page->layers)) names.push_back(name);
    first = page->next;
    ++pages;
  } while (first != 0);
  EXPECT_EQ(pages, 3U);
  EXPECT_EQ(names, NamesOf(LayersOf(report, "", LayerOrder::kExecution, 0, 100)->layers));
  EXPECT_EQ(names.size(), 7U);
  EXPECT_THAT(LayersOf(report, "", LayerOrder::kExecution, 99, 3)->layers, IsEmpty());
}

TEST(LayersTest, AnUnknownTargetIsNamedWithTheKnownOnes) {
  EXPECT_THAT(LayersOf(IndexedReport(SmallReport()), "t9", LayerOrder::kExecution, 0, 1).status(),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("'t9', only t1, t2")));
}

TEST(LayerTest, ItsFacts) {
  const auto layer = LayerOf(IndexedReport(SmallReport()), {.target = "t2", .layer = 0});
  ASSERT_TRUE(layer.ok()) << layer.status();
  EXPECT_EQ((*layer)["layer"]["name"], "a");
  EXPECT_EQ((*layer)["layer"]["weight_shape"], Parse("[2, 1, 1, 1]"));
  EXPECT_EQ((*layer)["target"], "t2");
  EXPECT_EQ((*layer)["targets"], Parse(R"(["t1", "t2"])"));
  EXPECT_EQ((*layer)["inputs"], 2);
  EXPECT_EQ((*layer)["channel_count"], 2);
  EXPECT_EQ((*layer)["input"]["zero_points"], Parse("[10]"));
  EXPECT_EQ((*layer)["causes"]["total"]["histogram"][10], 3);
  EXPECT_EQ((*layer)["causes"]["total"]["sum"], 3);
  EXPECT_EQ((*layer)["accumulated"]["fake_quant>target"]["changed"], 10);
  EXPECT_THAT((*layer)["findings"], IsEmpty());
  EXPECT_EQ((*LayerOf(IndexedReport(SmallReport()), {.target = "t1", .layer = 1}))["findings"][0]["id"], "QG001");
}

TEST(LayerTest, WhatIsNotThere) {
  const IndexedReport report(SmallReport());
  for (const LayerAddress& address : {LayerAddress{.target = "t1", .layer = 2}, LayerAddress{.target = "t1", .layer = -1},
                                      LayerAddress{.target = "t1", .layer = 0, .input = 1}, LayerAddress{.target = "t9"}}) {
    EXPECT_THAT(LayerOf(report, address).status(), StatusIs(absl::StatusCode::kNotFound, ::testing::_));
    EXPECT_THAT(ChannelsOf(report, address).status(), StatusIs(absl::StatusCode::kNotFound, ::testing::_));
  }
}

TEST(ChannelsTest, Columns) {
  const auto channels = ChannelsOf(IndexedReport(SmallReport()), {.target = "t1"});
  ASSERT_TRUE(channels.ok()) << channels.status();
  EXPECT_EQ((*channels)["bias_real"], Parse("[1.0, -2.0]"));
  EXPECT_EQ((*channels)["bias_rounded"], Parse("[4, -8]"));
  EXPECT_EQ((*channels)["bias_stored"], Parse("[4, -8]"));
  EXPECT_EQ((*channels)["bias_saturated"], Parse("[false, false]"));
  EXPECT_EQ((*channels)["bias_residual_lsb"], Parse("[0.123457, 0.123457]")) << "six digits";
  EXPECT_EQ((*channels)["multiplier"], Parse("[0.333333, 0.333333]"));
  EXPECT_EQ((*channels)["count"], Parse("[100, 100]"));
  EXPECT_EQ((*channels)["causes"]["conversion"], Parse(R"({"changed": [2, 0], "max_absolute": [1, 0], "sum": [2, 0]})"));
  EXPECT_TRUE((*channels)["causes"]["engine_residual"].is_null());
}

TEST(NetworkTest, NodesAndTheirLayers) {
  EXPECT_EQ(NetworkOf(IndexedReport(SmallReport()))["nodes"][2],
            Parse(R"({"id": 2, "name": "b", "kind": "linear", "layer_index": 1, "module": "", "branch": "", "inputs": [1]})"));
  EXPECT_TRUE(NetworkOf(IndexedReport(SmallReport()))["nodes"][0]["layer_index"].is_null());
  Report old = SmallReport();
  old.result.network.clear();
  EXPECT_EQ(NetworkOf(IndexedReport(old)), Parse(R"({"nodes": null})"));
}

TEST(ComparisonTest, OfAReportWithItselfNothingMoved) {
  const IndexedReport report(RealisticReport(5));
  const auto comparison = ComparisonOf(report, report, "");
  ASSERT_TRUE(comparison.ok()) << comparison.status();
  EXPECT_THAT((*comparison)["differences"], IsEmpty());
  EXPECT_THAT((*comparison)["movements"], IsEmpty());
  EXPECT_EQ((*comparison)["layers"].size(), 5U);
  EXPECT_EQ((*comparison)["layers"][3]["before"], (*comparison)["layers"][3]["after"]);
}

TEST(ComparisonTest, WhatMovedByItsNameAndSize) {
  Report later = SmallReport();
  later.result.targets[0].layers[1].channels[0].causes[2] = Moved(100, 50, 50);
  later.result.targets[0].layers[1].channels[0].bias.saturated = true;
  later.result.targets[0].layers[1].channels[0].bias.residual_lsb = -7;
  const auto comparison = ComparisonOf(IndexedReport(SmallReport()), IndexedReport(later), "t1");
  ASSERT_TRUE(comparison.ok()) << comparison.status();
  EXPECT_EQ((*comparison)["movements"][0],
            Parse(R"({"layer": "b", "metric": "injected.bias_rounding.changed_rate", "before": 0.0, "after": 0.5})"));
  const auto has = [&](const Json& movement) {
    const Json& all = (*comparison)["movements"];
    return std::find(all.begin(), all.end(), movement) != all.end();
  };
  EXPECT_TRUE(has(Parse(R"({"layer": "b", "metric": "bias.saturated_channels", "before": 0.0, "after": 1.0})")));
  EXPECT_TRUE(has(Parse(R"({"layer": "b", "metric": "bias.max_residual_lsb", "before": 0.123456789, "after": 7.0})")));
  EXPECT_EQ((*comparison)["layers"][1]["before"]["bias_rounding"], 0.0);
  EXPECT_EQ((*comparison)["layers"][1]["after"]["bias_rounding"], 0.5);
}

TEST(ComparisonTest, ALayerThatOneHasAloneStandsBesideNull) {
  Report before = SmallReport(), after = SmallReport();
  before.result.layers[1].name = "old";
  after.result.layers[1].name = "new";
  const auto comparison = ComparisonOf(IndexedReport(before), IndexedReport(after), "t1");
  ASSERT_TRUE(comparison.ok()) << comparison.status();
  EXPECT_THAT((*comparison)["differences"].dump(), HasSubstr("old"));
  ASSERT_THAT(NamesOf((*comparison)["layers"]), ElementsAre("a", "new", "old"));
  EXPECT_TRUE((*comparison)["layers"][1]["before"].is_null());
  EXPECT_EQ((*comparison)["layers"][1]["after"]["changed_rate"], 0.04);
  EXPECT_TRUE((*comparison)["layers"][2]["after"].is_null());
}

TEST(ComparisonTest, BothNeedTheTarget) {
  Report other = SmallReport();
  other.result.targets.pop_back();
  EXPECT_THAT(ComparisonOf(IndexedReport(other), IndexedReport(SmallReport()), "t2").status(),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("t2")));
  EXPECT_THAT(ComparisonOf(IndexedReport(SmallReport()), IndexedReport(other), "t2").status(),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("t2")));
}

TEST(DumpTest, BytesOfAModelsNameBecomeText) {
  Report report = SmallReport();
  report.result.layers[0].name = "\xff<img>\"";
  const std::string text = Dump(LayersOf(IndexedReport(report), "", LayerOrder::kExecution, 0, 1)->layers);
  EXPECT_THAT(text, HasSubstr("\xEF\xBF\xBD<img>\\\""));
  EXPECT_EQ(Json::parse(text)[0]["name"], "\xEF\xBF\xBD<img>\"");
}

TEST(EmptyReportTest, EveryViewIsThere) {
  const IndexedReport report{Report{}};
  EXPECT_THAT(OverviewOf(report)["targets"], IsEmpty());
  EXPECT_THAT(LayersOf(report, "", LayerOrder::kChanged, 0, 5).status(), StatusIs(absl::StatusCode::kNotFound, ::testing::_));
  EXPECT_TRUE(NetworkOf(report)["nodes"].is_null());
}

}  // namespace
}  // namespace qatgap::report::views
