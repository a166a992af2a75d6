#include "analyzers/samples/folder_source.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::samples {
namespace {

class FolderSource : public ByteSource {
 public:
  FolderSource(std::shared_ptr<ZipArchive> archive, std::vector<ZipArchive::Member> members, NpyHeader common,
               std::size_t row_bytes, std::string label)
      : archive_(std::move(archive)),
        members_(std::move(members)),
        common_(std::move(common)),
        row_bytes_(row_bytes),
        label_(std::move(label)) {}

  absl::StatusOr<std::size_t> Read(std::span<char> out) override {
    std::size_t done = 0;
    while (done < out.size() && next_ < members_.size()) {
      if (file_ == nullptr) QATGAP_RETURN_IF_ERROR(OpenNext());
      const std::span<char> part = out.subspan(done, std::min(out.size() - done, left_));
      QATGAP_ASSIGN_OR_RETURN(const std::size_t got, file_->Read(part));
      if (got < part.size()) return Bad("ends early: the file is truncated");
      done += got;
      left_ -= got;
      if (left_ == 0) QATGAP_RETURN_IF_ERROR(EndFile());
    }
    return done;
  }

  absl::StatusOr<std::uint64_t> Skip(std::uint64_t bytes) override {
    std::uint64_t passed = 0;
    while (file_ == nullptr && next_ < members_.size() && bytes - passed >= row_bytes_ && row_bytes_ > 0) {
      passed += row_bytes_;
      ++next_;
    }
    QATGAP_ASSIGN_OR_RETURN(const std::uint64_t rest, ByteSource::Skip(bytes - passed));
    return passed + rest;
  }

  std::uint64_t size_limit() const override { return static_cast<std::uint64_t>(row_bytes_) * members_.size(); }

 private:
  absl::Status Bad(const std::string& what) const {
    return absl::InvalidArgumentError(absl::StrCat(FileLabel(label_, members_[next_].name), " ", what));
  }

  absl::Status OpenNext() {
    const std::string label = FileLabel(label_, members_[next_].name);
    QATGAP_ASSIGN_OR_RETURN(file_, archive_->OpenMember(members_[next_], label));
    QATGAP_ASSIGN_OR_RETURN(const NpyStart start, ReadNpyStart(*file_, label));
    const NpyHeader& header = start.header;
    if (header.descriptor != common_.descriptor || header.shape != common_.shape) {
      return Bad(absl::StrCat("has shape ", graph::ToString(header.shape), " of ", header.descriptor, ", ",
                              members_.front().name, ".npy has ", graph::ToString(common_.shape), " of ",
                              common_.descriptor,
                              "; the files of a folder hold one sample each, all of one shape and dtype"));
    }
    if (header.fortran_order) return Bad("is in Fortran order; save numpy.ascontiguousarray of it");
    left_ = row_bytes_;
    return absl::OkStatus();
  }

  // Reading the end makes the archive check its sum.
  absl::Status EndFile() {
    char more = 0;
    QATGAP_ASSIGN_OR_RETURN(const std::size_t got, file_->Read({&more, 1}));
    if (got != 0) return Bad("has bytes behind its last element: its header is wrong");
    file_.reset();
    ++next_;
    return absl::OkStatus();
  }

  std::shared_ptr<ZipArchive> archive_;
  std::vector<ZipArchive::Member> members_;
  NpyHeader common_;
  std::size_t row_bytes_;
  std::string label_;
  std::size_t next_ = 0;  // the member that is read, or that comes next
  std::unique_ptr<ByteSource> file_;
  std::size_t left_ = 0;  // bytes of it
};

}  // namespace

std::string FileLabel(const std::string& folder, const std::string& file) {
  return absl::StrCat(folder, " (file ", file, ".npy)");
}

std::unique_ptr<ByteSource> ConcatenateMembers(std::shared_ptr<ZipArchive> archive,
                                               std::vector<ZipArchive::Member> members, NpyHeader common,
                                               std::size_t row_bytes, std::string label) {
  return std::make_unique<FolderSource>(std::move(archive), std::move(members), std::move(common), row_bytes,
                                        std::move(label));
}

}  // namespace qatgap::samples
