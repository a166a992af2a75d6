#include "analyzers/vectors/json_fields.h"

#include <cmath>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::vectors {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{4} << 20U;
constexpr int kMaxDepth = 16;
constexpr std::size_t kMaxShown = 60;

// Integers beyond this are not exact in a JSON number.
constexpr double kMaxInteger = 0x1p53;

std::optional<std::int64_t> AsInteger(const nlohmann::json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<std::uint64_t>();
    if (number > static_cast<std::uint64_t>(kMaxInteger)) return std::nullopt;
    return static_cast<std::int64_t>(number);
  }
  if (!value.is_number()) return std::nullopt;
  const double number = value.get<double>();
  if (!(std::abs(number) <= kMaxInteger) || number != std::floor(number)) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

// The numbers of a value as a flat list: 3, [3, 4] or [[1, 2], [3, 4]].
std::vector<nlohmann::json> Flat(const nlohmann::json& value) {
  if (!value.is_array()) return {value};
  std::vector<nlohmann::json> flat;
  for (const nlohmann::json& entry : value) {
    if (entry.is_array()) {
      flat.insert(flat.end(), entry.begin(), entry.end());
    } else {
      flat.push_back(entry);
    }
  }
  return flat;
}

std::string Shown(const nlohmann::json& value) {
  std::string text = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  // A quoted NaN was a bare one.
  if (text == "\"NaN\"" || text == "\"Infinity\"" || text == "\"-Infinity\"") text = text.substr(1, text.size() - 2);
  return text.size() > kMaxShown ? absl::StrCat(text.substr(0, kMaxShown), "...") : text;
}

}  // namespace

absl::StatusOr<nlohmann::json> ParseJson(std::string_view text, const std::string& where) {
  if (text.size() > kMaxBytes) {
    return absl::InvalidArgumentError(absl::StrCat(where, " has ", text.size(), " bytes, more than 4 MiB"));
  }
  std::string strict;
  strict.reserve(text.size());
  int depth = 0;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == '"') {
      std::size_t end = i + 1;
      while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? std::size_t{2} : std::size_t{1};
      end = std::min(end + 1, text.size());
      strict.append(text.substr(i, end - i));
      i = end;
      continue;
    }
    depth += c == '[' || c == '{' ? 1 : 0;
    depth -= c == ']' || c == '}' ? 1 : 0;
    if (depth > kMaxDepth) {
      return absl::InvalidArgumentError(absl::StrCat(where, " is nested more than ", kMaxDepth, " deep"));
    }
    bool replaced = false;
    for (const std::string_view token : {"NaN", "-Infinity", "Infinity"}) {
      if (text.substr(i, token.size()) != token) continue;
      strict.append("\"").append(token).append("\"");
      i += token.size();
      replaced = true;
      break;
    }
    if (!replaced) strict.push_back(text[i++]);
  }
  nlohmann::json json = nlohmann::json::parse(strict, nullptr, /*allow_exceptions=*/false, /*ignore_comments=*/true);
  if (json.is_discarded()) return absl::InvalidArgumentError(absl::StrCat(where, " is not valid JSON"));
  if (!json.is_object()) return absl::InvalidArgumentError(absl::StrCat(where, " is not a JSON object"));
  return json;
}

const nlohmann::json* JsonFields::Find(FieldNames names) const {
  for (const std::string_view name : names) {
    const auto it = object_->find(std::string(name));
    if (it != object_->end() && !it->is_null()) return &*it;
  }
  return nullptr;
}

absl::Status JsonFields::Missing(std::string_view name, std::string_view remedy) const {
  return absl::InvalidArgumentError(
      absl::StrCat(where_, ": ", path_, qatgap::Text(name), " is missing; ", qatgap::Text(remedy)));
}

absl::Status JsonFields::Bad(std::string_view name, const nlohmann::json& value, std::string_view remedy) const {
  return absl::InvalidArgumentError(
      absl::StrCat(where_, ": ", path_, qatgap::Text(name), " is ", Shown(value), "; ", qatgap::Text(remedy)));
}

absl::StatusOr<std::string> JsonFields::Text(FieldNames names) const {
  const nlohmann::json* value = Find(names);
  if (value == nullptr) return std::string();
  if (!value->is_string()) return Bad(*names.begin(), *value, "it must be a string");
  return value->get<std::string>();
}

absl::StatusOr<std::optional<bool>> JsonFields::Flag(FieldNames names) const {
  const nlohmann::json* value = Find(names);
  if (value == nullptr) return std::optional<bool>();
  if (value->is_boolean()) return std::optional<bool>(value->get<bool>());
  const std::optional<std::int64_t> number = AsInteger(*value);
  if (number == 0 || number == 1) return std::optional<bool>(number == 1);
  return Bad(*names.begin(), *value, "it must be true or false");
}

absl::StatusOr<std::vector<std::int64_t>> JsonFields::Integers(FieldNames names) const {
  std::vector<std::int64_t> integers;
  const nlohmann::json* value = Find(names);
  if (value == nullptr) return integers;
  for (const nlohmann::json& entry : Flat(*value)) {
    const std::optional<std::int64_t> integer = AsInteger(entry);
    if (!integer) return Bad(*names.begin(), *value, "it must be an integer or a list of integers");
    integers.push_back(*integer);
  }
  return integers;
}

absl::StatusOr<std::optional<std::int64_t>> JsonFields::Integer(FieldNames names) const {
  QATGAP_ASSIGN_OR_RETURN(const std::vector<std::int64_t> integers, Integers(names));
  if (integers.empty()) return std::optional<std::int64_t>();
  if (integers.size() > 1) return Bad(*names.begin(), *Find(names), "it must be one integer");
  return std::optional<std::int64_t>(integers.front());
}

absl::StatusOr<std::vector<double>> JsonFields::PositiveNumbers(FieldNames names) const {
  std::vector<double> numbers;
  const nlohmann::json* value = Find(names);
  if (value == nullptr) return numbers;
  const std::vector<nlohmann::json> flat = Flat(*value);
  for (std::size_t i = 0; i < flat.size(); ++i) {
    const double number = flat[i].is_number() ? flat[i].get<double>() : std::nan("");
    if (number > 0 && std::isfinite(number)) {
      numbers.push_back(number);
      continue;
    }
    const std::string name(*names.begin());
    return Bad(value->is_array() ? absl::StrCat(name, "[", i, "]") : name, flat[i],
               "it must be finite and greater than 0");
  }
  return numbers;
}

}  // namespace qatgap::vectors
