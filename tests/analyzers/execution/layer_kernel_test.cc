#include "analyzers/execution/layer_kernel.h"

#include <cmath>
#include <numeric>
#include <random>

#include "analyzers/execution/host.h"
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
using ::testing::HasSubstr;

constexpr unsigned kSeed = 7;

std::size_t At(std::int64_t index) { return static_cast<std::size_t>(index); }

QuantParams PerTensor(double scale, std::int64_t zero_point, std::int64_t low, std::int64_t high) {
  QuantParams params;
  params.scales = {scale};
  params.zero_points = {zero_point};
  params.quant_min = low;
  params.quant_max = high;
  return params;
}

Tensor RandomCodes(const Shape& shape, std::int32_t low, std::int32_t high, std::mt19937& random) {
  Tensor tensor(graph::DType::kInt32, shape);
  std::uniform_int_distribution<std::int32_t> codes(low, high);
  for (std::int32_t& code : tensor.mutable_data<std::int32_t>()) code = codes(random);
  return tensor;
}

MacLayer Linear(std::int64_t outputs, std::int64_t inputs, std::mt19937& random) {
  MacLayer layer;
  layer.name = "layer";
  layer.kind = graph::OpKind::kLinear;
  layer.weight = RandomCodes({outputs, inputs}, -128, 127, random);
  layer.weight_params = PerTensor(0.01, 0, -128, 127);
  layer.output = PerTensor(0.1, 5, 0, 255);
  layer.output_channels = outputs;
  return layer;
}

MacLayer Convolution(const Shape& weight, const graph::ConvolutionAttributes& attributes, std::mt19937& random) {
  MacLayer layer = Linear(1, 1, random);
  layer.kind = graph::OpKind::kConvolution;
  layer.weight = RandomCodes(weight, -128, 127, random);
  layer.convolution = attributes;
  layer.output_channels = weight[0];
  return layer;
}

// A = sum (x - z_x)(w - z_w) of a two-dimensional convolution, [channels, elements]; outside the input x is z_x.
std::vector<std::int64_t> PlainConvolution(const MacLayer& layer, const QuantParams& input, const Tensor& x) {
  const graph::ConvolutionAttributes& conv = layer.convolution;
  const Shape out = *OutputShape(layer, x.shape());
  const Shape& w = layer.weight.shape();
  const auto xs = x.data<std::int32_t>();
  const auto ws = layer.weight.data<std::int32_t>();
  const std::int64_t per_group = layer.output_channels / conv.groups;
  std::vector<std::int64_t> rows;
  for (std::int64_t o = 0; o < out[1]; ++o) {
    for (std::int64_t n = 0; n < out[0]; ++n) {
      for (std::int64_t i = 0; i < out[2] * out[3]; ++i) {
        std::int64_t sum = 0;
        for (std::int64_t c = 0; c < w[1]; ++c) {
          for (std::int64_t k = 0; k < w[2] * w[3]; ++k) {
            const std::int64_t row = i / out[3] * conv.stride[0] - conv.padding[0] + k / w[3] * conv.dilation[0];
            const std::int64_t column = i % out[3] * conv.stride[1] - conv.padding[1] + k % w[3] * conv.dilation[1];
            if (row < 0 || row >= x.dim(2) || column < 0 || column >= x.dim(3)) continue;
            const std::int64_t channel = o / per_group * w[1] + c;
            const std::int64_t code = xs[At(((n * x.dim(1) + channel) * x.dim(2) + row) * x.dim(3) + column)];
            const std::int64_t weight = ws[At((o * w[1] + c) * w[2] * w[3] + k)];
            sum += (code - input.zero_point()) * (weight - layer.weight_params.zero_point(At(o)));
          }
        }
        rows.push_back(sum);
      }
    }
  }
  return rows;
}

std::vector<std::int64_t> Wide(const Tensor& tensor) {
  const auto codes = tensor.data<std::int32_t>();
  return {codes.begin(), codes.end()};
}

struct ConvolutionCase {
  const char* name;
  Shape input, weight;
  std::vector<std::int64_t> stride, padding, dilation;
  std::int64_t groups;
};

