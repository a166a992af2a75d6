// Describe: a target's arithmetic as formulas, for a person.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "analyzers/numerics/rounding.h"
#include "analyzers/numerics/target.h"
#include "analyzers/numerics/target_fields.h"
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
    case BiasScale::kProductDoubleIfPerTensor:
      return "fl(s_x * s_w[c]), with one weight scale double(s_x) * double(s_w)";
    case BiasScale::kOwnPowerOfTwo: return "the smallest 2^k of the layer that fits max |b|";
  }
  return "unknown";
}

std::string QuotientFormula(BiasDivision division, std::string_view scale) {
  const std::string divided = absl::StrCat("fl(b / ", Text(scale), ")");
  const std::string multiplied = absl::StrCat("fl(b * fl(1 / ", Text(scale), "))");
  switch (division) {
    case BiasDivision::kDivideFloat: return divided;
    case BiasDivision::kMultiplyReciprocal: return multiplied;
    case BiasDivision::kReciprocalIfPerTensor: return absl::StrCat(divided, ", with one weight scale ", multiplied);
    case BiasDivision::kDivideDouble: return absl::StrCat("b / ", Text(scale), " in binary64");
  }
  return "unknown";
}

void AppendFloatBias(const TargetDescription& target, std::string* out) {
  AppendItem("bias", "a float, never rounded to an integer, without a limit", out);
  if (target.bias.mode != BiasMode::kFloatBeforeScale) return;
  AppendItem("", absl::StrCat("s_xw = ", ScaleFormula(target.bias.scale)), out);
  AppendItem("", absl::StrCat("bias = ", QuotientFormula(target.bias.division, "s_xw")), out);
  if (ReadsFusedMultiplyAdd(target.bias) && target.requantization.fused_multiply_add) {
    AppendItem("", "with one weight scale b * fl(1 / s_xw) is not rounded before fl(A) is added: a fused multiply-add",
               out);
  }
}

void AppendAlignment(const BiasRule& rule, std::string* out) {
  if (rule.alignment == BiasAlignment::kExact) {
    AppendItem("", "to the sum it counts as the float bias = fl(q_b * s_b / (s_x * s_w[c]))", out);
    return;
  }
  AppendItem("", absl::StrCat("in the accumulator it counts as q_b := round(q_b * s_b / (s_x * s_w[c])), ",
                              rule.alignment == BiasAlignment::kShiftFloor ? "down" : "to nearest, half up",
                              ": a shift"), out);
}

std::string OverflowWords(const BiasRule& rule) {
  const std::int64_t max = SignedMax(rule.bits);
  const std::string limits =
      absl::StrCat(ReadsSymmetricClamp(rule) && rule.symmetric_clamp ? -max : -max - 1, "..", max);
  switch (rule.overflow) {
    case BiasOverflow::kSaturate: return absl::StrCat("saturates to ", limits);
    case BiasOverflow::kWrap: return absl::StrCat("wraps modulo 2^", rule.bits);
    case BiasOverflow::kRefuse: return absl::StrCat("a layer with a bias outside ", limits, " is refused");
    case BiasOverflow::kInt32Min: return absl::StrCat("what is outside ", limits, " becomes -2^31, whatever its sign");
    case BiasOverflow::kAdjustWeights: break;
  }
  const bool tflite = rule.adjustment == WeightAdjustment::kTflite;
  return absl::StrCat(tflite ? "where |b| / s_b > (2^31 - 1) / 2, s_w[c] := |b| / ((2^31 - 1) / 2) / s_x"
                             : "where s_b < 1.0001 * 2 * |b| / (2^32 - 2), s_w[c] := that / s_x",
                      ", and the channel's weights are rounded to the new scale; then saturates to ", limits);
}

