// The .npy files of a packed folder as one array: the elements of one file after those of another. Internal to
// samples/.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "analyzers/samples/byte_source.h"
#include "analyzers/samples/npy_format.h"
#include "analyzers/samples/zip_archive.h"

namespace qatgap::samples {

// "calib (file 0007.npy)"
std::string FileLabel(const std::string& folder, const std::string& file);

// `members` share the header `common`, and `row_bytes` is the size of the elements of each. A member that does not, or
// that has fewer or more bytes, is an INVALID_ARGUMENT naming it when it is reached. Skips whole members without
// opening them.
std::unique_ptr<ByteSource> ConcatenateMembers(std::shared_ptr<ZipArchive> archive,
                                               std::vector<ZipArchive::Member> members, NpyHeader common,
                                               std::size_t row_bytes, std::string label);

}  // namespace qatgap::samples