const ConvolutionCase kConvolutions[] = {
    {"Plain", {2, 3, 7, 6}, {4, 3, 3, 3}, {1, 1}, {0, 0}, {1, 1}, 1},
    {"StrideAndPadding", {2, 3, 9, 8}, {5, 3, 3, 3}, {2, 2}, {1, 1}, {1, 1}, 1},
    {"Oblong", {1, 2, 11, 10}, {3, 2, 5, 2}, {3, 1}, {2, 1}, {1, 1}, 1},
    {"Dilation", {2, 3, 11, 11}, {4, 3, 3, 3}, {1, 2}, {2, 1}, {2, 3}, 1},
    {"Grouped", {2, 8, 6, 6}, {12, 2, 3, 3}, {1, 1}, {1, 1}, {1, 1}, 4},
    {"Depthwise", {2, 16, 7, 7}, {16, 1, 3, 3}, {1, 1}, {1, 1}, {1, 1}, 16},
    {"DepthwiseMultiplier", {1, 3, 7, 7}, {6, 1, 3, 3}, {2, 2}, {1, 1}, {1, 1}, 3},
    {"Pointwise", {3, 32, 4, 4}, {24, 32, 1, 1}, {1, 1}, {0, 0}, {1, 1}, 1},
    {"Wide", {1, 64, 5, 5}, {8, 64, 3, 3}, {1, 1}, {1, 1}, {1, 1}, 1},
};

class ConvolutionTest : public ::testing::TestWithParam<ConvolutionCase> {
 protected:
  void SetUp() override { testing::UseOneThreadOnce(); }
};

TEST_P(ConvolutionTest, AccumulateEqualsAPlainIntegerLoop) {
  std::mt19937 random(kSeed);
  const ConvolutionCase& c = GetParam();
  MacLayer layer = Convolution(c.weight, {c.stride, c.padding, c.dilation, c.groups, false, {}}, random);
  for (const bool per_channel : {false, true}) {
    for (const std::int64_t zero_point : {0, 3, 127, 255}) {
      SCOPED_TRACE(::testing::Message() << "z_x " << zero_point << ", per channel " << per_channel);
      const QuantParams input = PerTensor(0.02, zero_point, 0, 255);
      layer.weight_params = PerTensor(0.01, -3, -128, 127);
      if (per_channel) {
        layer.weight_params.axis = 0;
        layer.weight_params.scales.assign(At(c.weight[0]), 0.01);
        layer.weight_params.zero_points.resize(At(c.weight[0]));
        std::iota(layer.weight_params.zero_points.begin(), layer.weight_params.zero_points.end(), -4);
      }
      const auto kernel = LayerKernel::Create(layer, input);
      QATGAP_ASSERT_OK(kernel);
      const Tensor codes = RandomCodes(c.input, 0, 255, random);
      const auto rows = kernel->Accumulate(codes);
      QATGAP_ASSERT_OK(rows);
      const Shape out = *OutputShape(layer, c.input);
      EXPECT_EQ(rows->shape(), (Shape{out[1], out[0] * out[2] * out[3]}));
      EXPECT_EQ(Wide(*rows), PlainConvolution(layer, input, codes));
    }
  }
}

TEST_P(ConvolutionTest, FromChannelMajorInvertsToChannelMajor) {
  std::mt19937 random(kSeed);
  const ConvolutionCase& c = GetParam();
  const MacLayer layer = Convolution(c.weight, {c.stride, c.padding, c.dilation, c.groups, false, {}}, random);
  const Shape shape = *OutputShape(layer, c.input);
  const Tensor output = RandomCodes(shape, -1000, 1000, random);
  const Tensor rows = ToChannelMajor(layer, output);
  EXPECT_EQ(rows.dim(0), shape[1]);
  EXPECT_EQ(rows.data<std::int32_t>()[At(rows.dim(1))], output.data<std::int32_t>()[At(shape[2] * shape[3])])
      << "row 1 starts with channel 1 of sample 0";
  Tensor back(graph::DType::kInt32, shape);
  FromChannelMajor(layer, rows, back);
  EXPECT_EQ(back.shape(), shape);
  EXPECT_EQ(Wide(back), Wide(output));
}

std::string CaseName(const ::testing::TestParamInfo<ConvolutionCase>& param) { return param.param.name; }
INSTANTIATE_TEST_SUITE_P(Layers, ConvolutionTest, ::testing::ValuesIn(kConvolutions), CaseName);

