#include "analyzers/numerics/bias.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "analyzers/numerics/rounding.h"

namespace qatgap::numerics {
namespace {

// The low `bits` bits of an integer-valued double of any size, as a signed number. Every step is
// exact: fmod is by definition, and what lies outside of the codes is a multiple of 2^(bits-53), as
// is 2^bits.
std::int64_t WrapReal(double integer, int bits) {
  const double modulus = std::ldexp(1.0, bits);
  double rest = std::fmod(integer, modulus);
  if (rest >= modulus / 2) {
    rest -= modulus;
  } else if (rest < -modulus / 2) {
    rest += modulus;
  }
  return static_cast<std::int64_t>(rest);
}

}  // namespace

double BiasScaleOf(BiasScale form, double input_scale, double weight_scale) {
  switch (form) {
    case BiasScale::kProductFloat:
      return static_cast<double>(static_cast<float>(input_scale) *
                                 static_cast<float>(weight_scale));
    case BiasScale::kProductDoubleToFloat:
      // One rounding, of the binary64 scales: PyTorch keeps an activation's scale as a double.
      return static_cast<double>(static_cast<float>(input_scale * weight_scale));
    case BiasScale::kProductDouble:
    case BiasScale::kOwnPowerOfTwo:
      break;
  }
  return input_scale * weight_scale;
}

double OwnPowerOfTwoScale(std::span<const double> bias, int bits) {
  double largest = 0;
  for (const double b : bias) largest = std::max(largest, std::abs(b));
  if (largest == 0) return 1;
  const double limit = std::ldexp(1.0, bits - 1) - 1;
  int exponent = std::max(std::ilogb(largest) - bits, -126);
  while (largest > std::ldexp(limit, exponent)) ++exponent;
  return std::ldexp(1.0, exponent);
}

double BiasQuotient(double bias, double bias_scale, BiasDivision division) {
  switch (division) {
    case BiasDivision::kDivideFloat:
      return static_cast<double>(static_cast<float>(bias) / static_cast<float>(bias_scale));
    case BiasDivision::kMultiplyReciprocal:
      return static_cast<double>(static_cast<float>(bias) *
                                 (1.0F / static_cast<float>(bias_scale)));
    case BiasDivision::kDivideDouble:
      break;
  }
  return bias / bias_scale;
}

absl::StatusOr<QuantizedBias> QuantizeBias(const BiasRule& rule, double bias, double bias_scale) {
  double quotient = BiasQuotient(bias, bias_scale, rule.division);
  if (!std::isfinite(quotient)) quotient = bias / bias_scale;
  QuantizedBias result;
  result.rounded = RoundToInteger(quotient, rule.rounding);

  const double highest = std::ldexp(1.0, rule.bits - 1);  // one above the highest code
  const double lowest = rule.symmetric_clamp ? 1 - highest : -highest;
  // The codes' limits as integers; 2^63 - 1 is not a double, so the comparison uses `highest`.
  const std::int64_t highest_code =
      static_cast<std::int64_t>((std::uint64_t{1} << (rule.bits - 1)) - 1);
  const std::int64_t lowest_code = rule.symmetric_clamp ? -highest_code : -highest_code - 1;
  if (result.rounded >= lowest && result.rounded < highest) {
    // At 64 bits a symmetric clamp's lower limit is not a double either.
    result.stored = std::max(static_cast<std::int64_t>(result.rounded), lowest_code);
    result.limited = rule.symmetric_clamp && rule.bits > 53 && result.rounded == -highest;
    return result;
  }
  result.limited = true;
  switch (rule.overflow) {
    case BiasOverflow::kSaturate:
      result.stored = result.rounded < 0 ? lowest_code : highest_code;
      return result;
    case BiasOverflow::kWrap:
      result.stored = WrapReal(result.rounded, rule.bits);
      // -2^(bits-1) of a wrapping target with a symmetric clamp is its own image: the limit has no
      // say.
      result.limited = static_cast<double>(result.stored) != result.rounded;
      return result;
    case BiasOverflow::kRefuse:
      break;
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "bias ", bias, " at scale ", bias_scale, " is code ", result.rounded,
      ", outside the target's ", rule.bits, "-bit bias [", lowest_code, ", ", highest_code,
      "]; widen this channel's weight scale or keep the layer in float"));
}

absl::StatusOr<std::int64_t> AlignToAccumulator(std::int64_t code, double bias_scale,
                                                double accumulator_scale) {
  // A power-of-two bias_scale makes the product exact for codes up to 53 bits; one rounding in the
  // quotient.
  const double aligned =
      RoundToInteger<Rounding::kHalfUp>(static_cast<double>(code) * bias_scale / accumulator_scale);
  if (!(std::abs(aligned) <= 0x1p62)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "bias code ", code, " at scale ", bias_scale, " is ", aligned, " accumulator steps of ",
        accumulator_scale, ", beyond 2^62: the weight scale is too small for this bias"));
  }
  return static_cast<std::int64_t>(aligned);
}

}  // namespace qatgap::numerics
