#include "analyzers/samples/byte_source.h"

#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace qatgap::samples {
namespace {

// Deflate makes at most 1032 bytes of one.
constexpr std::uint64_t kMaxInflation = 1032;

std::uint64_t FileSize(int fd) {
  struct stat status = {};
  return fstat(fd, &status) == 0 && status.st_size > 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

class PlainSource : public ByteSource {
 public:
  explicit PlainSource(int fd) : fd_(fd) {}

  absl::StatusOr<std::size_t> Read(std::span<char> out) override {
    std::size_t done = 0;
    while (done < out.size()) {
      const ssize_t got = pread(fd_, out.data() + done, out.size() - done, offset_);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return absl::InternalError(absl::StrCat("reading failed: ", std::strerror(errno)));
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
      offset_ += got;
    }
    return done;
  }
  std::uint64_t size_limit() const override { return FileSize(fd_); }

 private:
  int fd_;
  off_t offset_ = 0;
};

class ZipMemberSource : public ByteSource {
 public:
  ZipMemberSource(zip_t* archive, zip_file_t* member, std::string file, std::string array, std::uint64_t size_limit)
      : archive_(archive), member_(member), file_(std::move(file)), array_(std::move(array)), size_limit_(size_limit) {}
  ~ZipMemberSource() override {
    zip_fclose(member_);
    zip_discard(archive_);
  }

  absl::StatusOr<std::size_t> Read(std::span<char> out) override {
    std::size_t done = 0;
    while (done < out.size()) {
      const zip_int64_t got = zip_fread(member_, out.data() + done, out.size() - done);
      if (got < 0) return absl::InvalidArgumentError(absl::StrCat(
            file_, " (array ", array_, ") is damaged: its compressed data or checksum is wrong; save or copy it again"));
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }
  std::uint64_t size_limit() const override { return size_limit_; }
  std::string array_name() const override { return array_; }

 private:
  zip_t* archive_;
  zip_file_t* member_;
  std::string file_;
  std::string array_;
  std::uint64_t size_limit_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ByteSource>> OpenPlain(int fd) { return std::make_unique<PlainSource>(fd); }

absl::StatusOr<std::unique_ptr<ByteSource>> OpenZipMember(int fd, const std::string& name) {
  const int own = dup(fd);  // zip_fdopen closes what it is given
  int error = 0;
  zip_t* archive = own < 0 ? nullptr : zip_fdopen(own, ZIP_CHECKCONS, &error);
  if (archive == nullptr) {
    if (own >= 0) close(own);
    return absl::InvalidArgumentError(absl::StrCat("'", name, "' is not a readable .npz archive; save it with numpy.savez"));
  }
  std::vector<std::string> arrays;
  zip_int64_t chosen = -1;
  for (zip_int64_t i = 0; i < zip_get_num_entries(archive, 0); ++i) {
    const char* member = zip_get_name(archive, static_cast<zip_uint64_t>(i), 0);
    if (member == nullptr || !absl::EndsWith(member, ".npy")) continue;
    const std::string member_name = member;
    arrays.push_back(member_name.substr(0, member_name.size() - 4));
    chosen = i;
  }
  if (arrays.size() != 1) {
    zip_discard(archive);
    return absl::InvalidArgumentError(absl::StrCat("'", name, "' holds ", arrays.size(), " arrays (",
                                                   absl::StrJoin(arrays, ", "), "), one is needed; save it with one"));
  }
  zip_stat_t facts;
  zip_stat_init(&facts);
  const bool known = zip_stat_index(archive, static_cast<zip_uint64_t>(chosen), 0, &facts) == 0 &&
                     (facts.valid & ZIP_STAT_SIZE) != 0 && (facts.valid & ZIP_STAT_COMP_METHOD) != 0;
  if (!known || (facts.comp_method != ZIP_CM_STORE && facts.comp_method != ZIP_CM_DEFLATE)) {
    zip_discard(archive);
    return absl::InvalidArgumentError(absl::StrCat("array ", arrays[0], " of '", name, "' is compressed by another method "
                                                   "than deflate; save it with numpy.savez_compressed"));
  }
  zip_file_t* member = zip_fopen_index(archive, static_cast<zip_uint64_t>(chosen), 0);
  if (member == nullptr) {
    zip_discard(archive);
    return absl::InvalidArgumentError(absl::StrCat("array ", arrays[0], " of '", name, "' cannot be opened"));
  }
  return std::make_unique<ZipMemberSource>(archive, member, name, arrays[0],
                                           std::min(facts.size, FileSize(fd) * kMaxInflation));
}

}  // namespace qatgap::samples
