#include "client/output_directory.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/lib/error_details.h"

namespace qatgap::cli {
namespace {

namespace fs = std::filesystem;

constexpr zip_int64_t kMaxEntries = 200'000;
constexpr std::uint64_t kMaxBytes = 4ULL << 30;
constexpr std::size_t kLongestPath = 1024;

struct Discard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct Close {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};
using Archive = std::unique_ptr<zip_t, Discard>;
using Member = std::unique_ptr<zip_file_t, Close>;

// Removed, with what is in it, unless it was renamed.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(std::string path) : path_(std::move(path)) {}
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// "." and "out/" as the directory they mean.
fs::path Whole(const std::string& path) {
  std::error_code error;
  const fs::path whole = fs::absolute(path, error).lexically_normal();
  return whole.has_filename() ? whole : whole.parent_path();
}

absl::Status Refused(const std::string& path, const std::error_code& error) {
  return absl::FailedPreconditionError(absl::StrCat("cannot write the directory (", path, ": ", error.message(), ")"));
}

absl::Status Broken(const std::string& what) {
  return client::WithRemedy(absl::InternalError(absl::StrCat("the service sent an archive that ", what)),
                            "report it with this message; nothing was written");
}

// A plain path below the directory: "layers/00_conv/case.json".
bool IsSafe(const std::string& path) {
  if (path.empty() || path.size() > kLongestPath || path.front() == '/') return false;
  for (const char c : path) {
    if (c == '\\' || absl::ascii_iscntrl(static_cast<unsigned char>(c))) return false;
  }
  for (const absl::string_view part : absl::StrSplit(path, '/')) {
    if (part.empty() || part == "." || part == "..") return false;
  }
  return true;
}

absl::Status WriteMember(zip_t* archive, zip_uint64_t index, const fs::path& path, std::uint64_t& bytes) {
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error || fs::exists(path, error)) return Broken(absl::StrCat("has a path twice: ", path.filename().string()));
  const Member member(zip_fopen_index(archive, index, 0));
  if (member == nullptr) return Broken(absl::StrCat("is damaged: ", zip_strerror(archive)));
  std::ofstream file(path, std::ios::binary);
  std::array<char, 1U << 16> buffer{};
  zip_int64_t got = 0;
  while (file && (got = zip_fread(member.get(), buffer.data(), buffer.size())) > 0) {
    bytes += static_cast<std::uint64_t>(got);
    if (bytes > kMaxBytes) return Broken(absl::StrCat("holds more than ", kMaxBytes >> 30, " GiB"));
    file.write(buffer.data(), static_cast<std::streamsize>(got));
  }
  if (got < 0) return Broken("is damaged: its checksum is wrong");
  if (!file.flush()) return absl::FailedPreconditionError(absl::StrCat("writing a file failed (", std::strerror(errno), ")"));
  return absl::OkStatus();
}

absl::StatusOr<std::size_t> UnpackInto(std::string_view bytes, const fs::path& folder) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
  const Archive archive(source == nullptr ? nullptr : zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error));
  if (archive == nullptr) {
    if (source != nullptr) zip_source_free(source);
    return Broken("cannot be read");
  }
  const zip_int64_t entries = zip_get_num_entries(archive.get(), 0);
  if (entries <= 0 || entries > kMaxEntries) return Broken(absl::StrCat("holds ", entries, " files"));
  std::uint64_t written = 0;
  for (zip_int64_t i = 0; i < entries; ++i) {
    const auto index = static_cast<zip_uint64_t>(i);
    const char* name = zip_get_name(archive.get(), index, 0);
    if (name == nullptr || !IsSafe(name)) return Broken("has a path that leaves the directory");
    if (absl::Status s = WriteMember(archive.get(), index, folder / name, written); !s.ok()) return s;
  }
  return static_cast<std::size_t>(entries);
}

std::set<std::string> EntriesOf(const fs::path& folder, std::error_code& error) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder, error)) names.insert(entry.path().filename().string());
  return names;
}

