#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "analyzers/samples/npy_format.h"
#include "analyzers/vectors/case.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/vectors/case_files.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::vectors {
namespace {

using ::qatgap::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

Case ReadOne(const Files& files) {
  const auto cases = ReadCases(files);
  QATGAP_EXPECT_OK(cases);
  return cases.ok() && cases->size() == 1 ? cases->front() : Case();
}

TEST(CaseReaderTest, ReadsEveryField) {
  const Case layer = ReadOne(ConvolutionFiles());
  EXPECT_EQ(layer.name, "conv");
  EXPECT_EQ(layer.runtime, "pytorch");
  EXPECT_EQ(layer.version, "2.13.0+cpu");
  EXPECT_EQ(layer.target, "pytorch-qnnpack");
  EXPECT_EQ(layer.op, CaseOp::kConvolution);
  EXPECT_EQ(layer.host, (std::map<std::string, bool>{{"simulated", false}, {"vnni", true}}));
  EXPECT_EQ(layer.convolution, (graph::ConvolutionAttributes{.stride = {1, 1},
                                                             .padding = {1, 1},
                                                             .dilation = {1, 1},
                                                             .groups = 1,
                                                             .transposed = false,
                                                             .output_padding = {}}));
  EXPECT_THAT(layer.padding_end, IsEmpty());
  EXPECT_EQ(layer.inputs.front(),
            (numerics::QuantParams{.scales = {0.05}, .zero_points = {3}, .quant_min = 0, .quant_max = 255}));
  EXPECT_THAT(layer.weight.scales, ElementsAre(0.01, 0.02, 0.03, 0.04, 0.05, 0.06));
  EXPECT_EQ(layer.weight.axis, 0);
  EXPECT_EQ(layer.weight.quant_min, -128);
  EXPECT_EQ(layer.output.zero_point(), 7);
  EXPECT_EQ(layer.activation, numerics::Activation::kRelu);
  EXPECT_THAT(layer.bias, ElementsAre(1, -2, 3.5, 0, 0.25, 9));
  EXPECT_THAT(layer.bias_integer, IsEmpty());
  EXPECT_EQ(layer.input_codes.front().data<std::int32_t>()[119], 119);
  EXPECT_EQ(layer.weight_codes.data<std::int32_t>()[0], -128);
  EXPECT_EQ(OpName(layer), "conv2d");
}

TEST(CaseReaderTest, ReadsFoldersByName) {
  Files files = ConvolutionFiles();
  for (const auto& [path, bytes] : ConvolutionFiles()) files["deeper/another/" + path.substr(5)] = bytes;
  for (const auto& [path, bytes] : ConvolutionFiles()) files[path.substr(5)] = bytes;
  files["README.md"] = "not a case";
  const auto cases = ReadCases(files);
  QATGAP_ASSERT_OK(cases);
  std::vector<std::string> names;
  for (const Case& layer : *cases) names.push_back(layer.name);
  EXPECT_THAT(names, ElementsAre("", "conv", "deeper/another"));
}

struct Spelling {
  const char* name;
  std::vector<std::pair<const char*, const char*>> changes;
};

class SpellingTest : public ::testing::TestWithParam<Spelling> {};

// However it is spelt, it is the same case.
TEST_P(SpellingTest, IsTheSameCase) {
  Files files = ConvolutionFiles();
  for (const auto& [from, to] : GetParam().changes) files = With(std::move(files), from, to);
  EXPECT_EQ(WriteCase(ReadOne(files)), WriteCase(ReadOne(ConvolutionFiles())));
}

INSTANTIATE_TEST_SUITE_P(
    Spellings, SpellingTest,
    ::testing::ValuesIn(std::vector<Spelling>{
        {"OpOfOnnx", {{"\"conv2d\"", "\"Conv\""}}},
        {"OpQLinear", {{"\"conv2d\"", "\"QLinearConv\""}}},
        {"OpOfTflite", {{"\"conv2d\"", "\"CONV_2D\""}}},
        {"OpWithActivation", {{"\"conv2d\"", "\"quantized::conv2d_relu\""}, {",\n  \"activation\": \"relu\"", ""}}},
        {"ActivationInCapitals", {{"\"relu\"", "\"RELU\""}}},
        {"DtypesOfTorch",
         {{"\"uint8\", \"scale\": 0.05", "\"torch.quint8\", \"scale\": 0.05"}, {"\"int8\"", "\"qint8\""}}},
        {"ShortDtypes", {{"\"uint8\", \"scale\": 0.05", "\"u8\", \"scale\": [0.05]"}, {"\"int8\"", "\"i8\""}}},
        {"NoLayout", {{"  \"layout\": \"NCHW\",\n", ""}}},
        {"LayoutInSmallLetters", {{"NCHW", "nchw"}}},
        {"ChannelsFirst", {{"NCHW", "channels_first"}}},
        {"NumbersForLists", {{"\"stride\": [1, 1], \"padding\": [1, 1]", "\"strides\": 1, \"pads\": 1"}}},
        {"PaddingOfEverySide", {{"\"padding\": [1, 1]", "\"padding\": [1, 1, 1, 1]"}}},
        {"PaddingInPairs", {{"\"padding\": [1, 1]", "\"padding\": [[1, 1], [1, 1]]"}}},
        {"PaddingSame", {{"\"padding\": [1, 1]", "\"padding\": \"SAME\""}}},
        {"DefaultsLeftOut", {{"\"stride\": [1, 1], ", ""}, {", \"dilation\": [1, 1], \"groups\": 1", ""}}},
        {"OneZeroPointForAll", {{"[0, 0, 0, 0, 0, 0]", "0"}}},
        {"NoWeightZeroPoints", {{"\"zero_points\": [0, 0, 0, 0, 0, 0],", ""}}},
        {"NoAxis", {{",\n             \"axis\": 0", ""}}},
        {"AxisFromTheEnd", {{"\"axis\": 0", "\"axis\": -4"}}},
        {"ScalesUnderOneName", {{"\"scales\"", "\"scale\""}}},
        {"UnknownKeys", {{"\"op\"", "\"note\": {\"a\": [1]}, \"op\""}}},
        {"Comments", {{"\"op\"", "// which \n \"op\""}}},
        {"WholeFloats", {{"\"zero_point\": 3", "\"zero_point\": 3.0"}}},
        {"NullIsAbsent", {{"\"groups\": 1", "\"groups\": null"}}},
    }),
    [](const auto& spelling) { return std::string(spelling.param.name); });

struct Spoilt {
  const char* name;
  Files files;
  std::vector<const char*> message;
};

class SpoiltTest : public ::testing::TestWithParam<Spoilt> {};

TEST_P(SpoiltTest, IsNamed) {
  const auto cases = ReadCases(GetParam().files);
  EXPECT_THAT(cases, StatusIs(kInvalid, HasSubstr("conv")));
  for (const char* part : GetParam().message) EXPECT_THAT(cases.status().message(), HasSubstr(part));
}

Files Without(const std::string& name) {
  Files files = ConvolutionFiles();
  files.erase("conv/" + name);
  return files;
}

std::vector<Spoilt> SpoiltFiles() {
  const Files good = ConvolutionFiles();
  const std::string json = "conv/case.json: ";
  Files no_json = good, list = good;
  no_json["conv/case.json"] = "{\"op\": ";
  list["conv/case.json"] = "[]";
  Files deep = good, truncated = good, garbage = good;
  deep["conv/case.json"] = std::string(100000, '[');
  truncated["conv/weight.npy"].pop_back();
  garbage["conv/input.npy"] = "not an array";
  return {
      {"NoJson", no_json, {"conv/case.json is not valid JSON"}},
      {"JsonList", list, {"is not a JSON object"}},
      {"DeepJson", deep, {"nested more than 16 deep"}},
      {"NoOp", With(good, "\"op\": \"conv2d\",", ""), {"conv/case.json: op is missing"}},
      {"UnknownOp", With(good, "\"conv2d\"", "\"softmax\""), {"op is \"softmax\"", "known are conv1d"}},
      {"OpIsNumber", With(good, "\"conv2d\"", "2"), {"op is 2", "must be a string"}},
      {"NoInput", With(good, "\"input\":", "\"x\":"), {"input is missing"}},
      {"NoWeight", With(good, "\"weight\":", "\"w\":"), {"weight is missing"}},
      {"NoOutput", With(good, "\"output\":", "\"y\":"), {"output is missing"}},
      {"InputIsNumber",
       With(good, "{\"dtype\": \"uint8\", \"scale\": 0.05, \"zero_point\": 3}", "5"),
       {"input is 5", "must be an object"}},
      {"NoInputDtype",
       With(good, "\"dtype\": \"uint8\", \"scale\": 0.05", "\"scale\": 0.05"),
       {"input.dtype is missing"}},
      {"NoInputScale", With(good, "\"scale\": 0.05, ", ""), {"input.scale is missing"}},
      {"NoWeightScales",
       With(good, "\"scales\": [0.01, 0.02, 0.03, 0.04, 0.05, 0.06], ", ""),
       {"weight.scales is missing"}},
      {"NoOutputScale", With(good, "\"scale\": 0.1, ", ""), {"output.scale is missing"}},
      {"NanScale",
       With(good, "\"scale\": 0.05", "\"scale\": NaN"),
       {"input.scale is NaN", "finite and greater than 0"}},
      {"InfiniteScale", With(good, "\"scale\": 0.1", "\"scale\": Infinity"), {"output.scale is Infinity", "finite"}},
      {"NanWeightScale", With(good, "0.03", "NaN"), {"weight.scales[2] is NaN"}},
      {"ZeroScale", With(good, "\"scale\": 0.05", "\"scale\": 0"), {"input.scale is 0", "greater than 0"}},
      {"NegativeScale", With(good, "0.04", "-0.04"), {"weight.scales[3] is -0.04"}},
      {"ScaleIsText", With(good, "\"scale\": 0.05", "\"scale\": \"0.05\""), {"input.scale is \"0.05\""}},
      {"TwoInputScales",
       With(good, "\"scale\": 0.05", "\"scale\": [0.05, 0.06]"),
       {"input.scale is [0.05,0.06]", "have one scale"}},
      {"FiveScales", With(good, "0.01, ", ""), {"weight.zero_point", "5 scales"}},
      {"SevenScales",
       With(With(good, "0.01, ", "0.01, 0.01, "), "[0, 0, 0, 0, 0, 0]", "0"),
       {"weight.scales has 7 entries", "6 output channels"}},
      {"WrongAxis", With(good, "\"axis\": 0", "\"axis\": 1"), {"weight.axis is 1", "3 slices"}},
      {"AxisBeyond", With(good, "\"axis\": 0", "\"axis\": 4"), {"weight.axis is 4"}},
      {"ZeroPointBeyond",
       With(good, "\"zero_point\": 3", "\"zero_point\": 256"),
       {"input.zero_point is 256", "0 to 255"}},
      {"FractionalZeroPoint",
       With(good, "\"zero_point\": 3", "\"zero_point\": 3.5"),
       {"input.zero_point is 3.5", "integer"}},
      {"UnknownDtype", With(good, "\"int8\"", "\"float32\""), {"weight.dtype is \"float32\"", "known are"}},
      {"OtherDtype", With(good, "\"int8\"", "\"uint8\""), {"conv/weight.npy has dtype |i1", "weight.dtype is uint8"}},
      {"QuantRangeBeyond",
       With(good, "\"zero_point\": 3", "\"zero_point\": 3, \"quant_max\": 300"),
       {"input.quant_max is 300"}},
      {"EmptyQuantRange",
       With(good, "\"zero_point\": 3", "\"zero_point\": 3, \"quant_min\": 9, \"quant_max\": 9"),
       {"input.quant_min is 9"}},
      {"ZeroPointOutsideRange",
       With(good, "\"zero_point\": 3", "\"zero_point\": 3, \"quant_min\": 4"),
       {"input.zero_point is 3", "4..255"}},
      {"CodeOutsideRange",
       With(good, "\"zero_point\": 3", "\"zero_point\": 3, \"quant_max\": 100"),
       {"conv/input.npy holds 101 at [1, 2, 0, 1]", "0 to 100"}},
      {"UnknownActivation", With(good, "\"relu\"", "\"gelu\""), {"activation is \"gelu\"", "none, relu and relu6"}},
      {"UnknownLayout", With(good, "NCHW", "CHWN"), {"layout is \"CHWN\"", "known are"}},
      {"WrongLayout",
       With(good, "NCHW", "NHWC"),
       {"shapes do not fit", "input [2, 3, 5, 4]", "weight [6, 3, 3, 3]", "output [2, 6, 5, 4]"}},
      {"WrongPadding",
       With(good, "\"padding\": [1, 1]", "\"padding\": [0, 1]"),
       {"shapes do not fit", "gives 3 outputs", "output has 5"}},
      {"PaddingOfThree",
       With(good, "\"padding\": [1, 1]", "\"padding\": [1, 1, 1]"),
       {"attributes.padding is [1, 1, 1]"}},
      {"NegativePadding", With(good, "\"padding\": [1, 1]", "\"padding\": [-1, 1]"), {"attributes.padding"}},
      {"UnknownPadding",
       With(good, "\"padding\": [1, 1]", "\"padding\": \"reflect\""),
       {"attributes.padding is \"reflect\""}},
      {"ZeroStride", With(good, "\"stride\": [1, 1]", "\"stride\": 0"), {"attributes.stride is 0"}},
      {"HugeDilation", With(good, "\"dilation\": [1, 1]", "\"dilation\": [1, 99999999999]"), {"attributes.dilation"}},
      {"ZeroGroups", With(good, "\"groups\": 1", "\"groups\": 0"), {"attributes.groups is 0"}},
      {"WrongGroups",
       With(good, "\"groups\": 1", "\"groups\": 2"),
       {"weight takes 6 input channels in 2 groups, input has 3"}},
      {"NoInputFile", Without("input.npy"), {"conv/input.npy is missing"}},
      {"NoWeightFile", Without("weight.npy"), {"conv/weight.npy is missing"}},
      {"NoOutputFile", Without("output.npy"), {"conv/output.npy is missing"}},
      {"GarbageArray", garbage, {"conv/input.npy is not a NumPy array"}},
      {"TruncatedArray", truncated, {"conv/weight.npy has 161 bytes", "truncated"}},
      {"BigEndian", WithArray(good, "bias", ">f4", {6}, std::string(24, 0)), {"conv/bias.npy has dtype >f4"}},
      {"EmptyArray", WithArray(good, "input", "|u1", {0, 3, 5, 4}, ""), {"conv/input.npy", "no element"}},
      {"FewerAxes",
       WithArray(good, "input", "|u1", {6, 5, 4}, std::string(120, 1)),
       {"shapes do not fit", "input [6, 5, 4]"}},
      {"OtherSpatialAxes", With(good, "conv2d", "conv1d"), {"conv1d has 1 spatial axes"}},
      {"NanBias",
       WithArray(good, "bias", "<f4", {6}, Elements<float>({1, 2, kNan, 4, 5, 6})),
       {"conv/bias.npy holds nan at channel 2"}},
      {"ShortBias",
       WithArray(good, "bias", "<f4", {5}, std::string(20, 0)),
       {"conv/bias.npy has 5 values for 6 output channels"}},
      {"IntegersForReals",
       WithArray(good, "bias", "<i4", {6}, std::string(24, 0)),
       {"conv/bias.npy has dtype <i4", "bias_int.npy"}},
      {"RealsForIntegers",
       WithArray(good, "bias_int", "<f4", {6}, std::string(24, 0)),
       {"conv/bias_int.npy has dtype <f4", "bias.npy"}},
  };
}

INSTANTIATE_TEST_SUITE_P(Errors, SpoiltTest, ::testing::ValuesIn(SpoiltFiles()),
                         [](const auto& spoilt) { return std::string(spoilt.param.name); });

TEST(CaseReaderTest, NoCaseAtAll) {
  EXPECT_THAT(ReadCases({{"conv/input.npy", "x"}}), StatusIs(kInvalid, HasSubstr("no folder holds a case.json")));
  EXPECT_THAT(ReadCases({}), StatusIs(kInvalid, HasSubstr("no vectors among 0 files")));
}

TEST(CaseReaderTest, ProductsAreBounded) {
  Files files = WithArray(ConvolutionFiles(), "input", "|u1", {1024, 1, 1024}, std::string(1U << 20U, 1));
  files = WithArray(std::move(files), "weight", "|i1", {1024, 1024}, std::string(1U << 20U, 1));
  files = WithArray(std::move(files), "output", "|u1", {16384, 1024}, std::string(1U << 24U, 8));
  files = With(std::move(files), "conv2d", "linear");
  EXPECT_THAT(ReadCases(files), StatusIs(kInvalid, HasSubstr("input has 1024 rows, output 16384")));
  files = WithArray(std::move(files), "input", "|u1", {32768, 1024}, std::string(1U << 25U, 1));
  files = WithArray(std::move(files), "output", "|u1", {32768, 1024}, std::string(1U << 25U, 8));
  EXPECT_THAT(ReadCases(files), StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("more than 2^34")));
}