TEST(LayerKernelTest, LinearOverTheLastAxis) {
  testing::UseOneThreadOnce();
  std::mt19937 random(kSeed);
  const MacLayer layer = Linear(5, 33, random);
  const QuantParams input = PerTensor(0.02, 17, 0, 255);
  const auto kernel = LayerKernel::Create(layer, input);
  QATGAP_ASSERT_OK(kernel);
  for (const Shape& shape : {Shape{7, 33}, Shape{2, 3, 33}}) {
    const Tensor x = RandomCodes(shape, 0, 255, random);
    const std::int64_t samples = x.elements() / 33;
    std::vector<std::int64_t> expected;
    for (std::int64_t o = 0; o < 5; ++o) {
      for (std::int64_t n = 0; n < samples; ++n) {
        std::int64_t sum = 0;
        for (std::int64_t k = 0; k < 33; ++k) {
          sum += (x.data<std::int32_t>()[At(n * 33 + k)] - 17) * layer.weight.data<std::int32_t>()[At(o * 33 + k)];
        }
        expected.push_back(sum);
      }
    }
    const auto rows = kernel->Accumulate(x);
    QATGAP_ASSERT_OK(rows);
    EXPECT_EQ(rows->shape(), (Shape{5, samples}));
    EXPECT_EQ(Wide(*rows), expected);
    const Shape out = *OutputShape(layer, shape);
    Tensor back(graph::DType::kInt32, out);
    FromChannelMajor(layer, *rows, back);
    EXPECT_EQ(back.shape(), out);
    EXPECT_EQ(Wide(ToChannelMajor(layer, back)), expected);
  }
}

// All weights are -128 and all codes 255: no single product in binary32 is exact, so the input channels are cut. A channel of
// `taps` weights takes 32,640 * taps of the 2^24.
struct PiecesCase {
  const char* name;
  Shape input, weight;
  std::int64_t groups;
  std::size_t pieces;  // 0: binary64
};

const PiecesCase kPieces[] = {
    {"PointwiseJustBelow", {1, 514, 2, 2}, {2, 514, 1, 1}, 1, 1},  // 514 * 32,640 = 16,776,960 < 16,777,216
    {"PointwiseJustAbove", {1, 515, 2, 2}, {2, 515, 1, 1}, 1, 2},
    {"PointwiseThree", {3, 1029, 1, 3}, {5, 1029, 1, 1}, 1, 3},    // 2 * 514 + 1
    {"Spatial", {2, 120, 4, 5}, {3, 120, 3, 3}, 1, 3},             // 57 channels of 9 taps a piece
    {"OneChannelTooLarge", {1, 2, 30, 30}, {2, 2, 23, 23}, 1, 0},  // 529 taps
    {"Grouped", {1, 240, 3, 3}, {4, 120, 3, 3}, 2, 0},
};

class PiecesTest : public ::testing::TestWithParam<PiecesCase> {};

TEST_P(PiecesTest, AccumulateEqualsAPlainIntegerLoop) {
  testing::UseOneThreadOnce();
  std::mt19937 random(kSeed);
  const PiecesCase& c = GetParam();
  const std::vector<std::int64_t> padding = {c.weight[2] / 2, c.weight[3] / 2};
  MacLayer layer = Convolution(c.weight, {{1, 1}, padding, {1, 1}, c.groups, false, {}}, random);
  const QuantParams input = PerTensor(0.02, 0, 0, 255);
  for (const bool largest : {true, false}) {
    SCOPED_TRACE(largest ? "the largest sums" : "weights -128 and -127, codes 254 and 255");
    Tensor codes = RandomCodes(c.input, 254, 255, random);
    layer.weight = RandomCodes(c.weight, -128, -127, random);
    if (largest) {
      for (std::int32_t& w : layer.weight.mutable_data<std::int32_t>()) w = -128;
      for (std::int32_t& x : codes.mutable_data<std::int32_t>()) x = 255;
    }
    const auto kernel = LayerKernel::Create(layer, input);
    QATGAP_ASSERT_OK(kernel);
    if (largest) {
      EXPECT_EQ(kernel->pieces(), c.pieces);
    }
    const auto rows = kernel->Accumulate(codes);
    QATGAP_ASSERT_OK(rows);
    EXPECT_EQ(Wide(*rows), PlainConvolution(layer, input, codes));
  }
}

INSTANTIATE_TEST_SUITE_P(Layers, PiecesTest, ::testing::ValuesIn(kPieces),
                         [](const ::testing::TestParamInfo<PiecesCase>& param) { return param.param.name; });

