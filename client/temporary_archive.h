// Files of a directory as one zip archive to upload.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"

namespace qatgap::cli {

enum class ArchiveCompression { kStored, kDeflated };

// A zip archive in a temporary directory of its own, which goes with the object.
class TemporaryArchive {
 public:
  // `files`: path in the archive -> path of the file. Nothing of a file but its bytes goes in, so that equal files give
  // equal archives. `name` is that of the archive's file, `what` names the files in messages: "vectors".
  // INVALID_ARGUMENT: a file cannot be read; INTERNAL: the temporary directory.
  static absl::StatusOr<TemporaryArchive> Write(const std::map<std::string, std::string>& files,
                                                const std::string& name, const std::string& what,
                                                ArchiveCompression compression);
  TemporaryArchive(TemporaryArchive&& other) noexcept;
  TemporaryArchive& operator=(TemporaryArchive&&) = delete;
  ~TemporaryArchive();

  std::string path() const { return directory_ + "/" + name_; }

 private:
  TemporaryArchive(std::string directory, std::string name)
      : directory_(std::move(directory)), name_(std::move(name)) {}

  std::string directory_;
  std::string name_;
};

// The name of the directory with ".zip"; `fallback` with it where the directory has no name that is UTF-8.
std::string ArchiveName(const std::string& directory, const std::string& fallback);

}  // namespace qatgap::cli
