// Target files, directories of vectors, directories of output, answers as JSON: without a service.
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "client/lib/message_json.h"
#include "client/output_directory.h"
#include "client/target_argument.h"
#include "client/vectors_archive.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "qatgap/v1/model.pb.h"
#include "tests/client/zip_of.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using testing::IsOkAndHolds;
using testing::StatusIs;
using testing::ZipOf;

class FilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/files_test.XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { fs::remove_all(directory_); }
  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  void Write(const std::string& name, const std::string& bytes) {
    fs::create_directories(fs::path(Path(name)).parent_path());
    std::ofstream(Path(name), std::ios::binary) << bytes;
  }
  static std::string ReadFile(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  // Path -> bytes of what Pack made.
  static std::vector<std::pair<std::string, std::string>> Contents(const std::string& path) {
    std::vector<std::pair<std::string, std::string>> files;
    zip_t* archive = zip_open(path.c_str(), ZIP_RDONLY, nullptr);
    if (archive == nullptr) return files;
    for (zip_int64_t i = 0; i < zip_get_num_entries(archive, 0); ++i) {
      zip_stat_t facts;
      zip_stat_init(&facts);
      zip_stat_index(archive, static_cast<zip_uint64_t>(i), 0, &facts);
      std::string bytes(static_cast<std::size_t>(facts.size), '\0');
      zip_file_t* file = zip_fopen_index(archive, static_cast<zip_uint64_t>(i), 0);
      zip_fread(file, bytes.data(), bytes.size());
      zip_fclose(file);
      files.emplace_back(facts.name, bytes);
    }
    zip_discard(archive);
    return files;
  }
  std::string directory_;
};

TEST_F(FilesTest, ATargetIsAFileWhenItExistsOrLooksLikeOne) {
  EXPECT_FALSE(NamesFile("pytorch-qnnpack"));
  EXPECT_FALSE(NamesFile(""));
  EXPECT_TRUE(NamesFile("mine.yaml"));
  EXPECT_TRUE(NamesFile("MINE.YML"));
  EXPECT_TRUE(NamesFile("./mine"));
  Write("plain", "name: x");
  EXPECT_TRUE(NamesFile(Path("plain")));
  const fs::path here = fs::current_path();
  fs::current_path(directory_);
  EXPECT_TRUE(NamesFile("plain"));
  fs::create_directory("tosa");
  EXPECT_FALSE(NamesFile("tosa")) << "a directory is none";
  fs::current_path(here);
}

TEST_F(FilesTest, ReadTargetBoundsTheFile) {
  Write("big.yaml", std::string((64 << 10) + 1, '#'));
  EXPECT_THAT(ReadTarget(Path("big.yaml")), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("65536")));
  Write("fits.yaml", std::string(64 << 10, '#'));
  const auto fits = ReadTarget(Path("fits.yaml"));
  ASSERT_TRUE(fits.ok()) << fits.status();
  EXPECT_EQ(fits->description().size(), std::size_t{64} << 10);
  Write("latin1.yaml", "title: caf\xe9\n");
  EXPECT_THAT(ReadTarget(Path("latin1.yaml")), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("UTF-8")));
  Write("chinese.yaml", "title: \xe5\x8a\xa0\xe9\x80\x9f\xe5\x99\xa8 \xf0\x9f\x9a\x80\n");
  EXPECT_TRUE(ReadTarget(Path("chinese.yaml")).ok());
  // Too long a form of '/', a surrogate, a character cut short.
  for (const char* bytes : {"\xc0\xaf", "\xed\xa0\x80", "\xe5\x8a", "\xf5\x80\x80\x80", "\x80"}) {
    Write("odd.yaml", bytes);
    EXPECT_THAT(ReadTarget(Path("odd.yaml")), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("UTF-8")));
  }
  EXPECT_THAT(ReadTarget(directory_), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("regular file")));
}

