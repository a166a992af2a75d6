#include "analyzers/numerics/target.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "analyzers/numerics/target_enums.h"

namespace qatgap::numerics {
namespace {

template <typename Enum>
std::string_view WordOf(Enum value) {
  for (const auto& [known, word] : Words<Enum>::kTable) {
    if (known == value) return word;
  }
  return "?";  // not a value of the enum
}

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

// FNV-1a, 64 bits.
std::uint64_t Hash(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : text) {
    hash ^= static_cast<std::uint8_t>(c);
    hash *= 0x100000001b3U;
  }
  return hash;
}

}  // namespace

absl::Status Validate(const TargetDescription& target, std::string_view where) {
  const auto invalid = [&](auto... parts) {
    return absl::InvalidArgumentError(absl::StrCat(std::string(where), ": ", parts...));
  };
  if (target.name.empty()) return invalid("name is empty");
  for (const char c : target.name) {
    if (!IsNameCharacter(c)) {
      return invalid("name '", target.name, "' may have only lower case letters, digits and '-'");
    }
  }
  const BiasRule& bias = target.bias;
  if (bias.mode == BiasMode::kInteger) {
    if (bias.bits < 2 || bias.bits > 64)
      return invalid("bias.bits is ", bias.bits, ", must be 2..64");
    if (bias.scale == BiasScale::kOwnPowerOfTwo && bias.bits > 32) {
      return invalid("bias.bits is ", bias.bits,
                     ", must be 2..32 with bias.scale own_power_of_two");
    }
    if (bias.scale == BiasScale::kOwnPowerOfTwo && bias.division != BiasDivision::kDivideDouble) {
      return invalid(
          "bias.division is ", std::string(ToString(bias.division)),
          ", must be divide_double with bias.scale own_power_of_two (the quotient is exact)");
    }
  } else if (bias.scale == BiasScale::kOwnPowerOfTwo) {
    return invalid("bias.scale own_power_of_two needs bias.mode integer, which is ",
                   std::string(ToString(bias.mode)));
  }
  if (target.accumulator.bits < 8 || target.accumulator.bits > 64) {
    return invalid("accumulator.bits is ", target.accumulator.bits, ", must be 8..64");
  }
  if (target.requantization.overflow == RequantOverflow::kX86Int16 &&
      target.requantization.zero_point == ZeroPointOrder::kBeforeRounding) {
    return invalid(
        "requantization.overflow x86_int16 needs requantization.zero_point after_rounding, ",
        "which is before_rounding");
  }
  return absl::OkStatus();
}

std::string ArithmeticDigest(const TargetDescription& target) {
  const BiasRule& bias = target.bias;
  std::string text = absl::StrCat("qatgap-target-1|", std::string(ToString(bias.mode)));
  const auto add = [&text](auto value) { absl::StrAppend(&text, "|", value); };
  const auto add_word = [&text](auto value) {
    absl::StrAppend(&text, "|", std::string(ToString(value)));
  };
  // Fields that the mode ignores do not count. A float bias added after the scale is not divided
  // either.
  if (bias.mode != BiasMode::kFloatAfterScale) {
    add_word(bias.scale);
    add_word(bias.division);
  }
  if (bias.mode == BiasMode::kInteger) {
    add(bias.bits);
    add(static_cast<int>(bias.symmetric_clamp));
    add_word(bias.rounding);
    add_word(bias.overflow);
  }
  add(target.accumulator.bits);
  add_word(target.accumulator.overflow);
  add_word(target.accumulator.int16_pairs);
  add_word(target.requantization.mode);
  add_word(target.requantization.multiplier);
  add_word(target.requantization.rounding);
  add_word(target.requantization.zero_point);
  // The clamp before rounding is the only one there is.
  if (target.requantization.zero_point == ZeroPointOrder::kAfterRounding) {
    add_word(target.requantization.overflow);
  }
  return absl::StrFormat("%016x", Hash(text));
}

std::string_view ToString(BiasMode value) { return WordOf(value); }
std::string_view ToString(Rounding value) { return WordOf(value); }
std::string_view ToString(BiasScale value) { return WordOf(value); }
std::string_view ToString(BiasDivision value) { return WordOf(value); }
std::string_view ToString(Engine value) { return WordOf(value); }
std::string_view ToString(EvidenceKind value) { return WordOf(value); }
std::string_view ToString(BiasOverflow value) { return WordOf(value); }
std::string_view ToString(AccumulatorOverflow value) { return WordOf(value); }
std::string_view ToString(Int16Pairs value) { return WordOf(value); }
std::string_view ToString(RequantMode value) { return WordOf(value); }
std::string_view ToString(MultiplierForm value) { return WordOf(value); }
std::string_view ToString(ZeroPointOrder value) { return WordOf(value); }
std::string_view ToString(RequantOverflow value) { return WordOf(value); }

}  // namespace qatgap::numerics