// [N, H, W, C] and [O, H, W, I] of the same numbers.
std::string ToLast(const std::vector<int>& values, const graph::Shape& shape) {
  std::string bytes;
  const auto [n, c, h, w] = std::tuple(shape[0], shape[1], shape[2], shape[3]);
  for (std::int64_t i = 0; i < n * h * w * c; ++i) {
    const std::int64_t channel = i % c, x = i / c % w, y = i / c / w % h, image = i / c / w / h;
    bytes.push_back(static_cast<char>(values[static_cast<std::size_t>(((image * c + channel) * h + y) * w + x)]));
  }
  return bytes;
}

std::vector<int> Values(const std::string& bytes) { return {bytes.begin(), bytes.end()}; }

TEST(LayoutTest, ChannelsLastIsTheSameCase) {
  const Files good = ConvolutionFiles();
  Files files = With(good, "  \"layout\": \"NCHW\",\n", "");
  files = WithArray(std::move(files), "input", "|u1", {2, 5, 4, 3},
                    ToLast(Values(Ramp<std::uint8_t>(120, 0, 250)), {2, 3, 5, 4}));
  files = WithArray(std::move(files), "weight", "|i1", {6, 3, 3, 3},
                    ToLast(Values(Ramp<std::int8_t>(162, -128, 127)), {6, 3, 3, 3}));
  files = WithArray(std::move(files), "output", "|u1", {2, 5, 4, 6},
                    ToLast(Values(Ramp<std::uint8_t>(240, 7, 255)), {2, 6, 5, 4}));
  EXPECT_EQ(WriteCase(ReadOne(files)), WriteCase(ReadOne(good)));
}

