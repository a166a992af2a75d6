// What an analysis leaves out, and what it refuses. Planted defects are in tests/defects.
#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "analyzers/graph/mac_layers.h"
#include "analyzers/graph/passes/rebase_codes.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/attribution/demo_analysis.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::attribution {
namespace {

using report::Cause;
using ::testing::HasSubstr;

constexpr char kFolder[] = "residual_eager_x86";  // per-channel weights
constexpr std::size_t Of(Cause cause) { return static_cast<std::size_t>(cause); }

report::AnalysisResult RunDemo(AnalysisModels models, const std::string& target = "generic-int32") {
  return Analyse(std::move(models), Targets({target}));
}

const report::AnalysisResult& Clean() {
  static const report::AnalysisResult result = RunDemo(DemoModels(kFolder));
  return result;
}

// The differences of one cause; the codes they are differences to may move with an earlier stage.
bool SameDifferences(const statistics::DifferenceStatistics& a, const statistics::DifferenceStatistics& b) {
  return a.count == b.count && a.sum == b.sum && a.sum_squares == b.sum_squares && a.histogram == b.histogram;
}

// Layers whose differences of `cause` are not the clean twin's.
std::vector<std::string> Moved(const report::AnalysisResult& result, Cause cause) {
  const auto clean = ByLayer(Clean(), 0);
  std::vector<std::string> moved;
  for (const auto& [name, causes] : ByLayer(result, 0)) {
    if (!SameDifferences(causes[Of(cause)], clean.at(name)[Of(cause)])) moved.push_back(name);
  }
  return moved;
}

using Names = std::vector<std::string>;

TEST(DefectsTest, ATargetThatAdjustsWeightsLosesNoBias) {
  AnalysisModels models = DemoModels(kFolder);
  WeightOf(*models.converted, "mix").qparams->scales[3] = 1e-12;
  BiasOf(*models.converted, "mix")[3] = 0.5F;
  for (const numerics::WeightAdjustment rule :
       {numerics::WeightAdjustment::kTflite, numerics::WeightAdjustment::kOnnxRuntime}) {
    numerics::TargetDescription target = Targets({"generic-int32"})[0];
    target.bias.overflow = numerics::BiasOverflow::kAdjustWeights;
    target.bias.adjustment = rule;
    const report::AnalysisResult result = Analyse(models, {target});
    EXPECT_EQ(Moved(result, Cause::kBiasSaturation), Names{}) << "the raised scale holds the bias";
    for (const report::LayerResult& layer : result.targets[0].layers) {
      const bool planted = result.layers[static_cast<std::size_t>(layer.layer)].name == "mix";
      for (std::size_t c = 0; c < layer.channels.size(); ++c) {
        EXPECT_FALSE(layer.channels[c].bias.saturated);
        if (!planted || c != 3) continue;
        EXPECT_GT(layer.channels[c].bias.scale, 1e-10) << "not the 1e-12 * s_x of the model";
        EXPECT_GT(layer.channels[c].bias.stored, std::int64_t{1} << 29);
      }
    }
  }
}

// A layer without a twin is listed and counted; the others are measured as before.
TEST(UnmeasuredTest, ALayerWithoutAPair) {
  AnalysisModels models = DemoModels(kFolder);
  for (graph::Node& node : models.converted->nodes) {
    if (node.module_path == "mix") node.module_path = "renamed";
  }
  const report::AnalysisResult result = RunDemo(models);
  ASSERT_EQ(result.unmeasured.size(), 1U);
  EXPECT_EQ(result.unmeasured[0].name, "mix");
  EXPECT_TRUE(result.unmeasured[0].is_mac_layer);
  EXPECT_THAT(result.unmeasured[0].reason, HasSubstr("no quantized layer of this name"));
  const report::Coverage coverage = report::CoverageOf(result, result.targets[0]);
  EXPECT_EQ(coverage.analysed, 10);
  EXPECT_EQ(coverage.mac_layers, 11);
}

// An output that no fake-quant rounds: the last layer and the output are listed.
TEST(UnmeasuredTest, AnUnquantizedLayer) {
  AnalysisModels models = DemoModels(kFolder);
  const auto layers = graph::FindMacLayers(models.qat);
  QATGAP_ASSERT_OK(layers);
  const graph::Node quantize = models.qat.nodes[static_cast<std::size_t>(layers->layers.back().quantize_node)];
  models.qat.body.outputs[0] = quantize.inputs[0];
  const report::AnalysisResult result = RunDemo(models);
  Names names;
  for (const report::Unmeasured& unmeasured : result.unmeasured) names.push_back(unmeasured.name);
  EXPECT_THAT(names, ::testing::UnorderedElementsAre("fc", "output 0"));
  const report::Coverage coverage = report::CoverageOf(result, result.targets[0]);
  EXPECT_EQ(coverage.analysed, 10);
  EXPECT_EQ(coverage.mac_layers, 11);
}

// PT2E's XNNPACK quantizer gives signed activations, which PyTorch's own engines do not read: all but the engine is measured.
TEST(UnmeasuredTest, AnEngineThatRefusesALayer) {
  AnalysisModels models = DemoModels(kFolder);
  models.converted.reset();
  models.qat.convert_style = graph::ConvertStyle::kAsIs;
  graph::RebaseCodes(models.qat, graph::CodeBase::kSigned);
  const report::AnalysisResult result = RunDemo(models, "pytorch-fbgemm");
  ASSERT_FALSE(result.targets[0].comparisons.empty());
  for (const report::PathComparison& comparison : result.targets[0].comparisons) {
    EXPECT_NE(comparison.path, report::Path::kEngine);
    EXPECT_GT(comparison.outputs[0].count, 0U);
  }
  const auto engine = std::find_if(result.unmeasured.begin(), result.unmeasured.end(), [](const report::Unmeasured& entry) {
    return entry.name == "engine path of pytorch-fbgemm";
  });
  ASSERT_NE(engine, result.unmeasured.end());
  EXPECT_THAT(engine->reason, HasSubstr("layer 'stem.0': PyTorch's engines read quint8"));
  EXPECT_EQ(report::CoverageOf(result, result.targets[0]).analysed, 10);  // all but the last, whose input is no code
}

// Prepared, but no layer's output is quantized: other advice than for a float model.
TEST(UnmeasuredTest, AModelWithoutOutputCodes) {
  AnalysisModels models = DemoModels(kFolder);
  const auto layers = graph::FindMacLayers(models.qat);
  QATGAP_ASSERT_OK(layers);
  const graph::NodeId quantize = layers->layers.front().quantize_node;
  std::vector<graph::NodeId>& nodes = models.qat.body.nodes;
  nodes.erase(std::find(nodes.begin(), nodes.end(), quantize), nodes.end());
  models.qat.body.outputs = {models.qat.nodes[static_cast<std::size_t>(quantize)].inputs[0]};
  EXPECT_THAT(AnalysisSession::Create(models, Targets({"generic-int32"}), {}).status(),
              testing::StatusIs(absl::StatusCode::kFailedPrecondition,
                                ::testing::AllOf(HasSubstr("'stem.0': its output"), HasSubstr("choose a quantizer"),
                                                 ::testing::Not(HasSubstr("after prepare_qat")))));
}

TEST(PairingTest, ModelsThatDoNotPairAreRefusedByLayer) {
  const auto create = [](AnalysisModels models) {
    return AnalysisSession::Create(std::move(models), Targets({"generic-int32"}), {}).status();
  };
  AnalysisModels stride = DemoModels(kFolder);
  for (graph::Node& node : stride.converted->nodes) {
    if (node.module_path == "down.0" && node.kind == graph::OpKind::kConvolution) {
      std::get<graph::ConvolutionAttributes>(node.attributes).stride = {1, 1};
    }
  }
  EXPECT_THAT(create(stride), testing::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("'down.0': its stride")));

  // Names of another format: the layers pair in their order, if they are the same.
  AnalysisModels other = DemoModels(kFolder);
  for (graph::Node& node : other.converted->nodes) node.module_path = absl::StrCat("x.", node.module_path);
  QATGAP_EXPECT_OK(create(other));
  for (graph::Node& node : stride.converted->nodes) node.module_path = absl::StrCat("x.", node.module_path);
  EXPECT_THAT(create(stride),
              testing::StatusIs(absl::StatusCode::kFailedPrecondition,
                                HasSubstr("0 have one name (the first ones are 'stem.0' and 'x.stem.0'), and in execution "
                                          "order they do not fit either: layer ")));
}

}  // namespace
}  // namespace qatgap::attribution
