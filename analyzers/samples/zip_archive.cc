#include "analyzers/samples/zip_archive.h"

#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::samples {
namespace {

// Deflate makes at most 1032 bytes of one.
constexpr std::uint64_t kMaxInflation = 1032;
constexpr std::size_t kSuffix = 4;  // ".npy"

class MemberSource : public ByteSource {
 public:
  MemberSource(std::shared_ptr<ZipArchive> archive, zip_file_t* member, std::string label, std::uint64_t size_limit)
      : archive_(std::move(archive)), member_(member), label_(std::move(label)), size_limit_(size_limit) {}
  ~MemberSource() override { zip_fclose(member_); }

  absl::StatusOr<std::size_t> Read(std::span<char> out) override {
    std::size_t done = 0;
    while (done < out.size()) {
      const zip_int64_t got = zip_fread(member_, out.data() + done, out.size() - done);
      if (got < 0)
        return absl::InvalidArgumentError(
            absl::StrCat(label_, " is damaged: its compressed data or checksum is wrong; save or copy it again"));
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }
  std::uint64_t size_limit() const override { return size_limit_; }

 private:
  std::shared_ptr<ZipArchive> archive_;
  zip_file_t* member_;
  std::string label_;
  std::uint64_t size_limit_;
};

}  // namespace

ZipArchive::~ZipArchive() { zip_discard(archive_); }

absl::StatusOr<std::shared_ptr<ZipArchive>> ZipArchive::Open(int fd, const std::string& label) {
  const int own = dup(fd);  // zip_fdopen closes what it is given
  int error = 0;
  zip_t* opened = own < 0 ? nullptr : zip_fdopen(own, ZIP_CHECKCONS, &error);
  if (opened == nullptr) {
    if (own >= 0) close(own);
    return absl::InvalidArgumentError(
        absl::StrCat("'", label, "' is not a readable .npz archive; save it with numpy.savez"));
  }
  const std::shared_ptr<ZipArchive> archive(new ZipArchive(opened));
  const std::uint64_t most = FileSize(fd) * kMaxInflation;
  std::set<std::string> names;
  for (zip_int64_t i = 0; i < zip_get_num_entries(opened, 0); ++i) {
    const auto index = static_cast<zip_uint64_t>(i);
    const char* file = zip_get_name(opened, index, 0);
    if (file == nullptr || !absl::EndsWith(file, ".npy")) continue;
    std::string name(file);
    name.resize(name.size() - kSuffix);
    if (!names.insert(name).second) {
      return absl::InvalidArgumentError(absl::StrCat("'", label, "' holds array '", name, "' twice; save it again"));
    }
    zip_stat_t facts;
    zip_stat_init(&facts);
    const bool known = zip_stat_index(opened, index, 0, &facts) == 0 && (facts.valid & ZIP_STAT_SIZE) != 0 &&
                       (facts.valid & ZIP_STAT_COMP_METHOD) != 0;
    if (!known || (facts.comp_method != ZIP_CM_STORE && facts.comp_method != ZIP_CM_DEFLATE)) {
      return absl::InvalidArgumentError(absl::StrCat("array ", name, " of '", label,
                                                     "' is compressed by another method "
                                                     "than deflate; save it with numpy.savez_compressed"));
    }
    archive->members_.push_back({.name = std::move(name), .index = index, .size_limit = std::min(facts.size, most)});
  }
  return archive;
}

absl::StatusOr<std::unique_ptr<ByteSource>> ZipArchive::OpenMember(const Member& member, const std::string& label) {
  zip_file_t* opened = zip_fopen_index(archive_, member.index, 0);
  if (opened == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(label, " cannot be opened (", zip_strerror(archive_), "); save it again"));
  }
  return std::make_unique<MemberSource>(shared_from_this(), opened, label, member.size_limit);
}

}  // namespace qatgap::samples