// Depthwise, channel multiplier 2: TFLite stores 1, H, W, C.
TEST(LayoutTest, DepthwiseWeightsOfTflite) {
  Files files = With(ConvolutionFiles(), "\"conv2d\"", "\"depthwise_conv2d\"");
  files = With(std::move(files), "NCHW", "NHWC");
  files = WithArray(std::move(files), "input", "|u1", {2, 5, 4, 3}, std::string(120, 5));
  files = WithArray(std::move(files), "output", "|u1", {2, 5, 4, 6}, std::string(240, 9));
  const Files one = WithArray(files, "weight", "|i1", {1, 3, 3, 6}, Ramp<std::int8_t>(54, -27, 27));
  const Case layer = ReadOne(With(one, "\"axis\": 0", "\"axis\": 3"));
  EXPECT_EQ(layer.convolution.groups, 3);
  EXPECT_EQ(OpName(layer), "depthwise_conv2d");
  EXPECT_THAT(layer.weight_codes.shape(), ElementsAre(6, 1, 3, 3));
  EXPECT_EQ(layer.weight_codes.data<std::int32_t>()[0], -27);
  EXPECT_EQ(layer.weight_codes.data<std::int32_t>()[1], -21);  // channel 0 of the next tap is six further
  EXPECT_EQ(layer.weight_codes.data<std::int32_t>()[9], -26);
  const Files stored_by_channel = WithArray(files, "weight", "|i1", {6, 3, 3, 1}, Ramp<std::int8_t>(54, -27, 27));
  EXPECT_EQ(ReadOne(stored_by_channel).weight_codes.data<std::int32_t>()[1], -26);
}

