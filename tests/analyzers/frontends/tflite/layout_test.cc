// Axes, paddings, constants and qparams of imported graphs, against the file's own numbers.
#include <algorithm>

#include "analyzers/frontends/tflite/tflite_frontend.h"
#include "analyzers/graph/mac_layers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/frontends/tflite/model_files.h"

namespace qatgap {
namespace {

using frontends::Model;
using graph::Graph;
using graph::Node;
using graph::OpKind;
using graph::Shape;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<std::vector<std::int64_t>> Permutations(const Graph& graph) {
  std::vector<std::vector<std::int64_t>> axes;
  for (const Node* node : testing::NodesOf(graph, OpKind::kPermute)) {
    axes.push_back(std::get<graph::SizesAttributes>(node->attributes).sizes);
  }
  return axes;
}

const graph::ConvolutionAttributes& Convolution(const Graph& graph, std::size_t i) {
  return std::get<graph::ConvolutionAttributes>(testing::NodesOf(graph, OpKind::kConvolution).at(i)->attributes);
}

const graph::ConstantAttributes& Operand(const Graph& graph, const Node& node, std::size_t i) {
  const graph::ConstantAttributes* codes = testing::CodesBehind(graph, node.inputs.at(i));
  if (codes == nullptr) throw std::runtime_error("no code constant");
  return *codes;
}

TEST(Layout, AChainOfConvolutionsIsPermutedAtItsEndsAlone) {
  const Model model = testing::ImportTflite("convolutions_int8");
  // The image in front of the stem; the pooled one behind the last convolution, for RESHAPE.
  EXPECT_THAT(Permutations(model.graph), ElementsAre(ElementsAre(0, 3, 1, 2), ElementsAre(0, 2, 3, 1)));
}

TEST(Layout, AResidualNetIsPermutedOnceThroughAddConcatPoolAndMean) {
  const Model model = testing::ImportTflite("residual");
  EXPECT_THAT(Permutations(model.graph), ElementsAre(ElementsAre(0, 3, 1, 2)));
  EXPECT_EQ(std::get<graph::AxisAttributes>(testing::NodesOf(model.graph, OpKind::kConcat).at(0)->attributes).axis, 1);
  EXPECT_THAT(std::get<graph::ReduceAttributes>(testing::NodesOf(model.graph, OpKind::kMean).at(0)->attributes).axes,
              ElementsAre(2, 3));
}

// litert-torch puts a TRANSPOSE in front of the net to leave PyTorch's layout: together with ours, nothing.
TEST(Layout, APyTorchNetOfALiteRtFileHasNoPermutationAtAll) {
  for (const char* folder : {"litert_float", "litert_pt2e", "litert_int8"}) {
    const Model model = testing::ImportTflite(folder);
    EXPECT_THAT(Permutations(model.graph), IsEmpty()) << folder;
    EXPECT_THAT(model.graph.input_shapes, ElementsAre(Shape{-1, 3, 16, 16})) << folder;
    EXPECT_EQ(model.graph.input_name(0), "args_0");
    // Its padding is a PAD of the file, which the convolution takes in.
    EXPECT_THAT(Convolution(model.graph, 0).padding, ElementsAre(1, 1)) << folder;
    EXPECT_THAT(testing::NodesOf(model.graph, OpKind::kOperator), IsEmpty()) << folder;
  }
}

// The file folds samples into rows, adds rows to samples and drops an axis 0 of extent 1: a batch passes through all
// that.
TEST(Layout, AnEncoderTakesAnyBatch) {
  const Model model = testing::ImportTflite("litert_encoder");
  EXPECT_THAT(model.graph.input_shapes, ElementsAre(Shape{-1, 6, 16}));
}

TEST(Layout, TheInputStaysAsTheFileHasIt) {
  const Model model = testing::ImportTflite("convolutions_int8");
  EXPECT_THAT(model.graph.input_shapes, ElementsAre(Shape{-1, 16, 14, 3}));
  EXPECT_EQ(model.graph.input_name(0), "image");
  EXPECT_THAT(model.graph.output_names, ElementsAre("logits"));
  EXPECT_EQ(model.kind, frontends::ModelKind::kConverted);
  EXPECT_EQ(model.format, "TFLite, int8");
  EXPECT_EQ(model.graph.convert_style, graph::ConvertStyle::kAsIs);
}

TEST(Layout, ReshapesKeepTheBatch) {
  const Model model = testing::ImportTflite("convolutions_int8");
  const auto reshapes = testing::NodesOf(model.graph, OpKind::kReshape);
  ASSERT_THAT(reshapes, SizeIs(1));
  EXPECT_THAT(std::get<graph::SizesAttributes>(reshapes[0]->attributes).sizes, ElementsAre(0, 54));
}

// 16 rows and 14 columns, kernel 3, stride 2: (8 - 1) * 2 + 3 - 16 = 1 zero row, (7 - 1) * 2 + 3 - 14 = 1 zero column,
// both behind, so they are a node of their own: left, right, top, bottom.
TEST(Layout, SamePaddingThatIsUnequalIsANodeInFront) {
  const Model model = testing::ImportTflite("convolutions_int8");
  EXPECT_THAT(Convolution(model.graph, 0).padding, ElementsAre(0, 0));
  const auto pads = testing::NodesOf(model.graph, OpKind::kOperator);
  ASSERT_FALSE(pads.empty());
  const auto& call = std::get<graph::OperatorAttributes>(pads[0]->attributes);
  EXPECT_EQ(call.name, "aten::constant_pad_nd");
  EXPECT_THAT(std::get<std::vector<std::int64_t>>(call.arguments.at(1)), ElementsAre(0, 1, 0, 1));
}

// Depthwise: 8 channels, multiplier 2; the file's weight w[0, y, x, c] is the graph's w[c, 0, y, x].
TEST(Layout, DepthwiseWeightsHaveTheirChannelInFront) {
  const Model model = testing::ImportTflite("convolutions_int8");
  const Node& node = *testing::NodesOf(model.graph, OpKind::kConvolution).at(1);
  EXPECT_EQ(Convolution(model.graph, 1).groups, 8);
  const graph::ConstantAttributes& weight = Operand(model.graph, node, 1);
  EXPECT_EQ(weight.value.shape(), (Shape{16, 1, 3, 3}));
  EXPECT_EQ(weight.qparams->axis, 0);
  EXPECT_THAT(weight.qparams->scales, SizeIs(16));
  EXPECT_EQ(weight.qparams->quant_min, -127);
  const graph::Tensor file = testing::Recorded("convolutions_int8", "weights_dw");
  ASSERT_EQ(file.shape(), (Shape{1, 3, 3, 16}));
  const auto ours = weight.value.data<std::int32_t>(), theirs = file.data<std::int32_t>();
  for (std::size_t c = 0; c < 16; ++c) {
    for (std::size_t tap = 0; tap < 9; ++tap) EXPECT_EQ(ours[c * 9 + tap], theirs[tap * 16 + c]) << c << ", " << tap;
  }
}

TEST(Layout, ConvolutionWeightsHaveChannelsInFrontOfSpace) {
  const Model model = testing::ImportTflite("convolutions_int8");
  const Node& node = *testing::NodesOf(model.graph, OpKind::kConvolution).at(0);
  const graph::Tensor file = testing::Recorded("convolutions_int8", "weights_stem");
  ASSERT_EQ(file.shape(), (Shape{8, 3, 3, 3}));
  const auto ours = Operand(model.graph, node, 1).value.data<std::int32_t>(), theirs = file.data<std::int32_t>();
  for (std::size_t o = 0; o < 8; ++o) {
    for (std::size_t tap = 0; tap < 9; ++tap) {
      for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(ours[(o * 3 + i) * 9 + tap], theirs[(o * 9 + tap) * 3 + i]);
    }
  }
}

// A convolution of 4 channels in 2 groups of 8 reads [8, 8, 2, 2] of 16 channels.
TEST(Layout, GroupsFollowFromTheWeights) {
  const Model model = testing::ImportTflite("convolutions_int8");
  EXPECT_EQ(Convolution(model.graph, 2).groups, 2);
  EXPECT_THAT(Convolution(model.graph, 2).dilation, ElementsAre(2, 2));
}

TEST(Bias, IsTheStoredIntegersAtTheStoredScale) {
  const Model model = testing::ImportTflite("convolutions_int8");
  const Node& node = *testing::NodesOf(model.graph, OpKind::kConvolution).at(0);
  const graph::ConstantAttributes& bias = Operand(model.graph, node, 2);
  const graph::Tensor file = testing::Recorded("convolutions_int8", "bias_stem");
  EXPECT_THAT(bias.value.data<std::int32_t>(), ::testing::ElementsAreArray(file.data<std::int32_t>()));
  const graph::ConstantAttributes& weight = Operand(model.graph, node, 1);
  ASSERT_THAT(bias.qparams->scales, SizeIs(8));
  for (std::size_t c = 0; c < 8; ++c) {
    const float product = 0.02F * static_cast<float>(weight.qparams->scale(c));  // 0.02: the input's scale
    EXPECT_EQ(bias.qparams->scale(c), static_cast<double>(product)) << c;
  }
  EXPECT_EQ(testing::NodesOf(model.graph, OpKind::kConvolution).at(1)->inputs.size(), 2U) << "the layer without a bias";
}

// 5 rows, stride 2, kernel 3: 11 rows of which SAME keeps the first 10. A zero row in front of the kernel and one row
// cut at both ends are the same.
TEST(Transposed, AnUnequalCutIsARowOfZeroWeights) {
  const Model model = testing::ImportTflite("transposed");
  const Node& node = *testing::NodesOf(model.graph, OpKind::kConvolution).at(0);
  EXPECT_THAT(Convolution(model.graph, 0).padding, ElementsAre(1, 1));
  EXPECT_THAT(Convolution(model.graph, 0).output_padding, ElementsAre(0, 0));
  const graph::ConstantAttributes& weight = Operand(model.graph, node, 1);
  EXPECT_EQ(weight.value.shape(), (Shape{4, 6, 4, 4}));
  EXPECT_EQ(weight.qparams->axis, 1);
  const auto codes = weight.value.data<std::int32_t>();
  for (std::size_t plane = 0; plane < 24; ++plane) {
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_EQ(codes[plane * 16 + i], 0);
      EXPECT_EQ(codes[plane * 16 + i * 4], 0);
    }
  }
  // Kernel 4 loses one row at each end, kernel 2 none and gets an extra one.
  EXPECT_THAT(Convolution(model.graph, 1).padding, ElementsAre(1, 1));
  EXPECT_THAT(Convolution(model.graph, 2).padding, ElementsAre(0, 0));
  EXPECT_THAT(Convolution(model.graph, 2).output_padding, ElementsAre(1, 1));
}

TEST(Layers, EveryLayerWithWeightsIsMatchedAndOnAGrid) {
  for (const char* folder : {"convolutions_int8", "convolutions_uint8", "convolutions_int16", "transposed", "residual",
                             "litert_pt2e", "litert_int8", "litert_int16x8"}) {
    const Model model = testing::ImportTflite(folder);
    const auto found = graph::FindMacLayers(model.graph);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_THAT(found->unmatched, IsEmpty()) << folder << ": " << found->unmatched.size();
    for (const graph::MacLayer& layer : found->layers) {
      EXPECT_THAT(layer.input_grids, SizeIs(1)) << folder << ", " << layer.name;
    }
  }
}

TEST(Bias, ReachesTheLayerAsStored) {
  const Model model = testing::ImportTflite("convolutions_int8");
  const auto found = graph::FindMacLayers(model.graph);
  ASSERT_TRUE(found.ok()) << found.status();
  const graph::Tensor file = testing::Recorded("convolutions_int8", "bias_stem");
  EXPECT_THAT(found->layers.at(0).stored_bias, ::testing::ElementsAreArray(file.data<std::int32_t>()));
  EXPECT_THAT(found->layers.at(1).stored_bias, IsEmpty());
}

TEST(Int16, ActivationsAreSymmetricInt16AndBiasesOfInt64AreRead) {
  const Model model = testing::ImportTflite("convolutions_int16");
  EXPECT_EQ(model.format, "TFLite, int16x8");
  for (const Node* node : testing::NodesOf(model.graph, OpKind::kQuantize)) {
    const auto& qparams = std::get<graph::QuantizeAttributes>(node->attributes).qparams;
    EXPECT_EQ(qparams.zero_point(), 0);
    EXPECT_EQ(qparams.quant_min, -32768);
    EXPECT_EQ(qparams.quant_max, 32767);
  }
  const Node& stem = *testing::NodesOf(model.graph, OpKind::kConvolution).at(0);
  EXPECT_EQ(Operand(model.graph, stem, 2).value.shape(), (Shape{8}));
}

TEST(Uint8, WeightsKeepTheirZeroPoint) {
  const Model model = testing::ImportTflite("convolutions_uint8");
  EXPECT_EQ(model.format, "TFLite, uint8");
  const Node& stem = *testing::NodesOf(model.graph, OpKind::kConvolution).at(0);
  const graph::ConstantAttributes& weight = Operand(model.graph, stem, 1);
  EXPECT_EQ(weight.qparams->zero_point(), 121);
  EXPECT_FALSE(weight.qparams->per_channel());
}

// relu_n1_to_1 of an output of scale s and zero point z: codes z - round(1/s) .. z + round(1/s).
TEST(Activations, AClampBetweenMinusOneAndOneIsANarrowerRangeOfCodes) {
  const Model model = testing::ImportTflite("operators");
  const Node* add = testing::NodesOf(model.graph, OpKind::kAdd).at(0);
  for (const Node* node : testing::NodesOf(model.graph, OpKind::kQuantize)) {
    if (node->inputs[0] != add->outputs[0]) continue;
    const auto& qparams = std::get<graph::QuantizeAttributes>(node->attributes).qparams;
    const auto steps = static_cast<std::int64_t>(std::lround(1 / qparams.scale()));
    EXPECT_EQ(qparams.quant_min, std::max<std::int64_t>(-128, qparams.zero_point() - steps));
    EXPECT_EQ(qparams.quant_max, std::min<std::int64_t>(127, qparams.zero_point() + steps));
    return;
  }
  FAIL() << "the sum is not quantized";
}

}  // namespace
}  // namespace qatgap
