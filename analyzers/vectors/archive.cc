#include <zip.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "analyzers/status/string_view.h"
#include "analyzers/vectors/case.h"

namespace qatgap::vectors {
namespace {

constexpr std::uint64_t kMaxUnpacked = std::uint64_t{512} << 20U;
constexpr zip_int64_t kMaxEntries = 200000;

struct Discard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct Close {
  void operator()(zip_file_t* member) const { zip_fclose(member); }
};
using Archive = std::unique_ptr<zip_t, Discard>;
using Member = std::unique_ptr<zip_file_t, Close>;

// "a/./b" and the like are as harmless as they are odd; only what leaves the directory is refused.
bool LeavesDirectory(const std::string& path) {
  return path.starts_with('/') || path.find('\\') != std::string::npos || path == ".." || path.starts_with("../") ||
         path.ends_with("/..") || path.find("/../") != std::string::npos;
}

}  // namespace

absl::StatusOr<Files> ReadArchive(std::string_view zip, std::string_view name) {
  const auto bad = [&](const std::string& what) {
    return absl::InvalidArgumentError(absl::StrCat("'", Text(name), "' ", what));
  };
  // libzip takes no bytes at all for an archive without members.
  if (zip.empty()) return bad("is empty; send the directory of vectors as a zip archive");
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_buffer_create(zip.data(), zip.size(), 0, &error);
  Archive archive(source == nullptr ? nullptr : zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error));
  zip_error_fini(&error);
  if (archive == nullptr) {
    if (source != nullptr) zip_source_free(source);
    return bad("is not a readable zip archive; send the directory of vectors as one");
  }
  const zip_int64_t entries = zip_get_num_entries(archive.get(), 0);
  if (entries > kMaxEntries) return bad(absl::StrCat("holds ", entries, " files, more than ", kMaxEntries));

  const auto too_large = [&] {
    return absl::ResourceExhaustedError(
        absl::StrCat("'", Text(name), "' unpacks to more than 512 MiB; send fewer or smaller cases"));
  };
  Files files;
  std::uint64_t claimed = 0, unpacked = 0;
  for (zip_int64_t i = 0; i < entries; ++i) {
    zip_stat_t facts;
    zip_stat_init(&facts);
    const auto index = static_cast<zip_uint64_t>(i);
    constexpr zip_uint64_t kNeeded = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    if (zip_stat_index(archive.get(), index, 0, &facts) != 0 || (facts.valid & kNeeded) != kNeeded) {
      return bad(absl::StrCat("is damaged: entry ", i, " cannot be described"));
    }
    const std::string path = facts.name;
    if (path.ends_with('/')) continue;
    if (LeavesDirectory(path)) return bad(absl::StrCat("holds the path '", path, "', which leaves its directory"));
    if (facts.encryption_method != ZIP_EM_NONE) return bad(absl::StrCat("holds '", path, "' encrypted"));
    if (facts.comp_method != ZIP_CM_STORE && facts.comp_method != ZIP_CM_DEFLATE) {
      return bad(absl::StrCat("holds '", path, "' compressed by another method than deflate"));
    }
    Member member(zip_fopen_index(archive.get(), index, 0));
    if (member == nullptr) return bad(absl::StrCat("is damaged: '", path, "' cannot be opened"));
    if (facts.size > kMaxUnpacked - claimed) return too_large();
    claimed += facts.size;
    // What an entry claims takes no memory: the text grows as bytes arrive.
    std::string& bytes = files[path];
    bytes.clear();
    std::array<char, 1U << 16> block;
    while (true) {
      const zip_int64_t got = zip_fread(member.get(), block.data(), block.size());
      if (got < 0) return bad(absl::StrCat("is damaged: the data or checksum of '", path, "' is wrong"));
      if (got == 0) break;
      unpacked += static_cast<std::uint64_t>(got);
      if (unpacked > kMaxUnpacked) return too_large();
      bytes.append(block.data(), static_cast<std::size_t>(got));
    }
  }
  return files;
}

}  // namespace qatgap::vectors