void AppendBias(const TargetDescription& target, std::string* out) {
  const BiasRule& rule = target.bias;
  if (rule.mode != BiasMode::kInteger) return AppendFloatBias(target, out);
  AppendItem("bias", absl::StrCat("an integer of ", rule.bits, " bits; s_b = ", ScaleFormula(rule.scale)), out);
  AppendItem("", absl::StrCat("q_b = round(", QuotientFormula(rule.division, "s_b"), "), ", Words(rule.rounding)),
             out);
  AppendItem("", OverflowWords(rule), out);
  if (ReadsAlignment(rule)) AppendAlignment(rule, out);
}

void AppendAccumulator(const TargetDescription& target, std::string* out) {
  const AccumulatorRule& rule = target.accumulator;
  AppendItem("accumulator",
             absl::StrCat(rule.bits, " bits, ", rule.overflow == AccumulatorOverflow::kWrap ? "wraps" : "saturates",
                          "; A = sum (x - z_x) * (w - z_w)", HasFloatBias(target.bias) ? "" : ", a = A + q_b"), out);
  if (rule.int16_pairs == Int16Pairs::kWithoutVnni) {
    AppendItem("", "on x86 hosts without VNNI pairs of products saturate to int16 first", out);
  }
}

std::string MultiplierFormula(MultiplierForm form) {
  switch (form) {
    case MultiplierForm::kProductThenDivide: return "fl(fl(s_x * s_w[c]) / s_y)";
    case MultiplierForm::kProductTimesReciprocal: return "fl(fl(s_x * s_w[c]) * fl(1 / s_y))";
    case MultiplierForm::kDouble: return "s_x * s_w[c] / s_y in binary64";
    case MultiplierForm::kFloatProduct: return "fl(s_x * s_w[c]) / s_y, the quotient in binary64";
    case MultiplierForm::kTflite:
      return "s_x * s_w[c] / s_y in binary64; with one weight scale, in linear layers and for unsigned activations, "
             "fl(s_x * s_w) / s_y";
  }
  return "unknown";
}

void AppendScaling(const TargetDescription& target, std::string* out) {
  const RequantRule& rule = target.requantization;
  if (target.bias.mode == BiasMode::kFloatAfterScale) {
    const bool divide = rule.multiplier == MultiplierForm::kProductThenDivide;
    const bool successive = rule.dequantization == Dequantization::kSuccessive;
    AppendItem("requantize", absl::StrCat("d = ", successive ? "fl(fl(fl(fl(A) * s_x) * s_w[c]) + b)"
                                                             : "fl(fl(fl(A) * fl(s_x * s_w[c])) + b)"), out);
    AppendItem("", absl::StrCat("v = ", divide ? "fl(d / s_y)" : "fl(d * fl(1 / s_y))"), out);
    if (rule.reciprocal_scales) {
      AppendItem("", "s_x, s_y and in linear layers s_w are fl(1 / fl(1 / s)): they were stored as reciprocals", out);
    }
    return;
  }
  AppendItem("requantize", absl::StrCat("M = ", MultiplierFormula(rule.multiplier)), out);
  AppendItem("", HasFloatBias(target.bias) ? "v = fl(fl(fl(A) + bias) * M)" : "v = fl(fl(A + q_b) * M)", out);
}

void AppendFloat32(const TargetDescription& target, std::string* out) {
  const RequantRule& rule = target.requantization;
  AppendScaling(target, out);
  const bool after = rule.zero_point == ZeroPointOrder::kAfterRounding;
  AppendItem("", absl::StrCat("q = ", after ? "round(v) + z_y" : "round(fl(v + z_y))", ", ", Words(rule.rounding)),
             out);
  AppendItem("", rule.conversion == ConversionOverflow::kInt32MinPack
                     ? "v of 2^31 and more becomes -2^31 and ends at the lower limit; q passes through a saturating "
                       "int16"
                     : "clamped as a float, before it is rounded", out);
}

