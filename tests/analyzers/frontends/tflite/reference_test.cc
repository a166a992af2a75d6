// Graphs of TensorFlow Lite files, run with the arithmetic of tflite-reference (int16: tflite-int16x8), against the
// codes that LiteRT's reference kernels gave for the same samples.
#include <cmath>
#include <cstdlib>
#include <map>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "analyzers/execution/graph_executor.h"
#include "analyzers/execution/layer_kernel.h"
#include "analyzers/graph/mac_layers.h"
#include "analyzers/numerics/layer_arithmetic.h"
#include "analyzers/numerics/target.h"
#include "analyzers/status/status_macros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/frontends/tflite/model_files.h"
#include "tests/testing/status_matchers.h"

namespace qatgap {
namespace {

using execution::ExecutionMode;
using execution::GraphExecutor;
using graph::OpKind;
using ::testing::ElementsAre;
using ::testing::SizeIs;

struct Run {
  std::vector<execution::ModelOutput> outputs;
  std::map<std::size_t, graph::Tensor> layers;  // codes [channels, elements]
};

struct Deployed {
  frontends::Model model;
  std::vector<graph::MacLayer> layers;
};

Deployed Load(std::string_view folder) {
  Deployed deployed{.model = testing::ImportTflite(folder), .layers = {}};
  auto found = graph::FindMacLayers(deployed.model.graph);
  EXPECT_TRUE(found.ok()) << found.status();
  for (const graph::UnmatchedMac& unmatched : found->unmatched) {
    ADD_FAILURE() << unmatched.name << ": " << unmatched.reason;
  }
  deployed.layers = std::move(found->layers);
  return deployed;
}

absl::StatusOr<Run> RunInteger(const Deployed& deployed, const graph::Tensor& input, std::string_view target_name) {
  QATGAP_ASSIGN_OR_RETURN(const numerics::TargetDescription target, numerics::FindTarget(target_name));
  QATGAP_ASSIGN_OR_RETURN(GraphExecutor executor,
                          GraphExecutor::Create(deployed.model.graph, deployed.layers, ExecutionMode::kInteger));
  const execution::IntegerLayer integer = [&](std::size_t index, const numerics::QuantParams& grid,
                                              const graph::Tensor& accumulators) -> absl::StatusOr<graph::Tensor> {
    const graph::MacLayer& layer = deployed.layers[index];
    QATGAP_ASSIGN_OR_RETURN(
        const numerics::LayerArithmetic arithmetic,
        numerics::LayerArithmetic::Create(target, {.input = grid,
                                                   .weight = layer.weight_params,
                                                   .output = layer.output,
                                                   .bias = layer.bias,
                                                   .stored_bias = layer.stored_bias,
                                                   .activation = layer.activation,
                                                   .channels = layer.output_channels,
                                                   .traits = graph::TraitsOf(layer, grid, /*host_has_vnni=*/false)}));
    graph::Tensor codes(graph::DType::kInt32, accumulators.shape());
    const auto elements = static_cast<std::size_t>(accumulators.dim(1));
    for (std::int64_t channel = 0; channel < accumulators.dim(0); ++channel) {
      const std::size_t begin = static_cast<std::size_t>(channel) * elements;
      arithmetic.Codes(numerics::ArithmeticStage::kRequantized, channel,
                       accumulators.data<std::int32_t>().subspan(begin, elements),
                       codes.mutable_data<std::int32_t>().subspan(begin, elements));
    }
    return codes;
  };
  Run run;
  const execution::LayerObserver keep = [&](const execution::LayerOutput& output) {
    run.layers[output.layer] = execution::ToChannelMajor(deployed.layers[output.layer], output.codes);
    return absl::OkStatus();
  };
  QATGAP_ASSIGN_OR_RETURN(run.outputs, executor.Run(std::span<const graph::Tensor>(&input, 1), keep, integer));
  return run;
}

struct Differences {
  std::size_t count = 0, elements = 0;
  int largest = 0;
};
std::ostream& operator<<(std::ostream& out, const Differences& d) {
  return out << d.count << " of " << d.elements << " codes differ, by up to " << d.largest;
}

Differences Compare(const graph::Tensor& ours, const graph::Tensor& theirs) {
  EXPECT_EQ(ours.shape(), theirs.shape());
  Differences differences;
  if (ours.shape() != theirs.shape()) return differences;
  const auto a = ours.data<std::int32_t>(), b = theirs.data<std::int32_t>();
  differences.elements = a.size();
  for (std::size_t i = 0; i < a.size(); ++i) {
    differences.count += a[i] != b[i] ? 1U : 0U;
    differences.largest = std::max(differences.largest, std::abs(a[i] - b[i]));
  }
  return differences;
}

struct LayersCase {
  std::string folder, target, output;
  std::size_t layers;
  friend std::ostream& operator<<(std::ostream& out, const LayersCase& c) { return out << c.folder; }
};
class Layers : public ::testing::TestWithParam<LayersCase> {};

// No operator here rounds but the layers with weights: every code of every layer and of the output is the runtime's.
TEST_P(Layers, AreTheRuntimesBitForBit) {
  const LayersCase& c = GetParam();
  const Deployed deployed = Load(c.folder);
  ASSERT_THAT(deployed.layers, SizeIs(c.layers));
  const auto run = RunInteger(deployed, testing::Recorded(c.folder, "input"), c.target);
  ASSERT_TRUE(run.ok()) << run.status();
  for (std::size_t i = 0; i < c.layers; ++i) {
    const Differences d = Compare(run->layers.at(i), testing::Recorded(c.folder, absl::StrCat("mac_", i)));
    EXPECT_EQ(d.count, 0U) << deployed.layers[i].name << ": " << d;
  }
  EXPECT_EQ(Compare(run->outputs[0].codes, testing::Recorded(c.folder, c.output)).count, 0U);
}

INSTANTIATE_TEST_SUITE_P(Models, Layers,
                         ::testing::Values(LayersCase{"convolutions_int8", "tflite-reference", "logits", 5},
                                           LayersCase{"convolutions_uint8", "tflite-reference", "logits", 5},
                                           LayersCase{"convolutions_int16", "tflite-int16x8", "logits", 5},
                                           LayersCase{"transposed", "tflite-reference", "image", 3}),
                         [](const auto& param) { return param.param.folder; });

// A whole net with operators that are dequantized, computed and quantized here and in fixed point there: a tie that
// falls the other way moves one code, and the layers behind it hand it on. Measured: 44 of 4648 codes in `residual`,
// whose average pool has windows of 4 and 6 elements; 52 of 2704 in the encoder, behind softmax, layer norm and GELU;
// none in the others.
struct NetCase {
  std::string folder, target, output;
  std::size_t layers, exact_layers;  // the first layers, up to such an operator
  double share;                      // of the codes of all layers that may differ
  int largest;
  friend std::ostream& operator<<(std::ostream& out, const NetCase& c) { return out << c.folder; }
};
class Nets : public ::testing::TestWithParam<NetCase> {};

TEST_P(Nets, DifferByRareTies) {
  const NetCase& c = GetParam();
  const Deployed deployed = Load(c.folder);
  ASSERT_THAT(deployed.layers, SizeIs(c.layers));
  const auto run = RunInteger(deployed, testing::Recorded(c.folder, "input"), c.target);
  ASSERT_TRUE(run.ok()) << run.status();
  Differences all;
  for (std::size_t i = 0; i < c.layers; ++i) {
    const Differences d = Compare(run->layers.at(i), testing::Recorded(c.folder, absl::StrCat("mac_", i)));
    if (i < c.exact_layers) {
      EXPECT_EQ(d.count, 0U) << deployed.layers[i].name << ": " << d;
    }
    all.count += d.count;
    all.elements += d.elements;
    all.largest = std::max(all.largest, d.largest);
  }
  EXPECT_LE(static_cast<double>(all.count), c.share * static_cast<double>(all.elements)) << all;
  EXPECT_LE(all.largest, c.largest) << all;
}

INSTANTIATE_TEST_SUITE_P(Models, Nets,
                         ::testing::Values(NetCase{"residual", "tflite-reference", "probabilities", 4, 2, 0.02, 2},
                                           NetCase{"litert_pt2e", "tflite-reference", "output_0", 4, 3, 0.001, 1},
                                           NetCase{"litert_int8", "tflite-reference", "output_0", 4, 3, 0.001, 1},
                                           NetCase{"litert_encoder", "tflite-reference", "output_0", 7, 3, 0.03, 2},
                                           NetCase{"litert_int16x8", "tflite-int16x8", "output_0", 4, 3, 0.001, 1}),
                         [](const auto& param) { return param.param.folder; });

// Operators without weights, one by one: at most this many codes differ, by one. What is computed here in binary32 and
// rounded once, half to even, is elsewhere there:
//  * MUL and LEAKY_RELU round twice in fixed point, the first time to a fraction of a code: 3.45 may become 3.5 and
//  then 4;
//  * AVERAGE_POOL_2D, MEAN and RESIZE_BILINEAR round half away from zero: of four elements a quarter of the sums are
//  ties;
//  * LOGISTIC, TANH, GELU, HARD_SWISH and SOFTMAX read tables or fixed point; none of these samples is near enough to a
//    tie, but LibTorch's own functions depend on the processor, so a few are allowed.
TEST(Operators, DifferByRareTies) {
  const std::map<std::string, std::size_t> ties = {{"add", 0},
                                                   {"sub", 0},
                                                   {"mul", 8},
                                                   {"add_row", 0},
                                                   {"cat", 0},
                                                   {"average_valid", 0},
                                                   {"average_same", 32},
                                                   {"max_same", 0},
                                                   {"max_even_window", 0},
                                                   {"mean", 2},
                                                   {"mean_height", 0},
                                                   {"logistic", 3},
                                                   {"tanh", 3},
                                                   {"hard_swish", 3},
                                                   {"leaky_relu", 80},
                                                   {"prelu", 0},
                                                   {"relu", 0},
                                                   {"gelu", 3},
                                                   {"softmax", 3},
                                                   {"pad", 0},
                                                   {"padv2", 0},
                                                   {"mirror_pad", 0},
                                                   {"resize_nearest", 0},
                                                   {"resize_bilinear", 340},
                                                   {"split", 0},
                                                   {"slice", 0},
                                                   {"strided_slice", 0},
                                                   {"transpose", 0},
                                                   {"pack", 0}};
  const Deployed deployed = Load("operators");
  ASSERT_THAT(deployed.model.graph.output_names, SizeIs(ties.size()));
  const auto run = RunInteger(deployed, testing::Recorded("operators", "input"), "tflite-reference");
  ASSERT_TRUE(run.ok()) << run.status();
  for (std::size_t i = 0; i < run->outputs.size(); ++i) {
    const std::string& name = deployed.model.graph.output_names[i];
    ASSERT_TRUE(ties.contains(name)) << name;
    const graph::Tensor theirs = testing::Recorded("operators", name);
    ASSERT_TRUE(run->outputs[i].codes.defined()) << name << " is on no grid";
    const Differences d = Compare(run->outputs[i].codes, theirs);
    EXPECT_LE(d.count, ties.at(name)) << name << ": " << d;
    EXPECT_LE(d.largest, 1) << name << ": " << d;
  }
}

TEST(Tokens, ReshapesAndMatrixProductsKeepSamplesApart) {
  const Deployed deployed = Load("tokens");
  EXPECT_THAT(deployed.model.graph.input_shapes, ElementsAre(graph::Shape{-1, 6, 8}));
  const auto run = RunInteger(deployed, testing::Recorded("tokens", "input"), "tflite-reference");
  ASSERT_TRUE(run.ok()) << run.status();
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(Compare(run->layers.at(i), testing::Recorded("tokens", absl::StrCat("mac_", i))).count, 0U) << i;
  }
  const Differences scores = Compare(run->outputs[0].codes, testing::Recorded("tokens", "scores"));
  EXPECT_TRUE(scores.count <= 2 && scores.largest <= 1)
      << scores;  // a product of two activations: no layer with weights
  EXPECT_EQ(Compare(run->outputs[1].codes, testing::Recorded("tokens", "rows")).count, 0U);
}

TEST(Mixing, ABatchOfOneIsRightAndALargerOneIsRefused) {
  const Deployed deployed = Load("mixing");
  EXPECT_THAT(deployed.model.graph.input_shapes, ElementsAre(graph::Shape{1, 4, 6}));
  const graph::Tensor input = testing::Recorded("mixing", "input");
  const auto run = RunInteger(deployed, input, "tflite-reference");
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(Compare(run->outputs[0].codes, testing::Recorded("mixing", "out")).count, 0U);
  std::vector<float> twice(input.data<float>().begin(), input.data<float>().end());
  twice.insert(twice.end(), twice.begin(), twice.end());
  EXPECT_FALSE(RunInteger(deployed, graph::Tensor::Of<float>({2, 4, 6}, twice), "tflite-reference").ok());
}

struct FloatCase {
  std::string folder, output, format;
  friend std::ostream& operator<<(std::ostream& out, const FloatCase& c) { return out << c.folder; }
};
class FloatModels : public ::testing::TestWithParam<FloatCase> {};

// Sums of at most 27 products in binary32, in another order: a few units of 2^-24 of the largest partial sum, below 8.
TEST_P(FloatModels, AgreeWithinTheRoundingOfSums) {
  const FloatCase& c = GetParam();
  const frontends::Model model = testing::ImportTflite(c.folder);
  EXPECT_EQ(model.kind, frontends::ModelKind::kFloat);
  EXPECT_EQ(model.format, c.format);
  auto executor = GraphExecutor::Create(model.graph, {}, ExecutionMode::kFakeQuant);
  ASSERT_TRUE(executor.ok()) << executor.status();
  const graph::Tensor input = testing::Recorded(c.folder, "input");
  const auto outputs = executor->Run(std::span<const graph::Tensor>(&input, 1), nullptr);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  const graph::Tensor theirs = testing::Recorded(c.folder, c.output);
  ASSERT_EQ((*outputs)[0].real.shape(), theirs.shape());
  for (std::size_t i = 0; i < theirs.data<float>().size(); ++i) {
    const float difference = std::abs((*outputs)[0].real.data<float>()[i] - theirs.data<float>()[i]);
    EXPECT_TRUE(difference <= 8 * 27 * 0x1p-24F) << i << ": " << difference;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, FloatModels,
                         ::testing::Values(FloatCase{"litert_float", "output_0", "TFLite, float32"},
                                           FloatCase{"half", "y", "TFLite, float16"}),
                         [](const auto& param) { return param.param.folder; });

}  // namespace
}  // namespace qatgap