// numpy.save of a transposed matrix: the same numbers, first axis fastest.
TEST(CaseReaderTest, FortranOrderIsTurned) {
  Files files = With(ConvolutionFiles(), "conv2d", "linear");
  files = WithArray(std::move(files), "input", "|u1", {2, 4}, std::string(8, 5));
  files = WithArray(std::move(files), "output", "|u1", {2, 6}, std::string(12, 9));
  const Case rows = ReadOne(WithArray(files, "weight", "|i1", {6, 4}, Ramp<std::int8_t>(24, 0, 99)));
  std::string turned;
  for (int k = 0; k < 4; ++k) {
    for (int o = 0; o < 6; ++o) turned.push_back(static_cast<char>(o * 4 + k));
  }
  files = WithArray(std::move(files), "weight", "|i1", {6, 4}, turned);
  std::string& bytes = files["conv/weight.npy"];
  bytes.replace(bytes.find("False, "), 7, "True,  ");
  EXPECT_THAT(ReadOne(files).weight_codes.data<std::int32_t>(),
              ElementsAreArray(rows.weight_codes.data<std::int32_t>()));
}

// 3 x 3 x 3 in, out and in each kernel: with padding either layout fits.
TEST(LayoutTest, WhatFitsBothIsTheRuntimes) {
  Files files = With(ConvolutionFiles(), "  \"layout\": \"NCHW\",\n", "");
  files = With(std::move(files), "\"padding\": [1, 1]", "\"padding\": 0");
  files =
      With(std::move(files), "\"scales\": [0.01, 0.02, 0.03, 0.04, 0.05, 0.06], \"zero_points\": [0, 0, 0, 0, 0, 0]",
           "\"scale\": 0.5");
  files.erase("conv/bias.npy");
  files = WithArray(std::move(files), "input", "|u1", {1, 3, 3, 3}, Ramp<std::uint8_t>(27, 0, 99));
  files = WithArray(std::move(files), "weight", "|i1", {3, 3, 3, 3}, std::string(81, 1));
  files = WithArray(std::move(files), "output", "|u1", {1, 3, 1, 1}, std::string(3, 9));
  EXPECT_EQ(ReadOne(files).input_codes[0].data<std::int32_t>()[1], 1);
  files = WithArray(std::move(files), "output", "|u1", {1, 1, 1, 3}, std::string(3, 9));
  EXPECT_EQ(ReadOne(files).input_codes[0].data<std::int32_t>()[1], 3);
  files = With(std::move(files), "\"dilation\": [1, 1]", "\"dilation\": 1");
  files = With(std::move(files), "\"padding\": 0", "\"padding\": 1");
  files = WithArray(std::move(files), "output", "|u1", {1, 3, 3, 3}, std::string(27, 9));
  EXPECT_EQ(ReadOne(files).input_codes[0].data<std::int32_t>()[1], 1);
  EXPECT_EQ(ReadOne(With(files, "\"pytorch\"", "\"litert\"")).input_codes[0].data<std::int32_t>()[1], 3);
}