// The steps of one fixed-point mode, after m and sh.
std::vector<std::string> FixedPointSteps(RequantMode mode) {
  const std::string high = "h = a * 2^max(sh, 0) * m / 2^31, first rounding: to nearest, half up; the left shift is "
                           "modulo 2^32";
  switch (mode) {
    case RequantMode::kQ31DoubleRounding:
      return {high, "v = h / 2^max(-sh, 0), second rounding: to nearest, half away from zero"};
    case RequantMode::kQ31DoubleRoundingHalfUp:
      return {high, "v = h / 2^max(-sh, 0), second rounding: to nearest, half up"};
    case RequantMode::kQ31SingleRounding:
      return {"v = a * m / 2^(31 - sh), one rounding: to nearest, half up"};
    case RequantMode::kTosa:
      return {"v = (a * m + round) >> (31 - sh), one rounding: round = 2^(30 - sh), and for sh < 0 + 2^30 where "
              "a >= 0, - 2^30 where a < 0"};
    case RequantMode::kQ15:
      return {"r = m / 2^16 to nearest, half up, at most 32767: 15 bits of the multiplier",
              "v = a * r / 2^(15 - sh), one rounding of a 64-bit product: to nearest, half up"};
    case RequantMode::kFloat32:
    case RequantMode::kFloat64:
    case RequantMode::kPowerOfTwoShift:
      break;
  }
  return {};
}

void AppendFixedPoint(const RequantRule& rule, std::string* out) {
  AppendItem("requantize", absl::StrCat("M = ", MultiplierFormula(rule.multiplier)), out);
  AppendItem("", "M = m * 2^(sh - 31), m the nearest integer in 2^30..2^31-1, half away from zero; 0 for M < 2^-32",
             out);
  for (const std::string& step : FixedPointSteps(rule.mode)) AppendItem("", step, out);
  AppendItem("", "q = v + z_y", out);
  if (rule.vector_channels == 0) return;
  AppendItem("", absl::StrCat("the channels after the last multiple of ", rule.vector_channels, ":"), out);
  for (const std::string& step : FixedPointSteps(rule.tail_mode)) AppendItem("", step, out);
}

std::string CodeOfSixFormula(ActivationLimit limit) {
  switch (limit) {
    case ActivationLimit::kReciprocalHalfToEven: return "round(fl(6 * fl(1 / s_y))) + z_y, half to even";
    case ActivationLimit::kDivideHalfAway: return "round(fl(6 / s_y)) + z_y, half away from zero";
    case ActivationLimit::kSumHalfToEven: return "round(fl(fl(6 / s_y) + z_y)), half to even";
  }
  return "unknown";
}

void AppendRequantization(const TargetDescription& target, std::string* out) {
  const RequantRule& rule = target.requantization;
  switch (rule.mode) {
    case RequantMode::kFloat32:
      AppendFloat32(target, out);
      break;
    case RequantMode::kFloat64:
      AppendItem("requantize", absl::StrCat("M = ", MultiplierFormula(rule.multiplier)), out);
      AppendItem("", absl::StrCat("q = round(a * M) + z_y in binary64, ", Words(rule.rounding)), out);
      AppendItem("", "a rounded value outside 32 bits becomes -2^31; the sum with z_y wraps", out);
      break;
    case RequantMode::kPowerOfTwoShift:
      AppendItem("requantize", "M = s_x * s_w[c] / s_y = 2^-n", out);
      AppendItem("", absl::StrCat("v = a / 2^n by a shift, rounded ", Words(rule.rounding),
                                  "; a left shift saturates"), out);
      AppendItem("", "q = v + z_y", out);
      break;
    default:
      AppendFixedPoint(rule, out);
  }
  AppendItem("", absl::StrCat("clamped to the output's range; with a ReLU the lower limit is z_y, with a ReLU6 the "
                              "upper one ", CodeOfSixFormula(rule.activation_limit)), out);
  if (rule.multiplier_min == 0 && rule.multiplier_max == 0) return;
  AppendItem("limits", absl::StrCat(rule.multiplier_min == 0 ? "" : absl::StrFormat("%.9g <= ", rule.multiplier_min),
                                    "M",
                                    rule.multiplier_max == 0 ? "" : absl::StrFormat(" < %.9g", rule.multiplier_max),
                                    "; a layer with another M is refused"), out);
}

