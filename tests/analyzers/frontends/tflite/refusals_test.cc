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
        RefusalCase{"data_behind_flatbuffer",
                    "DataBehindTheFlatbuffer",
                    {"'model/dense/weights'", "offset 4096", "below 2 GB"}},
        RefusalCase{"sparse", "SparseWeights", {"'model/dense/weights'", "sparse"}}),
    [](const auto& param) { return param.param.test; });

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