TEST(LayoutTest, SamePaddingWithStrideIsLargerAtTheEnd) {
  Files files =
      With(ConvolutionFiles(), "\"stride\": [1, 1], \"padding\": [1, 1]", "\"stride\": 2, \"padding\": \"same\"");
  files = WithArray(std::move(files), "output", "|u1", {2, 6, 3, 2}, std::string(72, 9));
  const Case layer = ReadOne(files);
  EXPECT_THAT(layer.convolution.padding, ElementsAre(1, 0));  // height 5: 2 in all; width 4: 1 in all
  EXPECT_THAT(layer.padding_end, ElementsAre(1, 1));
}

TEST(LayoutTest, TransposedConvolution) {
  Files files = With(ConvolutionFiles(), "\"conv2d\"", "\"conv_transpose2d\"");
  files = With(std::move(files), "\"stride\": [1, 1]", "\"stride\": 2, \"output_padding\": [1, 0]");
  files = With(std::move(files), "\"axis\": 0", "\"axis\": 1");
  files = WithArray(std::move(files), "weight", "|i1", {3, 6, 3, 3}, std::string(162, 1));
  files = WithArray(std::move(files), "output", "|u1", {2, 6, 10, 7}, std::string(840, 9));
  const Case layer = ReadOne(files);
  EXPECT_EQ(layer.op, CaseOp::kTransposedConvolution);
  EXPECT_THAT(layer.convolution.output_padding, ElementsAre(1, 0));
  // Left out, it is what the output's shape needs.
  const Case inferred = ReadOne(With(files, ", \"output_padding\": [1, 0]", ""));
  EXPECT_EQ(inferred.convolution, layer.convolution);
}