// The bound is max over channels of sum |w - z_w|, times max |x - z_x|: below 2^24 every partial sum is a binary32.
TEST(LayerKernelTest, Float32ExactlyWhereProved) {
  testing::UseOneThreadOnce();
  std::mt19937 random(kSeed);
  MacLayer layer = Linear(2, 515, random);
  const auto fill = [&](std::int32_t first, std::int32_t rest) {
    auto codes = layer.weight.mutable_data<std::int32_t>();
    std::fill(codes.begin(), codes.begin() + 515, first);
    std::fill(codes.begin() + 515, codes.end(), rest);
  };
  const QuantParams wide = PerTensor(1, 0, 0, 255), narrow = PerTensor(1, 0, 0, 127), shifted = PerTensor(1, 128, 0, 255);
  fill(-127, 3);  // 515 * 127 * 255 = 16 678 275 < 16 777 216
  EXPECT_TRUE(LayerKernel::Create(layer, wide)->uses_float32());
  fill(1, -128);  // 515 * 128 * 255 = 16 809 600
  const auto kernel = LayerKernel::Create(layer, wide);
  EXPECT_FALSE(kernel->uses_float32());
  EXPECT_TRUE(LayerKernel::Create(layer, narrow)->uses_float32());
  EXPECT_TRUE(LayerKernel::Create(layer, shifted)->uses_float32());
  // Odd sums beyond 2^24, which binary32 does not hold.
  layer.weight.mutable_data<std::int32_t>()[515] = -127;
  Tensor x(graph::DType::kInt32, {1, 515});
  std::fill(x.mutable_data<std::int32_t>().begin(), x.mutable_data<std::int32_t>().end(), 255);
  const auto odd = LayerKernel::Create(layer, wide);
  EXPECT_FALSE(odd->uses_float32());
  EXPECT_EQ(Wide(*odd->Accumulate(x)), (std::vector<std::int64_t>{515 * 255, -255 * (514 * 128 + 127)}));
}

TEST(LayerKernelTest, RefusesAccumulatorsBeyondInt32) {
  std::mt19937 random(kSeed);
  MacLayer layer = Linear(1, 70000, random);  // 70000 * 128 * 255 = 2.28e9
  for (std::int32_t& code : layer.weight.mutable_data<std::int32_t>()) code = -128;
  EXPECT_THAT(LayerKernel::Create(layer, PerTensor(1, 0, 0, 255)),
              testing::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("beyond int32")));
}

// Reals that are small multiples of 2^-6: every product and sum is exact in binary64, so the loop below is the answer.
TEST(LayerKernelTest, SumRealsOfAConvolutionAndALinear) {
  testing::UseOneThreadOnce();
  std::mt19937 random(kSeed);
  MacLayer linear = Linear(3, 20, random);
  linear.weight_params.zero_points = {-2};
  MacLayer pointwise = Convolution({3, 20, 1, 1}, {{1, 1}, {0, 0}, {1, 1}, 1, false, {}}, random);
  pointwise.weight_params.zero_points = {5};
  const Tensor codes = RandomCodes({4, 20}, -4096, 4096, random);
  std::vector<float> reals;
  for (const std::int32_t code : codes.data<std::int32_t>()) reals.push_back(static_cast<float>(code) / 64.0F);
  for (const MacLayer* layer : {&linear, &pointwise}) {
    const auto kernel = LayerKernel::Create(*layer, PerTensor(0.1, 0, 0, 255));
    QATGAP_ASSERT_OK(kernel);
    const Shape shape = layer == &linear ? Shape{4, 20} : Shape{4, 20, 1, 1};
    const auto sums = kernel->SumReals(Tensor::Of<float>(shape, reals));
    QATGAP_ASSERT_OK(sums);
    ASSERT_EQ(sums->shape(), (Shape{3, 4}));
    for (std::size_t o = 0; o < 3; ++o) {
      for (std::size_t n = 0; n < 4; ++n) {
        double expected = 0;
        for (std::size_t k = 0; k < 20; ++k) {
          expected += static_cast<double>(reals[n * 20 + k]) *
                      static_cast<double>(layer->weight.data<std::int32_t>()[o * 20 + k] -
                                          layer->weight_params.zero_point());
        }
        EXPECT_EQ(sums->data<double>()[o * 4 + n], expected) << o << ", " << n;
      }
    }
  }
}

