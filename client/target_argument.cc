#include "client/target_argument.h"

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/lib/error_details.h"
#include "client/lib/local_file.h"
#include "client/terminal/text.h"

namespace qatgap::cli {
namespace {

constexpr std::size_t kMaxDescriptionBytes = 64U << 10;
// What the service calls the text.
constexpr std::string_view kField = "description";

}  // namespace

bool NamesFile(const std::string& value) {
  std::error_code error;
  return value.find('/') != std::string::npos || absl::EndsWithIgnoreCase(value, ".yaml") ||
         absl::EndsWithIgnoreCase(value, ".yml") || std::filesystem::is_regular_file(value, error);
}

absl::StatusOr<v1::TargetRef> ReadTarget(const std::string& value) {
  v1::TargetRef ref;
  if (!NamesFile(value)) {
    ref.set_name(value);
    return ref;
  }
  if (absl::Status readable = client::CheckReadable("target", value); !readable.ok()) return readable;
  std::ifstream file(value, std::ios::binary);
  std::string text(kMaxDescriptionBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return absl::InvalidArgumentError(absl::StrCat("reading the target file failed (", value, ")"));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kMaxDescriptionBytes) {
    return client::WithRemedy(
        absl::InvalidArgumentError(
            absl::StrCat("the target file has more than ", kMaxDescriptionBytes, " bytes (", value, ")")),
        "give a file like those that `qatgap target show` shows: a page of YAML");
  }
  ref.set_description(text);
  // A message that is not UTF-8 would be refused without a word on why.
  if (!terminal::IsUtf8(text)) {
    return client::WithRemedy(absl::InvalidArgumentError(absl::StrCat("the target file is not UTF-8 (", value, ")")),
                              "save it as UTF-8 text");
  }
  return ref;
}

absl::StatusOr<std::vector<v1::TargetRef>> ReadTargets(const std::vector<std::string>& values) {
  std::vector<v1::TargetRef> targets;
  std::set<std::string> seen;
  for (const std::string& value : values) {
    if (!seen.insert(value).second) {
      return absl::InvalidArgumentError(absl::StrCat("--target is given twice (", value, ")"));
    }
    auto target = ReadTarget(value);
    if (!target.ok()) return target.status();
    targets.push_back(*std::move(target));
  }
  return targets;
}

absl::StatusOr<v1::Target> AskForTarget(client::Client& client, const std::string& value, const v1::TargetRef& ref) {
  if (!ref.has_description()) return client.GetTarget(ref.name());
  auto target = client.DescribeTarget(ref.description());
  if (target.ok() || !absl::IsInvalidArgument(target.status())) return target;
  std::string message(target.status().message());
  if (message.rfind(kField, 0) == 0) message = value + message.substr(kField.size());
  return absl::InvalidArgumentError(message);
}

}  // namespace qatgap::cli