// Removes what an earlier call wrote to `folder`; INVALID_ARGUMENT, and nothing is removed, when there is anything else.
absl::Status RemoveEarlier(const fs::path& folder, const std::set<std::string>& there,
                           const std::set<std::string>& ours, const std::string& shown) {
  std::error_code error;
  for (const std::string& name : there) {
    if (ours.count(name) > 0 || fs::exists(folder / name / "case.json", error)) continue;
    return client::WithRemedy(absl::InvalidArgumentError(absl::StrCat(
                                  "the directory holds '", name, "', which no earlier call wrote (", shown, ")")),
                              "name another directory");
  }
  for (const std::string& name : there) {
    fs::remove_all(folder / name, error);
    if (error) return Refused(shown, error);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> MakeTemporary(const fs::path& pattern) {
  std::string path = pattern.string() + ".XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) {
    return Refused(pattern.string(), std::error_code(errno, std::generic_category()));
  }
  return path;
}

absl::StatusOr<std::size_t> UnpackToNew(std::string_view archive, const fs::path& folder, const std::string& shown) {
  auto made = MakeTemporary(folder);
  if (!made.ok()) return made.status();
  const TemporaryFolder temporary(*std::move(made));
  const auto count = UnpackInto(archive, temporary.path());
  if (!count.ok()) return count.status();
  // mkdtemp makes directories for the owner only; give the rights a plain mkdir() would have.
  const mode_t mask = ::umask(0);
  ::umask(mask);
  std::error_code error;
  fs::permissions(temporary.path(), static_cast<fs::perms>(0777 & ~mask), error);
  fs::rename(temporary.path(), folder, error);
  if (error) return Refused(shown, error);
  return count;
}

absl::StatusOr<std::size_t> UnpackToOld(std::string_view archive, const fs::path& folder, const std::string& shown,
                                        bool force) {
  std::error_code error;
  const std::set<std::string> there = EntriesOf(folder, error);
  if (error) return Refused(shown, error);
  if (!there.empty() && !force) {
    return client::WithRemedy(absl::InvalidArgumentError(absl::StrCat("the directory is not empty (", shown, ")")),
                              "name another one, or replace what an earlier call wrote with --force");
  }
  // Inside: the directory may be the root of a file system, and renaming does not leave one.
  auto made = MakeTemporary(folder / ".qatgap");
  if (!made.ok()) return made.status();
  const TemporaryFolder temporary(*std::move(made));
  const auto count = UnpackInto(archive, temporary.path());
  if (!count.ok()) return count.status();
  const std::set<std::string> ours = EntriesOf(temporary.path(), error);
  if (absl::Status s = RemoveEarlier(folder, there, ours, shown); !s.ok()) return s;
  for (const std::string& name : ours) {
    fs::rename(temporary.path() / name, folder / name, error);
    if (error) return Refused(shown, error);
  }
  return count;
}

}  // namespace

absl::Status CheckOutputDirectory(const std::string& option, const std::string& path, bool force) {
  std::error_code error;
  if (path.empty()) {
    return client::WithRemedy(absl::InvalidArgumentError(absl::StrCat(option, " names no directory")),
                              "give the path of the directory to write");
  }
  const fs::path whole = Whole(path);
  const auto there = fs::status(whole, error);
  if (fs::exists(there)) {
    if (!fs::is_directory(there)) {
      return client::WithRemedy(
          absl::InvalidArgumentError(absl::StrCat(option, " does not name a directory (", path, ")")),
          "give the path of the directory to write");
    }
    if (!force && !fs::is_empty(whole, error)) {
      return client::WithRemedy(
          absl::InvalidArgumentError(absl::StrCat("the directory of ", option, " is not empty (", path, ")")),
          "name another one, or replace what an earlier call wrote with --force");
    }
  } else if (!fs::is_directory(whole.parent_path(), error)) {
    return client::WithRemedy(absl::InvalidArgumentError(absl::StrCat(
                                  "the directory above ", option, " does not exist (", path, ")")),
                              absl::StrCat("mkdir -p ", whole.parent_path().string()));
  }
  const fs::path written = fs::exists(there) ? whole : whole.parent_path();
  if (::access(written.c_str(), W_OK | X_OK) != 0) {
    return client::WithRemedy(
        absl::InvalidArgumentError(absl::StrCat(option, " cannot be written (", path, ")")),
        "write elsewhere or change its permissions");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::size_t> Unpack(std::string_view archive, const std::string& path, bool force) {
  const fs::path folder = Whole(path);
  std::error_code error;
  return fs::exists(folder, error) ? UnpackToOld(archive, folder, path, force) : UnpackToNew(archive, folder, path);
}

}  // namespace qatgap::cli