std::string LayersWords(Delegate::Layers layers) {
  switch (layers) {
    case Delegate::Layers::kAny: return "any layer";
    case Delegate::Layers::kConvolution: return "convolutions";
    case Delegate::Layers::kLinear: return "linear layers";
    case Delegate::Layers::kDepthwise: return "depthwise convolutions";
    case Delegate::Layers::kGrouped: return "grouped convolutions";
    case Delegate::Layers::kTransposed: return "transposed convolutions";
    case Delegate::Layers::kUnevenGroups:
      return "grouped convolutions whose groups have no multiple of 4 channels (not 1 in and 1 out)";
  }
  return "unknown";
}

std::string DelegateWords(const Delegate& delegate) {
  std::vector<std::string> words = {LayersWords(delegate.layers)};
  if (delegate.activations == Delegate::Activations::kSigned) words.emplace_back("signed activations");
  if (delegate.activations == Delegate::Activations::kUnsigned) words.emplace_back("unsigned activations");
  if (delegate.activations == Delegate::Activations::kInt16) words.emplace_back("int16 activations");
  if (delegate.weights == Delegate::Weights::kSymmetric) words.emplace_back("symmetric weights");
  if (delegate.output_padding == Delegate::OutputPadding::kNone) words.emplace_back("no output padding");
  if (delegate.max_groups != 0) words.push_back(absl::StrCat("at most ", delegate.max_groups, " groups"));
  if (delegate.bias_bits != 0) words.push_back(absl::StrCat("a bias stored as int", delegate.bias_bits));
  if (delegate.host == Delegate::Host::kVnni) words.emplace_back("on hosts with AVX512-VNNI");
  if (delegate.host == Delegate::Host::kNoVnni) words.emplace_back("on hosts without AVX512-VNNI");
  return absl::StrCat(absl::StrJoin(words, ", "), ": ", delegate.target);
}

void AppendDelegates(const std::vector<Delegate>& delegates, std::string* out) {
  AppendItem("delegates", "a layer is computed as the first target here whose conditions hold says:", out);
  for (std::size_t i = 0; i < delegates.size(); ++i) {
    AppendItem("", absl::StrCat(i + 1, ". ", DelegateWords(delegates[i])), out);
  }
}

void AppendRules(const TargetDescription& target, std::string* out) {
  if (target.scales == ScaleRequirement::kPowerOfTwo) {
    AppendItem("scales", "every scale must be a power of two; a layer with another is refused", out);
  }
  AppendBias(target, out);
  AppendAccumulator(target, out);
  AppendRequantization(target, out);
}

std::string Words(AddRule rule) {
  switch (rule) {
    case AddRule::kFloat: return "dequantize, add, requantize in binary32";
    case AddRule::kPytorch: return "binary32, fused products; after the last whole block of 64 elements unfused ones";
    case AddRule::kQnnpack: return "22-bit multipliers, one shift, half away from zero";
    case AddRule::kTflite: return "inputs << 20 (int16: 15), three Q31 multipliers with two roundings each";
    case AddRule::kXnnpack: return "21-bit multipliers, one shift, half up";
    case AddRule::kOnnxRuntime: return "RNE(fma(a, s_a / s_y, fma(b, s_b / s_y, constant)))";
  }
  return "unknown";
}

std::string Words(MulRule rule) {
  switch (rule) {
    case MulRule::kFloat: return "dequantize, multiply, requantize in binary32";
    case MulRule::kPytorch: return "RNE(fl(p * fl(fl(s_a * s_b) * fl(1 / s_y)))) + z_y, p the product of the codes";
    case MulRule::kTflite: return "a Q31 multiplier of fl(fl(s_a * s_b) / s_y) with two roundings";
    case MulRule::kTfliteMicro: return "a Q31 multiplier of s_a * s_b / s_y in binary64 with two roundings";
    case MulRule::kXnnpack: return "RNE(fl(p * fl(fl(s_a * s_b) / s_y))) + z_y";
    case MulRule::kOnnxRuntime: return "RNE(fl(fl(p * fl(fl(s_a * s_b) / s_y)) + z_y))";
  }
  return "unknown";
}

