// Describe: a target's arithmetic as formulas, for a person.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "analyzers/numerics/rounding.h"
#include "analyzers/numerics/target.h"
#include "analyzers/status/string_view.h"

namespace qatgap::numerics {
namespace {

constexpr std::size_t kColumns = 100;

// "label  text" with the text broken at spaces and indented under itself.
void AppendItem(std::string_view label, std::string_view text, std::string* out) {
  constexpr std::size_t kIndent = 16;
  std::string line = absl::StrCat("  ", Text(label));
  line.resize(std::max(line.size() + 1, kIndent), ' ');
  bool line_is_empty = true;
  for (const absl::string_view word : absl::StrSplit(Text(text), absl::ByAnyChar(" \n"), absl::SkipEmpty())) {
    if (!line_is_empty && line.size() + 1 + word.size() > kColumns) {
      absl::StrAppend(out, line, "\n");
      line.assign(kIndent, ' ');
      line_is_empty = true;
    }
    absl::StrAppend(&line, line_is_empty ? "" : " ", word);
    line_is_empty = false;
  }
  absl::StrAppend(out, line, "\n");
}

std::string Words(Rounding rounding) {
  switch (rounding) {
    case Rounding::kHalfToEven: return "to nearest, half to even";
    case Rounding::kHalfAwayFromZero: return "to nearest, half away from zero";
    case Rounding::kHalfUp: return "to nearest, half up";
    case Rounding::kHalfDown: return "to nearest, half down";
    case Rounding::kCeiling: return "up";
    case Rounding::kTowardZero: return "toward zero";
    case Rounding::kFloor: return "down";
  }
  return "unknown";
}

std::string ScaleFormula(BiasScale scale) {
  switch (scale) {
    case BiasScale::kProductFloat: return "fl(s_x * s_w[c])";
    case BiasScale::kProductDoubleToFloat: return "fl(double(s_x) * double(s_w[c]))";
    case BiasScale::kProductDouble: return "double(s_x) * double(s_w[c])";
    case BiasScale::kOwnPowerOfTwo: return "one power of two per layer";
  }
  return "unknown";
}

std::string QuotientFormula(BiasDivision division, std::string_view scale) {
  switch (division) {
    case BiasDivision::kDivideFloat: return absl::StrCat("fl(b / ", Text(scale), ")");
    case BiasDivision::kMultiplyReciprocal: return absl::StrCat("fl(b * fl(1 / ", Text(scale), "))");
    case BiasDivision::kReciprocalIfPerTensor: return absl::StrCat("fl(b / ", Text(scale), "), per-tensor weights fl(b * fl(1 / ", Text(scale), "))");
    case BiasDivision::kDivideDouble: return absl::StrCat("b / ", Text(scale), " in binary64");
  }
  return "unknown";
}

void AppendBias(const BiasRule& rule, std::string* out) {
  if (rule.mode != BiasMode::kInteger) {
    AppendItem("bias", "a float, never rounded to an integer, without a limit", out);
    if (rule.mode == BiasMode::kFloatBeforeScale) {
      AppendItem("", absl::StrCat("bias = ", QuotientFormula(rule.division, "s_xw"), ", s_xw = ",
                                  ScaleFormula(rule.scale)), out);
    }
    return;
  }
  AppendItem("bias", absl::StrCat("an integer of ", rule.bits, " bits; s_b = ", ScaleFormula(rule.scale)), out);
  AppendItem("", absl::StrCat("q_b = round(", QuotientFormula(rule.division, "s_b"), "), ", Words(rule.rounding)),
             out);
  if (rule.scale == BiasScale::kOwnPowerOfTwo) {
    AppendItem("", "s_b is the smallest 2^k that fits max |b|; in the accumulator q_b counts as "
                   "round(q_b * s_b / (s_x * s_w[c])), half up", out);
  }
  const std::int64_t max = SignedMax(rule.bits);
  const std::string limits = absl::StrCat(rule.symmetric_clamp ? -max : -max - 1, "..", max);
  switch (rule.overflow) {
    case BiasOverflow::kSaturate: return AppendItem("", absl::StrCat("saturates to ", limits), out);
    case BiasOverflow::kInt32Min: return AppendItem("", "becomes -2^31 where it does not fit", out);
    case BiasOverflow::kAdjustWeights: return AppendItem("", "the weight scale is raised", out);
    case BiasOverflow::kWrap: return AppendItem("", absl::StrCat("wraps modulo 2^", rule.bits), out);
    case BiasOverflow::kRefuse:
      return AppendItem("", absl::StrCat("a layer with a bias outside ", limits, " is refused"), out);
  }
}

void AppendAccumulator(const AccumulatorRule& rule, std::string* out) {
  AppendItem("accumulator", absl::StrCat(rule.bits, " bits, ",
                                         rule.overflow == AccumulatorOverflow::kWrap ? "wraps" : "saturates",
                                         "; A = sum (x - z_x) * (w - z_w)"), out);
  if (rule.int16_pairs == Int16Pairs::kWithoutVnni) {
    AppendItem("", "on x86 hosts without VNNI pairs of products saturate to int16 first", out);
  }
}

void AppendRequantization(BiasMode mode, const RequantRule& rule, std::string* out) {
  const bool divide = rule.multiplier == MultiplierForm::kProductThenDivide;
  if (mode == BiasMode::kFloatAfterScale) {
    AppendItem("requantize", absl::StrCat("v = ", divide ? "fl(d / s_y)" : "fl(d * fl(1 / s_y))",
                                          ", d = fl(fl(fl(fl(A) * s_x) * s_w[c]) + b)"), out);
  } else {
    AppendItem("requantize",
               absl::StrCat(mode == BiasMode::kInteger ? "v = fl(fl(A + q_b) * M)" : "v = fl(fl(fl(A) + bias) * M)",
                            ", M = ", divide ? "fl(fl(s_x * s_w[c]) / s_y)" : "fl(fl(s_x * s_w[c]) * fl(1 / s_y))"),
               out);
  }
  const bool after = rule.zero_point == ZeroPointOrder::kAfterRounding;
  AppendItem("", absl::StrCat("q = ", after ? "round(v) + z_y" : "round(fl(v + z_y))", ", ", Words(rule.rounding)),
             out);
  if (rule.conversion == ConversionOverflow::kInt32MinPack) {
    AppendItem("", "v of 2^31 and more becomes -2^31 and ends at the lower limit; q passes through a saturating "
                   "int16", out);
  } else {
    AppendItem("", "v is clamped as a float before it is rounded", out);
  }
  AppendItem("", "clamped to the output's range; with a ReLU the lower limit is z_y", out);
}

}  // namespace

std::string Describe(const TargetDescription& target) {
  std::string out;
  AppendItem("target", absl::StrCat(target.name, ": ", target.title), &out);
  AppendItem("summary", target.summary, &out);
  AppendBias(target.bias, &out);
  AppendAccumulator(target.accumulator, &out);
  AppendRequantization(target.bias.mode, target.requantization, &out);
  AppendItem("engine",
             target.engine == Engine::kNone ? std::string("none linked in")
                                            : absl::StrCat(Text(ToString(target.engine)), " of the linked LibTorch"),
             &out);
  AppendItem("evidence", absl::StrCat(Text(ToString(target.evidence.kind)), ": ", target.evidence.detail), &out);
  AppendItem("source", target.source, &out);
  AppendItem("digest", ArithmeticDigest(target), &out);
  AppendItem("notation", "fl(v): v rounded to binary32, half to even; s, z: scale and zero point of x input, w weight, "
                         "y output, c output channel", &out);
  return out;
}

}  // namespace qatgap::numerics
