// Reads a target description from YAML. Every key is required unless a rule makes it meaningless,
// in which case it must be absent: a file says exactly what counts.
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "analyzers/numerics/target.h"
#include "analyzers/numerics/target_enums.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::numerics {
namespace {

constexpr std::size_t kMaxBytes =
    64 * 1024;  // descriptions are about 2 KiB; a larger one is not one

// One mapping of the document: reads its keys once each, then Finish() reports the ones nobody
// read.
class Mapping {
 public:
  Mapping(YAML::Node node, std::string where, std::string prefix)
      : node_(std::move(node)), where_(std::move(where)), prefix_(std::move(prefix)) {}

  absl::Status Check(const std::vector<std::string>& accepted) const {
    if (!node_.IsMap()) {
      return Error(prefix_.empty() ? "the document" : absl::StrCat("field '", prefix_, "'"),
                   " must be a mapping with the keys ", absl::StrJoin(accepted, ", "));
    }
    std::vector<std::string> seen;
    for (const auto& entry : node_) {
      const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "(not a word)";
      if (std::find(accepted.begin(), accepted.end(), key) == accepted.end()) {
        return Error("unknown key '", Path(key),
                     "'; accepted here: ", absl::StrJoin(accepted, ", "));
      }
      if (std::find(seen.begin(), seen.end(), key) != seen.end()) {
        return Error("key '", Path(key), "' appears twice");
      }
      seen.push_back(key);
    }
    for (const std::string& key : accepted) {
      if (std::find(seen.begin(), seen.end(), key) == seen.end()) {
        return Error("field '", Path(key), "' is missing");
      }
    }
    return absl::OkStatus();
  }

  Mapping Child(const std::string& key) const { return Mapping(node_[key], where_, Path(key)); }

  absl::Status Read(const std::string& key, std::string& value) const {
    QATGAP_RETURN_IF_ERROR(Scalar(key, "a text", value));
    value = std::string(absl::StripAsciiWhitespace(absl::StrReplaceAll(value, {{"\n", " "}})));
    return value.empty() ? Error("field '", Path(key), "' is empty, must be a text")
                         : absl::OkStatus();
  }

  absl::Status Read(const std::string& key, int& value) const {
    std::string text;
    QATGAP_RETURN_IF_ERROR(Scalar(key, "an integer", text));
    if (absl::SimpleAtoi(text, &value)) return absl::OkStatus();
    return Error("field '", Path(key), "' is '", text, "', must be an integer");
  }

  absl::Status Read(const std::string& key, bool& value) const {
    std::string text;
    QATGAP_RETURN_IF_ERROR(Scalar(key, "true or false", text));
    value = text == "true";
    if (value || text == "false") return absl::OkStatus();
    return Error("field '", Path(key), "' is '", text, "', must be true or false");
  }

  template <typename Enum>
  requires std::is_enum_v<Enum> absl::Status Read(const std::string& key, Enum& value)
  const {
    std::vector<std::string> words;
    for (const auto& [known, word] : Words<Enum>::kTable) words.emplace_back(word);
    const std::string accepted = absl::StrCat("one of ", absl::StrJoin(words, ", "));
    std::string text;
    QATGAP_RETURN_IF_ERROR(Scalar(key, accepted, text));
    for (const auto& [known, word] : Words<Enum>::kTable) {
      if (word == text) {
        value = known;
        return absl::OkStatus();
      }
    }
    return Error("field '", Path(key), "' is '", text, "', must be ", accepted);
  }

 private:
  template <typename... Parts>
  absl::Status Error(const Parts&... parts) const {
    return absl::InvalidArgumentError(absl::StrCat(where_, ": ", parts...));
  }
  std::string Path(const std::string& key) const {
    return prefix_.empty() ? key : absl::StrCat(prefix_, ".", key);
  }
  absl::Status Scalar(const std::string& key, std::string_view expected, std::string& value) const {
    const YAML::Node node = node_[key];
    if (!node || !node.IsScalar()) {
      return Error("field '", Path(key), "' must be ", std::string(expected));
    }
    value = node.Scalar();
    return absl::OkStatus();
  }

