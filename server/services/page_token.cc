#include "server/services/page_token.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace qatgap::server {
namespace {
constexpr std::size_t kMaxTokenBytes = 1024;
constexpr std::size_t kMaxPageSize = 1000;
}  // namespace

std::string MakePageToken(const std::string& listing, std::int64_t position) {
  return absl::WebSafeBase64Escape(absl::StrCat(position, ":", listing));
}

absl::StatusOr<std::int64_t> ParsePageToken(const std::string& token, const std::string& listing) {
  if (token.empty()) return 0;
  std::string text;
  std::int64_t position = 0;
  if (token.size() <= kMaxTokenBytes && absl::WebSafeBase64Unescape(token, &text)) {
    const std::size_t colon = text.find(':');
    if (colon != std::string::npos && text.substr(colon + 1) == listing &&
        absl::SimpleAtoi(text.substr(0, colon), &position) && position > 0) {
      return position;
    }
  }
  return absl::InvalidArgumentError(
      "page_token: is not one this listing gave; repeat the first request with an empty token");
}

absl::StatusOr<std::size_t> ParsePageSize(std::int32_t asked, std::size_t default_size) {
  if (asked < 0) {
    return absl::InvalidArgumentError(absl::StrCat("page_size: must not be negative, is ", asked));
  }
  if (asked == 0) return default_size;
  return std::min(static_cast<std::size_t>(asked), kMaxPageSize);
}

}  // namespace qatgap::server
