#include "analyzers/samples/sample_set.h"

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/samples/array_files.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::samples {
namespace {

using ::qatgap::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

std::string Floats(const std::string& shape, const std::vector<float>& values) {
  return Npy(Header("<f4", shape), Bytes(values));
}
std::string Ids(const std::string& shape, const std::vector<std::int64_t>& values) {
  return Npy(Header("<i8", shape), Bytes(values));
}

struct Given {
  std::string name, bytes, input_name = "";
};

class SampleSetTest : public ::testing::Test {
 protected:
  absl::StatusOr<SampleSet> Open(const std::vector<Given>& files, std::vector<std::string> inputs,
                                 std::vector<Normalization> normalizations = {}) {
    std::vector<SampleFile> opened;
    for (const Given& file : files) {
      kept_.push_back(std::make_unique<MemoryFile>(file.bytes));
      opened.push_back({.fd = kept_.back()->fd(), .name = file.name, .input_name = file.input_name});
    }
    return SampleSet::Open(opened, inputs, std::move(normalizations));
  }

  void ExpectRefused(const std::vector<Given>& files, std::vector<std::string> inputs,
                     const std::vector<std::string>& words, std::vector<Normalization> normalizations = {}) {
    const auto set = Open(files, std::move(inputs), std::move(normalizations));
    ASSERT_THAT(set, StatusIs(kInvalid, HasSubstr("")));
    for (const std::string& word : words) EXPECT_THAT(set.status().message(), HasSubstr(word));
  }

 private:
  std::vector<std::unique_ptr<MemoryFile>> kept_;
};

const std::string kTwo = Floats("(2, 2)", {0, 1, 2, 3});

TEST_F(SampleSetTest, OneInputTakesOneArrayWhateverItsName) {
  for (const Given& file :
       {Given{"a.npy", kTwo}, Given{"a.npz", Npz({{"images.npy", kTwo}})},
        Given{"a.safetensors", Safetensors({Entry("z", "F32", "[2,2]", 0, 16)}, Bytes<float>({0, 1, 2, 3}))},
        Given{"a.npy", kTwo, "x"}}) {
    auto set = Open({file}, {"x"});
    QATGAP_ASSERT_OK(set);
    EXPECT_EQ(set->count(), 2);
    const auto rows = set->Read(0, 2);
    QATGAP_ASSERT_OK(rows);
    ASSERT_EQ(rows->size(), 1U);
    EXPECT_THAT(rows->front().data<float>(), ElementsAre(0, 1, 2, 3));
  }
}

// Whatever the order of the files, tensors come in the order of the model's inputs.
TEST_F(SampleSetTest, InputsByName) {
  const std::string ids = Ids("(2, 1)", {5, 6}), mask = Floats("(2,)", {0.5F, 1});
  for (const std::vector<Given>& files : {
           std::vector<Given>{{"m.npy", mask, "mask"}, {"i.npy", ids, "ids"}},
           std::vector<Given>{{"both.npz", Npz({{"mask.npy", mask}, {"ids.npy", ids}})}},
           std::vector<Given>{{"both.npz", Npz({{"mask.npy", mask}, {"ids.npy", ids}}), "mask"},
                              {"i.npz", Npz({{"ids.npy", ids}})}},
           std::vector<Given>{{"folder.zip", Npz({{"mask.npy", mask}, {"ids.npy", ids}})}},
       }) {
    auto set = Open(files, {"ids", "mask"});
    QATGAP_ASSERT_OK(set);
    const auto rows = set->Read(1, 1);
    QATGAP_ASSERT_OK(rows);
    ASSERT_EQ(rows->size(), 2U);
    EXPECT_THAT((*rows)[0].data<std::int64_t>(), ElementsAre(6));
    EXPECT_THAT((*rows)[1].data<float>(), ElementsAre(1));
  }
}

TEST_F(SampleSetTest, WhatDoesNotFitTheInputsIsNamed) {
  const std::string one = Floats("(1,)", {1});
  ExpectRefused({{"a.npy", kTwo, "y"}}, {"x"}, {"'a.npy' is given for 'y'", "the model's input 'x'"});
  ExpectRefused({{"a.npy", kTwo}}, {"x", "y"},
                {"'a.npy' does not say which of the model's inputs 'x', 'y'", "INPUT=a.npy"});
  ExpectRefused({{"a.npy", kTwo, "x"}}, {"x", "y"}, {"no samples for 'y'", "y=FILE"});
  ExpectRefused({{"a.npz", Npz({{"x.npy", kTwo}, {"z.npy", kTwo}})}}, {"x", "y"},
                {"array 'z' of 'a.npz' is none of the model's inputs 'x', 'y'", "remove"});
  ExpectRefused({{"a.npz", Npz({{"x.npy", kTwo}, {"labels.npy", one}})}}, {"x"},
                {"holds 2 arrays (x, labels)", "save it with one"});
  ExpectRefused({{"a.npz", Npz({{"p.npy", kTwo}, {"q.npy", one}}), "x"}}, {"x", "y"}, {"holds 2 arrays (p, q)"});
  ExpectRefused({{"a.npy", kTwo, "x"}, {"b.npy", kTwo, "x"}}, {"x", "y"}, {"'x' is given twice: a.npy and b.npy"});
  ExpectRefused({{"a.npy", kTwo, "x"}, {"b.npy", one, "y"}}, {"x", "y"}, {"a.npy has 2 samples, b.npy has 1"});
  ExpectRefused({{"a.npy", Floats("(0, 2)", {})}}, {"x"}, {"a.npy holds no samples"});
}

TEST_F(SampleSetTest, AFolderOfSamplesIsStackedInTheOrderOfNames) {
  const auto sample = [](float value) { return Floats("(2,)", {value, -value}); };
  auto set =
      Open({{"calib.zip", Npz({{"b.npy", sample(2)}, {"a.npy", sample(1)}, {"c.npy", sample(3)}, {"notes.txt", "x"}})}},
           {"x"});
  QATGAP_ASSERT_OK(set);
  EXPECT_EQ(set->count(), 3);
  const auto first = set->Read(0, 1), rest = set->Read(1, 2);
  QATGAP_ASSERT_OK(first);
  QATGAP_ASSERT_OK(rest);
  EXPECT_THAT(first->front().shape(), ElementsAre(1, 2));
  EXPECT_THAT(first->front().data<float>(), ElementsAre(1, -1));
  EXPECT_THAT(rest->front().data<float>(), ElementsAre(2, -2, 3, -3));
}

TEST_F(SampleSetTest, AFolderSkipsWholeFiles) {
  // The first file is damaged behind its header: who skips it never looks.
  auto set = Open({{"calib.zip", Npz({{"a.npy", Floats("(2,)", {1, 1})},
                                      {"b.npy", Floats("(3,)", {1, 2, 3})},
                                      {"c.npy", Floats("(2,)", {5, 6})}})}},
                  {"x"});
  QATGAP_ASSERT_OK(set);
  const auto last = set->Read(2, 1);
  QATGAP_ASSERT_OK(last);
  EXPECT_THAT(last->front().data<float>(), ElementsAre(5, 6));
}

TEST_F(SampleSetTest, AFileOfAFolderThatDiffersIsNamed) {
  const std::string two = Floats("(2,)", {1, 2});
  const auto read = [&](const std::string& second) {
    auto set = Open({{"calib.zip", Npz({{"a.npy", two}, {"b.npy", second}})}}, {"x"});
    return set.ok() ? set->Read(0, 2).status() : set.status();
  };
  EXPECT_THAT(read(Floats("(3,)", {1, 2, 3})),
              StatusIs(kInvalid, AllOf(HasSubstr("calib (file b.npy) has shape [3]"), HasSubstr("[2]"))));
  EXPECT_THAT(read(Npy(Header("<i4", "(2,)"), Bytes<std::int32_t>({1, 2}))), StatusIs(kInvalid, HasSubstr("of <i4")));
  EXPECT_THAT(read(two.substr(0, two.size() - 1)), StatusIs(kInvalid, HasSubstr("calib (file b.npy) ends early")));
  EXPECT_THAT(read(two + "x"), StatusIs(kInvalid, HasSubstr("calib (file b.npy) has bytes behind")));
  EXPECT_THAT(read("text"), StatusIs(kInvalid, HasSubstr("calib (file b.npy)")));
  EXPECT_THAT(read(Floats("(2,)", {1, std::numeric_limits<float>::infinity()})),
              StatusIs(kInvalid, HasSubstr("NaN or Inf at sample 1 (file b.npy), element 1")));
}

TEST_F(SampleSetTest, FoldersThatDoNotFitAreNamed) {
  ExpectRefused({{"calib.zip", Npz({{"a.npy", kTwo}})}}, {"x", "y"},
                {"the files of 'calib' (a.npy ...) are not named like", "INPUT=FOLDER"});
  ExpectRefused({{"calib.zip", Npz({{"a.txt", "a"}})}}, {"x"}, {"'calib' holds no .npy file"});
}

TEST_F(SampleSetTest, TypesThatNoInputTakes) {
  const auto npy = [](const char* type, std::size_t bytes) {
    return Npy(Header(type, "(2,)"), std::string(2 * bytes, '\1'));
  };
  const Normalization scale{.scale = 0.5};
  ExpectRefused({{"a.npy", npy("<f8", 8)}}, {"x"}, {"a.npy has dtype float64", ".astype(numpy.float32)"});
  ExpectRefused({{"a.npy", npy("|i1", 1)}}, {"x"}, {"a.npy has dtype int8"});
  ExpectRefused({{"a.npy", npy("|u1", 1)}}, {"x"}, {"a.npy has dtype uint8", "--normalize scale=1/255"});
  ExpectRefused({{"a.npy", npy("<i8", 8)}}, {"x"}, {"a.npy has dtype int64", "drop it"}, {scale});
  for (const char* type : {"<i8", "<f4"})
    QATGAP_EXPECT_OK(Open({{"a.npy", npy(type, static_cast<std::size_t>(type[2] - '0'))}}, {"x"}));
}

TEST_F(SampleSetTest, Uint8IsNormalisedPerChannel) {
  // [1, 2 channels, 2]: (x * 0.5 - mean) / std.
  const std::string image = Npy(Header("|u1", "(1, 2, 2)"), std::string("\x02\x04\x06\xff", 4));
  auto set = Open({{"a.npy", image}}, {"x"}, {{.mean = {1, 2}, .std = {2, 4}, .scale = 0.5}});
  QATGAP_ASSERT_OK(set);
  const auto rows = set->Read(0, 1);
  QATGAP_ASSERT_OK(rows);
  EXPECT_THAT(rows->front().shape(), ElementsAre(1, 2, 2));
  EXPECT_THAT(rows->front().data<float>(), ElementsAre(0.0F, 0.5F, 0.25F, 31.375F));
  auto last = Open({{"a.npy", image}}, {"x"}, {{.mean = {1, 2}, .channel_axis = -1}});
  QATGAP_ASSERT_OK(last);
  const auto by_last = last->Read(0, 1);
  QATGAP_ASSERT_OK(by_last);
  EXPECT_THAT(by_last->front().data<float>(), ElementsAre(1, 2, 5, 253));
}

TEST_F(SampleSetTest, NormalisationsThatDoNotFitAreNamed) {
  const std::string image = Npy(Header("|u1", "(1, 2, 2)"), std::string(4, '\1'));
  const auto expect = [&](const Normalization& normalization, const std::vector<std::string>& words) {
    ExpectRefused({{"a.npy", image}}, {"x"}, words, {normalization});
  };
  expect({.mean = {1, 2, 3}}, {"a.npy has shape [1, 2, 2]: 2 channels on axis 1, its normalisation has 3"});
  expect({.mean = {1, 2}, .channel_axis = 3}, {"without the channel axis 3"});
  expect({.mean = {1, 2}, .std = {1, 2, 3}}, {"mean has 2 values and std 3"});
  expect({.std = {0}}, {"std must be"});
  expect({.std = {1e-60}}, {"std must be"});
  expect({.mean = {1e60}}, {"mean must be finite in float32"});
  expect({.scale = std::numeric_limits<double>::quiet_NaN()}, {"scale must be"});
  expect({.channel_axis = 0}, {"channel axis must be 1 to 7"});
  expect({.input_name = "y"}, {"a normalisation is for 'y'", "the model's input 'x'"});
  ExpectRefused({{"a.npy", image}}, {"x"}, {"'x' has two normalisations"},
                {Normalization{}, Normalization{.input_name = "x"}});
  ExpectRefused({{"a.npy", image, "x"}, {"b.npy", image, "y"}}, {"x", "y"},
                {"does not say which of the model's inputs 'x', 'y'"}, {Normalization{}});
}

TEST_F(SampleSetTest, OverflowOfANormalisationIsNamed) {
  auto set = Open({{"a.npy", Floats("(2, 1)", {1, 1e30F})}}, {"x"}, {{.scale = 1e30}});
  QATGAP_ASSERT_OK(set);
  EXPECT_THAT(set->Read(0, 2),
              StatusIs(kInvalid, HasSubstr("no finite number once normalised, at sample 1, element 0")));
}

// The header says it: x * (1/255) and x / 255 differ in 126 of 256, by one unit in the last place.
TEST(NormalizeTest, ScaleOf255thIsNotADivision) {
  graph::Tensor all(graph::DType::kUint8, {1, 256});
  for (std::size_t i = 0; i < 256; ++i) all.mutable_data<std::uint8_t>()[i] = static_cast<std::uint8_t>(i);
  const graph::Tensor scaled = Normalize(all, {.scale = 1.0 / 255});
  int differing = 0;
  for (std::size_t i = 0; i < 256; ++i) {
    const float divided = static_cast<float>(i) / 255.0F, got = scaled.data<float>()[i];
    differing += divided != got ? 1 : 0;
    EXPECT_TRUE(got == divided || got == std::nextafter(divided, 2.0F) || got == std::nextafter(divided, -1.0F)) << i;
  }
  EXPECT_EQ(differing, 126);
}

}  // namespace
}  // namespace qatgap::samples
