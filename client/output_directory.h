// Directories the client writes from an archive of the service.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace qatgap::cli {

// Whether an archive can be unpacked at `path`: nothing is there, or a directory that is empty. `option` names its part in
// messages: "--out". With `force` the directory may hold what an earlier call wrote; Unpack looks at that. Errors:
// INVALID_ARGUMENT.
absl::Status CheckOutputDirectory(const std::string& option, const std::string& path, bool force);

// Unpacks the bytes of a zip archive at `path`, whole or not at all: in a temporary directory first, then renamed; into a
// directory that exists, one entry of its top after the other. With `force`, entries at its top that the archive has too,
// and folders that hold a case.json, are replaced; anything else there is not of an earlier call and is an error. Returns
// the number of files. Nothing is written outside of `path`. INVALID_ARGUMENT for a directory in use; INTERNAL for an
// archive that is damaged or whose paths leave the directory; FAILED_PRECONDITION when the disk refuses.
absl::StatusOr<std::size_t> Unpack(std::string_view archive, const std::string& path, bool force);

}  // namespace qatgap::cli
