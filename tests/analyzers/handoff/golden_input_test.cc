#include "analyzers/handoff/golden_input.h"

#include <algorithm>
#include <cstdint>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/graph_builder.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::handoff {
namespace {

using ::qatgap::testing::PerTensor;
using ::qatgap::testing::StatusIs;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Le;

graph::MacLayer Convolution(graph::Shape weight, std::int64_t stride, std::int64_t padding, std::int64_t dilation = 1) {
  graph::MacLayer layer;
  const std::size_t axes = weight.size() - 2;
  layer.convolution = {.stride = std::vector(axes, stride), .padding = std::vector(axes, padding),
                       .dilation = std::vector(axes, dilation), .groups = 1, .transposed = false, .output_padding = {}};
  layer.output_channels = weight[0];
  layer.weight = graph::Tensor(graph::DType::kInt32, std::move(weight));
  return layer;
}

TEST(ShapesOfTest, AFewPixelsBeyondTheKernel) {
  const auto shapes = ShapesOf(Convolution({4, 3, 3, 3}, 1, 1));
  QATGAP_ASSERT_OK(shapes);
  EXPECT_THAT(shapes->input, ElementsAre(1, 3, 9, 9));
  EXPECT_THAT(shapes->output, ElementsAre(1, 4, 9, 9));
}

TEST(ShapesOfTest, StrideAndDilation) {
  // One kernel reaches (3 - 1) * 2 + 1 = 5; seven more strides of 2, less the padding.
  const auto shapes = ShapesOf(Convolution({4, 3, 3}, 2, 1, 2));
  QATGAP_ASSERT_OK(shapes);
  EXPECT_THAT(shapes->input, ElementsAre(1, 3, 18));
  EXPECT_THAT(shapes->output, ElementsAre(1, 4, 8));
}

TEST(ShapesOfTest, ManyChannelsGetASmallerPlane) {
  const auto shapes = ShapesOf(Convolution({256, 256, 3, 3}, 1, 1));
  QATGAP_ASSERT_OK(shapes);
  EXPECT_THAT(shapes->input, ElementsAre(1, 256, 4, 4));
}

TEST(ShapesOfTest, TransposedGivesAnOutputUnderLargePadding) {
  graph::MacLayer layer = Convolution({2, 3, 3, 3}, 2, 4);
  layer.convolution.transposed = true;
  layer.convolution.output_padding = {1, 1};
  layer.output_channels = 3;
  const auto shapes = ShapesOf(layer);
  QATGAP_ASSERT_OK(shapes);
  EXPECT_EQ(shapes->input[1], 2);
  EXPECT_EQ(shapes->output[1], 3);
  EXPECT_THAT(shapes->output, Each(Ge(1)));
}

TEST(ShapesOfTest, LinearGetsRows) {
  graph::MacLayer layer;
  layer.kind = graph::OpKind::kLinear;
  layer.output_channels = 10;
  layer.weight = graph::Tensor(graph::DType::kInt32, {10, 32});
  const auto shapes = ShapesOf(layer);
  QATGAP_ASSERT_OK(shapes);
  EXPECT_THAT(shapes->input, ElementsAre(8, 32));
  EXPECT_THAT(shapes->output, ElementsAre(8, 10));
}

TEST(ShapesOfTest, HostileAttributesAreReasons) {
  const auto reason = [](const graph::MacLayer& layer) { return ShapesOf(layer).status(); };
  constexpr auto kCode = absl::StatusCode::kFailedPrecondition;
  EXPECT_THAT(reason(Convolution({4, 3, 3, 3}, 0, 1)), StatusIs(kCode, HasSubstr("stride")));
  EXPECT_THAT(reason(Convolution({4, 3, 3, 3}, 1, -1)), StatusIs(kCode, HasSubstr("padding")));
  EXPECT_THAT(reason(Convolution({4, 3, 3, 3}, 1, 0, INT64_MAX)), StatusIs(kCode, HasSubstr("dilation")));
  EXPECT_THAT(reason(Convolution({4, 3, 3, 3}, 1, 0, INT32_MAX)), StatusIs(kCode, HasSubstr("least input")));
  graph::MacLayer layer = Convolution({4, 3, 3, 3}, 1, 1);
  layer.convolution.groups = 3;
  EXPECT_THAT(reason(layer), StatusIs(kCode, HasSubstr("4 channels are not 3 groups")));
  layer.convolution.groups = 1;
  layer.convolution.stride = {1};
  EXPECT_THAT(reason(layer), StatusIs(kCode, HasSubstr("2 spatial axes")));
}

// Padding as wide as a dilated kernel: one pixel is enough.
TEST(ShapesOfTest, PaddingCanStandForTheInput) {
  const auto shapes = ShapesOf(Convolution({1, 1, 3, 3}, 1, 1000, 1000));
  QATGAP_ASSERT_OK(shapes);
  EXPECT_THAT(shapes->input, ElementsAre(1, 1, 1, 1));
  EXPECT_THAT(shapes->output, ElementsAre(1, 1, 1, 1));
}

TEST(GoldenInputTest, FirstRowHoldsBothEndsAndTheRestIsNearTheZeroPoint) {
  const graph::Tensor codes = GoldenInput({1, 2, 4, 20}, PerTensor(0.5, 100), 4);
  const auto values = codes.data<std::int32_t>();
  for (const std::size_t plane : {0U, 80U}) {
    EXPECT_THAT(values.subspan(plane, 20), Each(::testing::AnyOf(0, 255)));
    EXPECT_THAT(values.subspan(plane, 20), ::testing::Contains(0));
    EXPECT_THAT(values.subspan(plane, 20), ::testing::Contains(255));
    EXPECT_THAT(values.subspan(plane + 20, 60), Each(::testing::AllOf(Ge(75), Le(138))));
  }
}

TEST(GoldenInputTest, OneRowIsNotGivenAway) {
  const graph::Tensor codes = GoldenInput({1, 64}, PerTensor(0.5, 0, -128, 127), 1);
  const auto values = codes.data<std::int32_t>();
  EXPECT_TRUE(std::any_of(values.begin(), values.end(), [](std::int32_t code) { return code != -128 && code != 127; }));
}

TEST(GoldenInputTest, EqualCallsAreEqual) {
  const graph::Tensor a = GoldenInput({1, 2, 3, 3}, PerTensor(0.5, 0), 1);
  const graph::Tensor b = GoldenInput({1, 2, 3, 3}, PerTensor(0.5, 0), 1);
  EXPECT_TRUE(std::ranges::equal(a.data<std::int32_t>(), b.data<std::int32_t>()));
}

}  // namespace
}  // namespace qatgap::handoff
