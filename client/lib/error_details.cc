#include "client/lib/error_details.h"

#include "absl/strings/cord.h"

namespace qatgap::client {
namespace {

constexpr char kRemedy[] = "qatgap/remedy";
constexpr char kDetail[] = "qatgap/detail";

std::string PayloadOf(const absl::Status& status, std::string_view key) {
  const auto payload = status.GetPayload(absl::string_view(key.data(), key.size()));
  return payload ? std::string(*payload) : std::string();
}

}  // namespace

absl::Status WithRemedy(absl::Status status, std::string_view remedy) {
  status.SetPayload(kRemedy, absl::Cord(absl::string_view(remedy.data(), remedy.size())));
  return status;
}

std::string RemedyOf(const absl::Status& status) { return PayloadOf(status, kRemedy); }

absl::Status WithDetail(absl::Status status, std::string_view detail) {
  status.SetPayload(kDetail, absl::Cord(absl::string_view(detail.data(), detail.size())));
  return status;
}

std::string DetailOf(const absl::Status& status) { return PayloadOf(status, kDetail); }

}  // namespace qatgap::client
