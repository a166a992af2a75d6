#include <string>

#include "analyzers/vectors/case.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/vectors/case_files.h"
#include "tests/analyzers/vectors/synthetic_cases.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::vectors {
namespace {

using ::testing::HasSubstr;

class RoundTripTest : public ::testing::TestWithParam<int> {};

// What is written is read as the same case.
TEST_P(RoundTripTest, IsTheSame) {
  const Case layer = SyntheticCases(static_cast<std::uint32_t>(GetParam()))[static_cast<std::size_t>(GetParam())];
  const Files files = WriteCase(layer);
  const auto cases = ReadCases(files);
  QATGAP_ASSERT_OK(cases);
  ASSERT_EQ(cases->size(), 1U);
  const Case& read = cases->front();
  EXPECT_EQ(WriteCase(read), files);
  EXPECT_EQ(read.name, layer.name);
  EXPECT_EQ(read.op, layer.op);
  EXPECT_EQ(read.convolution, layer.convolution);
  EXPECT_EQ(read.padding_end, layer.padding_end);
  EXPECT_EQ(read.inputs, layer.inputs);
  EXPECT_EQ(read.weight.scales, layer.weight.scales);
  EXPECT_EQ(read.output, layer.output);
  EXPECT_EQ(read.activation, layer.activation);
  EXPECT_EQ(read.bias, layer.bias);
  EXPECT_EQ(read.bias_integer, layer.bias_integer);
  EXPECT_THAT(read.weight_codes.data<std::int32_t>(),
              ::testing::ElementsAreArray(layer.weight_codes.data<std::int32_t>()));
}

INSTANTIATE_TEST_SUITE_P(Cases, RoundTripTest, ::testing::Range(0, kSyntheticCases),
                         [](const auto& test) { return SyntheticCases(0)[static_cast<std::size_t>(test.param)].name; });

TEST(CaseWriterTest, ScalesKeepTheirBits) {
  Case layer = SyntheticCases(1).front();
  layer.inputs.front().scales = {0.1 + 0.2};
  const auto cases = ReadCases(WriteCase(layer));
  QATGAP_ASSERT_OK(cases);
  EXPECT_EQ(cases->front().inputs.front().scale(), 0.1 + 0.2);
}

TEST(CaseWriterTest, NarrowRangesAndBytesThatAreNoText) {
  Case layer = SyntheticCases(1).front();
  layer.output.quant_max = 127;
  layer.runtime = "\xff\xfe";
  const Files files = WriteCase(layer);
  EXPECT_THAT(files.at(layer.name + "/case.json"), HasSubstr("\"quant_max\": 127"));
}

}  // namespace
}  // namespace qatgap::vectors
