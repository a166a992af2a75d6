// The HTTP server: connections, limits, headers. Answers come from a handler.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/http/http_message.h"

namespace qatgap::server {

struct HttpOptions {
  std::string host = "127.0.0.1";       // IPv6 in brackets
  int port = 0;                         // 0: a free one
  std::vector<std::string> names = {};  // host names besides localhost and IP addresses that requests may be for
};

// Serves until it is destroyed. GET and HEAD alone; a strict Content-Security-Policy with every answer; each connection has
// 10 seconds for a request and 30 for its answer, 32 are served at a time and 64 wait, others are closed.
class HttpEndpoint {
 public:
  // `handler` is called by several threads. UNAVAILABLE when the address cannot be bound.
  static absl::StatusOr<std::unique_ptr<HttpEndpoint>> Start(const HttpOptions& options, HttpHandler handler);
  virtual ~HttpEndpoint() = default;
  // With the port that was taken: "127.0.0.1:8080".
  virtual const std::string& address() const = 0;
};

}  // namespace qatgap::server
