#include "analyzers/numerics/yaml_section.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::numerics {
namespace {

// Longest value that is quoted in a message.
constexpr std::size_t kQuotedLength = 60;

// An escape character in a title would reach the terminal of whoever lists targets.
bool IsText(const std::string& value) {
  return std::none_of(value.begin(), value.end(), [](char c) {
    return c != '\n' && absl::ascii_iscntrl(static_cast<unsigned char>(c));
  });
}

}  // namespace

YamlSection::YamlSection(YAML::Node node, std::string where, std::string path)
    : node_(std::move(node)), where_(std::move(where)), path_(std::move(path)) {}

std::string YamlSection::Quoted(const std::string& value) {
  std::string text = value.substr(0, kQuotedLength);
  for (char& c : text) {
    if (!absl::ascii_isprint(static_cast<unsigned char>(c))) c = '?';
  }
  return absl::StrCat("\"", text, value.size() > kQuotedLength ? "...\"" : "\"");
}

absl::Status YamlSection::CheckKeys(std::initializer_list<std::string_view> known) const {
  std::vector<std::string> seen;
  for (const auto& entry : node_) {
    if (!entry.first.IsScalar()) return Error("<key>", "must be a word");
    const std::string& key = entry.first.Scalar();
    if (std::find(known.begin(), known.end(), std::string_view(key)) == known.end()) {
      std::vector<std::string> accepted(known.begin(), known.end());
      return Error(Quoted(key), absl::StrCat("is not a field here; accepted: ", absl::StrJoin(accepted, ", ")));
    }
    if (std::find(seen.begin(), seen.end(), key) != seen.end()) return Error(key, "appears twice");
    seen.push_back(key);
  }
  return absl::OkStatus();
}

bool YamlSection::Has(std::string_view key) const { return node_[std::string(key)].IsDefined(); }

absl::StatusOr<std::string> YamlSection::String(std::string_view key) const {
  const YAML::Node value = node_[std::string(key)];
  if (!value.IsDefined()) return Error(key, "is missing");
  if (!value.IsScalar() || value.Scalar().empty()) return Error(key, "must be a non-empty text");
  if (!IsText(value.Scalar())) return Error(key, absl::StrCat("is ", Quoted(value.Scalar()),
                                                              ", with a control character; remove it"));
  return value.Scalar();
}

absl::StatusOr<int> YamlSection::Integer(std::string_view key, int min, int max) const {
  QATGAP_ASSIGN_OR_RETURN(const std::string text, String(key));
  int value = 0;
  if (!absl::SimpleAtoi(text, &value) || value < min || value > max) {
    return Error(key, absl::StrCat("is ", Quoted(text), "; accepted: ", min, "..", max));
  }
  return value;
}

absl::StatusOr<double> YamlSection::Positive(std::string_view key) const {
  QATGAP_ASSIGN_OR_RETURN(const std::string text, String(key));
  double value = 0;
  // Not `<= 0`: SimpleAtod takes "nan" and "inf", and YAML's ".nan" it does not.
  if (!absl::SimpleAtod(text, &value) || !(value > 0) || !std::isfinite(value)) {
    return Error(key, absl::StrCat("is ", Quoted(text), "; accepted: a finite number above 0"));
  }
  return value;
}

absl::StatusOr<double> YamlSection::Number(std::string_view key) const {
  QATGAP_ASSIGN_OR_RETURN(const std::string text, String(key));
  double value = 0;
  if (!absl::SimpleAtod(text, &value) || !std::isfinite(value)) {
    return Error(key, absl::StrCat("is ", Quoted(text), "; accepted: a finite number"));
  }
  return value;
}

