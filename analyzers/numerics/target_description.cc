// Describe(): a target in formulas and words.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "analyzers/numerics/target.h"

namespace qatgap::numerics {
namespace {

constexpr std::size_t kColumns = 100;
constexpr std::size_t kIndent = 16;

// "label           text", wrapped at words; a word longer than a line is cut.
void AddLines(std::string& out, std::string_view label, std::string_view text) {
  const std::size_t width = kColumns - kIndent;
  std::string line(label);
  line.resize(kIndent, ' ');
  bool empty = true;
  const std::vector<std::string> words =
      absl::StrSplit(std::string(text), absl::ByAnyChar(" \t\n"), absl::SkipEmpty());
  for (std::string_view word : words) {
    if (!empty && line.size() + 1 + word.size() > kColumns) {
      absl::StrAppend(&out, line, "\n");
      line.assign(kIndent, ' ');
      empty = true;
    }
    while (word.size() > width) {
      absl::StrAppend(&out, line, std::string(word.substr(0, width)), "\n");
      line.assign(kIndent, ' ');
      word.remove_prefix(width);
    }
    absl::StrAppend(&line, empty ? "" : " ", std::string(word));
    empty = false;
  }
  absl::StrAppend(&out, line, "\n");
}

std::string InWords(Rounding rounding) {
  switch (rounding) {
    case Rounding::kHalfToEven:
      return "nearest, ties to even";
    case Rounding::kHalfAwayFromZero:
      return "nearest, ties away from zero";
    case Rounding::kHalfUp:
      return "nearest, ties up";
    case Rounding::kTowardZero:
      return "toward zero";
    case Rounding::kFloor:
      return "down";
  }
  return "?";
}

std::string ScaleFormula(BiasScale scale) {
  switch (scale) {
    case BiasScale::kProductFloat:
      return "s_b = fl(fl(s_x) * fl(s_w[c]))";
    case BiasScale::kProductDoubleToFloat:
      return "s_b = fl(double(s_x) * double(s_w[c]))";
    case BiasScale::kProductDouble:
      return "s_b = s_x * s_w[c] in binary64";
    case BiasScale::kOwnPowerOfTwo:
      return "s_b = the smallest 2^k per layer that holds max |b|";
  }
  return "?";
}

std::string QuotientFormula(BiasDivision division) {
  switch (division) {
    case BiasDivision::kDivideFloat:
      return "fl(b / s_b)";
    case BiasDivision::kMultiplyReciprocal:
      return "fl(b * fl(1 / s_b))";
    case BiasDivision::kDivideDouble:
      return "b / s_b";
  }
  return "?";
}

void DescribeBias(const BiasRule& bias, std::string& out) {
  switch (bias.mode) {
    case BiasMode::kFloatBeforeScale:
      AddLines(out, "bias", "float32, added to the accumulator; never rounded to an integer");
      AddLines(out, "", ScaleFormula(bias.scale));
      AddLines(out, "", absl::StrCat("t = fl(fl(A') + ", QuotientFormula(bias.division), ")"));
      return;
    case BiasMode::kFloatAfterScale:
      AddLines(out, "bias", "float32, added to the real value; never rounded to an integer");
      AddLines(out, "", "t = fl(fl(fl(fl(A') * s_x) * s_w[c]) + b)");
      return;
    case BiasMode::kInteger:
      break;
  }
  AddLines(out, "bias", absl::StrCat("int", bias.bits, ", ", ScaleFormula(bias.scale)));
  AddLines(out, "",
           absl::StrCat("q = round(", QuotientFormula(bias.division), "), rounding ",
                        InWords(bias.rounding)));
  if (bias.scale == BiasScale::kOwnPowerOfTwo) {
    AddLines(
        out, "",
        "q_b = floor(q * s_b / (s_x * s_w[c]) + 1/2): the code shifted into accumulator steps");
  } else {
    AddLines(out, "", "q_b = q, the scale is the accumulator's");
  }
  const std::string low = absl::StrCat("-2^", bias.bits - 1, bias.symmetric_clamp ? " + 1" : "");
  const std::string range = absl::StrCat("[", low, ", 2^", bias.bits - 1, " - 1]");
  switch (bias.overflow) {
    case BiasOverflow::kSaturate:
      AddLines(out, "bias limits", absl::StrCat("saturates to ", range));
      return;
    case BiasOverflow::kWrap:
      AddLines(out, "bias limits", absl::StrCat("wraps modulo 2^", bias.bits));
      return;
    case BiasOverflow::kRefuse:
      AddLines(out, "bias limits",
               absl::StrCat("a layer with a code outside ", range, " is refused"));
      return;
  }
}

void DescribeAccumulator(const TargetDescription& target, std::string& out) {
  const AccumulatorRule& rule = target.accumulator;
  const bool wraps = rule.overflow == AccumulatorOverflow::kWrap;
  AddLines(out, "accumulator",
           absl::StrCat("A' = ", target.bias.mode == BiasMode::kInteger ? "A + q_b" : "A", " in ",
                        rule.bits, " bits, ", wraps ? "wraps" : "saturates", " on overflow"));
  if (rule.int16_pairs == Int16Pairs::kWithoutVnni) {
    AddLines(out, "",
             "on x86 without VNNI, pairs of products saturate at int16 before they are summed");
  }
}

void DescribeRequantization(const TargetDescription& target, std::string& out) {
  const RequantRule& rule = target.requantization;
  const bool divides = rule.multiplier == MultiplierForm::kProductThenDivide;
  if (target.bias.mode == BiasMode::kFloatAfterScale) {
    AddLines(out, "requantization", divides ? "v = fl(t / s_y)" : "v = fl(t * fl(1 / s_y))");
  } else {
    AddLines(out, "requantization",
             divides ? "M = fl(fl(s_x * s_w[c]) / s_y)" : "M = fl(fl(s_x * s_w[c]) * fl(1 / s_y))");
    AddLines(out, "",
             target.bias.mode == BiasMode::kInteger ? "v = fl(fl(A') * M)" : "v = fl(t * M)");
  }
  if (rule.zero_point == ZeroPointOrder::kBeforeRounding) {
    AddLines(out, "", "code = round(clamp(fl(v + z_y), min, max))");
  } else if (rule.overflow == RequantOverflow::kX86Int16) {
    AddLines(out, "", "code = clamp(sat16(sat16(round(v)) + z_y), min, max)");
  } else {
    AddLines(out, "", "code = round(clamp(v, min - z_y, max - z_y)) + z_y");
  }
  AddLines(out, "rounding",
           absl::StrCat(InWords(rule.rounding), "; the zero point is added ",
                        rule.zero_point == ZeroPointOrder::kAfterRounding ? "after" : "before",
                        " rounding"));
  const bool x86 = rule.overflow == RequantOverflow::kX86Int16 &&
                   rule.zero_point == ZeroPointOrder::kAfterRounding;
  AddLines(out, "limits",
           x86 ? "v >= 2^31 becomes the lowest code, as x86 converts it; relu raises min to z_y"
               : "clamped as a float; relu raises min to z_y");
}

}  // namespace

std::string Describe(const TargetDescription& target) {
  std::string out;
  AddLines(out, "target", target.name);
  AddLines(out, "title", target.title);
  AddLines(out, "summary", target.summary);
  DescribeBias(target.bias, out);
  DescribeAccumulator(target, out);
  DescribeRequantization(target, out);
  AddLines(out, "engine",
           target.engine == Engine::kNone ? "none linked in"
                                          : absl::StrCat(std::string(ToString(target.engine)),
                                                         ", linked in through LibTorch"));
  std::string kind(ToString(target.evidence.kind));
  for (char& c : kind) c = c == '_' ? ' ' : c;
  AddLines(out, "evidence", absl::StrCat(kind, ": ", target.evidence.detail));
  AddLines(out, "source", target.source);
  AddLines(out, "digest", ArithmeticDigest(target));
  return out;
}

}  // namespace qatgap::numerics
