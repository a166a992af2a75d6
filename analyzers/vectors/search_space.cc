#include "analyzers/vectors/search_space.h"

#include <bit>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "analyzers/numerics/bias.h"
#include "analyzers/numerics/layer_arithmetic.h"
#include "analyzers/numerics/target_fields.h"
#include "analyzers/vectors/mac_case.h"

namespace qatgap::vectors {
namespace {

using numerics::BiasAlignment;
using numerics::BiasDivision;
using numerics::BiasMode;
using numerics::BiasOverflow;
using numerics::BiasRule;
using numerics::BiasScale;
using numerics::ConversionOverflow;
using numerics::MultiplierForm;
using numerics::RequantMode;
using numerics::RequantRule;
using numerics::Rounding;
using numerics::ZeroPointOrder;

// The likeliest first, in every list: a class is shown by its first member.
constexpr Rounding kRoundings[] = {Rounding::kHalfToEven, Rounding::kHalfAwayFromZero, Rounding::kHalfUp,
                                   Rounding::kHalfDown,   Rounding::kTowardZero,       Rounding::kFloor,
                                   Rounding::kCeiling};
constexpr BiasDivision kDivisions[] = {BiasDivision::kDivideFloat, BiasDivision::kDivideDouble,
                                       BiasDivision::kMultiplyReciprocal, BiasDivision::kReciprocalIfPerTensor};
constexpr BiasScale kProductScales[] = {BiasScale::kProductFloat, BiasScale::kProductDouble,
                                        BiasScale::kProductDoubleToFloat, BiasScale::kProductDoubleIfPerTensor};
constexpr int kBiasBits[] = {32, 8, 16, 24, 30, 31, 40, 48, 64};

// Bytes that are equal when what they were made of is.
class Signature {
 public:
  void Add(double value) { Add(std::bit_cast<std::uint64_t>(value)); }
  void Add(float value) { Add(static_cast<double>(value)); }
  void Add(std::uint64_t value) {
    for (int shift = 0; shift < 64; shift += 8) bytes_.push_back(static_cast<char>((value >> shift) & 0xFFU));
  }
  void Add(std::int64_t value) { Add(static_cast<std::uint64_t>(value)); }
  void Add(int value) { Add(static_cast<std::int64_t>(value)); }
  template <typename Enum>
    requires std::is_enum_v<Enum>
  void Add(Enum value) {
    Add(static_cast<std::int64_t>(value));
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// Grouped by signature, in the order of the first members.
template <typename Class, typename Member>
class Classes {
 public:
  Class& Add(const Signature& signature, Member member) {
    const auto [it, is_new] = index_.try_emplace(signature.bytes(), classes_.size());
    if (is_new) classes_.emplace_back();
    classes_[it->second].members.push_back(std::move(member));
    return classes_[it->second];
  }
  std::vector<Class> Take() { return std::move(classes_); }

 private:
  std::map<std::string, std::size_t> index_;
  std::vector<Class> classes_;
};

struct IntegerBias {
  Signature signature;
  std::int64_t mismatches = 0;
};

// What an integer rule adds in every case; nullopt: it refuses one.
std::optional<IntegerBias> MakeInteger(const BiasRule& rule, const std::vector<numerics::MacConstants>& constants) {
  IntegerBias result;
  for (const numerics::MacConstants& layer : constants) {
    const auto made = StoreBias(rule, layer);
    if (!made.ok()) return std::nullopt;
    for (const std::int64_t addend : made->in_accumulator) result.signature.Add(addend);
    for (const float aligned : made->aligned) result.signature.Add(aligned);
    if (layer.bias.empty() || layer.stored_bias.empty()) continue;
    numerics::MacConstants real = layer;
    real.stored_bias.clear();
    const auto rounded = StoreBias(rule, real);
    if (!rounded.ok()) return std::nullopt;
    for (std::size_t c = 0; c < layer.stored_bias.size(); ++c) {
      const bool differs = rounded->stored[c].stored != layer.stored_bias[c];
      result.mismatches += differs ? 1 : 0;
    }
  }
  result.signature.Add(result.mismatches);
  return result;
}

// A signature of every channel's stored integers before any width, for rules that differ in forming and rounding only.
std::vector<BiasClass> RoundingClasses(const std::vector<BiasRule>& rules,
                                       const std::vector<numerics::MacConstants>& constants) {
  Classes<BiasClass, BiasChoice> classes;
  for (const BiasRule& rule : rules) {
    const auto made = MakeInteger(rule, constants);
    if (made) classes.Add(made->signature, {.rule = rule}).mismatches = made->mismatches;
  }
  return classes.Take();
}

// The widths and overflow rules of a rule that is formed and rounded as `rule`.
std::vector<BiasRule> Widths(const BiasRule& rule) {
  std::vector<BiasRule> rules;
  for (const int bits : kBiasBits) {
    BiasRule width = rule;
    width.bits = bits;
    for (const BiasOverflow overflow :
         {BiasOverflow::kSaturate, BiasOverflow::kWrap, BiasOverflow::kRefuse, BiasOverflow::kInt32Min}) {
      width.overflow = overflow;
      if (overflow == BiasOverflow::kInt32Min && bits != 32) continue;
      for (const bool symmetric : {false, true}) {
        if (symmetric && (overflow == BiasOverflow::kWrap || overflow == BiasOverflow::kInt32Min)) continue;
        width.symmetric_clamp = symmetric;
        rules.push_back(width);
      }
    }
  }
  return rules;
}

std::vector<BiasClass> IntegerClasses(const std::vector<Case>& cases) {
  std::vector<numerics::MacConstants> constants;
  for (const Case& layer : cases) constants.push_back(ConstantsOf(layer, /*host_has_vnni=*/true));
  std::vector<BiasRule> rules;
  for (const BiasScale scale : kProductScales) {
    for (const BiasDivision division : kDivisions) {
      for (const Rounding rounding : kRoundings) {
        rules.push_back(
            {.mode = BiasMode::kInteger, .bits = 64, .scale = scale, .division = division, .rounding = rounding});
      }
    }
  }
  // A width cannot tell rules apart that give the same 64-bit integers: only one of each is narrowed.
  Classes<BiasClass, BiasChoice> classes;
  for (const BiasClass& rounding : RoundingClasses(rules, constants)) {
    for (const BiasRule& width : Widths(rounding.members.front().rule)) {
      const auto made = MakeInteger(width, constants);
      if (!made) continue;
      for (const BiasChoice& member : rounding.members) {
        BiasRule rule = width;
        rule.scale = member.rule.scale;
        rule.division = member.rule.division;
        rule.rounding = member.rule.rounding;
        classes.Add(made->signature, {.rule = rule}).mismatches = made->mismatches;
      }
    }
  }
  for (const int bits : {8, 16, 32}) {
    for (const BiasAlignment alignment :
         {BiasAlignment::kShiftHalfUp, BiasAlignment::kShiftFloor, BiasAlignment::kExact}) {
      for (const Rounding rounding : kRoundings) {
        const BiasRule rule = {.mode = BiasMode::kInteger,
                               .bits = bits,
                               .scale = BiasScale::kOwnPowerOfTwo,
                               .division = BiasDivision::kDivideDouble,
                               .rounding = rounding,
                               .alignment = alignment};
        const auto made = MakeInteger(rule, constants);
        if (made) classes.Add(made->signature, {.rule = rule}).mismatches = made->mismatches;
      }
    }
  }
  return classes.Take();
}

// The constants of every channel of every case under a whole description; nullopt: it refuses one.
std::optional<Signature> Constants(const numerics::TargetDescription& target,
                                   const std::vector<numerics::MacConstants>& layers) {
  Signature signature;
  for (const numerics::MacConstants& constants : layers) {
    const auto arithmetic = numerics::LayerArithmetic::Create(target, constants);
    if (!arithmetic.ok()) return std::nullopt;
    signature.Add(arithmetic->output_range().min);
    signature.Add(arithmetic->output_range().max);
    for (std::int64_t c = 0; c < constants.channels; ++c) {
      const numerics::RequantConstants& k = arithmetic->requant_constants(c);
      signature.Add(k.bias);
      signature.Add(k.bias_reciprocal);
      signature.Add(k.multiplier);
      signature.Add(k.input_scale);
      signature.Add(k.weight_scale);
      signature.Add(k.output_scale);
      signature.Add(std::int64_t{k.fixed.mantissa});
      signature.Add(k.fixed.shift);
      signature.Add(k.right_shift);
      signature.Add(k.multiplier64);
      signature.Add(arithmetic->target(c).requantization.mode);
    }
  }
  return signature;
}

std::vector<BiasClass> BeforeScaleClasses(const std::vector<Case>& cases) {
  std::vector<numerics::MacConstants> constants;
  for (const Case& layer : cases) constants.push_back(ConstantsOf(layer, /*host_has_vnni=*/true));
  Classes<BiasClass, BiasChoice> classes;
  for (const bool fused : {false, true}) {
    for (const BiasScale scale : kProductScales) {
      for (const BiasDivision division : kDivisions) {
        numerics::TargetDescription target;
        target.bias = {.mode = BiasMode::kFloatBeforeScale, .scale = scale, .division = division};
        if (fused && !ReadsFusedMultiplyAdd(target.bias)) continue;
        target.requantization.fused_multiply_add = fused;
        const auto made = Constants(target, constants);
        if (made) classes.Add(*made, {.rule = target.bias, .fused_multiply_add = fused});
      }
    }
  }
  return classes.Take();
}

std::vector<RequantRule> Rounded(const RequantRule& rule) {
  std::vector<RequantRule> rules;
  for (const Rounding rounding : kRoundings) {
    rules.push_back(rule);
    rules.back().rounding = rounding;
  }
  return rules;
}

std::vector<RequantRule> Float32Rules(BiasFamily family) {
  std::vector<RequantRule> rules;
  const bool after = family == BiasFamily::kFloatAfterScale;
  constexpr MultiplierForm kForms[] = {MultiplierForm::kProductThenDivide, MultiplierForm::kProductTimesReciprocal};
  for (const ConversionOverflow conversion : {ConversionOverflow::kClampFloat, ConversionOverflow::kInt32MinPack}) {
    for (const ZeroPointOrder order : {ZeroPointOrder::kAfterRounding, ZeroPointOrder::kBeforeRounding}) {
      for (const MultiplierForm form : kForms) {
        for (const bool product : {false, true}) {
          for (const bool reciprocal : {false, true}) {
            if ((product || reciprocal) && !after) continue;
            RequantRule rule;
            rule.multiplier = form;
            rule.zero_point = order;
            rule.conversion = conversion;
            rule.dequantization = product ? numerics::Dequantization::kProduct : numerics::Dequantization::kSuccessive;
            rule.reciprocal_scales = reciprocal;
            for (const RequantRule& rounded : Rounded(rule)) rules.push_back(rounded);
          }
        }
      }
    }
  }
  return rules;
}

std::vector<RequantRule> IntegerRules() {
  std::vector<RequantRule> rules;
  constexpr MultiplierForm kForms[] = {MultiplierForm::kDouble, MultiplierForm::kFloatProduct, MultiplierForm::kTflite};
  for (const RequantMode mode : {RequantMode::kQ31DoubleRounding, RequantMode::kQ31SingleRounding,
                                 RequantMode::kQ31DoubleRoundingHalfUp, RequantMode::kTosa, RequantMode::kQ15}) {
    for (const MultiplierForm form : kForms) {
      for (const int vector_channels : {0, 4, 8, 16}) {
        if (vector_channels != 0 && mode != RequantMode::kQ31DoubleRoundingHalfUp) continue;
        RequantRule rule{.mode = mode, .multiplier = form};
        rule.vector_channels = vector_channels;
        rules.push_back(rule);
      }
    }
  }
  for (const MultiplierForm form : kForms) {
    for (const RequantRule& rule : Rounded({.mode = RequantMode::kFloat64, .multiplier = form})) rules.push_back(rule);
  }
  for (const RequantRule& rule :
       Rounded({.mode = RequantMode::kPowerOfTwoShift, .multiplier = MultiplierForm::kDouble})) {
    rules.push_back(rule);
  }
  return rules;
}

}  // namespace

std::vector<BiasClass> BiasClasses(BiasFamily family, const std::vector<Case>& cases) {
  switch (family) {
    case BiasFamily::kInteger:
      return IntegerClasses(cases);
    case BiasFamily::kFloatBeforeScale:
      return BeforeScaleClasses(cases);
    case BiasFamily::kFloatAfterScale:
      break;
  }
  return {{.members = {{.rule = {.mode = BiasMode::kFloatAfterScale}}}}};
}

std::vector<RequantClass> RequantClasses(BiasFamily family, const std::vector<Case>& cases) {
  std::vector<numerics::MacConstants> constants;
  for (const Case& layer : cases) {
    constants.push_back(ConstantsOf(layer, /*host_has_vnni=*/true));
    constants.back().bias.clear();
    constants.back().stored_bias.clear();
  }
  std::vector<RequantRule> rules = Float32Rules(family);
  if (family == BiasFamily::kInteger) {
    for (const RequantRule& rule : IntegerRules()) rules.push_back(rule);
  }
  numerics::TargetDescription target;
  if (family == BiasFamily::kFloatBeforeScale) target.bias.mode = BiasMode::kFloatBeforeScale;
  if (family == BiasFamily::kFloatAfterScale) target.bias.mode = BiasMode::kFloatAfterScale;
  Classes<RequantClass, RequantRule> classes;
  for (RequantRule& rule : rules) {
    for (const auto limit : {numerics::ActivationLimit::kReciprocalHalfToEven,
                             numerics::ActivationLimit::kDivideHalfAway, numerics::ActivationLimit::kSumHalfToEven}) {
      rule.activation_limit = limit;
      target.requantization = rule;
      auto signature = Constants(target, constants);
      if (!signature) continue;
      signature->Add(rule.mode);
      signature->Add(rule.rounding);
      signature->Add(rule.zero_point);
      signature->Add(rule.conversion);
      signature->Add(rule.dequantization);
      // After the bias the form is an operation on data, not a constant.
      if (family == BiasFamily::kFloatAfterScale) signature->Add(rule.multiplier);
      classes.Add(*signature, rule);
    }
  }
  return classes.Take();
}

}  // namespace qatgap::vectors