// Transposed: scatter each input to the outputs it reaches.
TEST(LayerKernelTest, TransposedConvolution) {
  testing::UseOneThreadOnce();
  std::mt19937 random(kSeed);
  MacLayer layer = Convolution({3, 2, 3, 3}, {{2, 2}, {1, 1}, {1, 1}, 1, true, {1, 1}}, random);
  layer.output_channels = 2;
  const QuantParams input = PerTensor(0.1, 9, 0, 255);
  const Tensor x = RandomCodes({1, 3, 4, 4}, 0, 255, random);
  const Shape out = *OutputShape(layer, x.shape());
  ASSERT_EQ(out, (Shape{1, 2, 8, 8}));
  std::vector<std::int64_t> expected(128, 0);
  for (std::int64_t c = 0; c < 3; ++c) {
    for (std::int64_t i = 0; i < 16; ++i) {
      for (std::int64_t tap = 0; tap < 18; ++tap) {
        const std::int64_t row = i / 4 * 2 - 1 + tap % 9 / 3, column = i % 4 * 2 - 1 + tap % 3;
        if (row < 0 || row >= 8 || column < 0 || column >= 8) continue;
        expected[At(tap / 9 * 64 + row * 8 + column)] +=
            (x.data<std::int32_t>()[At(c * 16 + i)] - 9) * layer.weight.data<std::int32_t>()[At(c * 18 + tap)];
      }
    }
  }
  const auto kernel = LayerKernel::Create(layer, input);
  QATGAP_ASSERT_OK(kernel);
  EXPECT_EQ(Wide(*kernel->Accumulate(x)), expected);
}

TEST(LayerKernelTest, OneAndThreeSpatialAxes) {
  testing::UseOneThreadOnce();
  std::mt19937 random(kSeed);
  const QuantParams input = PerTensor(0.1, 9, 0, 255);
  // A kernel of ones over channels and space: each output is the sum of its window.
  MacLayer line = Convolution({1, 2, 3}, {{1}, {0}, {1}, 1, false, {}}, random);
  MacLayer volume = Convolution({1, 2, 2, 1, 1}, {{1, 1, 1}, {0, 0, 0}, {1, 1, 1}, 1, false, {}}, random);
  for (MacLayer* layer : {&line, &volume}) {
    for (std::int32_t& code : layer->weight.mutable_data<std::int32_t>()) code = 1;
  }
  const Tensor x = RandomCodes({1, 2, 4}, 0, 255, random);
  const auto v = x.data<std::int32_t>();
  const auto line_rows = LayerKernel::Create(line, input)->Accumulate(x);
  QATGAP_ASSERT_OK(line_rows);
  EXPECT_EQ(Wide(*line_rows), (std::vector<std::int64_t>{v[0] + v[1] + v[2] + v[4] + v[5] + v[6] - 54,
                                                         v[1] + v[2] + v[3] + v[5] + v[6] + v[7] - 54}));
  const Tensor cube = Tensor::Of<std::int32_t>({1, 2, 4, 1, 1}, v);
  const auto volume_rows = LayerKernel::Create(volume, input)->Accumulate(cube);
  QATGAP_ASSERT_OK(volume_rows);
  EXPECT_EQ(Wide(*volume_rows), (std::vector<std::int64_t>{v[0] + v[1] + v[4] + v[5] - 36, v[1] + v[2] + v[5] + v[6] - 36,
                                                           v[2] + v[3] + v[6] + v[7] - 36}));
}

// quint8 is all an engine knows: an output range of 0..127, as ONNX files have it, is a clamp behind it.
TEST(LayerKernelTest, EnginesKeepANarrowOutputRange) {
  testing::UseOneThreadOnce();
  std::mt19937 random(kSeed);
  const QuantParams input = PerTensor(0.1, 9, 0, 255);
  const MacLayer wide = Linear(16, 32, random);
  MacLayer narrow = wide;
  narrow.output.quant_max = 127;
  const Tensor codes = RandomCodes({8, 32}, 0, 255, random);
  const auto whole = LayerKernel::Create(wide, input)->RunEngine(Engine::kFbgemm, codes);
  const auto clamped = LayerKernel::Create(narrow, input)->RunEngine(Engine::kFbgemm, codes);
  QATGAP_ASSERT_OK(whole);
  QATGAP_ASSERT_OK(clamped);
  const auto a = whole->data<std::int32_t>(), b = clamped->data<std::int32_t>();
  ASSERT_EQ(a.size(), b.size());
  std::size_t beyond = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(b[i], std::min(a[i], 127)) << i;
    beyond += a[i] > 127 ? 1U : 0U;
  }
  EXPECT_GT(beyond, 0U);

  MacLayer relu6 = wide;  // 6 / 0.1 + 5 = 65
  relu6.activation = numerics::Activation::kRelu6;
  const auto limited = LayerKernel::Create(relu6, input)->RunEngine(Engine::kFbgemm, codes);
  QATGAP_ASSERT_OK(limited);
  const auto c = limited->data<std::int32_t>();
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_EQ(c[i], std::clamp(a[i], 5, 65)) << i;
}

