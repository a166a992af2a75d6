#include "analyzers/numerics/quant_params.h"

#include <functional>
#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::numerics {
namespace {

using ::qatgap::testing::IsOk;
using ::qatgap::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;

QuantParams PerTensor() { return {.scales = {0.0123}, .zero_points = {64}, .quant_min = 0, .quant_max = 127}; }
QuantParams PerChannel() {
  return {.scales = {0.04, 0.0011}, .zero_points = {0, 0}, .quant_min = -128, .quant_max = 127, .axis = 0};
}

TEST(ValidateTest, AcceptsOrdinaryQparams) {
  EXPECT_THAT(Validate(PerTensor(), "input"), IsOk());
  EXPECT_THAT(Validate(PerChannel(), "weight"), IsOk());
}

struct BadCase {
  const char* name;
  std::function<void(QuantParams&)> spoil;
  const char* message;
};

class ValidateErrorTest : public ::testing::TestWithParam<BadCase> {};

TEST_P(ValidateErrorTest, NamesTheTensorTheFieldAndTheValue) {
  QuantParams params = PerChannel();
  GetParam().spoil(params);
  EXPECT_THAT(Validate(params, "conv1.weight"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("conv1.weight"), HasSubstr(GetParam().message))));
}

INSTANTIATE_TEST_SUITE_P(
    QuantParams, ValidateErrorTest,
    ::testing::Values(
        BadCase{"NoScale", [](QuantParams& p) { p.scales.clear(); }, "no scale"},
        BadCase{"Counts", [](QuantParams& p) { p.zero_points.pop_back(); }, "2 scales but 1 zero points"},
        BadCase{"ZeroScale", [](QuantParams& p) { p.scales[1] = 0; }, "scale[1] is 0"},
        BadCase{"NegativeScale", [](QuantParams& p) { p.scales[1] = -0.5; }, "scale[1] is -0.5"},
        BadCase{"NanScale", [](QuantParams& p) { p.scales[0] = std::numeric_limits<double>::quiet_NaN(); },
                "scale[0] is nan"},
        BadCase{"InfiniteScale", [](QuantParams& p) { p.scales[0] = std::numeric_limits<double>::infinity(); },
                "scale[0] is inf"},
        BadCase{"EmptyRange", [](QuantParams& p) { p.quant_min = 127; }, "quant_min 127"},
        BadCase{"WideRange", [](QuantParams& p) { p.quant_max = std::int64_t{1} << 31; }, "do not fit 32 bits"},
        BadCase{"ZeroPoint", [](QuantParams& p) { p.zero_points[1] = 128; }, "zero_point[1] is 128, outside -128..127"},
        BadCase{"ManyPerTensor", [](QuantParams& p) { p.axis = QuantParams::kPerTensor; }, "per tensor but 2 scales"},
        BadCase{"Axis", [](QuantParams& p) { p.axis = -2; }, "axis -2"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(ToStringTest, IsShortForAPerson) {
  EXPECT_EQ(ToString(PerTensor()), "scale 0.0123, zero point 64, codes 0..127");
  EXPECT_EQ(ToString(PerChannel()), "2 scales 0.0011..0.04 on axis 0, zero points 0, codes -128..127");
  QuantParams mixed = PerChannel();
  mixed.zero_points = {-3, 5};
  EXPECT_THAT(ToString(mixed), HasSubstr("zero points -3..5"));
  EXPECT_EQ(ToString(QuantParams{}), "no qparams");
}

}  // namespace
}  // namespace qatgap::numerics
