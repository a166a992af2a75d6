// A directory of golden vectors as one file to upload.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "client/temporary_archive.h"

namespace qatgap::cli {

// Bounds of what is packed; those of the service.
struct VectorsLimits {
  std::uint64_t bytes = 512ULL << 20;
  std::size_t files = 100'000;
};

// A zip archive in a temporary directory of its own, which goes with the object.
class VectorsArchive {
 public:
  // Packs every case.json and *.npy below `directory`, by path: equal directories give equal bytes. Links are followed
  // when they lead to a file below `directory`. NOT_FOUND; INVALID_ARGUMENT without a case.json, for a link that leads
  // out, and beyond the limits.
  static absl::StatusOr<VectorsArchive> Pack(const std::string& directory, const VectorsLimits& limits = {});

  // Its name is that of the directory with ".zip".
  std::string path() const { return archive_.path(); }
  std::size_t cases() const { return cases_; }

 private:
  VectorsArchive(TemporaryArchive archive, std::size_t cases) : archive_(std::move(archive)), cases_(cases) {}

  TemporaryArchive archive_;
  std::size_t cases_ = 0;
};

}  // namespace qatgap::cli
