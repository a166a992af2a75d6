#include "server/listen_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace qatgap::server {

namespace {

// A name such as "127.example.org" is not one of 127.0.0.0/8.
bool IsIpv4Loopback(const std::string& host) {
  in_addr address{};
  return ::inet_pton(AF_INET, host.c_str(), &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

}  // namespace

absl::StatusOr<ListenAddress> ParseListenAddress(const std::string& text, const std::string& flag) {
  ListenAddress address;
  address.text = text;
  if (text.rfind("unix:", 0) == 0) {
    address.is_unix = true;
    if (text.size() > 5) return address;
  }
  const std::size_t colon = text.rfind(':');
  if (colon != std::string::npos && colon > 0 && !address.is_unix) {
    address.host = text.substr(0, colon);
    if (absl::SimpleAtoi(text.substr(colon + 1), &address.port) && address.port >= 0 &&
        address.port <= 65535) {
      return address;
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat(flag, ": '", text, "' is neither HOST:PORT nor unix:PATH"));
}

absl::Status CheckReachable(const ListenAddress& address, bool insecure, const std::string& flag) {
  const bool loopback = address.is_unix || address.host == "localhost" || address.host == "[::1]" ||
                        IsIpv4Loopback(address.host);
  if (loopback || insecure) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(flag, ": other hosts can reach '", address.text,
                   "', and qatgapd does not speak TLS yet: listen on 127.0.0.1 or a unix: socket, or "
                   "pass --insecure where the network is trusted"));
}

}  // namespace qatgap::server
