#include <string>
#include <vector>

#include "analyzers/samples/array_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/samples/array_files.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::samples {
namespace {

using ::qatgap::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

// Two arrays whose places are not in the order of their names, as the library writes them: by size of element.
std::string TwoArrays() {
  return Safetensors({"\"__metadata__\":{\"made\":\"by hand\"}", Entry("ids", "I64", "[2,1]", 0, 16),
                      Entry("a", "F32", "[2]", 16, 24)},
                     Bytes<std::int64_t>({7, -9}) + Bytes<float>({0.5F, -1}));
}

TEST(SafetensorsTest, ReadsEachArrayByName) {
  const MemoryFile file(TwoArrays());
  const auto arrays = ArrayFile::Open(file.fd(), "set.safetensors");
  QATGAP_ASSERT_OK(arrays);
  EXPECT_THAT(arrays->arrays(), ElementsAre("a", "ids"));
  EXPECT_TRUE(arrays->has_names());
  auto ids = arrays->OpenArray("ids"), a = arrays->OpenArray("a");
  QATGAP_ASSERT_OK(ids);
  QATGAP_ASSERT_OK(a);
  EXPECT_EQ(ids->label(), "set.safetensors (array ids)");
  EXPECT_EQ(ids->type(), ElementType::kInt64);
  // In turns: readers of one file do not share a position.
  const auto first = ids->Read(0, 1), reals = a->Read(1, 1), second = ids->Read(1, 1);
  QATGAP_ASSERT_OK(first);
  QATGAP_ASSERT_OK(reals);
  QATGAP_ASSERT_OK(second);
  EXPECT_THAT(first->data<std::int64_t>(), ElementsAre(7));
  EXPECT_THAT(second->data<std::int64_t>(), ElementsAre(-9));
  EXPECT_THAT(reals->data<float>(), ElementsAre(-1));
}

struct Broken {
  const char* name;
  std::string bytes;
  const char* message;
};

class BrokenSafetensors : public ::testing::TestWithParam<Broken> {};

TEST_P(BrokenSafetensors, IsRefused) {
  const MemoryFile file(GetParam().bytes);
  const auto arrays = ArrayFile::Open(file.fd(), "x.safetensors");
  EXPECT_THAT(arrays, StatusIs(kInvalid, HasSubstr("x.safetensors")));
  EXPECT_THAT(arrays.status().message(), HasSubstr(GetParam().message));
}

std::vector<Broken> BrokenFiles() {
  const auto one = [](const std::string& entry, std::size_t bytes) {
    return Safetensors({entry}, std::string(bytes, '\0'));
  };
  std::string deep = "{\"x\":";
  deep += std::string(5000, '[');
  return {
      {"Empty", "", "is not a .safetensors file"},
      {"HeaderBeyondTheFile", RawSafetensors(std::string(40, ' '), "").substr(0, 20), "ends inside its header"},
      {"HugeHeader", std::string("\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10), "has a header of"},
      {"NoJson", RawSafetensors("{\"x\":", ""), "not the JSON"},
      {"Deep", RawSafetensors(deep, ""), "not the JSON"},
      {"NoObject", RawSafetensors("[1]", ""), "not the JSON"},
      {"NameTwice", Safetensors({Entry("x", "F32", "[1]", 0, 4), Entry("x", "F32", "[1]", 4, 8)}, std::string(8, '\0')),
       "not the JSON"},
      {"EntryIsNoObject", one("\"x\":3", 0), "(array x) has no dtype"},
      {"UnknownDtype", one(Entry("x", "Q4", "[1]", 0, 4), 4), "(array x) has dtype 'Q4'"},
      {"DtypeIsNoText", one("\"x\":{\"dtype\":4,\"shape\":[1],\"data_offsets\":[0,4]}", 4), "dtype that is no text"},
      {"NegativeExtent", one(Entry("x", "F32", "[-1]", 0, 4), 4), "(array x) has shape [-1]"},
      {"HugeExtent", one(Entry("x", "F32", "[4294967296]", 0, 4), 4), "(array x) has shape [4294967296]"},
      {"RealExtent", one(Entry("x", "F32", "[1.5]", 0, 4), 4), "(array x) has shape [1.5]"},
      {"NineAxes", one(Entry("x", "F32", "[1,1,1,1,1,1,1,1,1]", 0, 4), 4), "at most 8 axes"},
      {"ProductOverflows", one(Entry("x", "F32", "[2147483647,2147483647,2147483647]", 0, 4), 4),
       "(array x) has 4 bytes"},
      {"SizeIsNotTheShapes", one(Entry("x", "F32", "[2]", 0, 4), 4), "needs 8"},
      {"EndBeforeBegin", one(Entry("x", "F32", "[0]", 4, 0), 4), "no begin and end"},
      {"NegativeOffset", one("\"x\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[-1,0]}", 4), "no begin and end"},
      {"Hole", one(Entry("x", "F32", "[1]", 4, 8), 8), "(array x) begins at byte 4"},
      {"Overlap", Safetensors({Entry("a", "F32", "[2]", 0, 8), Entry("b", "F32", "[1]", 4, 8)}, std::string(8, '\0')),
       "(array b) begins at byte 4"},
      {"Truncated", one(Entry("x", "F32", "[2]", 0, 8), 7),
       "(array x) ends at byte 8 of the data, the file has 7: the file is truncated"},
      {"BytesBehind", one(Entry("x", "F32", "[1]", 0, 4), 5), "has 1 bytes behind its last array"},
  };
}

INSTANTIATE_TEST_SUITE_P(Errors, BrokenSafetensors, ::testing::ValuesIn(BrokenFiles()),
                         [](const auto& broken) { return std::string(broken.param.name); });

TEST(SafetensorsTest, ADtypeThatNoTensorHasIsNamed) {
  const MemoryFile file(Safetensors({Entry("x", "U32", "[1]", 0, 4)}, "abcd"));
  const auto arrays = ArrayFile::Open(file.fd(), "x.safetensors");
  QATGAP_ASSERT_OK(arrays);
  EXPECT_THAT(arrays->OpenArray("x"), StatusIs(kInvalid, HasSubstr("(array x) has dtype U32; convert it with")));
}

}  // namespace
}  // namespace qatgap::samples
