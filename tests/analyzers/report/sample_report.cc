#include "tests/analyzers/report/sample_report.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"

namespace qatgap::report {
namespace {

constexpr std::size_t kStages = kCauseCount;  // stage 0 and one for each cause before kTotal

numerics::QuantParams Grid(double scale, std::int64_t zero_point) {
  return {.scales = {scale}, .zero_points = {zero_point}, .quant_min = 0, .quant_max = 255};
}

LayerInfo InfoOf(const LayerRecipe& recipe) {
  return {.name = recipe.name,
          .kind = recipe.kind,
          .channels = recipe.channels,
          .weight_shape = {recipe.channels, 16, 3, 3},
          .activation = numerics::Activation::kRelu,
          .output = Grid(0.0235, 3),
          .inputs = {Grid(0.0171, 0)},
          .input_off_grid = false,
          .weights = static_cast<std::uint64_t>(recipe.channels) * 144,
          .weight_codes_changed = static_cast<std::uint64_t>(recipe.channels) * 29};
}

numerics::StoredBias BiasOf(std::int64_t channel, bool integer, bool saturated) {
  const double real = 0.37 * static_cast<double>((channel * 7) % 11 - 5) + 0.013;
  if (!integer) return {.real = real};
  const double scale = saturated ? 1.1e-10 : 7.4e-5;
  const double rounded = std::round(real / scale);
  const auto stored = static_cast<std::int64_t>(std::clamp(rounded, -2147483648.0, 2147483647.0));
  return {.real = real,
          .scale = scale,
          .rounded = rounded,
          .stored = stored,
          .saturated = static_cast<double>(stored) != rounded,
          .residual_lsb = (static_cast<double>(stored) * scale - real) / 0.0235};
}

LayerResult Simulate(const TargetRecipe& target, const LayerRecipe& recipe, std::int64_t index,
                     std::uint32_t seed, std::size_t codes) {
  std::mt19937 random(seed);
  LayerResult result;
  result.layer = index;
  result.samples = 8;
  result.engine_measured = target.engine != numerics::Engine::kNone;
  if (!result.engine_measured) result.engine_note = "no engine is linked in";
  for (std::int64_t channel = 0; channel < recipe.channels; ++channel) {
    const bool saturated = std::find(recipe.saturated.begin(), recipe.saturated.end(), channel) !=
                           recipe.saturated.end();
    std::array<std::vector<std::int32_t>, kStages> stages;
    for (std::size_t i = 0; i < codes; ++i) {
      auto code = static_cast<std::int32_t>(20 + random() % 200);
      stages[0].push_back(code);
      for (std::size_t cause = 0; cause + 1 < kCauseCount; ++cause) {
        const CauseRecipe& rule = recipe.causes[cause];
        const bool applies = static_cast<Cause>(cause) != Cause::kBiasSaturation || saturated;
        if (random() % 1000000 < rule.per_million && applies) {
          code += rule.always_up || random() % 2 == 0 ? rule.step : -rule.step;
        }
        stages[cause + 1].push_back(code);
      }
    }
    std::vector<std::int32_t> whole(codes);
    for (std::size_t i = 0; i < codes; ++i) whole[i] = stages[kStages - 1][i] - stages[0][i];
    ChannelResult measured;
    measured.bias = BiasOf(channel, target.bias_mode == numerics::BiasMode::kInteger, saturated);
    measured.multiplier = 0.0031 + 0.0001 * static_cast<double>(channel);
    for (std::size_t cause = 0; cause + 1 < kCauseCount; ++cause) {
      if (static_cast<Cause>(cause) == Cause::kEngineResidual && !result.engine_measured) continue;
      measured.causes[cause].Add(stages[cause], stages[cause + 1], whole);
    }
    measured.causes[kCauseCount - 1].Add(stages[0], stages[kStages - 1]);
    result.channels.push_back(std::move(measured));
  }
  return result;
}

statistics::DifferenceStatistics Differences(std::uint32_t seed, std::size_t count,
                                             std::uint32_t per_million) {
  std::mt19937 random(seed);
  std::vector<std::int32_t> reference;
  std::vector<std::int32_t> value;
  for (std::size_t i = 0; i < count; ++i) {
    reference.push_back(static_cast<std::int32_t>(random() % 256));
    value.push_back(reference.back() + (random() % 1000000 < per_million ? 1 : 0));
  }
  statistics::DifferenceStatistics s;
  s.Add(reference, value);
  return s;
}

PathComparison Compare(Path path, Path reference, std::uint32_t seed, std::size_t layers,
                       std::uint32_t per_million) {
  PathComparison comparison;
  comparison.path = path;
  comparison.reference = reference;
  comparison.outputs.push_back(Differences(seed, 80, per_million));
  for (std::size_t i = 0; i < layers; ++i) {
    comparison.layers.push_back(
        Differences(seed + static_cast<std::uint32_t>(i) + 1, 256, per_million));
  }
  comparison.top1_changed = per_million > 100000 ? 1 : 0;
  return comparison;
}

}  // namespace

CauseRecipe Rate(std::uint32_t per_million, std::int32_t step) {
  return {.per_million = per_million, .step = step};
}

AnalysisResult SampleUnit(const std::vector<TargetRecipe>& targets, std::uint32_t unit,
                          std::size_t codes_per_channel) {
  AnalysisResult result;
  result.environment = {.tool_version = "0.1.0",
                        .libtorch_version = "2.13.0",
                        .cpu_features = {"avx2", "avx512_vnni"},
                        .engines = {"fbgemm", "qnnpack"},
                        .batch_size = 8,
                        .threads = 1};
  result.qat_format = "TorchScript, traced";
  result.converted_given = true;
  result.outputs = {Grid(0.09, 120)};
  result.samples = 8;
  result.labelled = 8;
  for (const LayerRecipe& layer : targets.front().layers) result.layers.push_back(InfoOf(layer));
  result.mac_layers = static_cast<std::int64_t>(result.layers.size());
  for (const TargetRecipe& recipe : targets) {
    TargetResult target;
    target.name = recipe.name;
    target.title = absl::StrCat("Sample target ", recipe.name);
    target.digest = "00c0ffee";
    target.bias_mode = recipe.bias_mode;
    target.engine = recipe.engine;
    target.evidence = recipe.evidence;
    for (std::size_t i = 0; i < recipe.layers.size(); ++i) {
      target.layers.push_back(Simulate(recipe, recipe.layers[i], static_cast<std::int64_t>(i),
                                       unit * 1000 + static_cast<std::uint32_t>(i),
                                       codes_per_channel));
    }
    const bool integer = recipe.bias_mode == numerics::BiasMode::kInteger;
    target.comparisons.push_back(
        Compare(Path::kTarget, Path::kFakeQuant, unit + 1, result.layers.size(), 150000));
    target.comparisons.push_back(Compare(Path::kQuantizedBias, Path::kFloatBias, unit + 2,
                                         result.layers.size(), integer ? 4000 : 0));
    target.accuracies = {{.path = Path::kFakeQuant, .correct = 7},
                         {.path = Path::kQuantizedBias, .correct = 7},
                         {.path = Path::kTarget, .correct = unit == 1 ? 6U : 7U}};
    result.targets.push_back(std::move(target));
  }
  return result;
}

Report WithProvenance(AnalysisResult result) {
  Report report;
  report.analysis_id = "a-0001";
  report.title = "MobileNet v2, nightly";
  report.create_time = "2030-01-02T03:04:05Z";
  report.run_seconds = 12.5;
  report.runner_peak_bytes = 412'000'000;
  report.units = 3;
  report.qat_model = {"mobilenet_qat.pt", std::string(64, 'a'), 14'123'456};
  report.converted_model = {"mobilenet_int8.pt", std::string(64, 'b'), 3'623'456};
  report.samples = {"images_512.npz", std::string(64, 'c'), 337'288};
  report.result = std::move(result);
  return report;
}

Report RealisticReport(std::size_t layers) {
  std::vector<LayerRecipe> recipes;
  for (std::size_t i = 0; i < layers; ++i) {
    LayerRecipe layer;
    layer.name = absl::StrCat("features.", i / 3, ".conv.", i % 3);
    layer.kind = i % 3 == 1 ? "depthwise conv2d" : "conv2d";
    layer.channels = 8;
    const auto grow = static_cast<std::uint32_t>(i % 5 + 1);
    layer.causes = {Rate(900 * grow), Rate(40000 * grow),        Rate(700 * grow), Rate(0),
                    Rate(0),          Rate(15000 + 3000 * grow), Rate(0)};
    if (i == 3) {
      layer.saturated = {2, 5};
      layer.causes[static_cast<std::size_t>(Cause::kBiasSaturation)] = Rate(900000, 12);
    }
    recipes.push_back(layer);
  }
  recipes.back().kind = "linear";
  recipes.back().name = "classifier.1";
  std::vector<LayerRecipe> floats = recipes;
  for (LayerRecipe& layer : floats) {
    layer.saturated.clear();
    layer.causes[static_cast<std::size_t>(Cause::kBiasRounding)] = {};
    layer.causes[static_cast<std::size_t>(Cause::kBiasSaturation)] = {};
  }
  floats.front().causes = {};
  std::vector<TargetRecipe> targets(2);
  targets[0].engine = numerics::Engine::kQnnpack;
  targets[0].layers = recipes;
  targets[1].name = "pytorch-fbgemm";
  targets[1].bias_mode = numerics::BiasMode::kFloatBeforeScale;
  targets[1].engine = numerics::Engine::kFbgemm;
  targets[1].layers = floats;
  AnalysisResult merged;
  for (std::uint32_t unit = 0; unit < 3; ++unit) {
    const AnalysisResult part = SampleUnit(targets, unit);
    if (!MergeInto(merged, part).ok()) std::abort();
  }
  merged.mac_layers += 1;
  merged.findings = {
      {.id = "QG001",
       .severity = Severity::kError,
       .title = "Bias saturates int32",
       .layer = "features.1.conv.0",
       .target = "pytorch-qnnpack",
       .channels = {2, 5},
       .detail = "b / s_b is -1.66e+10, the limit is -2147483648.",
       .advice = "Raise the channel's weight scale, or fold the batch norm before training ends."},
      {.id = "QG007",
       .severity = Severity::kWarning,
       .title = "Dead channel",
       .layer = "features.0.conv.1",
       .target = "",
       .channels = {4},
       .detail = "All weights of the channel are zero.",
       .advice = "Prune it."}};
  merged.unmeasured = {{.name = "head.softmax",
                        .what = "aten::softmax",
                        .reason = "runs in float after the last dequantize"},
                       {.name = "aux.conv",
                        .what = "conv2d",
                        .reason = "the converted model has no layer of that name",
                        .is_mac_layer = true}};
  return WithProvenance(std::move(merged));
}

}  // namespace qatgap::report
