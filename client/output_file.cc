#include "client/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/lib/error_details.h"

namespace qatgap::cli {
namespace {

std::string DirectoryOf(const std::string& path) {
  const auto parent = std::filesystem::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

}  // namespace

absl::Status CheckWritable(const std::string& option, const std::string& path) {
  std::error_code error;
  const auto there = std::filesystem::status(path, error);
  if (path.empty() || path.back() == '/' ||
      (std::filesystem::exists(there) && !std::filesystem::is_regular_file(there))) {
    return client::WithRemedy(absl::InvalidArgumentError(absl::StrCat(
                                  option, " does not name a regular file (", path, ")")),
                              "give the path of the file to write");
  }
  const std::string directory = DirectoryOf(path);
  if (!std::filesystem::is_directory(directory, error)) {
    return client::WithRemedy(absl::InvalidArgumentError(absl::StrCat(
                                  "the directory of ", option, " does not exist (", path, ")")),
                              absl::StrCat("mkdir -p ", directory));
  }
  if (::access(directory.c_str(), W_OK | X_OK) != 0) {
    return client::WithRemedy(absl::InvalidArgumentError(absl::StrCat(
                                  "the directory of ", option, " cannot be written (", path, ")")),
                              "write elsewhere or change its permissions");
  }
  return absl::OkStatus();
}

absl::StatusOr<OutputFile> OutputFile::Create(const std::string& path) {
  std::string temporary = path + ".XXXXXX";
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot write the file (", path, ": ", std::strerror(errno), ")"));
  }
  return OutputFile(fd, path, std::move(temporary));
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, "")) {}

OutputFile::~OutputFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

absl::Status OutputFile::Error(std::string_view what) const {
  const int error = errno;
  return absl::FailedPreconditionError(
      absl::StrCat(std::string(what), " failed (", path_, ": ", std::strerror(error), ")"));
}

absl::Status OutputFile::Append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Error("writing the file");
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status OutputFile::Commit() {
  // mkstemp makes files for the owner only; give the rights a plain open() would have.
  const mode_t mask = ::umask(0);
  ::umask(mask);
  if (::fchmod(fd_, 0666 & ~mask) != 0) return Error("setting the file's permissions");
  if (::fsync(fd_) != 0) return Error("writing the file");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return Error("renaming the file");
  temporary_.clear();
  return absl::OkStatus();
}

}  // namespace qatgap::cli
