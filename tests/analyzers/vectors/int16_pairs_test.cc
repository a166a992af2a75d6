#include "analyzers/vectors/int16_pairs.h"

#include <cstdint>
#include <vector>

#include "analyzers/vectors/verify.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/vectors/synthetic_cases.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::vectors {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

// One output pixel of a 1 x 2 kernel over `channels` channels: depth is 2 * channels.
Case Convolution(std::int64_t channels, std::vector<std::int32_t> input, std::vector<std::int32_t> weight,
                 std::int64_t zero_point, std::int64_t padding) {
  Case layer;
  layer.op = CaseOp::kConvolution;
  layer.convolution = {.stride = {1, 1},
                       .padding = {0, padding},
                       .dilation = {1, 1},
                       .groups = 1,
                       .transposed = false,
                       .output_padding = {}};
  if (padding > 0) layer.padding_end = {0, 0};
  layer.inputs = {{.scales = {1}, .zero_points = {zero_point}, .quant_min = 0, .quant_max = 255}};
  layer.weight = {.scales = {1}, .zero_points = {0}, .quant_min = -128, .quant_max = 127};
  layer.input_codes = {
      graph::Tensor::Of<std::int32_t>({1, channels, 1, static_cast<std::int64_t>(input.size()) / channels}, input)};
  layer.weight_codes = graph::Tensor::Of<std::int32_t>({1, channels, 1, 2}, weight);
  layer.output_codes = graph::Tensor(graph::DType::kInt32, {1, 1, 1, 1});
  return layer;
}

std::vector<std::int64_t> Sums(const Case& layer, PairKernel kernel) {
  const auto sums = PairSaturatedAccumulators(layer, kernel);
  QATGAP_EXPECT_OK(sums);
  return {sums->data<std::int64_t>().begin(), sums->data<std::int64_t>().end()};
}

TEST(PairSaturatedTest, TwoLargestProductsGiveInt16Max) {
  // 255 * 127 + 255 * 127 = 64770
  const Case layer = Convolution(1, {255, 255}, {127, 127}, 0, 0);
  EXPECT_THAT(Sums(layer, PairKernel::kAcrossTaps), ElementsAre(32767));
  EXPECT_THAT(Sums(layer, PairKernel::kNone), ElementsAre(64770));
  // One channel: each tap alone, nothing saturates.
  EXPECT_THAT(Sums(layer, PairKernel::kWithinTaps), ElementsAre(64770));
}

TEST(PairSaturatedTest, NegativePairsSaturateBelow) {
  EXPECT_THAT(Sums(Convolution(1, {255, 255}, {-128, -128}, 0, 0), PairKernel::kAcrossTaps), ElementsAre(-32768));
}

TEST(PairSaturatedTest, ZeroPointIsTakenOffAfterwards) {
  // The pair saturates at 32767; then 100 * (127 + 127) is taken off.
  EXPECT_THAT(Sums(Convolution(1, {255, 255}, {127, 127}, 100, 0), PairKernel::kAcrossTaps),
              ElementsAre(32767 - 25400));
}

TEST(PairSaturatedTest, PairsAreChannelsOfATapThenTheNextTap) {
  // Columns (tap, channel): (0,0) 255*127, (0,1) 255*127, (0,2) 0, (1,0) 255*127, (1,1) 0, (1,2) 255*127. The first
  // pair saturates; the second and third have one large product each.
  const Case layer = Convolution(3, {255, 255, 255, 0, 0, 255}, {127, 127, 127, 1, 1, 127}, 0, 0);
  EXPECT_THAT(Sums(layer, PairKernel::kAcrossTaps), ElementsAre(32767 + 32385 + 32385));
  EXPECT_THAT(Sums(layer, PairKernel::kWithinTaps), ElementsAre(32767 + 32385 + 32385));
}

TEST(PairSaturatedTest, AcrossTapsAndWithinDifferOnOddChannels) {
  // One channel, two taps of 255 * 127: a pair across taps, two singles within.
  const Case three = Convolution(3, {0, 255, 0, 0, 255, 0}, {0, 127, 0, 0, 127, 0}, 0, 0);
  // Columns: (0,2) = 255*127 and (1,0) = 255*127 are one pair across the taps.
  EXPECT_THAT(Sums(three, PairKernel::kAcrossTaps), ElementsAre(32767));
  EXPECT_THAT(Sums(three, PairKernel::kWithinTaps), ElementsAre(64770));
}

