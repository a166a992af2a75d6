#include "analyzers/numerics/target.h"

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "analyzers/numerics/target_names.h"
#include "analyzers/status/string_view.h"

namespace qatgap::numerics {
namespace {

template <typename Names, typename Enum>
std::string_view NameOf(const Names& names, Enum value) {
  for (const auto& entry : names) {
    if (entry.value == value) return entry.name;
  }
  return "unknown";
}

// FNV-1a, 64 bits: a digest that a reader can recompute in any language, not a cryptographic one.
std::uint64_t Fnv1a(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char byte : text) {
    hash ^= static_cast<unsigned char>(byte);
    hash *= 0x100000001b3;
  }
  return hash;
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
std::string_view ToString(Engine value) { return NameOf(kEngineNames, value); }
std::string_view ToString(EvidenceKind value) { return NameOf(kEvidenceKindNames, value); }

std::string ArithmeticDigest(const TargetDescription& target) {
  const BiasRule& bias = target.bias;
  const AccumulatorRule& accumulator = target.accumulator;
  const RequantRule& requantization = target.requantization;
  std::string text = absl::StrCat("engine=", Text(ToString(target.engine)), ";bias=", Text(ToString(bias.mode)));
  // Only what the mode reads: a float bias has no width, and one added after the scale no scale of its own.
  if (bias.mode != BiasMode::kFloatAfterScale) {
    absl::StrAppend(&text, ",", Text(ToString(bias.scale)), ",", Text(ToString(bias.division)));
  }
  if (bias.mode == BiasMode::kInteger) {
    absl::StrAppend(&text, ",", bias.bits, ",", bias.symmetric_clamp ? "symmetric" : "full", ",",
                    Text(ToString(bias.rounding)), ",", Text(ToString(bias.overflow)));
  }
  absl::StrAppend(&text, ";accumulator=", accumulator.bits, ",", Text(ToString(accumulator.overflow)), ",",
                  Text(ToString(accumulator.int16_pairs)));
  absl::StrAppend(&text, ";requantization=", Text(ToString(requantization.mode)), ",",
                  Text(ToString(requantization.multiplier)), ",", Text(ToString(requantization.rounding)), ",",
                  Text(ToString(requantization.zero_point)), ",", Text(ToString(requantization.conversion)));
  return absl::StrFormat("%016x", Fnv1a(text));
}

}  // namespace qatgap::numerics
