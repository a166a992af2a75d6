#include "analyzers/numerics/target.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "analyzers/numerics/target_fields.h"
#include "analyzers/numerics/target_names.h"
#include "analyzers/status/string_view.h"

namespace qatgap::numerics {
namespace {

// FNV-1a, 64 bits: a digest that a reader can recompute in any language, not a cryptographic one.
std::uint64_t Fnv1a(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char byte : text) {
    hash ^= static_cast<unsigned char>(byte);
    hash *= 0x100000001b3;
  }
  return hash;
}

// The text that is hashed, of exactly the fields that are read. A knob that came later is in it only where it differs
// from what was so before: digests in stored reports stay comparable.
class DigestText {
 public:
  explicit DigestText(std::string text) : text_(std::move(text)) {}
  template <typename... Parts>
  void Add(const Parts&... parts) {
    absl::StrAppend(&text_, parts...);
  }
  template <typename Enum>
  void AddWord(std::string_view before, Enum value) {
    absl::StrAppend(&text_, Text(before), Text(ToString(value)));
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

void AddBias(const BiasRule& bias, DigestText* text) {
  text->AddWord(";bias=", bias.mode);
  if (ReadsScaleAndDivision(bias)) {
    text->AddWord(",", bias.scale);
    text->AddWord(",", bias.division);
  }
  if (ReadsWidth(bias)) {
    const bool symmetric = ReadsSymmetricClamp(bias) && bias.symmetric_clamp;
    text->Add(",", bias.bits, ",", symmetric ? "symmetric" : "full");
    text->AddWord(",", bias.rounding);
    text->AddWord(",", bias.overflow);
  }
  if (ReadsAdjustment(bias)) text->AddWord(",adjustment=", bias.adjustment);
  if (ReadsAlignment(bias) && bias.alignment != BiasAlignment::kShiftHalfUp) {
    text->AddWord(",alignment=", bias.alignment);
  }
}

void AddRequantization(const BiasRule& bias, const RequantRule& rule, DigestText* text) {
  text->AddWord(";requantization=", rule.mode);
  if (ReadsMultiplier(rule.mode)) text->AddWord(",", rule.multiplier);
  if (ReadsRounding(rule.mode)) text->AddWord(",", rule.rounding);
  if (ReadsConversion(rule.mode)) {
    text->AddWord(",", rule.zero_point);
    text->AddWord(",", rule.conversion);
  }
  if (ReadsDequantization(bias)) {
    if (rule.dequantization != Dequantization::kSuccessive) text->AddWord(",dequantization=", rule.dequantization);
    if (rule.reciprocal_scales) text->Add(",reciprocal_scales");
  }
  if (ReadsFusedMultiplyAdd(bias) && rule.fused_multiply_add) text->Add(",fused_multiply_add");
  if (rule.activation_limit != ActivationLimit::kReciprocalHalfToEven) {
    text->AddWord(",activation_limit=", rule.activation_limit);
  }
  if (IsFixedPoint(rule.mode) && rule.vector_channels != 0) {
    text->Add(",vector_channels=", rule.vector_channels);
    text->AddWord(",tail_mode=", rule.tail_mode);
  }
  if (rule.multiplier_min != 0) text->Add(absl::StrFormat(",multiplier_min=%.17g", rule.multiplier_min));
  if (rule.multiplier_max != 0) text->Add(absl::StrFormat(",multiplier_max=%.17g", rule.multiplier_max));
}

// Operators of a runtime's own only: a target that says nothing of them keeps the digest it had before they were described.
void AddOperators(const OperatorRules& rules, DigestText* text) {
  if (rules == OperatorRules{}) return;
  text->AddWord(";add=", rules.add);
  text->AddWord(";mul=", rules.mul);
  text->AddWord(";concat=", rules.concat);
  text->AddWord(";average_pool=", rules.average_pool);
  text->AddWord(";mean=", rules.mean);
}

void AddDelegate(const Delegate& delegate, DigestText* text) {
  text->AddWord(";delegate=", delegate.layers);
  text->AddWord(",", delegate.host);
  text->AddWord(",", delegate.activations);
  text->AddWord(",", delegate.weights);
  text->AddWord(",", delegate.output_padding);
  text->Add(",", delegate.max_groups, ",", delegate.bias_bits, ",");
  // What it computes, not what it is called.
  const absl::StatusOr<TargetDescription> target = FindTarget(delegate.target);
  text->Add(target.ok() ? ArithmeticDigest(*target) : delegate.target);
}

}  // namespace

std::string_view ToString(BiasMode value) { return NameOf(kBiasModeNames, value); }
std::string_view ToString(Rounding value) { return NameOf(kRoundingNames, value); }
std::string_view ToString(BiasScale value) { return NameOf(kBiasScaleNames, value); }
std::string_view ToString(BiasDivision value) { return NameOf(kBiasDivisionNames, value); }
std::string_view ToString(BiasOverflow value) { return NameOf(kBiasOverflowNames, value); }
std::string_view ToString(AccumulatorOverflow value) { return NameOf(kAccumulatorOverflowNames, value); }
std::string_view ToString(Int16Pairs value) { return NameOf(kInt16PairsNames, value); }
std::string_view ToString(RequantMode value) { return NameOf(kRequantModeNames, value); }
std::string_view ToString(MultiplierForm value) { return NameOf(kMultiplierFormNames, value); }
std::string_view ToString(ZeroPointOrder value) { return NameOf(kZeroPointOrderNames, value); }
std::string_view ToString(ConversionOverflow value) { return NameOf(kConversionOverflowNames, value); }
std::string_view ToString(BiasAlignment value) { return NameOf(kBiasAlignmentNames, value); }
std::string_view ToString(WeightAdjustment value) { return NameOf(kWeightAdjustmentNames, value); }
std::string_view ToString(Dequantization value) { return NameOf(kDequantizationNames, value); }
std::string_view ToString(ScaleRequirement value) { return NameOf(kScaleRequirementNames, value); }
std::string_view ToString(Delegate::Layers value) { return NameOf(kDelegateLayersNames, value); }
std::string_view ToString(Delegate::Host value) { return NameOf(kDelegateHostNames, value); }
std::string_view ToString(ActivationLimit value) { return NameOf(kActivationLimitNames, value); }
std::string_view ToString(Delegate::Activations value) { return NameOf(kDelegateActivationsNames, value); }
std::string_view ToString(Delegate::Weights value) { return NameOf(kDelegateWeightsNames, value); }
std::string_view ToString(Delegate::OutputPadding value) { return NameOf(kDelegateOutputPaddingNames, value); }
std::string_view ToString(AddRule value) { return NameOf(kAddRuleNames, value); }
std::string_view ToString(MulRule value) { return NameOf(kMulRuleNames, value); }
std::string_view ToString(ConcatRule value) { return NameOf(kConcatRuleNames, value); }
std::string_view ToString(AveragePoolRule value) { return NameOf(kAveragePoolRuleNames, value); }
std::string_view ToString(MeanRule value) { return NameOf(kMeanRuleNames, value); }
std::string_view ToString(Engine value) { return NameOf(kEngineNames, value); }
std::string_view ToString(EvidenceKind value) { return NameOf(kEvidenceKindNames, value); }

std::string ArithmeticDigest(const TargetDescription& target) {
  DigestText text(absl::StrCat("engine=", Text(ToString(target.engine))));
  for (const Delegate& delegate : target.delegates) AddDelegate(delegate, &text);
  AddOperators(target.operators, &text);
  if (target.delegates.empty()) {
    if (target.scales != ScaleRequirement::kAny) text.AddWord(";scales=", target.scales);
    AddBias(target.bias, &text);
    text.Add(";accumulator=", target.accumulator.bits);
    text.AddWord(",", target.accumulator.overflow);
    text.AddWord(",", target.accumulator.int16_pairs);
    AddRequantization(target.bias, target.requantization, &text);
  }
  return absl::StrFormat("%016x", Fnv1a(text.text()));
}

}  // namespace qatgap::numerics
