// Target files. Every field that the arithmetic reads is spelled out in the file (no silent defaults), and a field that
// the chosen modes do not read is an error: a number that changes nothing would mislead whoever reads the file.
#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "analyzers/numerics/embedded_targets.h"
#include "analyzers/numerics/target.h"
#include "analyzers/numerics/target_fields.h"
#include "analyzers/numerics/target_names.h"
#include "analyzers/numerics/yaml_section.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::numerics {
namespace {

// The shipped files are under 4 KiB.
constexpr std::size_t kMaxFileBytes = 64 * 1024;
constexpr std::size_t kMaxDelegates = 32;
constexpr int kMaxVectorChannels = 1024;

struct Field {
  std::string_view key;
  bool read;
};

absl::Status CheckUnread(const YamlSection& section, std::initializer_list<Field> fields, std::string_view because) {
  for (const Field& field : fields) {
    QATGAP_RETURN_IF_ERROR(section.CheckAbsent(field.key, !field.read, because));
  }
  return absl::OkStatus();
}

template <typename Enum>
std::string Is(std::string_view key, Enum value) {
  return absl::StrCat(Text(key), " is ", Text(ToString(value)));
}

absl::Status CheckAdjustment(const YamlSection& section, const BiasRule& rule) {
  if (rule.scale == BiasScale::kOwnPowerOfTwo) {
    return section.Error("overflow", "is \"adjust_weights\", but with scale own_power_of_two the weight scale does not "
                                     "decide what fits; accepted: saturate, wrap, refuse");
  }
  if (rule.bits != 32) {
    return section.Error("bits", absl::StrCat("is ", rule.bits, "; overflow adjust_weights is a rule for 32 bits"));
  }
  return absl::OkStatus();
}

absl::StatusOr<BiasRule> ParseBias(const YamlSection& section) {
  QATGAP_RETURN_IF_ERROR(section.CheckKeys({"mode", "bits", "symmetric_clamp", "scale", "division", "rounding",
                                            "overflow", "adjustment", "alignment"}));
  BiasRule rule;
  QATGAP_ASSIGN_OR_RETURN(rule.mode, section.Enum("mode", kBiasModeNames));
  const std::string mode = Is("bias.mode", rule.mode);
  const bool scaled = ReadsScaleAndDivision(rule);
  const bool wide = ReadsWidth(rule);
  QATGAP_RETURN_IF_ERROR(CheckUnread(section, {{"scale", scaled}, {"division", scaled}, {"bits", wide},
                                               {"symmetric_clamp", wide}, {"rounding", wide}, {"overflow", wide},
                                               {"adjustment", wide}, {"alignment", wide}}, mode));
  if (scaled) {
    QATGAP_ASSIGN_OR_RETURN(rule.scale, section.Enum("scale", kBiasScaleNames));
    QATGAP_ASSIGN_OR_RETURN(rule.division, section.Enum("division", kBiasDivisionNames));
  }
  if (!wide) {
    if (scaled && rule.scale == BiasScale::kOwnPowerOfTwo) {
      return section.Error("scale", "is \"own_power_of_two\", which needs mode integer; accepted: product_float, "
                                    "product_double_to_float, product_double, product_double_if_per_tensor");
    }
    return rule;
  }
  QATGAP_ASSIGN_OR_RETURN(rule.bits, section.Integer("bits", 2, 64));
  QATGAP_ASSIGN_OR_RETURN(rule.rounding, section.Enum("rounding", kRoundingNames));
  QATGAP_ASSIGN_OR_RETURN(rule.overflow, section.Enum("overflow", kBiasOverflowNames));
  QATGAP_RETURN_IF_ERROR(section.CheckAbsent("symmetric_clamp", !ReadsSymmetricClamp(rule),
                                             Is("bias.overflow", rule.overflow)));
  if (ReadsSymmetricClamp(rule)) {
    QATGAP_ASSIGN_OR_RETURN(rule.symmetric_clamp, section.Bool("symmetric_clamp"));
  }
  if (rule.overflow == BiasOverflow::kInt32Min && rule.bits != 32) {
    return section.Error("bits", absl::StrCat("is ", rule.bits, "; overflow int32_min is a rule for 32 bits"));
  }
  QATGAP_RETURN_IF_ERROR(section.CheckAbsent("adjustment", !ReadsAdjustment(rule),
                                             Is("bias.overflow", rule.overflow)));
  if (ReadsAdjustment(rule)) {
    QATGAP_RETURN_IF_ERROR(CheckAdjustment(section, rule));
    QATGAP_ASSIGN_OR_RETURN(rule.adjustment, section.Enum("adjustment", kWeightAdjustmentNames));
  }
  QATGAP_RETURN_IF_ERROR(section.CheckAbsent("alignment", !ReadsAlignment(rule), Is("bias.scale", rule.scale)));
  if (ReadsAlignment(rule)) {
    QATGAP_ASSIGN_OR_RETURN(rule.alignment, section.Enum("alignment", kBiasAlignmentNames));
  }
  return rule;
}

absl::StatusOr<AccumulatorRule> ParseAccumulator(const YamlSection& section) {
  QATGAP_RETURN_IF_ERROR(section.CheckKeys({"bits", "overflow", "int16_pairs"}));
  AccumulatorRule rule;
  QATGAP_ASSIGN_OR_RETURN(rule.bits, section.Integer("bits", 8, 64));
  QATGAP_ASSIGN_OR_RETURN(rule.overflow, section.Enum("overflow", kAccumulatorOverflowNames));
  QATGAP_ASSIGN_OR_RETURN(rule.int16_pairs, section.Enum("int16_pairs", kInt16PairsNames));
  return rule;
}

absl::StatusOr<MultiplierForm> ParseMultiplier(const YamlSection& section, RequantMode mode) {
  QATGAP_ASSIGN_OR_RETURN(const MultiplierForm form, section.Enum("multiplier", kMultiplierFormNames));
  if (IsBinary32(form) == (mode == RequantMode::kFloat32)) return form;
  std::vector<std::string> accepted;
  for (const auto& entry : kMultiplierFormNames) {
    if (IsBinary32(entry.value) == (mode == RequantMode::kFloat32)) accepted.emplace_back(entry.name);
  }
  return section.Error("multiplier", absl::StrCat("is \"", Text(ToString(form)), "\", which is ",
                                                  IsBinary32(form) ? "for mode float32" : "not for mode float32",
                                                  "; accepted: ", absl::StrJoin(accepted, ", ")));
}

absl::Status ParseVectorChannels(const YamlSection& section, RequantRule* rule) {
  const bool fixed_point = IsFixedPoint(rule->mode);
  const std::string mode = Is("requantization.mode", rule->mode);
  QATGAP_RETURN_IF_ERROR(CheckUnread(section, {{"vector_channels", fixed_point}, {"tail_mode", fixed_point}}, mode));
  if (!section.Has("vector_channels")) {
    return section.CheckAbsent("tail_mode", true, "requantization.vector_channels is not there");
  }
  QATGAP_ASSIGN_OR_RETURN(rule->vector_channels, section.Integer("vector_channels", 2, kMaxVectorChannels));
  QATGAP_ASSIGN_OR_RETURN(rule->tail_mode, section.Enum("tail_mode", kRequantModeNames));
  if (IsFixedPoint(rule->tail_mode) && rule->tail_mode != rule->mode) return absl::OkStatus();
  return section.Error("tail_mode", absl::StrCat("is \"", Text(ToString(rule->tail_mode)),
                                                 "\", which must be another fixed-point mode than \"",
                                                 Text(ToString(rule->mode)), "\""));
}

absl::Status ParseMultiplierLimits(const YamlSection& section, RequantRule* rule) {
  if (section.Has("multiplier_min")) {
    QATGAP_ASSIGN_OR_RETURN(rule->multiplier_min, section.Positive("multiplier_min"));
  }
  if (!section.Has("multiplier_max")) return absl::OkStatus();
  QATGAP_ASSIGN_OR_RETURN(rule->multiplier_max, section.Positive("multiplier_max"));
  if (rule->multiplier_min < rule->multiplier_max) return absl::OkStatus();
  return section.Error("multiplier_max", absl::StrCat("is ", rule->multiplier_max, ", not above multiplier_min ",
                                                      rule->multiplier_min));
}

absl::StatusOr<RequantRule> ParseRequantization(const YamlSection& section, const BiasRule& bias) {
  QATGAP_RETURN_IF_ERROR(section.CheckKeys(
      {"mode", "multiplier", "rounding", "zero_point", "conversion", "dequantization", "reciprocal_scales",
       "fused_multiply_add", "activation_limit", "vector_channels", "tail_mode", "multiplier_min", "multiplier_max"}));
  RequantRule rule;
  QATGAP_ASSIGN_OR_RETURN(rule.mode, section.Enum("mode", kRequantModeNames));
  if (HasFloatBias(bias) && rule.mode != RequantMode::kFloat32) {
    return section.Error("mode", absl::StrCat("is \"", Text(ToString(rule.mode)),
                                              "\", which has no place for a float bias; use float32, or an integer "
                                              "bias"));
  }
  const bool conversion = ReadsConversion(rule.mode);
  QATGAP_RETURN_IF_ERROR(CheckUnread(section, {{"multiplier", ReadsMultiplier(rule.mode)},
                                               {"rounding", ReadsRounding(rule.mode)},
                                               {"zero_point", conversion},
                                               {"conversion", conversion}}, Is("requantization.mode", rule.mode)));
  const bool dequantizes = ReadsDequantization(bias);
  QATGAP_RETURN_IF_ERROR(CheckUnread(section, {{"dequantization", dequantizes}, {"reciprocal_scales", dequantizes}},
                                     Is("bias.mode", bias.mode)));
  rule.multiplier = MultiplierForm::kDouble;
  if (ReadsMultiplier(rule.mode)) {
    QATGAP_ASSIGN_OR_RETURN(rule.multiplier, ParseMultiplier(section, rule.mode));
  }
  if (ReadsRounding(rule.mode)) {
    QATGAP_ASSIGN_OR_RETURN(rule.rounding, section.Enum("rounding", kRoundingNames));
  }
  if (conversion) {
    QATGAP_ASSIGN_OR_RETURN(rule.zero_point, section.Enum("zero_point", kZeroPointOrderNames));
    QATGAP_ASSIGN_OR_RETURN(rule.conversion, section.Enum("conversion", kConversionOverflowNames));
  }
  if (dequantizes) {
    QATGAP_ASSIGN_OR_RETURN(rule.dequantization, section.Enum("dequantization", kDequantizationNames));
    QATGAP_ASSIGN_OR_RETURN(rule.reciprocal_scales, section.Bool("reciprocal_scales"));
  }
  QATGAP_RETURN_IF_ERROR(section.CheckAbsent(
      "fused_multiply_add", !ReadsFusedMultiplyAdd(bias),
      "only bias.mode float_before_scale with bias.division reciprocal_if_per_tensor has such a product"));
  if (ReadsFusedMultiplyAdd(bias)) {
    QATGAP_ASSIGN_OR_RETURN(rule.fused_multiply_add, section.Bool("fused_multiply_add"));
  }
  QATGAP_ASSIGN_OR_RETURN(rule.activation_limit, section.Enum("activation_limit", kActivationLimitNames));
  QATGAP_RETURN_IF_ERROR(ParseVectorChannels(section, &rule));
  QATGAP_RETURN_IF_ERROR(ParseMultiplierLimits(section, &rule));
  return rule;
}

bool IsTargetName(const std::string& name) {
  return name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

template <typename Names, typename Enum>
absl::Status ParseCondition(const YamlSection& section, std::string_view key, const Names& names, Enum* value) {
  if (!section.Has(key)) return absl::OkStatus();
  QATGAP_ASSIGN_OR_RETURN(*value, section.Enum(key, names));
  return absl::OkStatus();
}

absl::StatusOr<Delegate> ParseDelegate(const YamlSection& section, const std::string& delegating) {
  QATGAP_RETURN_IF_ERROR(section.CheckKeys({"layers", "host", "activations", "weights", "output_padding", "max_groups",
                                            "bias_bits", "target"}));
  Delegate delegate;
  QATGAP_RETURN_IF_ERROR(ParseCondition(section, "layers", kDelegateLayersNames, &delegate.layers));
  QATGAP_RETURN_IF_ERROR(ParseCondition(section, "host", kDelegateHostNames, &delegate.host));
  QATGAP_RETURN_IF_ERROR(ParseCondition(section, "activations", kDelegateActivationsNames, &delegate.activations));
  QATGAP_RETURN_IF_ERROR(ParseCondition(section, "weights", kDelegateWeightsNames, &delegate.weights));
  QATGAP_RETURN_IF_ERROR(
      ParseCondition(section, "output_padding", kDelegateOutputPaddingNames, &delegate.output_padding));
  if (section.Has("max_groups")) {
    QATGAP_ASSIGN_OR_RETURN(delegate.max_groups, section.Integer("max_groups", 1, 1 << 20));
  }
  if (section.Has("bias_bits")) {
    QATGAP_ASSIGN_OR_RETURN(delegate.bias_bits, section.Integer("bias_bits", 2, 64));
  }
  QATGAP_ASSIGN_OR_RETURN(delegate.target, section.String("target"));
  std::vector<std::string> names;
  for (const EmbeddedTarget& shipped : EmbeddedTargets()) names.emplace_back(shipped.name);
  if (std::find(names.begin(), names.end(), delegate.target) == names.end() || delegate.target == delegating) {
    return section.Error("target", absl::StrCat("is \"", delegate.target.substr(0, 64), "\", which is ",
                                                delegate.target == delegating ? "this target itself" : "not shipped",
                                                "; accepted: ", absl::StrJoin(names, ", ")));
  }
  return delegate;
}

absl::Status ParseDelegates(const YamlSection& root, TargetDescription* target) {
  constexpr std::string_view kBecause = "the target has delegates, whose rules are used";
  QATGAP_RETURN_IF_ERROR(CheckUnread(
      root, {{"scales", false}, {"bias", false}, {"accumulator", false}, {"requantization", false}}, kBecause));
  QATGAP_ASSIGN_OR_RETURN(const std::vector<YamlSection> sections, root.Children("delegates", kMaxDelegates));
  for (const YamlSection& section : sections) {
    if (!target->delegates.empty() && IsUnconditional(target->delegates.back())) {
      return section.Error("target", "is never reached: the delegate before it takes every layer");
    }
    QATGAP_ASSIGN_OR_RETURN(Delegate delegate, ParseDelegate(section, target->name));
    target->delegates.push_back(std::move(delegate));
  }
  return absl::OkStatus();
}

absl::Status ParseRules(const YamlSection& root, TargetDescription* target) {
  // Optional: almost every target takes any scale.
  if (root.Has("scales")) {
    QATGAP_ASSIGN_OR_RETURN(target->scales, root.Enum("scales", kScaleRequirementNames));
  }
  QATGAP_ASSIGN_OR_RETURN(const YamlSection bias, root.Child("bias"));
  QATGAP_ASSIGN_OR_RETURN(target->bias, ParseBias(bias));
  QATGAP_ASSIGN_OR_RETURN(const YamlSection accumulator, root.Child("accumulator"));
  QATGAP_ASSIGN_OR_RETURN(target->accumulator, ParseAccumulator(accumulator));
  QATGAP_ASSIGN_OR_RETURN(const YamlSection requantization, root.Child("requantization"));
  QATGAP_ASSIGN_OR_RETURN(target->requantization, ParseRequantization(requantization, target->bias));
  if (target->requantization.mode == RequantMode::kPowerOfTwoShift && target->scales != ScaleRequirement::kPowerOfTwo) {
    return requantization.Error("mode", "is \"power_of_two_shift\", which needs \"scales: power_of_two\"");
  }
  return absl::OkStatus();
}

absl::StatusOr<OperatorRules> ParseOperators(const YamlSection& section) {
  QATGAP_RETURN_IF_ERROR(section.CheckKeys({"add", "mul", "concat", "average_pool", "mean"}));
  OperatorRules rules;
  QATGAP_ASSIGN_OR_RETURN(rules.add, section.Enum("add", kAddRuleNames));
  QATGAP_ASSIGN_OR_RETURN(rules.mul, section.Enum("mul", kMulRuleNames));
  QATGAP_ASSIGN_OR_RETURN(rules.concat, section.Enum("concat", kConcatRuleNames));
  QATGAP_ASSIGN_OR_RETURN(rules.average_pool, section.Enum("average_pool", kAveragePoolRuleNames));
  QATGAP_ASSIGN_OR_RETURN(rules.mean, section.Enum("mean", kMeanRuleNames));
  return rules;
}

absl::Status ParseDocument(const YamlSection& root, TargetDescription* target) {
  QATGAP_RETURN_IF_ERROR(root.CheckKeys({"name", "title", "summary", "source", "evidence", "engine", "delegates",
                                         "scales", "bias", "accumulator", "requantization", "operators"}));
  QATGAP_ASSIGN_OR_RETURN(target->name, root.String("name"));
  if (!IsTargetName(target->name)) {
    return root.Error("name", absl::StrCat("is ", YamlSection::Quoted(target->name),
                                           "; accepted: up to 64 of lower-case letters, digits and '-'"));
  }
  QATGAP_ASSIGN_OR_RETURN(target->title, root.String("title"));
  QATGAP_ASSIGN_OR_RETURN(target->summary, root.String("summary"));
  QATGAP_ASSIGN_OR_RETURN(target->source, root.String("source"));
  QATGAP_ASSIGN_OR_RETURN(const YamlSection evidence, root.Child("evidence"));
  QATGAP_RETURN_IF_ERROR(evidence.CheckKeys({"kind", "detail"}));
  QATGAP_ASSIGN_OR_RETURN(target->evidence.kind, evidence.Enum("kind", kEvidenceKindNames));
  QATGAP_ASSIGN_OR_RETURN(target->evidence.detail, evidence.String("detail"));
  // Optional: hardware that is not linked in has no engine, and need not say so.
  if (root.Has("engine")) {
    QATGAP_ASSIGN_OR_RETURN(target->engine, root.Enum("engine", kEngineNames));
  }
  // Optional: hardware that only multiplies and accumulates has none.
  if (root.Has("operators")) {
    QATGAP_ASSIGN_OR_RETURN(const YamlSection operators, root.Child("operators"));
    QATGAP_ASSIGN_OR_RETURN(target->operators, ParseOperators(operators));
  }
  return root.Has("delegates") ? ParseDelegates(root, target) : ParseRules(root, target);
}

}  // namespace

absl::StatusOr<TargetDescription> ParseTarget(std::string_view yaml, std::string_view where) {
  TargetDescription target;
  QATGAP_RETURN_IF_ERROR(ReadYaml(yaml, where, kMaxFileBytes, [&target](const YamlSection& root) {
    return ParseDocument(root, &target);
  }));
  return target;
}

}  // namespace qatgap::numerics