Files ElementwiseFiles(const std::string& op, const std::string& attributes) {
  Files files;
  files["conv/case.json"] = "{\"op\": \"" + op + "\", \"attributes\": " + attributes + R"(,
    "input": [{"dtype": "int8", "scale": 0.5, "zero_point": 1}, {"dtype": "int8", "scale": 0.25}],
    "output": {"dtype": "int8", "scale": 1, "zero_point": 0}})";
  return files;
}

TEST(ElementwiseReaderTest, InputsHaveSeveralNames) {
  const std::vector<std::pair<const char*, const char*>> spellings = {
      {"input_0", "input_1"}, {"input0", "input1"}, {"input", "input_1"}, {"input", "input2"}, {"input1", "input2"}};
  for (const auto& [first, second] : spellings) {
    SCOPED_TRACE(second);
    Files files = WithArray(ElementwiseFiles("add", "{}"), first, "|i1", {2, 2}, Ramp<std::int8_t>(4, 0, 9));
    files = WithArray(std::move(files), second, "|i1", {2}, Ramp<std::int8_t>(2, 5, 9));
    files = WithArray(std::move(files), "output", "|i1", {2, 2}, std::string(4, 1));
    const Case layer = ReadOne(files);
    ASSERT_EQ(layer.input_codes.size(), 2U);
    EXPECT_EQ(layer.input_codes[1].data<std::int32_t>()[0], 5);
    EXPECT_THAT(layer.input_codes[1].shape(), ElementsAre(1, 2));
  }
}

