// What the constants alone predict of rounding the bias, against what samples show: on every demo network, under every
// shipped target that runs it. Both are in codes of the layer's output, which is what a measurement can see: the real
// displacement, below half a code mostly, shows as a code that moves or does not.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "analyzers/findings/bias_bound.h"
#include "gtest/gtest.h"
#include "tests/analyzers/attribution/demo_analysis.h"

namespace qatgap::attribution {
namespace {

constexpr auto kRounding = static_cast<std::size_t>(report::Cause::kBiasRounding);

std::vector<numerics::TargetDescription> TargetsOfAnyScale() {
  std::vector<numerics::TargetDescription> targets;
  for (const numerics::TargetDescription& target : numerics::ShippedTargets()) {
    if (target.scales == numerics::ScaleRequirement::kAny) targets.push_back(target);
  }
  return targets;
}

struct Comparison {
  double closest = 0;   // largest measured / bound of a channel
  double expected = 0;  // outputs that change, by the estimate
  double changed = 0;
};

// Fails where a channel exceeds its bound.
Comparison Compare(const report::AnalysisResult& result, const report::TargetResult& target) {
  Comparison comparison;
  for (const report::LayerResult& layer : target.layers) {
    const report::LayerInfo& info = result.layers[static_cast<std::size_t>(layer.layer)];
    for (std::size_t c = 0; c < layer.channels.size(); ++c) {
      const report::ChannelResult& channel = layer.channels[c];
      const findings::BiasRoundingBound bound = findings::BoundBiasRounding(channel.bias, info.output.scale());
      const auto& measured = channel.causes[kRounding];
      const auto moved = static_cast<std::int64_t>(measured.max_absolute);
      EXPECT_LE(moved, bound.codes) << target.name << ", " << info.name << ", channel " << c;
      comparison.expected += bound.expected_flip_rate * static_cast<double>(measured.count);
      comparison.changed += static_cast<double>(measured.changed);
      if (bound.codes == 0) continue;
      comparison.closest = std::max(comparison.closest, static_cast<double>(moved) / static_cast<double>(bound.codes));
    }
  }
  return comparison;
}

class BiasBoundTest : public ::testing::TestWithParam<const char*> {};

TEST_P(BiasBoundTest, IsNeverExceededAndNotVacuous) {
  const report::AnalysisResult result = Analyse(DemoModels(GetParam()), TargetsOfAnyScale(), 8, 8);
  std::size_t rounding = 0;
  for (const report::TargetResult& target : result.targets) {
    const Comparison comparison = Compare(result, target);
    if (comparison.expected == 0) {
      EXPECT_EQ(comparison.changed, 0) << target.name << ": a float bias";
      continue;
    }
    ++rounding;
    EXPECT_GE(comparison.closest, 0.5) << target.name << ": met within a factor of 2 somewhere";
    // Clamped outputs (ReLU) do not move, and a network has few layers to average over: right in size, no more.
    EXPECT_GE(comparison.changed, comparison.expected / 4) << target.name;
    EXPECT_LE(comparison.changed, comparison.expected * 2) << target.name;
  }
  EXPECT_GE(rounding, 10U);
}

INSTANTIATE_TEST_SUITE_P(Models, BiasBoundTest,
                         ::testing::Values("residual_eager_fbgemm", "residual_eager_x86", "residual_eager_qnnpack",
                                           "residual_eager_qnnpack_scripted", "residual_fx_x86",
                                           "residual_fx_qnnpack_scripted", "branching_eager_qnnpack_scripted"),
                         [](const auto& param) { return std::string(param.param); });

// An int8 bias moves whole codes: there the bound is a number to be met, not just 1.
TEST(CoarseBiasBoundTest, IsMetWithinAFactorOfTwo) {
  AnalysisModels models = DemoModels("residual_eager_x86");
  BiasOf(*models.converted, "mix")[0] = 300.0F;  // the others of the layer get steps of 4
  const report::AnalysisResult result = Analyse(std::move(models), Targets({"generic-int8"}), 16, 8);
  double closest = 0;
  std::int64_t most = 0;
  for (const report::LayerResult& layer : result.targets[0].layers) {
    const double output_scale = result.layers[static_cast<std::size_t>(layer.layer)].output.scale();
    for (const report::ChannelResult& channel : layer.channels) {
      const findings::BiasRoundingBound bound = findings::BoundBiasRounding(channel.bias, output_scale);
      const auto moved = static_cast<std::int64_t>(channel.causes[kRounding].max_absolute);
      ASSERT_LE(moved, bound.codes);
      if (bound.codes < 4) continue;
      most = std::max(most, moved);
      closest = std::max(closest, static_cast<double>(moved) / static_cast<double>(bound.codes));
    }
  }
  EXPECT_GE(most, 4);
  EXPECT_GE(closest, 0.5);
}

}  // namespace
}  // namespace qatgap::attribution
