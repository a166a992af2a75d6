// One mapping of a YAML file, read field by field: every error names the file, the field, its value and what is
// accepted. The files may be a client's: ReadYaml catches what yaml-cpp throws, long values are cut in messages.
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "analyzers/status/string_view.h"

namespace qatgap::numerics {

class YamlSection {
 public:
  // `path` is what stands before a field's name in messages: "" or "bias." and so on.
  YamlSection(YAML::Node node, std::string where, std::string path);

  // Every key is one of `known`, and there once.
  absl::Status CheckKeys(std::initializer_list<std::string_view> known) const;

  bool Has(std::string_view key) const;

  // Not empty, without control characters but newlines.
  absl::StatusOr<std::string> String(std::string_view key) const;
  absl::StatusOr<int> Integer(std::string_view key, int min, int max) const;
  // Finite and above 0.
  absl::StatusOr<double> Positive(std::string_view key) const;
  // Finite.
  absl::StatusOr<double> Number(std::string_view key) const;
  // A list of 1..`max` non-empty texts, or one text.
  absl::StatusOr<std::vector<std::string>> Strings(std::string_view key, std::size_t max) const;
  // Every key, in the file's order.
  absl::StatusOr<std::vector<std::string>> Keys() const;
  absl::StatusOr<bool> Bool(std::string_view key) const;

  // One of a table of target_names.h.
  template <typename Names>
  auto Enum(std::string_view key, const Names& names) const -> absl::StatusOr<decltype(names.front().value)> {
    std::vector<std::string> accepted;
    for (const auto& entry : names) accepted.emplace_back(entry.name);
    const std::string choice = absl::StrCat("accepted: ", absl::StrJoin(accepted, ", "));
    const absl::StatusOr<std::string> text = String(key);
    if (!text.ok()) return absl::InvalidArgumentError(absl::StrCat(text.status().message(), "; ", choice));
    for (const auto& entry : names) {
      if (entry.name == *text) return entry.value;
    }
    return Error(key, absl::StrCat("is ", Quoted(*text), "; ", choice));
  }

  absl::StatusOr<YamlSection> Child(std::string_view key) const;
  // A sequence of mappings, 1..`max` of them. The path of the second is "key[1].".
  absl::StatusOr<std::vector<YamlSection>> Children(std::string_view key, std::size_t max) const;

  // A client's value for a message: in quotes, cut, printable.
  static std::string Quoted(const std::string& value);
  absl::Status Error(std::string_view key, std::string_view what) const;
  // Error that `key` is there although `because`: it would change nothing and mislead whoever reads the file.
  absl::Status CheckAbsent(std::string_view key, bool absent, std::string_view because) const;

 private:
  std::string Field(std::string_view key) const { return absl::StrCat(path_, Text(key)); }

  YAML::Node node_;
  std::string where_;
  std::string path_;
};

// Reads the one document of `yaml`, which must be a mapping. `where` stands for the file in messages.
absl::Status ReadYaml(std::string_view yaml, std::string_view where, std::size_t max_bytes,
                      const std::function<absl::Status(const YamlSection&)>& read);

}  // namespace qatgap::numerics