TEST_F(FilesTest, PackTakesCasesAndArraysByPath) {
  Write("v/b/case.json", "{b}");
  Write("v/b/input.npy", "bb");
  Write("v/a/case.json", "{a}");
  Write("v/a/notes.txt", "no");
  Write("v/README.md", "no");
  const auto packed = VectorsArchive::Pack(Path("v") + "/");
  ASSERT_TRUE(packed.ok()) << packed.status();
  EXPECT_EQ(packed->cases(), 2U);
  EXPECT_EQ(fs::path(packed->path()).filename(), "v.zip");
  EXPECT_THAT(Contents(packed->path()),
              ElementsAre(Pair("a/case.json", "{a}"), Pair("b/case.json", "{b}"), Pair("b/input.npy", "bb")));
}

TEST_F(FilesTest, PackOfEqualDirectoriesGivesEqualBytes) {
  Write("v/a/case.json", "{a}");
  Write("v/a/x.npy", std::string(10000, 'x'));
  std::string first_path;
  {
    const auto first = VectorsArchive::Pack(Path("v"));
    ASSERT_TRUE(first.ok());
    first_path = first->path();
    fs::create_directory(Path("w"));
    fs::copy(Path("v"), Path("w/v"), fs::copy_options::recursive);
    fs::last_write_time(Path("w/v/a/x.npy"), fs::file_time_type::clock::now() - std::chrono::hours(100));
    fs::permissions(Path("w/v/a/x.npy"), fs::perms::owner_read);
    const auto second = VectorsArchive::Pack(Path("w/v"));
    ASSERT_TRUE(second.ok());
    EXPECT_EQ(ReadFile(first->path()), ReadFile(second->path()));
  }
  EXPECT_FALSE(fs::exists(first_path)) << "the temporary goes";
}

TEST_F(FilesTest, PackFollowsLinksOnlyInside) {
  Write("v/a/case.json", "{a}");
  Write("v/a/shared.npy", "shared");
  Write("v/b/case.json", "{b}");
  fs::create_symlink("../a/shared.npy", Path("v/b/input.npy"));
  fs::create_directory_symlink("a", Path("v/again"));
  const auto inside = VectorsArchive::Pack(Path("v"));
  ASSERT_TRUE(inside.ok()) << inside.status();
  EXPECT_THAT(Contents(inside->path()),
              ElementsAre(Pair("a/case.json", "{a}"), Pair("a/shared.npy", "shared"), Pair("b/case.json", "{b}"),
                          Pair("b/input.npy", "shared")));
  fs::create_directory_symlink(Path("v"), Path("link"));
  EXPECT_TRUE(VectorsArchive::Pack(Path("link")).ok()) << "--vectors itself may be one";

  Write("secret.npy", "secret");
  fs::create_symlink("../../secret.npy", Path("v/b/weight.npy"));
  EXPECT_THAT(VectorsArchive::Pack(Path("v")), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("b/weight.npy")));
  fs::remove(Path("v/b/weight.npy"));
  fs::create_symlink("nowhere", Path("v/b/bias.npy"));
  EXPECT_THAT(VectorsArchive::Pack(Path("v")), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("b/bias.npy")));
  fs::remove(Path("v/b/bias.npy"));
  Write("elsewhere/case.json", "{}");
  fs::create_directory_symlink(Path("elsewhere"), Path("v/c"));
  EXPECT_THAT(VectorsArchive::Pack(Path("v")), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("(c)")));
}

TEST_F(FilesTest, PackRefusesWhatIsNoFileOrTooMuch) {
  Write("v/a/case.json", "{a}");
  EXPECT_THAT(VectorsArchive::Pack(Path("v"), {.bytes = 2, .files = 9}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("more than")));
  EXPECT_THAT(VectorsArchive::Pack(Path("v"), {.bytes = 9, .files = 0}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("more than")));
  EXPECT_THAT(VectorsArchive::Pack(Path("v/a/case.json")),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("directory")));
  ASSERT_EQ(::mkfifo(Path("v/a/input.npy").c_str(), 0600), 0);
  EXPECT_THAT(VectorsArchive::Pack(Path("v")), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("a/input.npy")));
}

TEST_F(FilesTest, UnpackIntoAnEmptyDirectoryKeepsIt) {
  fs::create_directory(Path("out"));
  const auto before = fs::status(Path("out")).permissions();
  EXPECT_THAT(Unpack(ZipOf({{"a/b/c", "x"}, {"d", ""}}), Path("out") + "/", false), IsOkAndHolds(std::size_t{2}));
  EXPECT_EQ(ReadFile(Path("out/a/b/c")), "x");
  EXPECT_TRUE(fs::exists(Path("out/d")));
  EXPECT_EQ(fs::status(Path("out")).permissions(), before);
  EXPECT_EQ(std::distance(fs::directory_iterator(Path("out")), {}), 2) << "no temporary is left";
}