TEST(ElementwiseReaderTest, ConcatOfChannelsLast) {
  Files files = WithArray(ElementwiseFiles("concat", "{\"axis\": -1}"), "input_0", "|i1", {1, 2, 2, 3},
                          Ramp<std::int8_t>(12, 0, 99));
  files = WithArray(std::move(files), "input_1", "|i1", {1, 2, 2, 1}, Ramp<std::int8_t>(4, 50, 99));
  files = WithArray(std::move(files), "output", "|i1", {1, 2, 2, 4}, std::string(16, 1));
  EXPECT_THAT(ReadOne(files).axes, ElementsAre(3));
  const Case layer = ReadOne(With(files, "\"op\"", "\"layout\": \"NHWC\", \"op\""));
  EXPECT_THAT(layer.axes, ElementsAre(1));
  EXPECT_THAT(layer.output_codes.shape(), ElementsAre(1, 4, 2, 2));
  EXPECT_EQ(layer.input_codes[0].data<std::int32_t>()[1], 3);
}

TEST(ElementwiseReaderTest, ShapesMustFit) {
  Files files = WithArray(ElementwiseFiles("mul", "{}"), "input_0", "|i1", {2, 3}, std::string(6, 1));
  files = WithArray(std::move(files), "input_1", "|i1", {2, 2}, std::string(4, 1));
  files = WithArray(std::move(files), "output", "|i1", {2, 3}, std::string(6, 1));
  EXPECT_THAT(ReadCases(files), StatusIs(kInvalid, HasSubstr("axis 1 differs between the inputs")));
  EXPECT_THAT(ReadCases(With(files, "\"mul\"", "\"concat\"")),
              StatusIs(kInvalid, HasSubstr("attributes.axis is missing")));
  EXPECT_THAT(ReadCases(With(files, "\"mul\"", "\"mean\"")),
              StatusIs(kInvalid, HasSubstr("input describes 2 tensors, mean takes 1")));
}

}  // namespace
}  // namespace qatgap::vectors
