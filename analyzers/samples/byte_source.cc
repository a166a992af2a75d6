#include "analyzers/samples/byte_source.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::samples {
namespace {

constexpr std::uint64_t kSkipBytes = 1U << 16;

class PlainSource : public ByteSource {
 public:
  PlainSource(int fd, std::uint64_t first, std::uint64_t size) : fd_(fd), offset_(first) {
    const std::uint64_t file = FileSize(fd);
    end_ = first + std::min(size, file - std::min(first, file));
  }

  absl::StatusOr<std::size_t> Read(std::span<char> out) override {
    const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), end_ - offset_));
    std::size_t done = 0;
    while (done < wanted) {
      const ssize_t got = pread(fd_, out.data() + done, wanted - done, static_cast<off_t>(offset_));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return absl::InternalError(absl::StrCat("reading failed: ", std::strerror(errno)));
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
      offset_ += static_cast<std::uint64_t>(got);
    }
    return done;
  }
  absl::StatusOr<std::uint64_t> Skip(std::uint64_t bytes) override {
    const std::uint64_t passed = std::min(bytes, end_ - offset_);
    offset_ += passed;
    return passed;
  }
  std::uint64_t size_limit() const override { return end_; }

 private:
  int fd_;
  std::uint64_t offset_, end_ = 0;
};

}  // namespace

absl::StatusOr<std::uint64_t> ByteSource::Skip(std::uint64_t bytes) {
  std::vector<char> buffer(static_cast<std::size_t>(std::min(bytes, kSkipBytes)));
  std::uint64_t passed = 0;
  while (passed < bytes) {
    const auto wanted = static_cast<std::size_t>(std::min(bytes - passed, kSkipBytes));
    QATGAP_ASSIGN_OR_RETURN(const std::size_t got, Read(std::span<char>(buffer).first(wanted)));
    passed += got;
    if (got < wanted) break;
  }
  return passed;
}

std::uint64_t FileSize(int fd) {
  struct stat status = {};
  return fstat(fd, &status) == 0 && status.st_size > 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

std::unique_ptr<ByteSource> OpenPlain(int fd, std::uint64_t first, std::uint64_t size) {
  return std::make_unique<PlainSource>(fd, first, size);
}

}  // namespace qatgap::samples