absl::StatusOr<std::vector<std::string>> YamlSection::Strings(std::string_view key, std::size_t max) const {
  const YAML::Node value = node_[std::string(key)];
  if (value.IsDefined() && value.IsScalar()) {
    QATGAP_ASSIGN_OR_RETURN(std::string text, String(key));
    return std::vector<std::string>{std::move(text)};
  }
  if (!value.IsDefined() || !value.IsSequence() || value.size() == 0 || value.size() > max) {
    return Error(key, absl::StrCat("must be a list of 1 to ", max, " texts"));
  }
  std::vector<std::string> texts;
  for (const YAML::Node& entry : value) {
    if (!entry.IsScalar() || entry.Scalar().empty() || !IsText(entry.Scalar())) {
      return Error(absl::StrCat(Text(key), "[", texts.size(), "]"), "must be a non-empty text without control characters");
    }
    texts.push_back(entry.Scalar());
  }
  return texts;
}

absl::StatusOr<std::vector<std::string>> YamlSection::Keys() const {
  std::vector<std::string> keys;
  for (const auto& entry : node_) {
    if (!entry.first.IsScalar()) return Error("<key>", "must be a word");
    keys.push_back(entry.first.Scalar());
  }
  return keys;
}

absl::StatusOr<bool> YamlSection::Bool(std::string_view key) const {
  QATGAP_ASSIGN_OR_RETURN(const std::string text, String(key));
  if (text == "true") return true;
  if (text == "false") return false;
  return Error(key, absl::StrCat("is ", Quoted(text), "; accepted: true, false"));
}

absl::StatusOr<YamlSection> YamlSection::Child(std::string_view key) const {
  const YAML::Node value = node_[std::string(key)];
  if (!value.IsDefined()) return Error(key, "is missing");
  if (!value.IsMap()) return Error(key, "must be a mapping");
  return YamlSection(value, where_, absl::StrCat(Field(key), "."));
}

absl::StatusOr<std::vector<YamlSection>> YamlSection::Children(std::string_view key, std::size_t max) const {
  const YAML::Node value = node_[std::string(key)];
  if (!value.IsDefined()) return Error(key, "is missing");
  if (!value.IsSequence() || value.size() == 0 || value.size() > max) {
    return Error(key, absl::StrCat("must be a list of 1 to ", max, " mappings"));
  }
  std::vector<YamlSection> children;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const std::string name = absl::StrCat(Text(key), "[", i, "]");
    if (!value[i].IsMap()) return Error(name, "must be a mapping");
    children.emplace_back(value[i], where_, absl::StrCat(Field(name), "."));
  }
  return children;
}

absl::Status YamlSection::Error(std::string_view key, std::string_view what) const {
  return absl::InvalidArgumentError(absl::StrCat(where_, ": ", Field(key), " ", Text(what)));
}

absl::Status YamlSection::CheckAbsent(std::string_view key, bool absent, std::string_view because) const {
  if (!absent || !Has(key)) return absl::OkStatus();
  return Error(key, absl::StrCat("is not read: ", Text(because), "; remove it"));
}

absl::Status ReadYaml(std::string_view yaml, std::string_view where, std::size_t max_bytes,
                      const std::function<absl::Status(const YamlSection&)>& read) {
  if (yaml.size() > max_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(Text(where), ": ", yaml.size(), " bytes, at most ", max_bytes, " are accepted"));
  }
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(std::string(yaml));
    if (documents.size() > 1) {
      return absl::InvalidArgumentError(
          absl::StrCat(Text(where), ": ", documents.size(), " YAML documents; give one a file"));
    }
    if (documents.empty() || !documents.front().IsMap()) {
      return absl::InvalidArgumentError(absl::StrCat(Text(where), ": must be a YAML mapping"));
    }
    return read(YamlSection(documents.front(), std::string(where), ""));
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(Text(where), ":", error.mark.line + 1, ":", error.mark.column + 1, ": ", error.msg));
  } catch (const std::exception& error) {
    // yaml-cpp's own containers: a key that is no number, a character beyond Unicode.
    return absl::InvalidArgumentError(absl::StrCat(Text(where), ": ", error.what()));
  }
}

}  // namespace qatgap::numerics
