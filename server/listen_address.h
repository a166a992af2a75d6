// Where the server may listen.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace qatgap::server {

struct ListenAddress {
  bool is_unix = false;
  std::string host;  // with brackets when IPv6
  int port = 0;
  std::string text;  // as given
};

// INVALID_ARGUMENT naming `flag` unless the text is host:port or unix:PATH.
absl::StatusOr<ListenAddress> ParseListenAddress(const std::string& text, const std::string& flag = "--listen");

// FAILED_PRECONDITION for an address that other hosts can reach, unless `insecure`.
absl::Status CheckReachable(const ListenAddress& address, bool insecure, const std::string& flag = "--listen");

}  // namespace qatgap::server
