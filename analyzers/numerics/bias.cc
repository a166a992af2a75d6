#include "analyzers/numerics/bias.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "analyzers/numerics/rounding.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::numerics {
namespace {

// The stored integer in units of s_x * s_w[c], half up as a rounding shift does it. Bounded so that it is an
// integer at all: a dead channel (s_w = eps) asks for a left shift beyond 64 bits.
std::int64_t AlignToAccumulator(std::int64_t stored, double scale, double accumulator_scale) {
  constexpr double kBound = 0x1p62;
  const double aligned = RoundHalfUp(static_cast<double>(stored) * scale / accumulator_scale);
  return static_cast<std::int64_t>(std::clamp(aligned, -kBound, kBound));
}

bool Fits(double rounded, const BiasRule& rule) {
  const double limit = std::ldexp(1.0, rule.bits - 1);
  const bool symmetric = rule.symmetric_clamp && rule.overflow != BiasOverflow::kWrap;
  return rounded < limit && (symmetric ? rounded > -limit : rounded >= -limit);
}

absl::StatusOr<StoredBias> StoreOne(const BiasRule& rule, double bias, double scale, double output_scale,
                                    std::size_t channel) {
  StoredBias result{.real = bias, .scale = scale};
  const double quotient = bias == 0 ? 0.0 : DivideBias(bias, scale, rule.division);
  if (!std::isfinite(quotient)) {
    return absl::FailedPreconditionError(
        absl::StrFormat("bias[%d] = %g divided by its scale %g is beyond binary32; the channel's weight scale is "
                        "probably that of all-zero weights",
                        channel, bias, scale));
  }
  result.rounded = Round(quotient, rule.rounding);
  result.stored = StoreInteger(result.rounded, rule);
  result.saturated = !Fits(result.rounded, rule);
  if (result.saturated && rule.overflow == BiasOverflow::kRefuse) {
    return absl::FailedPreconditionError(
        absl::StrFormat("bias[%d] = %g is %.0f steps of %g, which does not fit %d bits; the target refuses such a "
                        "layer",
                        channel, bias, result.rounded, scale, rule.bits));
  }
  result.residual_lsb = (static_cast<double>(result.stored) * scale - bias) / output_scale;
  return result;
}

}  // namespace

double ProductScale(double input_scale, double weight_scale, BiasScale rule) {
  switch (rule) {
    case BiasScale::kProductFloat:
      return static_cast<double>(static_cast<float>(input_scale) * static_cast<float>(weight_scale));
    case BiasScale::kProductDoubleToFloat:
      return static_cast<double>(static_cast<float>(input_scale * weight_scale));
    case BiasScale::kProductDouble:
    case BiasScale::kOwnPowerOfTwo:
      break;
  }
  return input_scale * weight_scale;
}

double PowerOfTwoScale(std::span<const double> bias, int bits) {
  double greatest = 0;
  for (const double b : bias) greatest = std::max(greatest, std::abs(b));
  if (greatest == 0) return 1;
  const auto limit = static_cast<double>(SignedMax(bits));
  int exponent = 0;
  std::frexp(greatest / limit, &exponent);  // greatest / limit <= 2^exponent
  // The quotient's own rounding can hide that the next lower power still fits, or that this one does not.
  while (std::ldexp(greatest, -(exponent - 1)) <= limit) --exponent;
  while (std::ldexp(greatest, -exponent) > limit) ++exponent;
  return std::ldexp(1.0, exponent);
}

double DivideBias(double bias, double scale, BiasDivision division) {
  const auto bias_float = static_cast<float>(bias);
  const auto scale_float = static_cast<float>(scale);
  switch (division) {
    case BiasDivision::kDivideFloat:
      return static_cast<double>(bias_float / scale_float);
    case BiasDivision::kMultiplyReciprocal:
      return static_cast<double>(bias_float * (1.0f / scale_float));
    case BiasDivision::kDivideDouble:
      break;
  }
  return bias / scale;
}

std::int64_t StoreInteger(double rounded, const BiasRule& rule) {
  const double limit = std::ldexp(1.0, rule.bits - 1);
  const std::int64_t max = SignedMax(rule.bits);
  const std::int64_t min = rule.symmetric_clamp ? -max : -max - 1;
  if (rule.overflow == BiasOverflow::kWrap) {
    // fmod is exact, and the remainder fits: |remainder| < 2^bits <= 2^64, so halve the range before converting.
    double remainder = std::fmod(rounded, 2 * limit);
    if (remainder >= limit) remainder -= 2 * limit;
    if (remainder < -limit) remainder += 2 * limit;
    return static_cast<std::int64_t>(remainder);
  }
  if (rounded >= limit) return max;
  if (rounded < -limit) return min;
  return std::max(static_cast<std::int64_t>(rounded), min);
}

absl::StatusOr<LayerBias> StoreBias(const BiasRule& rule, const MacConstants& constants) {
  const auto channels = static_cast<std::size_t>(constants.channels);
  LayerBias result;
  result.stored.resize(channels);
  result.in_accumulator.resize(channels, 0);
  const double own_scale = rule.scale == BiasScale::kOwnPowerOfTwo ? PowerOfTwoScale(constants.bias, rule.bits) : 0;
  for (std::size_t c = 0; c < channels; ++c) {
    const double bias = constants.bias.empty() ? 0.0 : constants.bias[c];
    if (rule.mode != BiasMode::kInteger) {
      result.stored[c] = StoredBias{.real = bias};
      continue;
    }
    const double product = ProductScale(constants.input.scale(), constants.weight.scale(c), rule.scale);
    const double scale = rule.scale == BiasScale::kOwnPowerOfTwo ? own_scale : product;
    QATGAP_ASSIGN_OR_RETURN(StoredBias stored,
                            StoreOne(rule, bias, scale, constants.output.scale(), c));
    result.in_accumulator[c] = rule.scale == BiasScale::kOwnPowerOfTwo
                                   ? AlignToAccumulator(stored.stored, scale, product)
                                   : stored.stored;
    result.stored[c] = stored;
  }
  return result;
}

}  // namespace qatgap::numerics