TEST(LayerKernelTest, EnginesRefuseWithAReason) {
  testing::UseOneThreadOnce();
  std::mt19937 random(kSeed);
  const QuantParams input = PerTensor(0.1, 9, 0, 255);
  const auto reason = [&](const MacLayer& layer, const QuantParams& in, const Tensor& codes) {
    const auto kernel = LayerKernel::Create(layer, in);
    EXPECT_THAT(kernel, testing::IsOk());
    const absl::Status status = kernel->RunEngine(Engine::kFbgemm, codes).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    return std::string(status.message());
  };
  const Tensor x = RandomCodes({1, 8}, 0, 100, random);
  const MacLayer plain = Linear(8, 8, random);
  EXPECT_THAT(reason(plain, PerTensor(0.1, 0, -128, 127), x), HasSubstr("read quint8"));
  MacLayer output = plain;
  output.output = PerTensor(0.1, 0, -128, 127);
  EXPECT_THAT(reason(output, input, x), HasSubstr("this layer's codes are -128..127"));
  MacLayer weight = plain;
  weight.weight_params.quant_max = 255;
  EXPECT_THAT(reason(weight, input, x), HasSubstr("qint8 weights"));
  const MacLayer transposed = [&] {
    MacLayer layer = Convolution({8, 8, 3, 3}, {{1, 1}, {1, 1}, {1, 1}, 1, true, {0, 0}}, random);
    layer.activation = numerics::Activation::kRelu;
    return layer;
  }();
  EXPECT_THAT(reason(transposed, input, RandomCodes({1, 8, 4, 4}, 0, 255, random)), HasSubstr("transposed"));
  const MacLayer line = Convolution({8, 8, 3}, {{1}, {1}, {1}, 1, false, {}}, random);
  const auto rows = LayerKernel::Create(line, input)->RunEngine(Engine::kFbgemm, RandomCodes({1, 8, 4}, 0, 255, random));
  QATGAP_ASSERT_OK(rows);  // a convolution along one axis is taken
  EXPECT_EQ(rows->shape(), (Shape{8, 4}));
}

// PyTorch 2.13's FBGEMM and oneDNN compute some transposed convolutions wrongly. Which ones depends on the host: what counts
// is that a result is right, or refused.
TEST(LayerKernelTest, EnginesComputeTransposedConvolutionsOrRefuse) {
  testing::UseOneThreadOnce();
  std::mt19937 random(kSeed);
  const QuantParams input = PerTensor(0.1, 2, 0, 255);
  int computed = 0;
  for (const auto& [inputs, outputs, groups] : {std::array<std::int64_t, 3>{3, 4, 1}, {8, 8, 1}, {16, 8, 1}, {16, 8, 4}}) {
    MacLayer layer = Convolution({inputs, outputs / groups, 2, 2}, {{2, 2}, {0, 0}, {1, 1}, groups, true, {0, 0}}, random);
    layer.output_channels = outputs;
    layer.output = PerTensor(0.05, 128, 0, 255);
    const Tensor x = RandomCodes({1, inputs, 3, 3}, 0, 4, random);  // small: no pair of products saturates
    const auto kernel = LayerKernel::Create(layer, input);
    QATGAP_ASSERT_OK(kernel);
    const auto exact = kernel->Accumulate(x);
    QATGAP_ASSERT_OK(exact);
    for (const Engine engine : {Engine::kFbgemm, Engine::kOnednn, Engine::kQnnpack}) {
      if (!HasEngine(engine)) continue;
      const auto codes = kernel->RunEngine(engine, x);
      if (!codes.ok()) {
        EXPECT_THAT(std::string(codes.status().message()), HasSubstr("computes it wrongly: a probe of"));
        EXPECT_NE(engine, Engine::kQnnpack);
        continue;
      }
      ++computed;
      const auto accumulators = exact->data<std::int32_t>();
      const auto values = codes->data<std::int32_t>();
      for (std::size_t i = 0; i < values.size(); ++i) {
        const double real = 0.1 * 0.01 * accumulators[i] / 0.05;
        EXPECT_LE(std::abs(values[i] - std::clamp(std::nearbyint(real) + 128, 0.0, 255.0)), 1)
            << ToString(engine) << ' ' << inputs << " to " << outputs << " channels, element " << i;
      }
    }
  }
  EXPECT_GE(computed, HasEngine(Engine::kQnnpack) ? 4 : 1);
}

}  // namespace
}  // namespace qatgap::execution
