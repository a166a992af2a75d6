// Fields of the archive's JSON texts, checked for presence and type. Internal to this folder.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "analyzers/frontends/pt2/program.h"
#include "nlohmann/json.hpp"

namespace qatgap::frontends::pt2 {

using Json = nlohmann::json;

// INVALID_ARGUMENT: "the exported program <what> '<field>'" and the remedy.
absl::Status Bad(std::string_view what, std::string_view field);

absl::StatusOr<const Json*> Field(const Json& object, const char* name, Json::value_t type);
absl::StatusOr<std::string> StringField(const Json& object, const char* name);
std::string StringOr(const Json& object, const char* name);  // empty where there is none
std::optional<std::int64_t> Int(const Json& value);
std::optional<double> Double(const Json& value);  // infinities and NaN are words

// The only member of an object like {"as_int": 3}.
struct Tagged {
  std::string_view tag;
  const Json* value = nullptr;
};
std::optional<Tagged> Tag(const Json& object);

absl::StatusOr<Extent> ParseExtent(const Json& value);
absl::StatusOr<TensorMeta> ParseMeta(const Json& value);

// Without the fields that tell where a node came from: half of the text. INVALID_ARGUMENT: no JSON. RESOURCE_EXHAUSTED:
// nested deeper than 600.
absl::StatusOr<Json> ParseJson(const std::string& text);

}  // namespace qatgap::frontends::pt2
