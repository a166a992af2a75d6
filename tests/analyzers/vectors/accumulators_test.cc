#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "analyzers/vectors/case.h"
#include "analyzers/vectors/verify.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/vectors/synthetic_cases.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::vectors {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

std::int64_t At(const graph::Tensor& tensor, const graph::Shape& index) {
  std::int64_t flat = 0;
  for (std::size_t axis = 0; axis < index.size(); ++axis) flat = flat * tensor.dim(axis) + index[axis];
  return tensor.data<std::int32_t>()[static_cast<std::size_t>(flat)];
}

// The definition, one product at a time, over all inputs that reach an output: for two spatial axes.
std::vector<std::int64_t> Naive2d(const Case& layer) {
  const graph::ConvolutionAttributes& a = layer.convolution;
  const graph::Shape& in = layer.input_codes[0].shape();
  const graph::Shape& w = layer.weight_codes.shape();
  const graph::Shape& out = layer.output_codes.shape();
  const bool transposed = layer.op == CaseOp::kTransposedConvolution;
  const std::int64_t out_per_group = out[1] / a.groups, in_per_group = in[1] / a.groups;
  std::vector<std::int64_t> sums;
  for (std::int64_t o = 0; o < out[1]; ++o) {
    for (std::int64_t n = 0; n < out[0]; ++n) {
      for (std::int64_t y = 0; y < out[2]; ++y) {
        for (std::int64_t x = 0; x < out[3]; ++x) {
          std::int64_t sum = 0;
          for (std::int64_t i = 0; i < in_per_group; ++i) {
            const std::int64_t channel = o / out_per_group * in_per_group + i;
            for (std::int64_t ky = 0; ky < w[2]; ++ky) {
              for (std::int64_t kx = 0; kx < w[3]; ++kx) {
                for (std::int64_t iy = 0; iy < in[2]; ++iy) {
                  for (std::int64_t ix = 0; ix < in[3]; ++ix) {
                    const bool meets = transposed ? iy * a.stride[0] + ky * a.dilation[0] - a.padding[0] == y &&
                                                        ix * a.stride[1] + kx * a.dilation[1] - a.padding[1] == x
                                                  : y * a.stride[0] + ky * a.dilation[0] - a.padding[0] == iy &&
                                                        x * a.stride[1] + kx * a.dilation[1] - a.padding[1] == ix;
                    if (!meets) continue;
                    const std::int64_t weight = transposed
                                                    ? At(layer.weight_codes, {channel, o % out_per_group, ky, kx})
                                                    : At(layer.weight_codes, {o, i, ky, kx});
                    sum += (At(layer.input_codes[0], {n, channel, iy, ix}) - layer.inputs[0].zero_point()) *
                           (weight - layer.weight.zero_point(static_cast<std::size_t>(o)));
                  }
                }
              }
            }
          }
          sums.push_back(sum);
        }
      }
    }
  }
  return sums;
}

class ExactAccumulatorsTest : public ::testing::TestWithParam<int> {};

TEST_P(ExactAccumulatorsTest, AreTheDefinition) {
  const Case layer = SyntheticCases(7)[static_cast<std::size_t>(GetParam())];
  if (layer.input_codes[0].shape().size() != 4) GTEST_SKIP() << "one spatial axis or none";
  const auto sums = ExactAccumulators(layer);
  QATGAP_ASSERT_OK(sums);
  EXPECT_THAT(sums->data<std::int64_t>(), ElementsAreArray(Naive2d(layer)));
}

INSTANTIATE_TEST_SUITE_P(Cases, ExactAccumulatorsTest, ::testing::Range(0, kSyntheticCases),
                         [](const auto& test) { return SyntheticCases(0)[static_cast<std::size_t>(test.param)].name; });

Case Linear(std::vector<std::int32_t> input, std::vector<std::int32_t> weight, std::int64_t depth,
            std::int64_t quant_max) {
  Case layer;
  layer.op = CaseOp::kLinear;
  layer.inputs = {{.scales = {1}, .zero_points = {1}, .quant_min = -quant_max - 1, .quant_max = quant_max}};
  layer.weight = {.scales = {1}, .zero_points = {2}, .quant_min = -128, .quant_max = 127};
  layer.input_codes = {
      graph::Tensor::Of<std::int32_t>({static_cast<std::int64_t>(input.size()) / depth, depth}, input)};
  layer.weight_codes =
      graph::Tensor::Of<std::int32_t>({static_cast<std::int64_t>(weight.size()) / depth, depth}, weight);
  return layer;
}

TEST(ExactAccumulatorsWitnessTest, Linear) {
  // (3 - 1)(5 - 2) + (-4 - 1)(6 - 2) = 6 - 20
  const auto sums = ExactAccumulators(Linear({3, -4, 1, 1}, {5, 6}, 2, 127));
  QATGAP_ASSERT_OK(sums);
  EXPECT_THAT(sums->shape(), ElementsAre(1, 2));
  EXPECT_THAT(sums->data<std::int64_t>(), ElementsAre(-14, 0));
}

TEST(ExactAccumulatorsWitnessTest, BeyondInt32) {
  const std::vector<std::int32_t> input(1024, -32768), weight(1024, 127);
  const auto sums = ExactAccumulators(Linear(input, weight, 1024, 32767));
  QATGAP_ASSERT_OK(sums);
  EXPECT_THAT(sums->data<std::int64_t>(), ElementsAre(std::int64_t{-32769} * 125 * 1024));
}

TEST(ExactAccumulatorsWitnessTest, OneSpatialAxisIsTwoWithAnEmptyOne) {
  Case layer = SyntheticCases(3)[4];
  ASSERT_EQ(layer.name, "conv1d");
  const auto sums = ExactAccumulators(layer);
  QATGAP_ASSERT_OK(sums);
  const auto with_height = [](const graph::Tensor& t) {
    return graph::Tensor(t.dtype(), {t.dim(0), t.dim(1), 1, t.dim(2)}, t.storage());
  };
  layer.input_codes = {with_height(layer.input_codes[0])};
  layer.weight_codes = with_height(layer.weight_codes);
  layer.output_codes = with_height(layer.output_codes);
  layer.convolution = {
      .stride = {1, 1}, .padding = {0, 0}, .dilation = {1, 1}, .groups = 1, .transposed = false, .output_padding = {}};
  EXPECT_THAT(sums->data<std::int64_t>(), ElementsAreArray(Naive2d(layer)));
}

}  // namespace
}  // namespace qatgap::vectors
