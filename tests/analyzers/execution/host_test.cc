// MaySaturateInt16Pairs against FBGEMM itself, with the worst data there is: every code 255, every weight 127.
#include "analyzers/execution/host.h"

#include <ostream>
#include <string>

#include "analyzers/execution/layer_kernel.h"
#include "analyzers/numerics/layer_arithmetic.h"
#include "gtest/gtest.h"
#include "tests/testing/demo_models.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::execution {
namespace {

using graph::MacLayer;
using graph::Shape;
using graph::Tensor;
using numerics::Engine;
using numerics::QuantParams;

struct Case {
  const char* name;
  Shape input, weight;
  std::int64_t stride = 1, groups = 1;
};

void PrintTo(const Case& c, std::ostream* stream) { *stream << c.name; }

const Case kCases[] = {
    {"Plain3x3", {1, 16, 8, 8}, {16, 16, 3, 3}, 1, 1},
    {"OneChannel3x3", {1, 1, 8, 8}, {16, 1, 3, 3}, 2, 1},
    {"Pointwise", {1, 32, 8, 8}, {32, 32, 1, 1}, 1, 1},
    {"Depthwise3x3", {1, 32, 8, 8}, {32, 1, 3, 3}, 1, 32},
    {"Depthwise3x3Stride2", {1, 32, 8, 8}, {32, 1, 3, 3}, 2, 32},
    {"Depthwise5x5", {1, 32, 8, 8}, {32, 1, 5, 5}, 1, 32},
    {"Depthwise3x3OddChannels", {1, 12, 8, 8}, {12, 1, 3, 3}, 1, 12},
    {"Depthwise1x3", {1, 32, 8, 8}, {32, 1, 1, 3}, 1, 32},
    {"Depthwise2x2", {1, 32, 8, 8}, {32, 1, 2, 2}, 1, 32},
    {"DepthwiseMultiplier2", {1, 16, 8, 8}, {32, 1, 3, 3}, 1, 16},
    {"Grouped2", {1, 32, 8, 8}, {32, 2, 3, 3}, 1, 16},
    {"Grouped4", {1, 32, 8, 8}, {32, 4, 3, 3}, 1, 8},
    {"Grouped8", {1, 32, 8, 8}, {32, 8, 3, 3}, 1, 4},
    {"Grouped16", {1, 64, 8, 8}, {64, 16, 3, 3}, 1, 4},
    {"Grouped8Stride2", {1, 32, 8, 8}, {32, 8, 3, 3}, 2, 4},
    {"Grouped3", {1, 12, 8, 8}, {12, 3, 3, 3}, 1, 4},
    {"GroupedPointwise", {1, 32, 8, 8}, {32, 8, 1, 1}, 1, 4},
    {"Linear", {3, 64}, {16, 64}, 1, 1},
};

QuantParams Params(double scale, std::int64_t zero_point, std::int64_t low, std::int64_t high) {
  QuantParams params;
  params.scales = {scale};
  params.zero_points = {zero_point};
  params.quant_min = low;
  params.quant_max = high;
  return params;
}

Tensor Filled(const Shape& shape, std::int32_t code) {
  Tensor tensor(graph::DType::kInt32, shape);
  for (std::int32_t& value : tensor.mutable_data<std::int32_t>()) value = code;
  return tensor;
}

MacLayer LayerOf(const Case& c, std::int32_t weight, bool per_channel) {
  MacLayer layer;
  layer.name = c.name;
  layer.kind = c.weight.size() == 2 ? graph::OpKind::kLinear : graph::OpKind::kConvolution;
  layer.weight = Filled(c.weight, weight);
  layer.weight_params = Params(0.01, 0, -128, 127);
  if (per_channel) {
    layer.weight_params.axis = 0;
    layer.weight_params.scales.assign(static_cast<std::size_t>(c.weight[0]), 0.01);
    layer.weight_params.zero_points.assign(static_cast<std::size_t>(c.weight[0]), 0);
  }
  if (c.weight.size() == 4) {
    layer.convolution = {{c.stride, c.stride}, {c.weight[2] / 2, c.weight[3] / 2}, {1, 1}, c.groups, false, {}};
  }
  layer.output_channels = c.weight[0];
  const double taps = static_cast<double>(graph::ElementCount(c.weight) / c.weight[0]);
  layer.output = Params(taps * 255 * 128 * 0.01 / 120, 128, 0, 255);
  return layer;
}

// Output codes of FBGEMM that differ from its exact arithmetic.
std::size_t Residuals(const MacLayer& layer, const Shape& shape, std::int32_t code) {
  const QuantParams input = Params(1, 0, 0, 255);
  const auto kernel = LayerKernel::Create(layer, input);
  EXPECT_THAT(kernel, testing::IsOk());
  const Tensor codes = Filled(shape, code);
  const auto engine = kernel->RunEngine(Engine::kFbgemm, codes);
  EXPECT_THAT(engine, testing::IsOk());
  const auto exact = numerics::LayerArithmetic::Create(
      *numerics::FindTarget("pytorch-fbgemm"),
      {.input = input, .weight = layer.weight_params, .output = layer.output, .bias = {}, .channels = layer.output_channels});
  EXPECT_THAT(exact, testing::IsOk());
  const Tensor sums = *kernel->Accumulate(codes);
  const auto count = static_cast<std::size_t>(sums.dim(1));
  std::vector<std::int32_t> row(count);
  std::size_t different = 0;
  for (std::int64_t c = 0; c < layer.output_channels; ++c) {
    const std::size_t begin = static_cast<std::size_t>(c) * count;
    exact->Codes(numerics::ArithmeticStage::kRequantized, c, sums.data<std::int32_t>().subspan(begin, count), row);
    for (std::size_t i = 0; i < count; ++i) different += row[i] != engine->data<std::int32_t>()[begin + i] ? 1U : 0U;
  }
  return different;
}

class Int16PairsTest : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    testing::UseOneThreadOnce();
    if (!HasEngine(Engine::kFbgemm)) GTEST_SKIP() << "this host's LibTorch lacks FBGEMM";
  }
};

TEST_P(Int16PairsTest, SaidExactlyWhereTheWorstDataSaturates) {
  for (const bool per_channel : {false, true}) {
    for (const std::int32_t weight : {127, -128, 64, 1}) {
      for (const std::int32_t code : {255, 128, 127}) {
        const MacLayer layer = LayerOf(GetParam(), weight, per_channel);
        EXPECT_EQ(MaySaturateInt16Pairs(Engine::kFbgemm, layer, code), Residuals(layer, GetParam().input, code) != 0)
            << "weights " << weight << ", codes " << code << ", per channel " << per_channel;
        EXPECT_FALSE(MaySaturateInt16Pairs(Engine::kQnnpack, layer, code));
      }
    }
  }
}

std::string CaseName(const ::testing::TestParamInfo<Case>& param) { return param.param.name; }
INSTANTIATE_TEST_SUITE_P(Layers, Int16PairsTest, ::testing::ValuesIn(kCases), CaseName);

TEST(HostTest, NamesWhatItRunsWith) {
  const Host host = DescribeHost();
  EXPECT_FALSE(host.libtorch_version.empty());
  for (const std::string& engine : host.engines) {
    EXPECT_TRUE(engine == "fbgemm" || engine == "qnnpack" || engine == "x86" || engine == "onednn") << engine;
  }
  EXPECT_FALSE(HasEngine(Engine::kNone));
}

}  // namespace
}  // namespace qatgap::execution
