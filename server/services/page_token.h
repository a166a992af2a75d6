// Opaque page tokens: where the next page starts, and which listing it is a page of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace qatgap::server {

// A response stays below the 4 MiB that gRPC clients accept by default.
inline constexpr std::size_t kMaxPageBytes = 3U << 20;

// `listing` names the RPC and its filters: a token of another listing is refused.
std::string MakePageToken(const std::string& listing, std::int64_t position);

// The position; 0 for an empty token. INVALID_ARGUMENT for what MakePageToken did not make for this listing.
absl::StatusOr<std::int64_t> ParsePageToken(const std::string& token, const std::string& listing);

// The page size to use: 0 means `default_size`, values above 1000 mean 1000. INVALID_ARGUMENT when negative.
absl::StatusOr<std::size_t> ParsePageSize(std::int32_t asked, std::size_t default_size);

}  // namespace qatgap::server