TEST_F(FilesTest, UnpackWithForceTouchesNothingForeign) {
  Write("out/thesis.tex", "years of work");
  Write("out/README.md", "old");
  EXPECT_THAT(Unpack(ZipOf({{"README.md", "new"}}), Path("out"), true),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'thesis.tex'")));
  EXPECT_EQ(ReadFile(Path("out/README.md")), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(Path("out")), {}), 2);
  fs::remove(Path("out/thesis.tex"));
  Write("out/proposal_9/case.json", "{}");
  EXPECT_THAT(Unpack(ZipOf({{"README.md", "new"}}), Path("out"), true), IsOkAndHolds(std::size_t{1}));
  EXPECT_EQ(ReadFile(Path("out/README.md")), "new");
  EXPECT_FALSE(fs::exists(Path("out/proposal_9")));
}

TEST_F(FilesTest, UnpackOfADamagedArchive) {
  std::string zip = ZipOf({{"a", std::string(1000, 'a') + "bcdefg"}});
  zip[40] = static_cast<char>(zip[40] ^ 0x55);
  EXPECT_THAT(Unpack(zip, Path("out"), false), StatusIs(absl::StatusCode::kInternal, HasSubstr("archive")));
  EXPECT_THAT(Unpack(ZipOf({{"a", "x"}, {"a/b", "x"}}), Path("out"), false),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("twice")));
  EXPECT_FALSE(fs::exists(Path("out")));
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), {}), 0);
}

TEST_F(FilesTest, OutputDirectoriesThatCannotBe) {
  Write("file", "x");
  const auto refused = [](const char* what) { return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(what)); };
  EXPECT_THAT(CheckOutputDirectory("--out", "", false), refused("no directory"));
  EXPECT_THAT(CheckOutputDirectory("--out", Path("file"), true), refused("does not name a directory"));
  EXPECT_THAT(CheckOutputDirectory("--out", Path("no/such"), false), refused("does not exist"));
  EXPECT_THAT(CheckOutputDirectory("--out", directory_, false), refused("not empty"));
  EXPECT_TRUE(CheckOutputDirectory("--out", directory_, true).ok());
  EXPECT_TRUE(CheckOutputDirectory("--out", Path("new/"), false).ok());
}

TEST(MessageJsonTest, SpellsAnAnswer) {
  v1::InspectModelResponse message;
  message.set_text("not for programs");
  v1::TargetResult& target = *message.mutable_result()->add_targets();
  target.set_name("a \"quoted\" name");
  target.mutable_evidence()->set_kind(v1::EVIDENCE_KIND_FROM_SOURCE);
  target.set_bias_mode(v1::BIAS_MODE_INTEGER);
  v1::StoredBias& bias = *target.add_layers()->add_channels()->mutable_bias();
  bias.set_stored(std::numeric_limits<std::int64_t>::min());
  bias.set_real(0.1);
  bias.set_rounded(std::numeric_limits<double>::quiet_NaN());
  const auto json = nlohmann::json::parse(client::ToJson(message), nullptr, false);
  ASSERT_TRUE(json.is_object());
  EXPECT_FALSE(json.contains("text"));
  const auto& read = json["result"]["targets"][0];
  EXPECT_EQ(read["name"], "a \"quoted\" name");
  EXPECT_EQ(read["evidence"]["kind"], "from_source");
  EXPECT_EQ(read["bias_mode"], "integer");
  EXPECT_EQ(read["engine"], "unspecified");
  EXPECT_TRUE(read["comparisons"].is_array());
  const auto& stored = read["layers"][0]["channels"][0]["bias"];
  EXPECT_EQ(stored["stored"].get<std::int64_t>(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(stored["real"].get<double>(), 0.1);
  EXPECT_TRUE(stored["rounded"].is_null());
  EXPECT_FALSE(json["result"].contains("environment")) << "a message that is not set";
}

}  // namespace
}  // namespace qatgap::cli
