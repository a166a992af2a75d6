// The .npy members of a zip archive: a .npz, or a packed folder. Internal to samples/.
#pragma once

#include <zip.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/samples/byte_source.h"

namespace qatgap::samples {

class ZipArchive : public std::enable_shared_from_this<ZipArchive> {
 public:
  struct Member {
    std::string name;  // without ".npy"
    std::uint64_t index = 0;
    std::uint64_t size_limit = 0;  // bytes there can be
  };

  // `label` stands for the file in messages. INVALID_ARGUMENT: not a zip archive, a name twice, a member that is
  // compressed by another method than deflate. The descriptor stays the caller's.
  static absl::StatusOr<std::shared_ptr<ZipArchive>> Open(int fd, const std::string& label);
  ~ZipArchive();
  ZipArchive(const ZipArchive&) = delete;
  ZipArchive& operator=(const ZipArchive&) = delete;

  // In the archive's order; other files than .npy are passed over.
  const std::vector<Member>& members() const { return members_; }
  // Several may be open. The archive lives as long as they do. `label` names the member in messages.
  absl::StatusOr<std::unique_ptr<ByteSource>> OpenMember(const Member& member, const std::string& label);

 private:
  explicit ZipArchive(zip_t* archive) : archive_(archive) {}

  zip_t* archive_;
  std::vector<Member> members_;
};

}  // namespace qatgap::samples
