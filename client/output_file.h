// Files the client writes: whole or not at all.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace qatgap::cli {

// Whether a file can be made at `path`: the directory exists and can be written, and nothing but a
// regular file stands there. `option` names its part in messages: "--json". Errors:
// INVALID_ARGUMENT.
absl::Status CheckWritable(const std::string& option, const std::string& path);

// Written beside `path` and put in its place by Commit; otherwise removed.
class OutputFile {
 public:
  static absl::StatusOr<OutputFile> Create(const std::string& path);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  OutputFile(const OutputFile&) = delete;
  ~OutputFile();

  absl::Status Append(std::string_view bytes);
  absl::Status Commit();

 private:
  OutputFile(int fd, std::string path, std::string temporary)
      : fd_(fd), path_(std::move(path)), temporary_(std::move(temporary)) {}
  absl::Status Error(std::string_view what) const;

  int fd_;
  std::string path_;
  std::string temporary_;
};

}  // namespace qatgap::cli
