// How long the web page waits: a report as large as MobileNetV2 under four targets, 60 layers of 17,000 channels in all.
//   build/release/bin/views_benchmark
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "analyzers/report/indexed_report.h"
#include "analyzers/report/static_report/static_report.h"
#include "analyzers/report/views/views.h"
#include "server/result_conversion.h"
#include "tests/analyzers/report/sample_report.h"

namespace qatgap {
namespace {

report::Report LargeReport() {
  std::vector<report::LayerRecipe> layers;
  for (int i = 0; i < 60; ++i) {
    report::LayerRecipe& layer = layers.emplace_back();
    layer.name = absl::StrCat("features.", i / 3, ".conv.", i % 3);
    layer.channels = i == 59 ? 1280 : 266;
    layer.causes = {report::Rate(900),   report::Rate(40000), report::Rate(700), report::Rate(0),
                    report::Rate(0),     report::Rate(18000), report::Rate(0)};
  }
  std::vector<report::TargetRecipe> targets(4);
  for (std::size_t t = 0; t < targets.size(); ++t) {
    targets[t].name = absl::StrCat("target-", t);
    targets[t].layers = layers;
  }
  return report::WithProvenance(report::SampleUnit(targets, 0, /*codes_per_channel=*/64));
}

const report::Report& Large() {
  static const report::Report* report = new report::Report(LargeReport());
  return *report;
}

const report::IndexedReport& Indexed() {
  static const report::IndexedReport* indexed = new report::IndexedReport(Large());
  return *indexed;
}

void Decode(benchmark::State& state) {
  const std::string bytes = server::SerializeResult(Large().result);
  for (auto _ : state) {
    auto result = server::ParseResult(bytes);
    if (!result.ok()) std::abort();
    benchmark::DoNotOptimize(result);
  }
  state.counters["bytes"] = static_cast<double>(bytes.size());
}
void Index(benchmark::State& state) {
  for (auto _ : state) {
    state.PauseTiming();
    report::Report copy = Large();
    state.ResumeTiming();
    benchmark::DoNotOptimize(report::IndexedReport(std::move(copy)));
  }
  state.counters["bytes"] = static_cast<double>(Indexed().bytes());
}
template <typename View>
void Write(benchmark::State& state, View view) {
  std::string text;
  for (auto _ : state) text = report::views::Dump(view(Indexed()));
  state.counters["bytes"] = static_cast<double>(text.size());
}
void Overview(benchmark::State& state) { Write(state, report::views::OverviewOf); }
void Layers(benchmark::State& state) {
  Write(state, [](const report::IndexedReport& report) {
    return report::views::LayersOf(report, "", report::views::LayerOrder::kChanged, 0, 200)->layers;
  });
}
void Layer(benchmark::State& state) {
  Write(state, [](const report::IndexedReport& report) { return *report::views::LayerOf(report, {.target = "", .layer = 59}); });
}
void Channels(benchmark::State& state) {
  Write(state, [](const report::IndexedReport& report) { return *report::views::ChannelsOf(report, {.target = "", .layer = 59}); });
}
void Comparison(benchmark::State& state) {
  Write(state, [](const report::IndexedReport& report) { return *report::views::ComparisonOf(report, report, ""); });
}
void StaticReport(benchmark::State& state) {
  std::string html;
  for (auto _ : state) html = report::WriteHtml(Large());
  state.counters["bytes"] = static_cast<double>(html.size());
}

BENCHMARK(Decode)->Unit(benchmark::kMillisecond);
BENCHMARK(Index)->Unit(benchmark::kMillisecond);
BENCHMARK(Overview)->Unit(benchmark::kMillisecond);
BENCHMARK(Layers)->Unit(benchmark::kMillisecond);
BENCHMARK(Layer)->Unit(benchmark::kMillisecond);
BENCHMARK(Channels)->Unit(benchmark::kMillisecond);
BENCHMARK(Comparison)->Unit(benchmark::kMillisecond);
BENCHMARK(StaticReport)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace qatgap

BENCHMARK_MAIN();
