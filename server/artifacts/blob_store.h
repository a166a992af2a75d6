// Blobs on disk by their SHA-256: <directory>/<first two digits>/<digest>. A blob is either whole or absent: it is
// written to <directory>/incoming, synced, then renamed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/artifacts/sha256.h"
#include "server/artifacts/unique_fd.h"

namespace qatgap::server {

struct Blob {
  std::string sha256;
  std::uint64_t bytes = 0;
  absl::Time create_time;  // when it was first received
};

// One upload. Dropping it before Commit leaves no trace. Not thread-safe.
class BlobWriter {
 public:
  BlobWriter(const BlobWriter&) = delete;
  BlobWriter& operator=(const BlobWriter&) = delete;
  ~BlobWriter();

  // INVALID_ARGUMENT when more bytes come than were announced; RESOURCE_EXHAUSTED when the disk is full.
  absl::Status Append(std::string_view bytes);
  // INVALID_ARGUMENT when size or digest are not the announced ones.
  absl::StatusOr<Blob> Commit();

 private:
  friend class BlobStore;
  BlobWriter(UniqueFd file, std::string temporary_path, std::string final_path,
             std::string announced_sha256, std::uint64_t announced_bytes);

  UniqueFd file_;
  std::string temporary_path_;
  std::string final_path_;
  std::string announced_sha256_;
  std::uint64_t announced_bytes_;
  std::uint64_t written_ = 0;
  Sha256 digest_;
};

// Thread-safe.
class BlobStore {
 public:
  // Makes the directory, and removes what uploads of an earlier process left unfinished.
  static absl::StatusOr<std::unique_ptr<BlobStore>> Open(const std::string& directory,
                                                         std::uint64_t max_blob_bytes);

  // INVALID_ARGUMENT for a malformed digest or a size of 0; RESOURCE_EXHAUSTED for a size over the limit.
  absl::StatusOr<std::unique_ptr<BlobWriter>> Create(const std::string& sha256,
                                                     std::uint64_t bytes) const;
  // INVALID_ARGUMENT for a malformed digest; NOT_FOUND.
  absl::StatusOr<Blob> Find(const std::string& sha256) const;
  // Read-only, close-on-exec. Errors as Find.
  absl::StatusOr<UniqueFd> OpenForReading(const std::string& sha256) const;

 private:
  BlobStore(std::string directory, std::uint64_t max_blob_bytes);
  std::string PathOf(const std::string& sha256) const;

  std::string directory_;
  std::uint64_t max_blob_bytes_;
};

}  // namespace qatgap::server
