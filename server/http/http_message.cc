#include "server/http/http_message.h"

#include <string>

#include "analyzers/report/views/views.h"

namespace qatgap::server {
namespace {

int HttpStatusOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return 400;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAlreadyExists:
      return 409;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

}  // namespace

HttpAnswer ErrorAnswer(const absl::Status& status) {
  return ErrorAnswer(HttpStatusOf(status.code()), absl::StatusCodeToString(status.code()), std::string(status.message()));
}

HttpAnswer ErrorAnswer(int http_status, std::string_view code, std::string_view message) {
  return {.status = http_status,
          .body = report::views::Dump({{"error", {{"code", code}, {"message", message}}}})};
}

}  // namespace qatgap::server
