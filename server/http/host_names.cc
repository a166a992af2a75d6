#include "server/http/host_names.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "analyzers/status/string_view.h"

namespace qatgap::server {
namespace {

bool IsPort(std::string_view text) {
  return !text.empty() && text.size() <= 5 && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

bool IsOurHost(std::string_view host_header, const std::vector<std::string>& names) {
  std::string_view host = host_header;
  // A port stands behind the bracket of an IPv6 address, or behind the only colon.
  const std::size_t colon = host.rfind(':');
  if (colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos) {
    if (!IsPort(host.substr(colon + 1))) return false;
    host = host.substr(0, colon);
  }
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    in6_addr address{};
    const std::string inside(host.substr(1, host.size() - 2));
    return inet_pton(AF_INET6, inside.c_str(), &address) == 1;
  }
  in_addr address{};
  if (inet_pton(AF_INET, std::string(host).c_str(), &address) == 1) return true;
  if (absl::EqualsIgnoreCase(Text(host), "localhost")) return true;
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return !name.empty() && absl::EqualsIgnoreCase(Text(host), name); });
}

}  // namespace qatgap::server
