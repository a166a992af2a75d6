// A request and its answer, as the routes see them: no transport.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace qatgap::server {

struct HttpRequest {
  std::string path;                          // percent-decoded: "/api/v1/analyses"
  std::map<std::string, std::string> query;  // percent-decoded; of a name given twice the first
  std::string if_none_match;                 // the header's value
};

struct HttpAnswer {
  int status = 200;
  std::string content_type = "application/json";
  std::string body = {};
  std::string etag = {};         // of what may be kept and asked for again; empty: not to be kept at all
  std::string file_name = {};    // not empty: a download
};

using HttpHandler = std::function<HttpAnswer(const HttpRequest&)>;

// {"error":{"code":"NOT_FOUND","message":"..."}} under the HTTP status of the code; docs/web.md has the table.
HttpAnswer ErrorAnswer(const absl::Status& status);
HttpAnswer ErrorAnswer(int http_status, std::string_view code, std::string_view message);

}  // namespace qatgap::server
