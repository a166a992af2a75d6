#include "client/temporary_archive.h"

#include <stdlib.h>
#include <zip.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
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

absl::Status WriteZip(const std::map<std::string, std::string>& files, const std::string& path, const std::string& what,
                      ArchiveCompression compression) {
  int code = 0;
  Archive archive(zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code));
  if (archive == nullptr)
    return absl::InternalError(absl::StrCat("cannot make a temporary archive (error ", code, ")"));
  const auto failed = [&](const std::string& at) {
    return absl::InvalidArgumentError(
        absl::StrCat("packing the ", what, " failed (", at, ": ", zip_strerror(archive.get()), ")"));
  };
  for (const auto& [name, file] : files) {
    zip_source_t* source = zip_source_file(archive.get(), file.c_str(), 0, 0);
    if (source == nullptr) return failed(name);
    const zip_int64_t added = zip_file_add(archive.get(), name.c_str(), source, ZIP_FL_ENC_UTF_8);
    if (added < 0) {
      zip_source_free(source);
      return failed(name);
    }
    const auto index = static_cast<zip_uint64_t>(added);
    const bool stored = compression == ArchiveCompression::kStored;
    if (zip_file_set_dostime(archive.get(), index, 0, kDosDate, 0) != 0 ||
        zip_set_file_compression(archive.get(), index, stored ? ZIP_CM_STORE : ZIP_CM_DEFLATE,
                                 stored ? 0 : kDeflateLevel) != 0 ||
        zip_file_set_external_attributes(archive.get(), index, 0, ZIP_OPSYS_UNIX, 0100644U << 16U) != 0) {
      return failed(name);
    }
  }
  if (zip_close(archive.get()) != 0) return failed("writing it");
  static_cast<void>(archive.release());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TemporaryArchive> TemporaryArchive::Write(const std::map<std::string, std::string>& files,
                                                         const std::string& name, const std::string& what,
                                                         ArchiveCompression compression) {
  std::error_code error;
  std::string directory = (fs::temp_directory_path(error) / absl::StrCat("qatgap-", what, ".XXXXXX")).string();
  if (::mkdtemp(directory.data()) == nullptr) {
    return absl::InternalError(absl::StrCat("cannot make a temporary directory (", std::strerror(errno), ")"));
  }
  TemporaryArchive archive(std::move(directory), name);
  if (absl::Status written = WriteZip(files, archive.path(), what, compression); !written.ok()) return written;
  return archive;
}

TemporaryArchive::TemporaryArchive(TemporaryArchive&& other) noexcept
    : directory_(std::exchange(other.directory_, "")), name_(std::move(other.name_)) {}

TemporaryArchive::~TemporaryArchive() {
  std::error_code ignored;
  if (!directory_.empty()) fs::remove_all(directory_, ignored);
}

std::string ArchiveName(const std::string& directory, const std::string& fallback) {
  std::error_code error;
  const std::string base = fs::canonical(directory, error).filename().string().substr(0, kLongestName);
  return (base.empty() || !terminal::IsUtf8(base) ? fallback : base) + ".zip";
}

}  // namespace qatgap::cli
