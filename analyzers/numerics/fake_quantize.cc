#include "analyzers/numerics/fake_quantize.h"

#include <cmath>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "analyzers/numerics/rounding.h"

namespace qatgap::numerics {
namespace {

absl::Status CheckShape(std::size_t x, std::size_t codes, const QuantParams& params,
                        std::int64_t outer, std::int64_t channels, std::int64_t inner) {
  if (outer < 0 || channels < 1 || inner < 0) {
    return absl::InvalidArgumentError(absl::StrCat("shape [", outer, "][", channels, "][", inner,
                                                   "] has a negative or missing extent"));
  }
  const std::size_t parameters = params.scales.size();
  if (parameters != static_cast<std::size_t>(channels)) {
    return absl::InvalidArgumentError(
        absl::StrCat("qparams have ", parameters, " scales for ", channels, " channels"));
  }
  std::int64_t count = 0;
  if (__builtin_mul_overflow(outer, channels, &count) ||
      __builtin_mul_overflow(count, inner, &count) || static_cast<std::size_t>(count) != x ||
      x != codes) {
    return absl::InvalidArgumentError(absl::StrCat("shape [", outer, "][", channels, "][", inner,
                                                   "] does not match ", x, " values and ", codes,
                                                   " codes"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status QuantizeReals(std::span<const float> x, const QuantParams& params, std::int64_t outer,
                           std::int64_t channels, std::int64_t inner,
                           std::span<std::int32_t> codes) {
  if (absl::Status status = Validate(params, "qparams"); !status.ok()) return status;
  if (params.quant_min < INT32_MIN || params.quant_max > INT32_MAX) {
    return absl::InvalidArgumentError(
        absl::StrCat("codes ", params.quant_min, "..", params.quant_max, " do not fit in 32 bits"));
  }
  if (absl::Status status = CheckShape(x.size(), codes.size(), params, outer, channels, inner);
      !status.ok()) {
    return status;
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!std::isfinite(x[i])) {
      return absl::InvalidArgumentError(absl::StrCat(
          "value [", i, "] is ", std::isnan(x[i]) ? "NaN" : (x[i] > 0 ? "Inf" : "-Inf"),
          ", which has no code"));
    }
  }
  const std::size_t length = static_cast<std::size_t>(inner);
  std::size_t begin = 0;
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c, begin += length) {
      // A reciprocal, not a division: 2.25f / 0.3f = 7.4999995 has code 7, 2.25f * (1 / 0.3f) = 7.5
      // has 8.
      const float inverse = 1.0F / static_cast<float>(params.scale(c));
      const double zero_point = static_cast<double>(params.zero_point(c));
      const double low = static_cast<double>(params.quant_min) - zero_point;
      const double high = static_cast<double>(params.quant_max) - zero_point;
      const float* in = x.data() + begin;
      std::int32_t* out = codes.data() + begin;
      for (std::size_t i = 0; i < length; ++i) {
        const double v = ClampReal(static_cast<double>(in[i] * inverse), low, high);
        out[i] = static_cast<std::int32_t>(RoundBounded<Rounding::kHalfToEven>(v) + zero_point);
      }
    }
  }
  return absl::OkStatus();
}

void DequantizeCodes(std::span<const std::int32_t> codes, const QuantParams& params,
                     std::int64_t outer, std::int64_t channels, std::int64_t inner,
                     std::span<float> x) {
  const std::size_t length = static_cast<std::size_t>(inner);
  std::size_t begin = 0;
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c, begin += length) {
      // The product of a 29-bit integer and a 24-bit scale is exact in binary64: rounded once, to
      // binary32.
      const double scale = static_cast<double>(static_cast<float>(params.scale(c)));
      const double zero_point = static_cast<double>(params.zero_point(c));
      for (std::size_t i = begin; i < begin + length; ++i) {
        x[i] = static_cast<float>((static_cast<double>(codes[i]) - zero_point) * scale);
      }
    }
  }
}

}  // namespace qatgap::numerics
