#include "server/runner/zip_writer.h"

#include <zip.h>

#include <cstddef>
#include <memory>

#include "absl/strings/str_cat.h"

namespace qatgap::runner {
namespace {

struct Discard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct Free {
  void operator()(zip_source_t* source) const { zip_source_free(source); }
};
using Archive = std::unique_ptr<zip_t, Discard>;
using Source = std::unique_ptr<zip_source_t, Free>;

// The first moment that the format can hold: 1980-01-01.
constexpr zip_uint16_t kDosDate = (1U << 5U) | 1U;

absl::Status Failed(const char* what) { return absl::InternalError(absl::StrCat("writing an archive failed: ", what)); }

absl::Status Add(zip_t* archive, const std::string& path, const std::string& bytes) {
  Source source(zip_source_buffer(archive, bytes.data(), bytes.size(), /*freep=*/0));
  if (source == nullptr) return Failed(zip_strerror(archive));
  const zip_int64_t index = zip_file_add(archive, path.c_str(), source.get(), ZIP_FL_ENC_UTF_8);
  if (index < 0) return Failed(zip_strerror(archive));
  static_cast<void>(source.release());  // the archive's now
  if (zip_file_set_dostime(archive, static_cast<zip_uint64_t>(index), /*dostime=*/0, kDosDate, 0) != 0) {
    return Failed(zip_strerror(archive));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadAll(zip_source_t* source) {
  zip_stat_t facts;
  zip_stat_init(&facts);
  if (zip_source_stat(source, &facts) != 0 || (facts.valid & ZIP_STAT_SIZE) == 0 || zip_source_open(source) != 0) {
    return Failed("the result cannot be read");
  }
  std::string bytes(static_cast<std::size_t>(facts.size), '\0');
  const zip_int64_t got = zip_source_read(source, bytes.data(), bytes.size());
  zip_source_close(source);
  if (got != static_cast<zip_int64_t>(bytes.size())) return Failed("the result is short");
  return bytes;
}

}  // namespace

absl::StatusOr<std::string> WriteZip(const std::map<std::string, std::string>& files) {
  zip_error_t error;
  zip_error_init(&error);
  const Source target(zip_source_buffer_create(nullptr, 0, 0, &error));
  if (target == nullptr) return Failed(zip_error_strerror(&error));
  zip_source_keep(target.get());  // outlives the archive, which takes one reference
  Archive archive(zip_open_from_source(target.get(), ZIP_CREATE | ZIP_TRUNCATE, &error));
  if (archive == nullptr) {
    zip_source_free(target.get());
    return Failed(zip_error_strerror(&error));
  }
  for (const auto& [path, bytes] : files) {
    if (const absl::Status added = Add(archive.get(), path, bytes); !added.ok()) return added;
  }
  if (zip_close(archive.get()) != 0) return Failed(zip_strerror(archive.get()));
  static_cast<void>(archive.release());
  return ReadAll(target.get());
}

}  // namespace qatgap::runner
