#include "analyzers/numerics/quant_params.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace qatgap::numerics {

absl::Status Validate(const QuantParams& params, std::string_view what) {
  const auto invalid = [&](auto... parts) {
    return absl::InvalidArgumentError(absl::StrCat(std::string(what), ": ", parts...));
  };
  if (params.axis < QuantParams::kPerTensor)
    return invalid("axis is ", params.axis, ", must be -1 or more");
  if (params.scales.empty()) return invalid("scales is empty, needs at least one");
  if (params.zero_points.size() != params.scales.size()) {
    return invalid(params.scales.size(), " scales but ", params.zero_points.size(), " zero_points");
  }
  if (!params.per_channel() && params.scales.size() != 1) {
    return invalid("per-tensor qparams have ", params.scales.size(), " scales, need one");
  }
  if (params.quant_min >= params.quant_max) {
    return invalid("quant_min ", params.quant_min, " is not below quant_max ", params.quant_max);
  }
  for (std::size_t c = 0; c < params.scales.size(); ++c) {
    if (!std::isfinite(params.scales[c]) || params.scales[c] <= 0) {
      return invalid("scales[", c, "] is ", params.scales[c], ", must be finite and > 0");
    }
    if (params.zero_points[c] < params.quant_min || params.zero_points[c] > params.quant_max) {
      return invalid("zero_points[", c, "] is ", params.zero_points[c], ", outside codes ",
                     params.quant_min, "..", params.quant_max);
    }
  }
  return absl::OkStatus();
}

std::string ToString(const QuantParams& params) {
  // "%.6g" for people: qparams are compared as values, never as text.
  const auto spread = [](const auto& values, std::string_view noun, auto print) {
    if (values.empty()) return absl::StrCat("no ", std::string(noun));
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    if (values.size() == 1) return absl::StrCat(std::string(noun), " ", print(*low));
    return *low == *high ? absl::StrCat(values.size(), " ", std::string(noun), "s ", print(*low))
                         : absl::StrCat(values.size(), " ", std::string(noun), "s ", print(*low),
                                        "..", print(*high));
  };
  return absl::StrCat(
      spread(params.scales, "scale", [](double v) { return absl::StrFormat("%.6g", v); }), ", ",
      spread(params.zero_points, "zero point", [](std::int64_t v) { return absl::StrCat(v); }),
      ", codes ", params.quant_min, "..", params.quant_max);
}

}  // namespace qatgap::numerics