  YAML::Node node_;
  std::string where_;
  std::string prefix_;
};

absl::Status ReadEvidence(const Mapping& mapping, Evidence& evidence) {
  QATGAP_RETURN_IF_ERROR(mapping.Check({"kind", "detail"}));
  QATGAP_RETURN_IF_ERROR(mapping.Read("kind", evidence.kind));
  return mapping.Read("detail", evidence.detail);
}

// The accepted keys depend on the mode, so the mode is read before the keys are checked.
absl::Status ReadBias(const Mapping& mapping, BiasRule& bias) {
  std::vector<std::string> keys = {"mode",     "scale",   "division", "bits", "symmetric_clamp",
                                   "rounding", "overflow"};
  if (const absl::Status full = mapping.Check(keys); !full.ok()) {
    // Float modes have fewer keys; with no readable mode, the list of all of them helps most.
    if (!mapping.Read("mode", bias.mode).ok()) return full;
    if (bias.mode == BiasMode::kInteger) return full;
  }
  QATGAP_RETURN_IF_ERROR(mapping.Read("mode", bias.mode));
  if (bias.mode == BiasMode::kFloatBeforeScale) keys = {"mode", "scale", "division"};
  if (bias.mode == BiasMode::kFloatAfterScale) keys = {"mode"};
  QATGAP_RETURN_IF_ERROR(mapping.Check(keys));
  if (bias.mode == BiasMode::kFloatAfterScale) return absl::OkStatus();
  QATGAP_RETURN_IF_ERROR(mapping.Read("scale", bias.scale));
  QATGAP_RETURN_IF_ERROR(mapping.Read("division", bias.division));
  if (bias.mode == BiasMode::kFloatBeforeScale) return absl::OkStatus();
  QATGAP_RETURN_IF_ERROR(mapping.Read("bits", bias.bits));
  QATGAP_RETURN_IF_ERROR(mapping.Read("symmetric_clamp", bias.symmetric_clamp));
  QATGAP_RETURN_IF_ERROR(mapping.Read("rounding", bias.rounding));
  return mapping.Read("overflow", bias.overflow);
}

absl::Status ReadAccumulator(const Mapping& mapping, AccumulatorRule& accumulator) {
  QATGAP_RETURN_IF_ERROR(mapping.Check({"bits", "overflow", "int16_pairs"}));
  QATGAP_RETURN_IF_ERROR(mapping.Read("bits", accumulator.bits));
  QATGAP_RETURN_IF_ERROR(mapping.Read("overflow", accumulator.overflow));
  return mapping.Read("int16_pairs", accumulator.int16_pairs);
}

absl::Status ReadRequantization(const Mapping& mapping, RequantRule& rule) {
  QATGAP_RETURN_IF_ERROR(
      mapping.Check({"mode", "multiplier", "rounding", "zero_point", "overflow"}));
  QATGAP_RETURN_IF_ERROR(mapping.Read("mode", rule.mode));
  QATGAP_RETURN_IF_ERROR(mapping.Read("multiplier", rule.multiplier));
  QATGAP_RETURN_IF_ERROR(mapping.Read("rounding", rule.rounding));
  QATGAP_RETURN_IF_ERROR(mapping.Read("zero_point", rule.zero_point));
  return mapping.Read("overflow", rule.overflow);
}

absl::StatusOr<TargetDescription> ReadTarget(const YAML::Node& document, std::string_view where) {
  const Mapping root(document, std::string(where), "");
  QATGAP_RETURN_IF_ERROR(root.Check({"name", "title", "summary", "source", "evidence", "engine",
                                     "bias", "accumulator", "requantization"}));
  TargetDescription target;
  QATGAP_RETURN_IF_ERROR(root.Read("name", target.name));
  QATGAP_RETURN_IF_ERROR(root.Read("title", target.title));
  QATGAP_RETURN_IF_ERROR(root.Read("summary", target.summary));
  QATGAP_RETURN_IF_ERROR(root.Read("source", target.source));
  QATGAP_RETURN_IF_ERROR(root.Read("engine", target.engine));
  QATGAP_RETURN_IF_ERROR(ReadEvidence(root.Child("evidence"), target.evidence));
  QATGAP_RETURN_IF_ERROR(ReadBias(root.Child("bias"), target.bias));
  QATGAP_RETURN_IF_ERROR(ReadAccumulator(root.Child("accumulator"), target.accumulator));
  QATGAP_RETURN_IF_ERROR(ReadRequantization(root.Child("requantization"), target.requantization));
  QATGAP_RETURN_IF_ERROR(Validate(target, where));
  return target;
}

}  // namespace

absl::StatusOr<TargetDescription> ParseTarget(std::string_view yaml, std::string_view where) {
  if (yaml.size() > kMaxBytes) {
    return absl::InvalidArgumentError(absl::StrCat(std::string(where), ": ", yaml.size(),
                                                   " bytes, a description may have ", kMaxBytes));
  }
  try {
    return ReadTarget(YAML::Load(std::string(yaml)), where);
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(absl::StrCat(std::string(where), ":", error.mark.line + 1,
                                                   ": not valid YAML: ", error.msg));
  }
}

}  // namespace qatgap::numerics