TEST(PairSaturatedTest, PaddingIsTheZeroPointOrNothing) {
  // Tap 0 is padding of value 255, tap 1 is 255: two channels of weight 127 each.
  const Case layer = Convolution(2, {255, 255}, {127, 127, 127, 127}, 255, 1);
  // Both taps saturate: 2 * 32767 less 255 * 508.
  EXPECT_THAT(Sums(layer, PairKernel::kAcrossTaps), ElementsAre(2 * 32767 - 255 * 508));
  // The padding's pair is added exactly.
  EXPECT_THAT(Sums(layer, PairKernel::kWithinTaps), ElementsAre(32767 + 2 * 255 * 127 - 255 * 508));
}

TEST(PairSaturatedTest, SmallCodesAreExact) {
  for (Case layer : SyntheticCases(11)) {
    if (layer.inputs.front().quant_min < 0) continue;
    // 7 bits of activations: 127 * 128 * 2 fits.
    for (std::int32_t& code : layer.input_codes.front().mutable_data<std::int32_t>()) code /= 2;
    layer.inputs.front().zero_points = {3};
    const std::vector<std::int64_t> exact = Sums(layer, PairKernel::kNone);
    EXPECT_THAT(Sums(layer, PairKernel::kAcrossTaps), ElementsAreArray(exact)) << layer.name;
    EXPECT_THAT(Sums(layer, PairKernel::kWithinTaps), ElementsAreArray(exact)) << layer.name;
  }
}

TEST(PairKernelTest, DependsOnRuntimeLayerAndHost) {
  numerics::TargetDescription target;
  const Case plain = SyntheticCases(1)[0];
  EXPECT_EQ(PairKernelOf(target, plain, false), PairKernel::kNone);
  target.accumulator.int16_pairs = numerics::Int16Pairs::kWithoutVnni;
  for (const auto mode : {numerics::BiasMode::kInteger, numerics::BiasMode::kFloatBeforeScale}) {
    target.bias.mode = mode;
    EXPECT_EQ(PairKernelOf(target, plain, false), PairKernel::kAcrossTaps);
    EXPECT_EQ(PairKernelOf(target, plain, true), PairKernel::kNone);
  }
  target.bias.mode = numerics::BiasMode::kFloatAfterScale;
  EXPECT_EQ(PairKernelOf(target, plain, false), PairKernel::kWithinTaps);
  Case is_signed = plain;
  is_signed.inputs.front().quant_min = -128;
  is_signed.inputs.front().quant_max = 127;
  EXPECT_EQ(PairKernelOf(target, is_signed, false), PairKernel::kNone);
}

// FBGEMM's depthwise kernel has no VNNI form.
TEST(PairKernelTest, DepthwiseOfFbgemmPairsOnEveryHost) {
  numerics::TargetDescription target;
  target.accumulator.int16_pairs = numerics::Int16Pairs::kWithoutVnni;
  target.bias.mode = numerics::BiasMode::kFloatBeforeScale;
  Case layer;
  layer.op = CaseOp::kConvolution;
  layer.convolution = {
      .stride = {1, 1}, .padding = {1, 1}, .dilation = {1, 1}, .groups = 8, .transposed = false, .output_padding = {}};
  layer.inputs = {{.scales = {1}, .zero_points = {0}, .quant_min = 0, .quant_max = 255}};
  layer.weight = {.scales = {1}, .zero_points = {0}, .quant_min = -128, .quant_max = 127};
  layer.weight_codes = graph::Tensor(graph::DType::kInt32, {8, 1, 3, 3});
  EXPECT_EQ(PairKernelOf(target, layer, true), PairKernel::kAcrossTaps);
  layer.convolution.dilation = {2, 2};
  EXPECT_EQ(PairKernelOf(target, layer, true), PairKernel::kNone);
}

}  // namespace
}  // namespace qatgap::vectors
