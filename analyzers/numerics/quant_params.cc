#include "analyzers/numerics/quant_params.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace qatgap::numerics {
namespace {

std::string ChannelSuffix(const QuantParams& params, std::size_t channel) {
  return params.per_channel() ? absl::StrCat("[", channel, "]") : std::string();
}

}  // namespace

absl::Status Validate(const QuantParams& params, std::string_view what) {
  const std::string name(what);
  if (params.scales.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": no scale"));
  }
  if (params.scales.size() != params.zero_points.size()) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": ", params.scales.size(), " scales but ",
                                                   params.zero_points.size(), " zero points"));
  }
  if (params.axis < QuantParams::kPerTensor) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": axis ", params.axis, ", must be -1 (per tensor) or a dimension"));
  }
  if (!params.per_channel() && params.scales.size() != 1) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": per tensor but ", params.scales.size(), " scales"));
  }
  if (params.quant_min >= params.quant_max) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": quant_min ", params.quant_min,
                                                   " is not below quant_max ", params.quant_max));
  }
  // Codes travel as int32 everywhere.
  if (params.quant_min < std::numeric_limits<std::int32_t>::min() ||
      params.quant_max > std::numeric_limits<std::int32_t>::max()) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": codes ", params.quant_min, "..",
                                                   params.quant_max, " do not fit 32 bits"));
  }
  for (std::size_t c = 0; c < params.scales.size(); ++c) {
    if (!std::isfinite(params.scales[c]) || params.scales[c] <= 0) {
      return absl::InvalidArgumentError(absl::StrCat(name, ": scale", ChannelSuffix(params, c), " is ",
                                                     params.scales[c], ", must be finite and > 0"));
    }
    const std::int64_t zero_point = params.zero_points[c];
    if (zero_point < params.quant_min || zero_point > params.quant_max) {
      return absl::InvalidArgumentError(absl::StrCat(name, ": zero_point", ChannelSuffix(params, c),
                                                     " is ", zero_point, ", outside ", params.quant_min,
                                                     "..", params.quant_max));
    }
  }
  return absl::OkStatus();
}

std::string ToString(const QuantParams& params) {
  if (params.scales.empty()) return "no qparams";
  const std::string codes = absl::StrCat("codes ", params.quant_min, "..", params.quant_max);
  if (params.scales.size() == 1) {
    return absl::StrFormat("scale %.6g, zero point %d, %s", params.scales[0], params.zero_point(), codes);
  }
  const auto [least, greatest] = std::minmax_element(params.scales.begin(), params.scales.end());
  const auto [low, high] = std::minmax_element(params.zero_points.begin(), params.zero_points.end());
  std::string zero_points;
  if (low == params.zero_points.end()) {
    zero_points = "no zero points";
  } else if (*low == *high) {
    zero_points = absl::StrCat("zero points ", *low);
  } else {
    zero_points = absl::StrCat("zero points ", *low, "..", *high);
  }
  return absl::StrFormat("%d scales %.3g..%.3g on axis %d, %s, %s", params.scales.size(), *least, *greatest,
                         params.axis, zero_points, codes);
}

}  // namespace qatgap::numerics