std::string Words(ConcatRule rule) {
  switch (rule) {
    case ConcatRule::kFloat: return "dequantize, requantize in binary32";
    case ConcatRule::kCopy: return "copied: all scales are the output's";
    case ConcatRule::kPytorch: return "RNE(fma(x, fl(1 / s_y), z_y)); channels last in vectors of 16 and a tail";
    case ConcatRule::kTflite: return "copied, or half away from zero by fl(s_x * fl(1 / s_y))";
    case ConcatRule::kOnnxRuntime: return "copied, or RNE(fl(x / s_y)) + z_y";
  }
  return "unknown";
}

std::string Words(AveragePoolRule rule) {
  switch (rule) {
    case AveragePoolRule::kFloat: return "dequantize, average, requantize in binary32";
    case AveragePoolRule::kPytorch: return "RNE(fl(fl(A * fl(1 / n)) + z)); other orders when channels last or adaptive";
    case AveragePoolRule::kQnnpack: return "RNE(fl(A * fl(s / fl(s * n)))) + z, n the whole window";
    case AveragePoolRule::kTflite: return "integer division by the elements inside the image, half away from zero";
    case AveragePoolRule::kOnnxRuntime: return "binary32 sum in order, RNE(fl(mean / s_y + z_y))";
  }
  return "unknown";
}

std::string Words(MeanRule rule) {
  switch (rule) {
    case MeanRule::kFloat: return "dequantize, average, requantize in binary32";
    case MeanRule::kPytorch: return "RNE(fl(fl(A * fl(1 / n)) + z))";
    case MeanRule::kQnnpack: return "RNE(fl(A * fl(s / fl(s * n)))) + z";
    case MeanRule::kTflite: return "a Q31 multiplier divided by n, two roundings";
    case MeanRule::kTfliteVector: return "as tflite; over height and width by raw sums in vectors of 16 channels";
    case MeanRule::kXnnpack: return "RNE(fl(fl(S * M) + constant)), M = fl(fl(s_x / s_y) * fl(1 / n))";
    case MeanRule::kOnnxRuntime: return "RNE(fl(A * fl(s_x / fl(s_y * n)))) + z_y";
  }
  return "unknown";
}

void AppendOperators(const OperatorRules& rules, std::string* out) {
  if (rules == OperatorRules{}) {
    return AppendItem("operators", "add, mul, concat, pools and mean: dequantize, compute, requantize in binary32", out);
  }
  AppendItem("operators", absl::StrCat("add: ", Words(rules.add)), out);
  AppendItem("", absl::StrCat("mul: ", Words(rules.mul)), out);
  AppendItem("", absl::StrCat("concat: ", Words(rules.concat)), out);
  AppendItem("", absl::StrCat("average pool: ", Words(rules.average_pool)), out);
  AppendItem("", absl::StrCat("mean: ", Words(rules.mean)), out);
}

}  // namespace

std::string Describe(const TargetDescription& target) {
  std::string out;
  AppendItem("target", absl::StrCat(target.name, ": ", target.title), &out);
  AppendItem("summary", target.summary, &out);
  if (target.delegates.empty()) {
    AppendRules(target, &out);
  } else {
    AppendDelegates(target.delegates, &out);
  }
  AppendOperators(target.operators, &out);
  AppendItem("engine",
             target.engine == Engine::kNone ? std::string("none linked in")
                                            : absl::StrCat(Text(ToString(target.engine)), " of the linked LibTorch"),
             &out);
  AppendItem("evidence", absl::StrCat(Text(ToString(target.evidence.kind)), ": ", target.evidence.detail), &out);
  AppendItem("source", target.source, &out);
  AppendItem("digest", ArithmeticDigest(target), &out);
  if (target.delegates.empty()) {
    AppendItem("notation", "fl(v): v rounded to binary32, half to even; s, z: scale and zero point of x input, w "
                           "weight, y output, c output channel", &out);
  }
  return out;
}

}  // namespace qatgap::numerics
