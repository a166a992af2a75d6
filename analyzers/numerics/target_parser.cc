// Target files. Every field is spelled out in the file (no silent defaults), and a field that the bias mode does not
// read is an error: a number that changes nothing would mislead whoever reads the file.
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "analyzers/numerics/target.h"
#include "analyzers/numerics/target_names.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::numerics {
namespace {

// Longest value that is quoted in a message; the input may be a client's.
constexpr std::size_t kQuotedLength = 60;

// The shipped files are under 3 KiB.
constexpr std::size_t kMaxFileBytes = 64 * 1024;

std::string Quoted(const std::string& value) {
  std::string text = value.substr(0, kQuotedLength);
  for (char& c : text) {
    if (!absl::ascii_isprint(static_cast<unsigned char>(c))) c = '?';
  }
  return absl::StrCat("\"", text, value.size() > kQuotedLength ? "...\"" : "\"");
}

// One mapping of the file. `path` is "" or "bias." and so on.
class Section {
 public:
  Section(YAML::Node node, std::string where, std::string path)
      : node_(std::move(node)), where_(std::move(where)), path_(std::move(path)) {}

  absl::Status CheckKeys(std::initializer_list<std::string_view> known) const {
    std::vector<std::string> seen;
    for (const auto& entry : node_) {
      if (!entry.first.IsScalar()) return Error(absl::StrCat(path_, "<key>"), "must be a word");
      const std::string& key = entry.first.Scalar();
      if (std::find(known.begin(), known.end(), std::string_view(key)) == known.end()) {
        std::vector<std::string> accepted(known.begin(), known.end());
        return Error(Field(Quoted(key)), absl::StrCat("is not a field here; accepted: ",
                                                      absl::StrJoin(accepted, ", ")));
      }
      if (std::find(seen.begin(), seen.end(), key) != seen.end()) return Error(Field(key), "appears twice");
      seen.push_back(key);
    }
    return absl::OkStatus();
  }

  bool Has(std::string_view key) const { return node_[std::string(key)].IsDefined(); }

  absl::StatusOr<std::string> String(std::string_view key) const {
    const YAML::Node value = node_[std::string(key)];
    if (!value.IsDefined()) return Error(Field(key), "is missing");
    if (!value.IsScalar() || value.Scalar().empty()) return Error(Field(key), "must be a non-empty text");
    return value.Scalar();
  }

  template <typename Names>
  auto Enum(std::string_view key, const Names& names) const -> absl::StatusOr<decltype(names.front().value)> {
    const absl::StatusOr<std::string> text = String(key);
    std::vector<std::string> accepted;
    for (const auto& entry : names) accepted.emplace_back(entry.name);
    const std::string choice = absl::StrCat("accepted: ", absl::StrJoin(accepted, ", "));
    if (!text.ok()) return absl::InvalidArgumentError(absl::StrCat(text.status().message(), "; ", choice));
    for (const auto& entry : names) {
      if (entry.name == *text) return entry.value;
    }
    return Error(Field(key), absl::StrCat("is ", Quoted(*text), "; ", choice));
  }

  absl::StatusOr<int> Integer(std::string_view key, int min, int max) const {
    QATGAP_ASSIGN_OR_RETURN(const std::string text, String(key));
    int value = 0;
    if (!absl::SimpleAtoi(text, &value) || value < min || value > max) {
      return Error(Field(key), absl::StrCat("is ", Quoted(text), "; accepted: ", min, "..", max));
    }
    return value;
  }

  absl::StatusOr<bool> Bool(std::string_view key) const {
    QATGAP_ASSIGN_OR_RETURN(const std::string text, String(key));
    if (text == "true") return true;
    if (text == "false") return false;
    return Error(Field(key), absl::StrCat("is ", Quoted(text), "; accepted: true, false"));
  }

  absl::StatusOr<Section> Child(std::string_view key) const {
    const YAML::Node value = node_[std::string(key)];
    if (!value.IsDefined()) return Error(Field(key), "is missing");
    if (!value.IsMap()) return Error(Field(key), "must be a mapping");
    return Section(value, where_, absl::StrCat(Text(Field(key)), "."));
  }

  absl::Status Error(std::string_view field, std::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat(where_, ": ", Text(field), " ", Text(what)));
  }

  std::string Field(std::string_view key) const { return absl::StrCat(path_, Text(key)); }

 private:
  YAML::Node node_;
  std::string where_;
  std::string path_;
};

absl::StatusOr<BiasRule> ParseBias(const Section& section) {
  BiasRule rule;
  QATGAP_ASSIGN_OR_RETURN(rule.mode, section.Enum("mode", kBiasModeNames));
  switch (rule.mode) {
    case BiasMode::kInteger:
      QATGAP_RETURN_IF_ERROR(section.CheckKeys(
          {"mode", "bits", "symmetric_clamp", "scale", "division", "rounding", "overflow"}));
      break;
    case BiasMode::kFloatBeforeScale:
      QATGAP_RETURN_IF_ERROR(section.CheckKeys({"mode", "scale", "division"}));
      break;
    case BiasMode::kFloatAfterScale:
      QATGAP_RETURN_IF_ERROR(section.CheckKeys({"mode"}));
      return rule;
  }
  QATGAP_ASSIGN_OR_RETURN(rule.scale, section.Enum("scale", kBiasScaleNames));
  QATGAP_ASSIGN_OR_RETURN(rule.division, section.Enum("division", kBiasDivisionNames));
  if (rule.mode == BiasMode::kFloatBeforeScale) {
    if (rule.scale == BiasScale::kOwnPowerOfTwo) {
      return section.Error(section.Field("scale"),
                           "is \"own_power_of_two\", which needs mode integer; accepted: product_float, "
                           "product_double_to_float, product_double");
    }
    return rule;
  }
  QATGAP_ASSIGN_OR_RETURN(rule.bits, section.Integer("bits", 2, 64));
  QATGAP_ASSIGN_OR_RETURN(rule.symmetric_clamp, section.Bool("symmetric_clamp"));
  QATGAP_ASSIGN_OR_RETURN(rule.rounding, section.Enum("rounding", kRoundingNames));
  QATGAP_ASSIGN_OR_RETURN(rule.overflow, section.Enum("overflow", kBiasOverflowNames));
  return rule;
}

