// What is refused, and that the message names operator and layer, or tensor.
#include <ostream>

#include "analyzers/frontends/tflite/tflite_frontend.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/frontends/tflite/model_files.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::frontends::tflite {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

struct RefusalCase {
  std::string file, test;
  std::vector<std::string> said;
  friend std::ostream& operator<<(std::ostream& out, const RefusalCase& c) { return out << c.file; }
};
class Refusals : public ::testing::TestWithParam<RefusalCase> {};

TEST_P(Refusals, NameWhatAndWhere) {
  const std::string path = "refused/" + GetParam().file + ".tflite";
  const absl::StatusOr<Model> model = Import(testing::FileBytes(path), "net.tflite");
  ASSERT_EQ(model.status().code(), absl::StatusCode::kFailedPrecondition) << model.status();
  EXPECT_THAT(model.status().message(), HasSubstr("'net.tflite'"));
  for (const std::string& said : GetParam().said) EXPECT_THAT(model.status().message(), HasSubstr(said));
}

INSTANTIATE_TEST_SUITE_P(
    Files, Refusals,
    ::testing::Values(
        RefusalCase{"dynamic_range", "DynamicRange", {"FULLY_CONNECTED", "'dense'", "dynamic-range", "full-integer"}},
        RefusalCase{"custom", "CustomOperator", {"CUSTOM 'MyOperator'", "'model.thing.Custom'"}},
        RefusalCase{"unknown_operator", "OperatorThatIsNotImported", {"CUMSUM", "'model.state.Cumsum'"}},
        RefusalCase{"sparse", "SparseWeights", {"'model/dense/weights'", "sparse"}}),
    [](const auto& param) { return param.param.test; });

// Large buffers stand behind the flatbuffer, as converters write them: here at 4096, 12 int8 weights.
TEST(DataBehindTheFlatbuffer, AreReadAndMustBeThere) {
  std::string bytes = testing::FileBytes("refused/data_behind_flatbuffer.tflite");
  ASSERT_LT(bytes.size(), 4096U);
  const absl::StatusOr<Model> cut = Import(bytes, "net.tflite");
  EXPECT_EQ(cut.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(cut.status().message(), AllOf(HasSubstr("'model/dense/weights'"), HasSubstr("offset 4096"), HasSubstr("outside")));
  bytes.resize(4096);
  for (int i = 0; i < 12; ++i) bytes.push_back(static_cast<char>(i - 6));
  const absl::StatusOr<Model> whole = Import(bytes, "net.tflite");
  ASSERT_TRUE(whole.ok()) << whole.status();
  std::vector<std::int32_t> weights;
  for (const graph::Node& node : whole->graph.nodes) {
    const auto* constant = std::get_if<graph::ConstantAttributes>(&node.attributes);
    if (constant == nullptr || !constant->qparams || constant->value.elements() != 12) continue;
    const auto codes = constant->value.data<std::int32_t>();
    weights.assign(codes.begin(), codes.end());
  }
  EXPECT_THAT(weights, ::testing::ElementsAre(-6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5));
}

struct BytesCase {
  std::string test, bytes, said;
  friend std::ostream& operator<<(std::ostream& out, const BytesCase& c) { return out << c.test; }
};
class OtherBytes : public ::testing::TestWithParam<BytesCase> {};

TEST_P(OtherBytes, AreNoModel) {
  const absl::StatusOr<Model> model = Import(GetParam().bytes, "net.tflite");
  EXPECT_EQ(model.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(model.status().message(), AllOf(HasSubstr("'net.tflite'"), HasSubstr(GetParam().said)));
}

INSTANTIATE_TEST_SUITE_P(Bytes, OtherBytes,
                         ::testing::Values(BytesCase{"Empty", "", "TFL3"}, BytesCase{"Short", "TFL3", "TFL3"},
                                           BytesCase{"ZipArchive", "PK\x03\x04xxxxxxxxxxxxxxxx", "TFL3"},
                                           BytesCase{"IdentifierAlone", std::string("\x08\0\0\0TFL3", 8), "damaged"},
                                           BytesCase{"RootOutside", std::string("\xff\xff\xff\x7fTFL3xxxxxxxx", 16),
                                                     "damaged"}),
                         [](const auto& param) { return param.param.test; });

// A flatbuffer is read in place: bytes that start anywhere in memory are taken.
TEST(Import, TakesBytesAtAnyAddress) {
  const std::string bytes = testing::FileBytes("convolutions_int8/model.tflite");
  for (std::size_t shift = 1; shift < 8; ++shift) {
    const std::string shifted = std::string(shift, 'x') + bytes;
    EXPECT_TRUE(Import(std::string_view(shifted).substr(shift), "shifted").ok()) << shift;
  }
}

}  // namespace
}  // namespace qatgap::frontends::tflite
