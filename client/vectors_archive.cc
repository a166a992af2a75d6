#include "client/vectors_archive.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/lib/error_details.h"

namespace qatgap::cli {
namespace {

namespace fs = std::filesystem;

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
        return BadDirectory("a link leads out of --vectors or to nothing", relative,
                            "copy what it leads to in its place");
      }
    }
    if (at->is_directory(error) || !Wanted(path)) continue;
    if (!at->is_regular_file(error)) return BadDirectory("not a regular file", relative, "remove it from --vectors");
    bytes += at->file_size(error);
    files.emplace(relative, path.string());
    if (bytes > limits.bytes || files.size() > limits.files) {
      return BadDirectory(
          absl::StrCat("--vectors holds more than ", limits.bytes >> 20, " MiB or ", limits.files, " files"), directory,
          "give a directory of fewer cases; several calls do as well as one");
    }
  }
  if (error)
    return BadDirectory(absl::StrCat("--vectors cannot be read: ", error.message()), directory,
                        "check its permissions");
  return files;
}

}  // namespace

absl::StatusOr<VectorsArchive> VectorsArchive::Pack(const std::string& directory, const VectorsLimits& limits) {
  const auto files = Collect(directory, limits);
  if (!files.ok()) return files.status();
  const auto cases = std::count_if(files->begin(), files->end(),
                                   [](const auto& file) { return fs::path(file.first).filename() == "case.json"; });
  if (cases == 0) {
    return BadDirectory("--vectors holds no case.json", directory,
                        "give the directory that holds a folder for each case; tests/golden/README.md has the format");
  }
  absl::StatusOr<TemporaryArchive> packed =
      TemporaryArchive::Write(*files, ArchiveName(directory, "vectors"), "vectors", ArchiveCompression::kDeflated);
  if (!packed.ok()) return packed.status();
  return VectorsArchive(*std::move(packed), static_cast<std::size_t>(cases));
}

}  // namespace qatgap::cli
