// QuantizeReals and DequantizeCodes against PyTorch's own fake-quant operators, bit for bit.
#include <ATen/core/Tensor.h>
#include <ATen/ops/fake_quantize_per_channel_affine.h>
#include <ATen/ops/fake_quantize_per_tensor_affine.h>
#include <ATen/ops/from_blob.h>

#include <bit>
#include <random>
#include <vector>

#include "analyzers/numerics/fake_quantize.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::execution {
namespace {

using numerics::QuantParams;

constexpr unsigned kSeed = 20240607;

std::vector<float> FakeQuantize(const std::vector<float>& x, const QuantParams& params, std::int64_t outer,
                                std::int64_t channels, std::int64_t inner) {
  std::vector<std::int32_t> codes(x.size());
  EXPECT_THAT(numerics::QuantizeReals(x, params, outer, channels, inner, codes), testing::IsOk());
  std::vector<float> reals(x.size());
  numerics::DequantizeCodes(codes, params, outer, channels, inner, reals);
  return reals;
}

void ExpectSameBits(const at::Tensor& expected, const std::vector<float>& actual, const std::vector<float>& x,
                    const std::string& what) {
  const at::Tensor contiguous = expected.contiguous();
  const float* reference = contiguous.const_data_ptr<float>();
  std::size_t different = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (std::bit_cast<std::uint32_t>(actual[i]) == std::bit_cast<std::uint32_t>(reference[i])) continue;
    if (different++ == 0) ADD_FAILURE() << what << ": x " << x[i] << ", " << actual[i] << " not " << reference[i];
  }
  EXPECT_EQ(different, 0U) << what << ", seed " << kSeed;
}

// Reals in and around the range; every fourth is a tie between two codes, as far as binary32 can hold one.
std::vector<float> Reals(std::mt19937& random, std::size_t count, double scale, std::int64_t zero_point,
                         std::int64_t low, std::int64_t high) {
  std::uniform_real_distribution<double> spread(static_cast<double>(low - zero_point) - 3,
                                                static_cast<double>(high - zero_point) + 3);
  std::vector<float> x(count);
  for (std::size_t i = 0; i < count; ++i) {
    double steps = spread(random);
    if (i % 4 == 0) steps = std::floor(steps) + 0.5;
    x[i] = static_cast<float>(steps * scale);
  }
  return x;
}

struct Range {
  std::int64_t low, high;
};
constexpr Range kRanges[] = {{0, 127}, {0, 255}, {-128, 127}, {-127, 127}, {0, 65535}};
// Powers of two make true ties; the others are scales of the test models and awkward ones.
constexpr double kScales[] = {1.0, 0.25, 0x1p-7, 0.18902866542339325, 0.01302, 1.1754943508222875e-38 * 1e6, 3.0};

TEST(FakeQuantizeReferenceTest, PerTensor) {
  std::mt19937 random(kSeed);
  for (const Range range : kRanges) {
    for (const double scale : kScales) {
      for (const std::int64_t zero_point : {range.low, range.high, (range.low + range.high) / 2,
                                            (range.low + range.high) / 2 + 1}) {
        QuantParams params;
        params.scales = {scale};
        params.zero_points = {zero_point};
        params.quant_min = range.low;
        params.quant_max = range.high;
        std::vector<float> x = Reals(random, 1024, scale, zero_point, range.low, range.high);
        const at::Tensor tensor = at::from_blob(x.data(), {1024}, at::kFloat);
        ExpectSameBits(at::fake_quantize_per_tensor_affine(tensor, scale, zero_point, range.low, range.high),
                       FakeQuantize(x, params, 1, 1, 1024), x, numerics::ToString(params));
      }
    }
  }
}

TEST(FakeQuantizeReferenceTest, PerChannelOnEveryAxis) {
  std::mt19937 random(kSeed);
  const std::vector<std::int64_t> shape = {7, 7, 7};
  for (const Range range : kRanges) {
    for (int axis = 0; axis < 3; ++axis) {
      QuantParams params;
      params.axis = axis;
      params.quant_min = range.low;
      params.quant_max = range.high;
      for (const double scale : kScales) {
        params.scales.push_back(static_cast<double>(static_cast<float>(scale)));
        params.zero_points.push_back(
            std::uniform_int_distribution<std::int64_t>(range.low, std::min<std::int64_t>(range.high, 255))(random));
      }
      const std::int64_t outer = axis == 0 ? 1 : axis == 1 ? 7 : 49, inner = axis == 0 ? 49 : axis == 1 ? 7 : 1;
      std::vector<float> x(343);
      for (std::size_t channel = 0; channel < 7; ++channel) {
        const auto column = Reals(random, 49, params.scales[channel], params.zero_points[channel], range.low, range.high);
        for (std::size_t i = 0; i < 49; ++i) {
          const auto in = static_cast<std::size_t>(inner);
          x[(i / in * 7 + channel) * in + i % in] = column[i];
        }
      }
      std::vector<float> scales(params.scales.begin(), params.scales.end());
      std::vector<std::int32_t> zero_points(params.zero_points.begin(), params.zero_points.end());
      const at::Tensor expected = at::fake_quantize_per_channel_affine(
          at::from_blob(x.data(), shape, at::kFloat), at::from_blob(scales.data(), {7}, at::kFloat),
          at::from_blob(zero_points.data(), {7}, at::kInt), axis, range.low, range.high);
      ExpectSameBits(expected, FakeQuantize(x, params, outer, 7, inner), x, numerics::ToString(params));
    }
  }
}

}  // namespace
}  // namespace qatgap::execution
