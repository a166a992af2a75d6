// How fast a target turns accumulators into output codes, against the bound that memory sets: a loop that reads and writes
// the same bytes and adds 1. Both run in turn within every iteration, so their ratio is of one moment on one machine.
//   build/release/bin/requantization_benchmark            the table of docs/targets.md
//   build/release/bin/requantization_benchmark --check    results only: Requantize equals TraceRequantization
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "analyzers/numerics/layer_arithmetic.h"
#include "analyzers/numerics/target.h"

namespace qatgap::numerics {
namespace {

constexpr std::size_t kChannels = 64;
constexpr std::size_t kElements = std::size_t{1} << 18;  // a channel; 64 MiB of accumulators in all, beyond any cache

LayerArithmetic MakeLayer(const TargetDescription& target) {
  MacConstants constants;
  constants.channels = kChannels;
  constants.input = {.scales = {0x1p-7}, .zero_points = {3}};
  constants.output = {.scales = {0x1p-3}, .zero_points = {5}};
  constants.weight = {.scales = std::vector<double>(kChannels, 0x1p-8),
                      .zero_points = std::vector<std::int64_t>(kChannels, 0),
                      .quant_min = -128,
                      .quant_max = 127,
                      .axis = 0};
  if (target.scales == ScaleRequirement::kAny) {
    // Real multipliers are no powers of two.
    for (std::size_t c = 0; c < kChannels; ++c) constants.weight.scales[c] *= 0.7 + 0.003 * static_cast<double>(c);
  }
  for (std::size_t c = 0; c < kChannels; ++c) constants.bias.push_back(0.01 * static_cast<double>(c) - 0.3);
  return LayerArithmetic::Create(target, constants).value();
}

std::vector<std::int32_t> MakeAccumulators(std::size_t count) {
  std::mt19937 generator(1);
  std::uniform_int_distribution<std::int32_t> value(-200'000, 200'000);
  std::vector<std::int32_t> accumulators(count);
  for (std::int32_t& a : accumulators) a = value(generator);
  return accumulators;
}

__attribute__((noinline)) void ReadAndWrite(std::span<const std::int32_t> in, std::span<std::int32_t> out) {
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = in[i] + 1;
}

double SecondsOf(auto&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

void Run(benchmark::State& state, const TargetDescription& target) {
  static const std::vector<std::int32_t> accumulators = MakeAccumulators(kChannels * kElements);
  static std::vector<std::int32_t> codes(accumulators.size());
  const LayerArithmetic layer = MakeLayer(target);
  const auto row = [](auto& values, std::size_t c) { return std::span(values).subspan(c * kElements, kElements); };
  std::vector<double> of_bound, bound_rate;
  for (auto _ : state) {
    const double bound = SecondsOf([&] {
      for (std::size_t c = 0; c < kChannels; ++c) ReadAndWrite(row(accumulators, c), row(codes, c));
    });
    benchmark::DoNotOptimize(codes.data());
    const double seconds = SecondsOf([&] {
      for (std::size_t c = 0; c < kChannels; ++c) {
        layer.Codes(ArithmeticStage::kRequantized, static_cast<std::int64_t>(c), row(accumulators, c), row(codes, c));
      }
    });
    benchmark::DoNotOptimize(codes.data());
    state.SetIterationTime(seconds);
    of_bound.push_back(bound / seconds);
    bound_rate.push_back(static_cast<double>(codes.size()) / bound);
  }
  const double elements = static_cast<double>(codes.size()) * static_cast<double>(state.iterations());
  state.counters["elements/s"] = benchmark::Counter(elements, benchmark::Counter::kIsRate);
  state.counters["bound/s"] = Median(bound_rate);
  state.counters["of_bound"] = Median(of_bound);
}

// The loops that are timed give what the arithmetic says, for every target.
int Check() {
  const std::vector<std::int32_t> accumulators = MakeAccumulators(10'000);
  std::vector<std::int32_t> codes(accumulators.size());
  for (const TargetDescription& target : ShippedTargets()) {
    if (target.scales != ScaleRequirement::kAny) continue;
    const LayerArithmetic layer = MakeLayer(target);
    for (const std::int64_t channel : {0, 17, 63}) {
      layer.Codes(ArithmeticStage::kRequantized, channel, accumulators, codes);
      for (std::size_t i = 0; i < codes.size(); ++i) {
        const RequantTrace trace = TraceRequantization(layer.target(channel), layer.requant_constants(channel),
                                                       layer.output_range(), accumulators[i]);
        if (trace.code == codes[i]) continue;
        std::fprintf(stderr, "%s: A = %d gives %d, step by step %d\n", target.name.c_str(), accumulators[i], codes[i],
                     trace.code);
        return 1;
      }
    }
    std::printf("%s: %zu elements as step by step\n", target.name.c_str(), 3 * codes.size());
  }
  return 0;
}

}  // namespace
}  // namespace qatgap::numerics

int main(int argc, char** argv) {
  using qatgap::numerics::TargetDescription;
  if (argc == 2 && std::string_view(argv[1]) == "--check") return qatgap::numerics::Check();
  for (const TargetDescription& target : qatgap::numerics::ShippedTargets()) {
    if (target.scales != qatgap::numerics::ScaleRequirement::kAny) continue;
    benchmark::RegisterBenchmark(target.name.c_str(), [target](benchmark::State& state) {
      qatgap::numerics::Run(state, target);
    })->UseManualTime()->Iterations(15)->Unit(benchmark::kMillisecond);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
