#include "analyzers/numerics/fake_quantize.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::numerics {
namespace {

using ::qatgap::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::int32_t> Quantize(const std::vector<float>& x, const QuantParams& params) {
  std::vector<std::int32_t> codes(x.size());
  QATGAP_EXPECT_OK(QuantizeReals(x, params, 1, 1, static_cast<std::int64_t>(x.size()), codes));
  return codes;
}

TEST(QuantizeRealsTest, RoundsHalfToEvenBeforeTheZeroPoint) {
  // With the zero point added first, 0.5 + 3 = 3.5 would go to 4.
  const QuantParams params{.scales = {1.0}, .zero_points = {3}, .quant_min = 0, .quant_max = 10};
  EXPECT_THAT(Quantize({0.5f, 1.5f, 2.5f, -0.5f, -1.5f}, params), ElementsAre(3, 5, 5, 3, 1));
}

TEST(QuantizeRealsTest, ClampsWithoutOverflow) {
  const QuantParams params{.scales = {1e-3}, .zero_points = {3}, .quant_min = 0, .quant_max = 127};
  const float max = std::numeric_limits<float>::max();  // max / 1e-3 is Inf
  EXPECT_THAT(Quantize({1.0f, -1.0f, 1e9f, -1e9f, max, -max}, params), ElementsAre(127, 0, 127, 0, 127, 0));
}

TEST(QuantizeRealsTest, MultipliesByTheReciprocal) {
  // s = 15 * 2^-20, x = 2.5 * s: x / s is 2.5 and goes to 2, x * fl(1 / s) is 2.5000002 and goes to 3.
  // s = 41 * 2^-20, x = 127.5 * s: 128 and 127.
  const QuantParams up{.scales = {15 * 0x1p-20}, .zero_points = {0}, .quant_min = -128, .quant_max = 127};
  EXPECT_THAT(Quantize({2.5f * 15 * 0x1p-20f}, up), ElementsAre(3));
  const QuantParams down{.scales = {41 * 0x1p-20}, .zero_points = {0}, .quant_min = 0, .quant_max = 255};
  EXPECT_THAT(Quantize({127.5f * 41 * 0x1p-20f}, down), ElementsAre(127));
}

TEST(QuantizeRealsTest, DividesWhereTheRuleSaysSo) {
  const auto divided = [](float x, const QuantParams& params) {
    std::vector<std::int32_t> codes(1);
    EXPECT_THAT(QuantizeReals({&x, 1}, params, 1, 1, 1, codes, StepRule::kDivide), testing::IsOk());
    return codes[0];
  };
  const QuantParams up{.scales = {15 * 0x1p-20}, .zero_points = {0}, .quant_min = -128, .quant_max = 127};
  EXPECT_EQ(divided(2.5f * 15 * 0x1p-20f, up), 2);
  const QuantParams down{.scales = {41 * 0x1p-20}, .zero_points = {0}, .quant_min = 0, .quant_max = 255};
  EXPECT_EQ(divided(127.5f * 41 * 0x1p-20f, down), 128);
}

TEST(QuantizeRealsTest, UsesTheScaleRoundedToBinary32) {
  // fl(0.1) = 0.100000001490116: its reciprocal is 10 in binary32, and 0.25 is a tie.
  const QuantParams params{.scales = {0.1}, .zero_points = {0}, .quant_min = 0, .quant_max = 255};
  EXPECT_THAT(Quantize({0.25f, 0.35f, 0.45f}, params), ElementsAre(2, 4, 4));
}

TEST(QuantizeRealsTest, TakesOneScalePerChannel) {
  const QuantParams params{
      .scales = {1.0, 0.5}, .zero_points = {0, 1}, .quant_min = -128, .quant_max = 127, .axis = 1};
  const std::vector<float> x = {1, 2, 1, 2, 3, 4, 3, 4};  // [2][2][2]
  std::vector<std::int32_t> codes(8);
  QATGAP_ASSERT_OK(QuantizeReals(x, params, 2, 2, 2, codes));
  EXPECT_THAT(codes, ElementsAre(1, 2, 3, 5, 3, 4, 7, 9));
  std::vector<float> back(8);
  DequantizeCodes(codes, params, 2, 2, 2, back);
  EXPECT_EQ(back, x);
}

TEST(QuantizeRealsTest, EmptyInputIsFine) {
  const QuantParams params{.scales = {1.0}, .zero_points = {0}};
  QATGAP_EXPECT_OK(QuantizeReals({}, params, 0, 1, 5, {}));
}

TEST(QuantizeRealsTest, NamesTheValueThatIsNotFinite) {
  const QuantParams params{.scales = {1.0}, .zero_points = {0}};
  std::vector<std::int32_t> codes(3);
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(QuantizeReals(std::vector<float>{0, -inf, nan}, params, 1, 1, 3, codes),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("value 1 is -inf")));
  EXPECT_THAT(QuantizeReals(std::vector<float>{0, 1, nan}, params, 1, 1, 3, codes),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("value 2 is nan")));
}

TEST(QuantizeRealsTest, RefusesSizesThatDisagree) {
  const QuantParams params{.scales = {1.0, 1.0}, .zero_points = {0, 0}, .axis = 0};
  std::vector<std::int32_t> codes(6);
  const std::vector<float> x(6);
  EXPECT_THAT(QuantizeReals(x, params, 1, 2, 2, codes),
              StatusIs(absl::StatusCode::kInvalidArgument, AllOf(HasSubstr("6 values"), HasSubstr("1 x 2 x 2"))));
  EXPECT_THAT(QuantizeReals(x, params, 1, 3, 2, codes),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("2 scales for 3 channels")));
  EXPECT_THAT(QuantizeReals(x, params, -1, -3, 2, codes), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("-1")));
}

TEST(DequantizeCodesTest, RoundsOnce) {
  const QuantParams params{.scales = {0.1}, .zero_points = {10}, .quant_min = 0, .quant_max = 255};
  std::vector<float> x(2);
  DequantizeCodes(std::vector<std::int32_t>{13, 0}, params, 1, 1, 2, x);
  EXPECT_EQ(x[0], 3 * 0.1f);
  EXPECT_EQ(x[1], -10 * 0.1f);
}

// Every code of an 8-bit and of a 16-bit range survives the way to a real and back, at awkward scales too.
TEST(RoundTripTest, EveryCodeOf16Bits) {
  for (const double scale : {1.0, 0.1, 1e-7, 0.0123, 1.0 / 3, 41 * 0x1p-20, 7e5}) {
    const QuantParams params{.scales = {scale}, .zero_points = {-100}, .quant_min = -32768, .quant_max = 32767};
    std::vector<std::int32_t> codes;
    for (std::int32_t code = -32768; code <= 32767; ++code) codes.push_back(code);
    std::vector<float> x(codes.size());
    DequantizeCodes(codes, params, 1, 1, 65536, x);
    EXPECT_EQ(Quantize(x, params), codes) << scale;
  }
}

}  // namespace
}  // namespace qatgap::numerics
