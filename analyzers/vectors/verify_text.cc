#include <algorithm>
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "analyzers/status/string_view.h"
#include "analyzers/vectors/verify.h"

namespace qatgap::vectors {
namespace {

using numerics::BiasMode;
using numerics::RequantMode;
using numerics::TargetDescription;

constexpr std::size_t kDetailedCases = 10;

// "half_to_even" as a person says it: "half to even".
std::string Words(std::string_view name) {
  std::string words(name);
  std::replace(words.begin(), words.end(), '_', ' ');
  return words;
}

std::string Plural(std::int64_t count, std::string_view noun) {
  return absl::StrCat(count, " ", Text(noun), count == 1 ? "" : "s");
}

// A step of the way from accumulator to code: symbol, value, how it came about.
std::string Step(std::string_view symbol, const std::string& value, const std::string& how) {
  std::string line = absl::StrFormat("    %-9s %-16s  %s", Text(symbol), value, how);
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

std::string Float(double value) { return absl::StrFormat("%.9g", value); }
std::string Float(float value) { return Float(static_cast<double>(value)); }
std::string Bits(float value) { return absl::StrFormat("binary32 0x%08x", std::bit_cast<std::uint32_t>(value)); }

std::string AccumulatorWords(const TargetDescription& rules) {
  return absl::StrCat(rules.accumulator.bits, " bits, ",
                      rules.accumulator.overflow == numerics::AccumulatorOverflow::kWrap ? "wrapping" : "saturating");
}

std::string BiasSteps(const Mismatch& m) {
  const TargetDescription& rules = m.rules;
  if (numerics::HasFloatBias(rules.bias)) return Step("b", Float(m.bias_real), "the bias, kept a float");
  const bool shifted = m.constants.accumulator_bias != m.bias_stored;
  return Step("b", Float(m.bias_real), "the bias as a real number") +
         Step("q_b", absl::StrCat(m.bias_stored),
              absl::StrCat("the bias as it is stored: ", rules.bias.bits, " bits",
                           shifted ? ", before its shift" : "")) +
         (shifted ? Step("q_b'", absl::StrCat(m.constants.accumulator_bias), "shifted to steps of s_x * s_w") : "");
}

std::string FloatSteps(const Mismatch& m) {
  const numerics::RequantConstants& k = m.constants;
  const numerics::RequantRule& rule = m.rules.requantization;
  const bool reciprocal = rule.multiplier == numerics::MultiplierForm::kProductTimesReciprocal;
  if (m.rules.bias.mode == BiasMode::kFloatAfterScale) {
    const bool product = rule.dequantization == numerics::Dequantization::kProduct;
    return (product ? Step("s_x s_w", Float(k.multiplier), Bits(k.multiplier))
                    : Step("s_x", Float(k.input_scale), Bits(k.input_scale)) +
                          Step("s_w", Float(k.weight_scale), Bits(k.weight_scale))) +
           Step("s_y", Float(k.output_scale), Bits(k.output_scale)) +
           Step("d", Float(m.trace.biased),
                product ? "fl(fl(fl(A') * s_x s_w) + b)" : "fl(fl(fl(fl(A') * s_x) * s_w) + b)") +
           Step("v", Float(m.trace.scaled), reciprocal ? "fl(d * fl(1 / s_y))" : "fl(d / s_y)");
  }
  if (numerics::HasFloatBias(m.rules.bias)) {
    if (k.bias_reciprocal != 0) {
      return Step("1 / s_xw", Float(k.bias_reciprocal), Bits(k.bias_reciprocal)) +
             Step("t", Float(m.trace.biased), "fl(b * (1 / s_xw) + fl(A')), rounded once") +
             Step("M", Float(k.multiplier), Bits(k.multiplier)) + Step("v", Float(m.trace.scaled), "fl(t * M)");
    }
    return Step("b / s_xw", Float(k.bias), Bits(k.bias)) + Step("t", Float(m.trace.biased), "fl(fl(A') + b / s_xw)") +
           Step("M", Float(k.multiplier), Bits(k.multiplier)) + Step("v", Float(m.trace.scaled), "fl(t * M)");
  }
  return Step("M", Float(k.multiplier), Bits(k.multiplier)) + Step("v", Float(m.trace.scaled), "fl(fl(A') * M)");
}

std::string ScalingSteps(const Mismatch& m) {
  const numerics::RequantConstants& k = m.constants;
  switch (m.rules.requantization.mode) {
    case RequantMode::kFloat32:
      return FloatSteps(m);
    case RequantMode::kFloat64:
      return Step("M", absl::StrFormat("%.17g", k.multiplier64), "binary64") +
             Step("v", absl::StrFormat("%.17g", m.trace.scaled), "A' * M in binary64");
    case RequantMode::kPowerOfTwoShift:
      return Step("M", absl::StrCat("2^", -k.right_shift), "") +
             Step("v", Float(m.trace.scaled), "A' * M, before its rounding shift");
    default:
      return Step("M", absl::StrFormat("%.17g", m.multiplier), "s_x * s_w / s_y") +
             Step("m", absl::StrCat(k.fixed.mantissa),
                  absl::StrFormat("0x%08x, shift %d", k.fixed.mantissa, k.fixed.shift)) +
             Step("v", Float(m.trace.scaled), "A' * m * 2^(shift - 31), before its roundings");
  }
}

std::string RoundingWords(const numerics::RequantRule& rule) {
  const bool own = rule.mode != RequantMode::kFloat32 && rule.mode != RequantMode::kFloat64 &&
                   rule.mode != RequantMode::kPowerOfTwoShift;
  return own ? Words(ToString(rule.mode)) : Words(ToString(rule.rounding));
}

std::string Steps(const Mismatch& m) {
  const bool integer = !numerics::HasFloatBias(m.rules.bias);
  const bool before = m.rules.requantization.zero_point == numerics::ZeroPointOrder::kBeforeRounding &&
                      m.rules.requantization.mode == RequantMode::kFloat32;
  const std::string rounding = RoundingWords(m.rules.requantization);
  std::string text = Step("A", absl::StrCat(m.trace.accumulator), "sum of (x - z_x)(w - z_w)");
  text += BiasSteps(m);
  text += Step("A'", absl::StrCat(m.trace.sum), absl::StrCat(integer ? "A + q_b, " : "A, ", AccumulatorWords(m.rules)));
  text += ScalingSteps(m);
  text += before ? Step("rounded", Float(m.trace.rounded),
                        absl::StrCat("fl(v + z_y), z_y = ", m.zero_point, ", ", rounding))
                 : Step("rounded", Float(m.trace.rounded), rounding) +
                       Step("+ z_y", absl::StrCat(m.trace.unclamped), absl::StrCat("z_y = ", m.zero_point));
  text += Step("code", absl::StrCat(m.trace.code), absl::StrCat("clamped to ", m.min, "..", m.max));
  return text;
}

std::string Elements(const CaseOutcome& outcome) {
  std::string text;
  for (const BiasMismatch& bias : outcome.first_bias) {
    text += absl::StrFormat("\n  bias of channel %d: bias_int.npy says %d, the target makes %d of %.9g\n", bias.channel,
                            bias.expected, bias.computed.stored, bias.real);
    text += Step("s_b", absl::StrFormat("%.17g", bias.computed.scale), "the bias's scale");
    text += Step("b / s_b", absl::StrFormat("%.17g", bias.real / bias.computed.scale), "in binary64, for comparison");
    text += Step("rounded", absl::StrFormat("%.0f", bias.computed.rounded), "by the target's division and rounding");
    text += Step("stored", absl::StrCat(bias.computed.stored),
                 bias.computed.saturated ? "after the width and overflow rule" : "");
  }
  for (const Mismatch& m : outcome.first) {
    text += absl::StrFormat("%s  output[%s]: the vectors say %d, the target gives %d\n",
                            m.traced || &m == &outcome.first.front() ? "\n" : "", absl::StrJoin(m.index, ", "),
                            m.expected, m.computed);
    if (m.traced) text += Steps(m);
  }
  const std::int64_t left = outcome.mismatches - static_cast<std::int64_t>(outcome.first.size());
  if (left > 0) text += absl::StrCat("\n  and ", left, " more\n");
  return text;
}

std::string Verdict(const CaseOutcome& outcome) {
  if (!outcome.refused.empty()) return absl::StrCat("not computed: ", outcome.refused);
  std::vector<std::string> parts;
  if (outcome.mismatches > 0)
    parts.push_back(absl::StrCat(outcome.mismatches, outcome.mismatches == 1 ? " differs" : " differ"));
  if (outcome.bias_mismatches > 0) {
    parts.push_back(absl::StrCat(Plural(outcome.bias_mismatches, "integer bias"),
                                 outcome.bias_mismatches == 1 ? "" : "es", " differ"));
  }
  return parts.empty() ? "exact" : absl::StrJoin(parts, ", ");
}

std::string Summary(const Verification& verification, const TargetDescription& target) {
  const auto cases = static_cast<std::int64_t>(verification.cases.size());
  const std::int64_t refused = std::count_if(verification.cases.begin(), verification.cases.end(),
                                             [](const CaseOutcome& outcome) { return !outcome.refused.empty(); });
  if (verification.exact()) {
    return absl::StrCat("exact: ", target.name, " reproduces all ", Plural(verification.elements, "element"), " of ",
                        Plural(cases, "case"), " bit for bit\n");
  }
  std::string text =
      absl::StrCat("not exact: ", target.name, " reproduces ", verification.exact_cases, " of ", Plural(cases, "case"),
                   "; ", verification.mismatches, " of ", Plural(verification.elements, "element"), " differ");
  if (refused > 0) absl::StrAppend(&text, ", with all of the ", Plural(refused, "case"), " that it cannot compute");
  return text + "\n";
}

}  // namespace

std::string ToText(const Verification& verification, const TargetDescription& target) {
  std::string text = absl::StrCat(target.name, " against ",
                                  Plural(static_cast<std::int64_t>(verification.cases.size()), "case"), "\n");
  if (!verification.host.empty()) {
    text += absl::StrCat("The result depends on the host's CPU and some cases do not say which it was: taken is a ",
                         verification.host, ", which fits best.\n");
  }
  std::size_t name_width = 4, op_width = 2;
  for (const CaseOutcome& outcome : verification.cases) {
    name_width = std::max(name_width, outcome.name.size());
    op_width = std::max(op_width, outcome.op.size());
  }
  text += "\n";
  for (const CaseOutcome& outcome : verification.cases) {
    text += absl::StrFormat("  %-*s  %-*s  %8d elements  %s\n", name_width, outcome.name, op_width, outcome.op,
                            outcome.elements, Verdict(outcome));
  }
  std::size_t detailed = 0, left_out = 0;
  for (const CaseOutcome& outcome : verification.cases) {
    if (outcome.first.empty() && outcome.first_bias.empty()) continue;
    if (++detailed > kDetailedCases) {
      ++left_out;
      continue;
    }
    text += absl::StrCat("\n", outcome.name.empty() ? "case" : outcome.name, " (", outcome.op,
                         outcome.target.empty() ? "" : absl::StrCat(", captured from ", outcome.target),
                         "): ", Verdict(outcome), "\n", Elements(outcome));
  }
  if (left_out > 0)
    text += absl::StrCat("\nThe elements of ", Plural(static_cast<std::int64_t>(left_out), "more case"),
                         " are left out.\n");
  return text + "\n" + Summary(verification, target);
}

}  // namespace qatgap::vectors
