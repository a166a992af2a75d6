#include "server/artifacts/blob_store.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::server {
namespace {

// Clients see these: what failed and why, no path.
absl::Status FromErrno(const char* what, int error) {
  const std::string message =
      absl::StrCat("artifact store: ", what, ": ", std::generic_category().message(error));
  if (error == ENOSPC || error == EDQUOT) {
    return absl::ResourceExhaustedError(
        absl::StrCat(message, "; free space on the server's disk and try again"));
  }
  return absl::InternalError(message);
}

absl::Status CheckDigest(const std::string& sha256) {
  if (IsSha256Hex(sha256)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("sha256: must be 64 lower-case hexadecimal digits, has ", sha256.size(),
                   " bytes"));
}

absl::Status SyncDirectory(const std::filesystem::path& directory) {
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || ::fsync(fd.get()) != 0) return FromErrno("sync", errno);
  return absl::OkStatus();
}

}  // namespace

BlobWriter::BlobWriter(UniqueFd file, std::string temporary_path, std::string final_path,
                       std::string announced_sha256, std::uint64_t announced_bytes)
    : file_(std::move(file)),
      temporary_path_(std::move(temporary_path)),
      final_path_(std::move(final_path)),
      announced_sha256_(std::move(announced_sha256)),
      announced_bytes_(announced_bytes) {}

BlobWriter::~BlobWriter() {
  if (!temporary_path_.empty()) ::unlink(temporary_path_.c_str());
}

absl::Status BlobWriter::Append(std::string_view bytes) {
  if (bytes.size() > announced_bytes_ - written_) {
    return absl::InvalidArgumentError(absl::StrCat("chunk: more bytes than the ", announced_bytes_,
                                                   " of header.size_bytes"));
  }
  digest_.Update(bytes);
  written_ += bytes.size();
  while (!bytes.empty()) {
    const ssize_t count = ::write(file_.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FromErrno("write", errno);
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return absl::OkStatus();
}

absl::StatusOr<Blob> BlobWriter::Commit() {
  if (written_ != announced_bytes_) {
    return absl::InvalidArgumentError(absl::StrCat("chunk: ", written_, " bytes came, header.size_bytes is ",
                                                   announced_bytes_));
  }
  const std::string digest = digest_.FinishHex();
  if (digest != announced_sha256_) {
    return absl::InvalidArgumentError(absl::StrCat("chunk: the bytes have SHA-256 ", digest,
                                                   ", header.sha256 is ", announced_sha256_));
  }
  if (::fsync(file_.get()) != 0) return FromErrno("sync", errno);
  // link() does not replace a blob that is there: the first one, its time and its open descriptors stay.
  if (::link(temporary_path_.c_str(), final_path_.c_str()) != 0 && errno != EEXIST) {
    return FromErrno("rename", errno);
  }
  ::unlink(std::exchange(temporary_path_, {}).c_str());
  QATGAP_RETURN_IF_ERROR(SyncDirectory(std::filesystem::path(final_path_).parent_path()));
  struct stat status {};
  if (::stat(final_path_.c_str(), &status) != 0) return FromErrno("look up", errno);
  return Blob{.sha256 = digest,
              .bytes = announced_bytes_,
              .create_time = absl::TimeFromTimespec(status.st_mtim)};
}

BlobStore::BlobStore(std::string directory, std::uint64_t max_blob_bytes)
    : directory_(std::move(directory)), max_blob_bytes_(max_blob_bytes) {}

absl::StatusOr<std::unique_ptr<BlobStore>> BlobStore::Open(const std::string& directory,
                                                           std::uint64_t max_blob_bytes) {
  const std::filesystem::path incoming = std::filesystem::path(directory) / "incoming";
  std::error_code error;
  std::filesystem::remove_all(incoming, error);
  if (!error) std::filesystem::create_directories(incoming, error);
  if (error) return FromErrno("cannot make its directory", error.value());
  return std::unique_ptr<BlobStore>(new BlobStore(directory, max_blob_bytes));
}

std::string BlobStore::PathOf(const std::string& sha256) const {
  return absl::StrCat(directory_, "/", sha256.substr(0, 2), "/", sha256);
}

absl::StatusOr<std::unique_ptr<BlobWriter>> BlobStore::Create(const std::string& sha256,
                                                              std::uint64_t bytes) const {
  QATGAP_RETURN_IF_ERROR(CheckDigest(sha256));
  if (bytes == 0) return absl::InvalidArgumentError("size_bytes: must be at least 1");
  if (bytes > max_blob_bytes_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("size_bytes: ", bytes, " is more than the ", max_blob_bytes_,
                     " bytes this server accepts; start it with a larger --max-artifact-bytes"));
  }
  const std::string final_path = PathOf(sha256);
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(final_path).parent_path(), error);
  if (error) return FromErrno("cannot make a directory", error.value());
  std::string temporary_path = absl::StrCat(directory_, "/incoming/XXXXXX");
  UniqueFd file(::mkostemp(temporary_path.data(), O_CLOEXEC));
  if (!file.valid()) return FromErrno("cannot make a file", errno);
  return std::unique_ptr<BlobWriter>(
      new BlobWriter(std::move(file), temporary_path, final_path, sha256, bytes));
}

absl::StatusOr<Blob> BlobStore::Find(const std::string& sha256) const {
  QATGAP_RETURN_IF_ERROR(CheckDigest(sha256));
  struct stat status {};
  if (::stat(PathOf(sha256).c_str(), &status) != 0) {
    if (errno != ENOENT) return FromErrno("look up", errno);
    return absl::NotFoundError(
        absl::StrCat("sha256: there is no artifact ", sha256, "; upload it first"));
  }
  return Blob{.sha256 = sha256,
              .bytes = static_cast<std::uint64_t>(status.st_size),
              .create_time = absl::TimeFromTimespec(status.st_mtim)};
}

absl::StatusOr<UniqueFd> BlobStore::OpenForReading(const std::string& sha256) const {
  QATGAP_RETURN_IF_ERROR(Find(sha256).status());
  UniqueFd fd(::open(PathOf(sha256).c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return FromErrno("open", errno);
  return fd;
}

}  // namespace qatgap::server
