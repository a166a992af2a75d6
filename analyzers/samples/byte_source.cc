#include "analyzers/samples/byte_source.h"

#include <unistd.h>
#include <zip.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace qatgap::samples {
namespace {

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

 private:
  int fd_;
  off_t offset_ = 0;
};

class ZipMemberSource : public ByteSource {
 public:
  ZipMemberSource(zip_t* archive, zip_file_t* member, std::string array)
      : archive_(archive), member_(member), array_(std::move(array)) {}
  ~ZipMemberSource() override {
    zip_fclose(member_);
    zip_discard(archive_);
  }

  absl::StatusOr<std::size_t> Read(std::span<char> out) override {
    std::size_t done = 0;
    while (done < out.size()) {
      const zip_int64_t got = zip_fread(member_, out.data() + done, out.size() - done);
      if (got < 0) return absl::InvalidArgumentError("the archive is damaged or truncated");
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }
  std::string array_name() const override { return array_; }

 private:
  zip_t* archive_;
  zip_file_t* member_;
  std::string array_;
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
  zip_file_t* member = zip_fopen_index(archive, static_cast<zip_uint64_t>(chosen), 0);
  if (member == nullptr) {
    zip_discard(archive);
    return absl::InvalidArgumentError(absl::StrCat("array ", arrays[0], " of '", name, "' cannot be opened"));
  }
  return std::make_unique<ZipMemberSource>(archive, member, arrays[0]);
}

}  // namespace qatgap::samples
