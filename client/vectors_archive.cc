#include "client/vectors_archive.h"

#include <stdlib.h>
#include <zip.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/lib/error_details.h"
#include "client/terminal/text.h"

namespace qatgap::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLongestName = 200;
// Arrays of codes shrink little; level 1 is several times faster than the default.
constexpr zip_uint32_t kDeflateLevel = 1;
// The first moment that the format can hold: 1980-01-01.
constexpr zip_uint16_t kDosDate = (1U << 5U) | 1U;

struct Discard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
using Archive = std::unique_ptr<zip_t, Discard>;

absl::Status BadDirectory(const std::string& what, const std::string& path, const std::string& remedy) {
  return client::WithRemedy(absl::InvalidArgumentError(absl::StrCat(what, " (", path, ")")), remedy);
}

bool Wanted(const fs::path& path) { return path.filename() == "case.json" || path.extension() == ".npy"; }

bool Below(const fs::path& path, const fs::path& root) {
  return std::mismatch(root.begin(), root.end(), path.begin(), path.end()).first == root.end();
}

// Path in the archive -> file.
absl::StatusOr<std::map<std::string, std::string>> Collect(const std::string& directory, const VectorsLimits& limits) {
  std::error_code error;
  const fs::path root = fs::canonical(directory, error);
  if (error == std::errc::no_such_file_or_directory) {
    return client::WithRemedy(absl::NotFoundError(absl::StrCat("no such directory of vectors (", directory, ")")),
                              "check the path");
  }
  if (error || !fs::is_directory(root, error)) {
    return BadDirectory("--vectors does not name a directory that can be read", directory,
                        "give the directory that holds a folder for each case");
  }
  std::map<std::string, std::string> files;
  std::uint64_t bytes = 0;
  for (fs::recursive_directory_iterator at(root, error), end; !error && at != end; at.increment(error)) {
    const fs::path& path = at->path();
    const std::string relative = path.lexically_relative(root).generic_string();
    if (at->is_symlink(error)) {
      const fs::path leads_to = fs::canonical(path, error);
      if (!error && Below(leads_to, root) && !Wanted(path)) continue;  // what it leads to is met at its own place
      if (error || !Below(leads_to, root)) {
        if (!Wanted(path) && !fs::is_directory(path, error)) {
          error.clear();
          continue;
        }
        return BadDirectory("a link leads out of --vectors or to nothing", relative, "copy what it leads to in its place");
      }
    }
    if (at->is_directory(error) || !Wanted(path)) continue;
    if (!at->is_regular_file(error)) return BadDirectory("not a regular file", relative, "remove it from --vectors");
    bytes += at->file_size(error);
    files.emplace(relative, path.string());
    if (bytes > limits.bytes || files.size() > limits.files) {
      return BadDirectory(absl::StrCat("--vectors holds more than ", limits.bytes >> 20, " MiB or ", limits.files, " files"),
                          directory, "give a directory of fewer cases; several calls do as well as one");
    }
  }
  if (error) return BadDirectory(absl::StrCat("--vectors cannot be read: ", error.message()), directory, "check its permissions");
  return files;
}

absl::Status Failed(zip_t* archive, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("packing the vectors failed (", what, ": ", zip_strerror(archive), ")"));
}

absl::Status Write(const std::map<std::string, std::string>& files, const std::string& path) {
  int code = 0;
  Archive archive(zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code));
  if (archive == nullptr) return absl::InternalError(absl::StrCat("cannot make a temporary archive (error ", code, ")"));
  for (const auto& [name, file] : files) {
    zip_source_t* source = zip_source_file(archive.get(), file.c_str(), 0, 0);
    if (source == nullptr) return Failed(archive.get(), name);
    const zip_int64_t added = zip_file_add(archive.get(), name.c_str(), source, ZIP_FL_ENC_UTF_8);
    if (added < 0) {
      zip_source_free(source);
      return Failed(archive.get(), name);
    }
    const auto index = static_cast<zip_uint64_t>(added);
    // Nothing of the file but its bytes: an archive that the service has is not sent again.
    if (zip_file_set_dostime(archive.get(), index, 0, kDosDate, 0) != 0 ||
        zip_set_file_compression(archive.get(), index, ZIP_CM_DEFLATE, kDeflateLevel) != 0 ||
        zip_file_set_external_attributes(archive.get(), index, 0, ZIP_OPSYS_UNIX, 0100644U << 16U) != 0) {
      return Failed(archive.get(), name);
    }
  }
  if (zip_close(archive.get()) != 0) return Failed(archive.get(), "writing it");
  static_cast<void>(archive.release());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<VectorsArchive> VectorsArchive::Pack(const std::string& directory, const VectorsLimits& limits) {
  const auto files = Collect(directory, limits);
  if (!files.ok()) return files.status();
  const auto cases = std::count_if(files->begin(), files->end(), [](const auto& file) {
    return fs::path(file.first).filename() == "case.json";
  });
  if (cases == 0) {
    return BadDirectory("--vectors holds no case.json", directory,
                        "give the directory that holds a folder for each case; tests/golden/README.md has the format");
  }
  std::error_code error;
  std::string temporary = (fs::temp_directory_path(error) / "qatgap-vectors.XXXXXX").string();
  if (::mkdtemp(temporary.data()) == nullptr) {
    return absl::InternalError(absl::StrCat("cannot make a temporary directory (", std::strerror(errno), ")"));
  }
  const std::string base = fs::canonical(directory, error).filename().string().substr(0, kLongestName);
  VectorsArchive archive(temporary, (base.empty() || !terminal::IsUtf8(base) ? "vectors" : base) + ".zip");
  archive.cases_ = static_cast<std::size_t>(cases);
  if (absl::Status written = Write(*files, archive.path()); !written.ok()) return written;
  return archive;
}

VectorsArchive::VectorsArchive(VectorsArchive&& other) noexcept
    : temporary_(std::exchange(other.temporary_, "")), name_(std::move(other.name_)), cases_(other.cases_) {}

VectorsArchive::~VectorsArchive() {
  std::error_code ignored;
  if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
}

}  // namespace qatgap::cli
