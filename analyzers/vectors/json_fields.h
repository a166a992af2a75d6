// Typed reading of one JSON object whose fields may be spelt in several ways. Internal.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace qatgap::vectors {

using FieldNames = std::initializer_list<std::string_view>;  // the format's own name first

// A whole file. NaN, Infinity and -Infinity, which Python writes, become strings of that text.
absl::StatusOr<nlohmann::json> ParseJson(std::string_view text, const std::string& where);

class JsonFields {
 public:
  // `path` is what the fields stand below: "" or "input.". `object` outlives this.
  JsonFields(const nlohmann::json& object, std::string where, std::string path)
      : object_(&object), where_(std::move(where)), path_(std::move(path)) {}

  // The field under any of its names; nullptr: not there, or null.
  const nlohmann::json* Find(FieldNames names) const;
  absl::Status Missing(std::string_view name, std::string_view remedy) const;
  // "<where>: <path><name> is <value>; <remedy>"
  absl::Status Bad(std::string_view name, const nlohmann::json& value, std::string_view remedy) const;

  // Empty: not there.
  absl::StatusOr<std::string> Text(FieldNames names) const;
  absl::StatusOr<std::optional<bool>> Flag(FieldNames names) const;
  // Numbers: one, or an array of them (one level of nesting is flattened). Empty: not there.
  absl::StatusOr<std::vector<std::int64_t>> Integers(FieldNames names) const;
  absl::StatusOr<std::optional<std::int64_t>> Integer(FieldNames names) const;
  // Finite and > 0.
  absl::StatusOr<std::vector<double>> PositiveNumbers(FieldNames names) const;

 private:
  const nlohmann::json* object_;
  std::string where_, path_;
};

}  // namespace qatgap::vectors