absl::StatusOr<AccumulatorRule> ParseAccumulator(const Section& section) {
  QATGAP_RETURN_IF_ERROR(section.CheckKeys({"bits", "overflow", "int16_pairs"}));
  AccumulatorRule rule;
  QATGAP_ASSIGN_OR_RETURN(rule.bits, section.Integer("bits", 8, 64));
  QATGAP_ASSIGN_OR_RETURN(rule.overflow, section.Enum("overflow", kAccumulatorOverflowNames));
  QATGAP_ASSIGN_OR_RETURN(rule.int16_pairs, section.Enum("int16_pairs", kInt16PairsNames));
  return rule;
}

absl::StatusOr<RequantRule> ParseRequantization(const Section& section) {
  QATGAP_RETURN_IF_ERROR(section.CheckKeys({"mode", "multiplier", "rounding", "zero_point", "conversion"}));
  RequantRule rule;
  QATGAP_ASSIGN_OR_RETURN(rule.mode, section.Enum("mode", kRequantModeNames));
  QATGAP_ASSIGN_OR_RETURN(rule.multiplier, section.Enum("multiplier", kMultiplierFormNames));
  QATGAP_ASSIGN_OR_RETURN(rule.rounding, section.Enum("rounding", kRoundingNames));
  QATGAP_ASSIGN_OR_RETURN(rule.zero_point, section.Enum("zero_point", kZeroPointOrderNames));
  QATGAP_ASSIGN_OR_RETURN(rule.conversion, section.Enum("conversion", kConversionOverflowNames));
  return rule;
}

bool IsTargetName(const std::string& name) {
  return name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

absl::StatusOr<TargetDescription> ParseDocument(const Section& root) {
  QATGAP_RETURN_IF_ERROR(root.CheckKeys({"name", "title", "summary", "source", "evidence", "engine", "bias",
                                         "accumulator", "requantization"}));
  TargetDescription target;
  QATGAP_ASSIGN_OR_RETURN(target.name, root.String("name"));
  if (!IsTargetName(target.name)) {
    return root.Error("name", absl::StrCat("is ", Quoted(target.name),
                                           "; accepted: up to 64 of lower-case letters, digits and '-'"));
  }
  QATGAP_ASSIGN_OR_RETURN(target.title, root.String("title"));
  QATGAP_ASSIGN_OR_RETURN(target.summary, root.String("summary"));
  QATGAP_ASSIGN_OR_RETURN(target.source, root.String("source"));
  QATGAP_ASSIGN_OR_RETURN(const Section evidence, root.Child("evidence"));
  QATGAP_RETURN_IF_ERROR(evidence.CheckKeys({"kind", "detail"}));
  QATGAP_ASSIGN_OR_RETURN(target.evidence.kind, evidence.Enum("kind", kEvidenceKindNames));
  QATGAP_ASSIGN_OR_RETURN(target.evidence.detail, evidence.String("detail"));
  // Optional: hardware that is not linked in has no engine, and need not say so.
  if (root.Has("engine")) {
    QATGAP_ASSIGN_OR_RETURN(target.engine, root.Enum("engine", kEngineNames));
  }
  QATGAP_ASSIGN_OR_RETURN(const Section bias, root.Child("bias"));
  QATGAP_ASSIGN_OR_RETURN(target.bias, ParseBias(bias));
  QATGAP_ASSIGN_OR_RETURN(const Section accumulator, root.Child("accumulator"));
  QATGAP_ASSIGN_OR_RETURN(target.accumulator, ParseAccumulator(accumulator));
  QATGAP_ASSIGN_OR_RETURN(const Section requantization, root.Child("requantization"));
  QATGAP_ASSIGN_OR_RETURN(target.requantization, ParseRequantization(requantization));
  return target;
}

}  // namespace

absl::StatusOr<TargetDescription> ParseTarget(std::string_view yaml, std::string_view where) {
  if (yaml.size() > kMaxFileBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(Text(where), ": ", yaml.size(), " bytes, at most ", kMaxFileBytes, " are accepted"));
  }
  try {
    const YAML::Node node = YAML::Load(std::string(yaml));
    if (!node.IsMap()) {
      return absl::InvalidArgumentError(absl::StrCat(Text(where), ": a target must be a YAML mapping"));
    }
    return ParseDocument(Section(node, std::string(where), ""));
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(Text(where), ":", error.mark.line + 1, ":", error.mark.column + 1, ": ", error.msg));
  }
}

}  // namespace qatgap::numerics
