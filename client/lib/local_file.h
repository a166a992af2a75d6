// Files on the client's disk: checked and hashed before they are uploaded.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/lib/cancellation.h"

namespace qatgap::client {

// OK for a regular file that can be read and holds at least one byte. `what` names its part in
// messages: "samples". Errors: NOT_FOUND, INVALID_ARGUMENT.
absl::Status CheckReadable(const std::string& what, const std::string& path);

struct FileDigest {
  std::string sha256;  // 64 lower-case hexadecimal digits
  std::uint64_t size_bytes = 0;
};

// Reads the whole file once in blocks of 1 MiB. Errors: those of CheckReadable; CANCELLED when
// `cancellation`, which may be null, is requested.
absl::StatusOr<FileDigest> DigestFile(const std::string& path, const Cancellation* cancellation);

// The last component of the path: what reports call the file.
std::string BaseName(const std::string& path);

}  // namespace qatgap::client
