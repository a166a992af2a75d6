#include <zip.h>

#include <cstdlib>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "analyzers/vectors/case.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/vectors/case_files.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::vectors {
namespace {

using ::qatgap::testing::StatusIs;
using ::testing::_;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

std::string Zip(const std::vector<std::pair<std::string, std::string>>& members, zip_int32_t method = ZIP_CM_DEFLATE) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* out = zip_source_buffer_create(nullptr, 0, 0, &error);
  zip_source_keep(out);
  zip_t* archive = zip_open_from_source(out, ZIP_TRUNCATE, &error);
  if (archive == nullptr) std::abort();
  for (const auto& [name, bytes] : members) {
    const bool folder = name.ends_with('/');
    const zip_int64_t index =
        folder ? zip_dir_add(archive, name.c_str(), 0)
               : zip_file_add(archive, name.c_str(), zip_source_buffer(archive, bytes.data(), bytes.size(), 0), 0);
    if (index < 0) std::abort();
    if (!folder) zip_set_file_compression(archive, static_cast<zip_uint64_t>(index), method, 1);
  }
  if (zip_close(archive) != 0 || zip_source_open(out) != 0) std::abort();
  zip_source_seek(out, 0, SEEK_END);
  std::string text(static_cast<std::size_t>(zip_source_tell(out)), '\0');
  zip_source_seek(out, 0, SEEK_SET);
  if (zip_source_read(out, text.data(), text.size()) != static_cast<zip_int64_t>(text.size())) std::abort();
  zip_source_close(out);
  zip_source_free(out);
  return text;
}

std::vector<std::pair<std::string, std::string>> Members() {
  std::vector<std::pair<std::string, std::string>> members = {{"conv/", ""}};
  for (const auto& [path, bytes] : ConvolutionFiles()) members.emplace_back(path, bytes);
  return members;
}

TEST(ArchiveTest, StoredAndDeflated) {
  for (const zip_int32_t method : {ZIP_CM_STORE, ZIP_CM_DEFLATE}) {
    const auto files = ReadArchive(Zip(Members(), method), "vectors.zip");
    QATGAP_ASSERT_OK(files);
    EXPECT_EQ(*files, ConvolutionFiles());
  }
}

TEST(ArchiveTest, WhatIsNoArchiveIsNamed) {
  EXPECT_THAT(ReadArchive("", "v.zip"), StatusIs(kInvalid, HasSubstr("'v.zip' is empty")));
  EXPECT_THAT(ReadArchive(std::string(500, 'z'), "v.zip"), StatusIs(kInvalid, HasSubstr("v.zip")));
  const std::string whole = Zip(Members());
  EXPECT_THAT(ReadArchive(whole.substr(0, whole.size() / 2), "v.zip"), StatusIs(kInvalid, HasSubstr("v.zip")));
}

TEST(ArchiveTest, PathsStayInside) {
  for (const char* path : {"../case.json", "a/../../case.json", "/etc/case.json", "a\\..\\case.json", ".."}) {
    EXPECT_THAT(ReadArchive(Zip({{path, "x"}}), "v.zip"), StatusIs(kInvalid, HasSubstr("leaves its directory")))
        << path;
  }
}

TEST(ArchiveTest, ZerosThatUnpackToTooMuch) {
  const std::string block(std::size_t{60} << 20U, '\0');
  std::vector<std::pair<std::string, std::string>> members(9, {"", block});
  for (std::size_t i = 0; i < members.size(); ++i) members[i].first = std::to_string(i);
  const std::string bomb = Zip(members);
  EXPECT_LT(bomb.size(), std::size_t{4} << 20U);
  EXPECT_THAT(ReadArchive(bomb, "v.zip"), StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("512 MiB")));
}

TEST(ArchiveTest, FlippedBytesAreAnErrorOrFiles) {
  constexpr std::uint32_t kSeed = 20240917;
  SCOPED_TRACE(kSeed);
  std::mt19937 random(kSeed);
  for (const zip_int32_t method : {ZIP_CM_STORE, ZIP_CM_DEFLATE}) {
    const std::string whole = Zip(Members(), method);
    for (int i = 0; i < 1500; ++i) {
      std::string bytes = whole;
      for (std::uint_fast32_t flips = 1 + random() % 3; flips > 0; --flips)
        bytes[random() % bytes.size()] = static_cast<char>(random());
      if (random() % 8 == 0) bytes.resize(random() % bytes.size());
      const auto files = ReadArchive(bytes, "v.zip");
      if (files.ok()) {
        (void)ReadCases(*files);
      } else {
        ASSERT_FALSE(files.status().message().empty());
      }
    }
  }
}

}  // namespace
}  // namespace qatgap::vectors
