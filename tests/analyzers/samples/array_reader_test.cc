#include "analyzers/samples/array_reader.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/samples/array_files.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::samples {
namespace {

using ::qatgap::testing::IsOk;
using ::qatgap::testing::StatusIs;
using ::testing::_;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

const std::vector<float> kSix = {0, 1, 2, 3, 4, 5};

std::string SixFloats(int major = 1) { return Npy(Header("<f4", "(3, 2)"), Bytes(kSix), major); }

// Opens and reads every row.
absl::StatusOr<graph::Tensor> ReadAll(const std::string& bytes, const std::string& name) {
  const MemoryFile file(bytes);
  absl::StatusOr<ArrayReader> reader = ArrayReader::Open(file.fd(), name);
  if (!reader.ok()) return reader.status();
  return reader->Read(0, reader->count());
}

template <typename T>
std::vector<T> Values(const std::string& bytes, const std::string& name) {
  const auto tensor = ReadAll(bytes, name);
  QATGAP_EXPECT_OK(tensor);
  if (!tensor.ok() || tensor->dtype() != graph::DTypeOf<T>()) return {};
  return {tensor->template data<T>().begin(), tensor->template data<T>().end()};
}

class NpyVersionTest : public ::testing::TestWithParam<int> {};

TEST_P(NpyVersionTest, IsRead) { EXPECT_EQ(Values<float>(SixFloats(GetParam()), "x.npy"), kSix); }

INSTANTIATE_TEST_SUITE_P(Versions, NpyVersionTest, ::testing::Values(1, 2, 3),
                         [](const auto& version) { return std::string("v").append(std::to_string(version.param)); });

TEST(ArrayReaderTest, ReadsEveryDType) {
  const auto npy = [](const char* descriptor, const std::string& data) { return Npy(Header(descriptor, "(2,)"), data); };
  EXPECT_THAT(Values<float>(npy("<f4", Bytes<float>({1.5F, -2})), "x.npy"), ElementsAre(1.5F, -2.0F));
  EXPECT_THAT(Values<double>(npy("<f8", Bytes<double>({0.1, -2})), "x.npy"), ElementsAre(0.1, -2.0));
  EXPECT_THAT(Values<std::int8_t>(npy("|i1", "\x80\x7f"), "x.npy"), ElementsAre(-128, 127));
  EXPECT_THAT(Values<std::uint8_t>(npy("|u1", "\xff\x01"), "x.npy"), ElementsAre(255, 1));
  EXPECT_THAT(Values<std::int32_t>(npy("<i4", Bytes<std::int32_t>({-7, 1 << 30})), "x.npy"), ElementsAre(-7, 1 << 30));
  EXPECT_THAT(Values<std::int64_t>(npy("<i8", Bytes<std::int64_t>({-7, std::int64_t{1} << 40})), "x.npy"),
              ElementsAre(-7, std::int64_t{1} << 40));
}

// Hand-computed: 1, -2, the smallest subnormal 2^-24, the largest number 65504, a third rounded to 11 bits.
TEST(ArrayReaderTest, ReadsHalvesExactly) {
  const std::string halves = Bytes<std::uint16_t>({0x3C00, 0xC000, 0x0001, 0x7BFF, 0x3555});
  EXPECT_THAT(Values<float>(Npy(Header("<f2", "(5,)"), halves), "x.npy"),
              ElementsAre(1.0F, -2.0F, 0x1p-24F, 65504.0F, 0.333251953125F));
  EXPECT_THAT(Values<float>(Safetensors({Entry("x", "BF16", "[2]", 0, 4)}, Bytes<std::uint16_t>({0x3F80, 0xC040})), "x.safetensors"),
              ElementsAre(1.0F, -3.0F));
}

// Every finite float16 against the definition: sign, exponent and fraction by hand.
TEST(ArrayReaderTest, EveryHalfIsItsDefinition) {
  for (std::uint32_t bits = 0; bits < 0x10000U; ++bits) {
    const std::uint32_t exponent = bits >> 10U & 31U, fraction = bits & 1023U;
    if (exponent == 31) continue;
    const double magnitude =
        exponent == 0 ? fraction * 0x1p-24 : (1 + fraction / 1024.0) * std::pow(2.0, static_cast<int>(exponent) - 15);
    const auto expected = static_cast<float>((bits & 0x8000U) != 0 ? -magnitude : magnitude);
    ASSERT_EQ(FromFloat16(static_cast<std::uint16_t>(bits)), expected) << bits;
  }
}

TEST(ArrayReaderTest, ReadsBools) {
  const auto tensor = ReadAll(Npy(Header("|b1", "(3,)"), std::string("\1\0\1", 3)), "x.npy");
  QATGAP_ASSERT_OK(tensor);
  EXPECT_THAT(tensor->data<bool>(), ElementsAre(true, false, true));
}

class NpzTest : public ::testing::TestWithParam<Compression> {};

TEST_P(NpzTest, IsReadAndNamed) {
  const MemoryFile file(Npz({{"images.npy", SixFloats()}, {"README", "not an array"}}, GetParam()));
  auto reader = ArrayReader::Open(file.fd(), "set.npz");
  QATGAP_ASSERT_OK(reader);
  EXPECT_EQ(reader->label(), "set.npz (array images)");
  EXPECT_EQ(reader->dtype(), graph::DType::kFloat32);
  EXPECT_THAT(reader->shape(), ElementsAre(3, 2));
  const auto rows = reader->Read(0, 3);
  QATGAP_ASSERT_OK(rows);
  EXPECT_THAT(rows->data<float>(), ElementsAre(0, 1, 2, 3, 4, 5));
}

// The data's checksum is part of the archive: a flipped bit in a stored array is found, not analysed.
TEST_P(NpzTest, FlippedBitInTheDataIsAnError) {
  const std::string npy = Npy(Header("|u1", "(64,)"), std::string(64, '\x55'));
  std::string archive = Npz({{"x.npy", npy}}, GetParam());
  const std::size_t at = archive.find("x.npy") + 5 + (GetParam() == Compression::kStored ? npy.size() - 8 : 20);
  archive[at] = static_cast<char>(archive[at] ^ 1);
  EXPECT_THAT(ReadAll(archive, "x.npz"), StatusIs(kInvalid, _));
}

INSTANTIATE_TEST_SUITE_P(Members, NpzTest, ::testing::Values(Compression::kStored, Compression::kDeflated),
                         [](const auto& kind) { return kind.param == Compression::kStored ? "Stored" : "Deflated"; });

TEST(ArrayReaderTest, StreamsInStepsAndSkipsRows) {
  const MemoryFile file(SixFloats());
  auto reader = ArrayReader::Open(file.fd(), "x.npy");
  QATGAP_ASSERT_OK(reader);
  EXPECT_EQ(reader->count(), 3);
  const auto first = reader->Read(0, 1);
  QATGAP_ASSERT_OK(first);
  EXPECT_THAT(first->shape(), ElementsAre(1, 2));
  EXPECT_THAT(first->data<float>(), ElementsAre(0, 1));
  const auto third = reader->Read(2, 1);
  QATGAP_ASSERT_OK(third);
  EXPECT_THAT(third->data<float>(), ElementsAre(4, 5));
  EXPECT_THAT(reader->Read(1, 1), StatusIs(absl::StatusCode::kInternal, _));
  EXPECT_THAT(reader->Read(3, 1), StatusIs(absl::StatusCode::kInternal, _));
}

TEST(ArrayReaderTest, ReaderMovesAndLeavesTheDescriptorOpen) {
  const MemoryFile file(SixFloats());
  for (int round = 0; round < 2; ++round) {
    auto opened = ArrayReader::Open(file.fd(), "x.npy");
    QATGAP_ASSERT_OK(opened);
    ArrayReader reader = *std::move(opened);
    EXPECT_THAT(reader.Read(1, 2), IsOk());
  }
}

TEST(ArrayReaderTest, ZeroRowsAreAnEmptyArray) {
  const MemoryFile file(Npy(Header("<f4", "(0, 3)"), ""));
  auto reader = ArrayReader::Open(file.fd(), "x.npy");
  QATGAP_ASSERT_OK(reader);
  EXPECT_EQ(reader->count(), 0);
  const auto rows = reader->Read(0, 0);
  QATGAP_ASSERT_OK(rows);
  EXPECT_EQ(rows->elements(), 0);
}

TEST(ArrayReaderTest, RowsOfNothingAreRead) { EXPECT_THAT(ReadAll(Npy(Header("<f4", "(2, 0)"), ""), "x.npy"), IsOk()); }

struct Broken {
  const char* name;
  const char* file;
  std::string bytes;
  std::vector<const char*> message;
};

class BrokenFile : public ::testing::TestWithParam<Broken> {};

TEST_P(BrokenFile, IsNamed) {
  const auto result = ReadAll(GetParam().bytes, GetParam().file);
  EXPECT_THAT(result, StatusIs(kInvalid, HasSubstr(GetParam().file)));
  for (const char* part : GetParam().message) EXPECT_THAT(result.status().message(), HasSubstr(part));
}

std::vector<float> SixWith(std::size_t index, float value) {
  std::vector<float> values = kSix;
  values[index] = value;
  return values;
}

std::vector<Broken> BrokenFiles() {
  const std::string valid = SixFloats();
  std::string wrong_magic = valid;
  wrong_magic[0] = '\x92';
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInf = std::numeric_limits<float>::infinity();
  return {
      {"UnknownEnding", "x.bin", valid, {"neither .npy, .npz nor .safetensors"}},
      {"Empty", "x.npy", "", {"is not a NumPy array"}},
      {"WrongMagic", "x.npy", wrong_magic, {"is not a NumPy array", "numpy.save"}},
      {"TruncatedLength", "x.npy", SixFloats(2).substr(0, 11), {"ends inside its header"}},
      {"TruncatedHeader", "x.npy", valid.substr(0, 30), {"ends inside its header"}},
      {"HugeHeader", "x.npy", Npy(std::string(70000, ' '), "", 2), {"has a header of 70000 bytes"}},
      {"NoShape", "x.npy", Npy("{'descr': '<f4', 'fortran_order': False, }", ""), {"without descr"}},
      {"EmptyHeader", "x.npy", Npy("", ""), {"without descr"}},
      {"TruncatedData", "x.npy", valid.substr(0, valid.size() - 9), {"ends at sample 1 of 3", "truncated"}},
      {"NoData", "x.npy", valid.substr(0, valid.size() - 24), {"ends at sample 0 of 3"}},
      {"FortranOrder", "x.npy", Npy(Header("<f4", "(3, 2)", "True"), Bytes(kSix)), {"Fortran order", "ascontiguousarray"}},
      {"BigEndian", "x.npy", Npy(Header(">f4", "(3, 2)"), Bytes(kSix)), {"dtype >f4", "astype"}},
      {"Uint16", "x.npy", Npy(Header("<u2", "(3, 2)"), std::string(12, 0)), {"dtype <u2", "astype"}},
      {"BoolOfTwo", "x.npy", Npy(Header("|b1", "(3,)"), std::string("\1\0\2", 3)), {"neither 0 nor 1 at sample 2, element 0"}},
      {"NaNInHalves", "x.npy", Npy(Header("<f2", "(2, 2)"), Bytes<std::uint16_t>({0, 0x3C00, 0x7E00, 0})),
       {"NaN or Inf at sample 1, element 0"}},
      {"Objects", "x.npy", Npy(Header("|O", "(3, 2)"), ""), {"dtype |O"}},
      {"Scalar", "x.npy", Npy(Header("<f4", "()"), Bytes<float>({1})), {"shape ()", "must count samples"}},
      {"NegativeExtent", "x.npy", Npy(Header("<f4", "(-1, 2)"), ""), {"shape (-1, 2)"}},
      {"HugeExtent", "x.npy", Npy(Header("<f4", "(99999999999, 2)"), ""), {"shape (99999999999, 2)"}},
      {"NineAxes", "x.npy", Npy(Header("<f4", "(1, 1, 1, 1, 1, 1, 1, 1, 1)"), ""), {"shape (1, 1"}},
      {"HugeRow", "x.npy", Npy(Header("<f4", "(1, 2147483647, 2147483647)"), ""), {"more than 2 GiB"}},
      {"NaN", "x.npy", Npy(Header("<f4", "(3, 2)"), Bytes(SixWith(3, kNan))), {"NaN or Inf at sample 1, element 1"}},
      {"Inf", "x.npy", Npy(Header("<f4", "(3, 2)"), Bytes(SixWith(4, -kInf))), {"NaN or Inf at sample 2, element 0"}},
      {"NaNInDoubles", "x.npy",
       Npy(Header("<f8", "(2,)"), Bytes<double>({1, std::numeric_limits<double>::quiet_NaN()})),
       {"NaN or Inf at sample 1, element 0"}},
      {"TwoArrays", "x.npz", Npz({{"a.npy", valid}, {"b.npy", valid}}), {"holds 2 arrays (a, b)"}},
      {"NoArray", "x.npz", Npz({{"a.txt", "a"}}), {"holds 0 arrays"}},
      {"GarbageZip", "x.npz", std::string(500, 'z'), {"not a readable .npz archive"}},
      {"EmptyZip", "x.npz", "", {"x.npz"}},
      {"NpyNamedNpz", "x.npz", valid, {"not a readable .npz archive"}},
      {"MemberIsNoArray", "x.npz", Npz({{"a.npy", "text instead of it"}}), {"(array a)", "is not a NumPy array"}},
      {"TruncatedMember", "x.npz", Npz({{"a.npy", valid.substr(0, valid.size() - 1)}}), {"(array a)", "ends at sample 2 of 3"}},
  };
}

INSTANTIATE_TEST_SUITE_P(Errors, BrokenFile, ::testing::ValuesIn(BrokenFiles()),
                         [](const auto& broken) { return std::string(broken.param.name); });

TEST(ArrayReaderTest, AFolderIsNoArray) {
  EXPECT_THAT(ReadAll(Npz({{"a.npy", SixFloats()}}), "labels.zip"), StatusIs(kInvalid, HasSubstr("'labels' is a folder of files")));
}

// A header can claim any number of rows: what is read at once is allocated only as far as the file can fill it.
TEST(ArrayReaderTest, ClaimOfHugeDataIsTruncationNotAllocation) {
  const MemoryFile file(Npy(Header("<f4", "(2000000000, 500000000)"), Bytes(kSix)));
  auto reader = ArrayReader::Open(file.fd(), "x.npy");
  QATGAP_ASSERT_OK(reader);
  EXPECT_THAT(reader->Read(0, reader->count()), StatusIs(kInvalid, HasSubstr("ends at sample 0 of 2000000000")));
}

TEST(ArrayReaderTest, TruncationWhileSkippingNamesTheSample) {
  const MemoryFile file(SixFloats().substr(0, SixFloats().size() - 12));
  auto reader = ArrayReader::Open(file.fd(), "x.npy");
  QATGAP_ASSERT_OK(reader);
  EXPECT_THAT(reader->Read(2, 1), StatusIs(kInvalid, HasSubstr("ends at sample 1 of 3")));
}

// Any outcome but a crash, and a message with every refusal.
void FlipBytes(const std::string& valid, const std::string& name, int mutations) {
  constexpr std::uint32_t kSeed = 20240611;
  SCOPED_TRACE(kSeed);
  std::mt19937 random(kSeed);
  for (int i = 0; i < mutations; ++i) {
    std::string bytes = valid;
    for (std::uint32_t flips = 1 + random() % 4; flips > 0; --flips) bytes[random() % bytes.size()] = static_cast<char>(random());
    if (random() % 8 == 0) bytes.resize(random() % bytes.size());
    const MemoryFile file(bytes);
    auto reader = ArrayReader::Open(file.fd(), name);
    if (!reader.ok()) {
      ASSERT_FALSE(reader.status().message().empty());
      continue;
    }
    const std::int64_t count = std::min<std::int64_t>(reader->count(), 3);
    const auto rows = reader->Read(0, count);
    if (rows.ok()) {
      ASSERT_EQ(rows->dim(0), count);
    }
  }
}

TEST(ArrayReaderMutationTest, Npy) { FlipBytes(SixFloats(), "x.npy", 5000); }
TEST(ArrayReaderMutationTest, Halves) { FlipBytes(Npy(Header("<f2", "(3, 2)"), std::string(12, '\x11')), "x.npy", 3000); }
TEST(ArrayReaderMutationTest, Safetensors) {
  FlipBytes(Safetensors({Entry("x", "F32", "[3,2]", 0, 24), "\"__metadata__\":{\"a\":\"b\"}"}, Bytes(kSix)), "x.safetensors",
            20000);
}
TEST(ArrayReaderMutationTest, NpzStored) { FlipBytes(Npz({{"x.npy", SixFloats()}}), "x.npz", 3000); }
TEST(ArrayReaderMutationTest, NpzDeflated) {
  FlipBytes(Npz({{"x.npy", SixFloats()}}, Compression::kDeflated), "x.npz", 3000);
}

}  // namespace
}  // namespace qatgap::samples
