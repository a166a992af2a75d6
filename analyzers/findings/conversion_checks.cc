#include "analyzers/findings/conversion_checks.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "analyzers/findings/catalogue.h"

namespace qatgap::findings {
namespace {

using report::Finding;

constexpr double kHalf = 0.5;

// Codes of one grid on either base of eight bits (0..255, -128..127).
std::int64_t FromLowest(const numerics::QuantParams& grid) { return grid.zero_point() - grid.quant_min; }

// Not `exact`: without the observers' ranges the lowering has the fake-quant's own scales.
void CompareGrids(const numerics::QuantParams& wanted, const numerics::QuantParams& found, const std::string& what,
                  bool exact, std::vector<std::string>& parts) {
  if (exact ? wanted.scale() != found.scale() : !SameScale(wanted.scale(), found.scale())) {
    parts.push_back(absl::StrFormat("%s scale %.9g instead of %.9g", what, found.scale(), wanted.scale()));
  }
  const std::int64_t wanted_codes = wanted.quant_max - wanted.quant_min, found_codes = found.quant_max - found.quant_min;
  if (wanted_codes != found_codes) {
    parts.push_back(absl::StrFormat("%s codes %d..%d instead of %d..%d", what, found.quant_min, found.quant_max,
                                    wanted.quant_min, wanted.quant_max));
  } else if (FromLowest(wanted) != FromLowest(found)) {
    parts.push_back(absl::StrFormat("%s zero point %d of %d..%d instead of %d of %d..%d", what, found.zero_point(),
                                    found.quant_min, found.quant_max, wanted.zero_point(), wanted.quant_min,
                                    wanted.quant_max));
  }
}

void CompareWeights(const graph::MacLayer& wanted, const graph::MacLayer& found, std::vector<std::string>& parts) {
  const auto channels = static_cast<std::size_t>(wanted.output_channels);
  std::size_t scales = 0, zero_points = 0, codes = 0;
  double largest_ratio = 0;
  for (std::size_t c = 0; c < channels; ++c) {
    const double a = wanted.weight_params.scale(c), b = found.weight_params.scale(c);
    scales += a != b ? 1U : 0U;
    largest_ratio = std::max(largest_ratio, std::abs(b / a - 1));
    zero_points += wanted.weight_params.zero_point(c) != found.weight_params.zero_point(c) ? 1U : 0U;
  }
  const auto a = wanted.weight.data<std::int32_t>(), b = found.weight.data<std::int32_t>();
  std::int64_t largest_code = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    codes += a[i] != b[i] ? 1U : 0U;
    largest_code = std::max(largest_code, std::abs(std::int64_t{a[i]} - b[i]));
  }
  if (scales > 0) {
    parts.push_back(absl::StrFormat("weight scales of %d channel(s), by up to %.3g %%", scales, 100 * largest_ratio));
  }
  if (zero_points > 0) parts.push_back(absl::StrFormat("weight zero points of %d channel(s)", zero_points));
  if (codes > 0) {
    parts.push_back(absl::StrFormat("%d of %d weight codes, by up to %d", codes, a.size(), largest_code));
  }
}

void CompareBiases(const graph::MacLayer& wanted, const graph::MacLayer& found, std::vector<std::string>& parts) {
  if (!found.stored_bias.empty()) {
    if (wanted.stored_bias.empty()) return;  // QG025 holds integers against the real bias
    std::size_t channels = 0;
    std::int64_t largest = 0;
    for (std::size_t c = 0; c < std::min(wanted.stored_bias.size(), found.stored_bias.size()); ++c) {
      channels += wanted.stored_bias[c] != found.stored_bias[c] ? 1U : 0U;
      largest = std::max(largest, std::abs(wanted.stored_bias[c] - found.stored_bias[c]));
    }
    if (channels > 0) parts.push_back(absl::StrFormat("stored biases of %d channel(s), by up to %d", channels, largest));
    return;
  }
  std::size_t channels = 0;
  double largest_lsb = 0;
  for (std::size_t c = 0; c < static_cast<std::size_t>(wanted.output_channels); ++c) {
    const float a = wanted.shipped_bias.empty() ? 0.0F : wanted.shipped_bias[c];
    const float b = found.shipped_bias.empty() ? 0.0F : found.shipped_bias[c];
    channels += !(a == b) ? 1U : 0U;
    largest_lsb = std::max(largest_lsb, std::abs(static_cast<double>(b) - static_cast<double>(a)) / found.output.scale());
  }
  if (channels > 0) {
    parts.push_back(absl::StrFormat("biases of %d channel(s), by up to %.3g output steps", channels, largest_lsb));
  }
}

}  // namespace

void CheckConversion(const LayerFacts& facts, std::vector<Finding>& findings) {
  if (facts.lowered == nullptr) return;
  const graph::MacLayer& wanted = *facts.lowered;
  const graph::MacLayer& found = facts.deployed;
  if (wanted.output_channels != found.output_channels) return;
  std::vector<std::string> parts;
  if (facts.weights_lowered) CompareWeights(wanted, found, parts);
  CompareBiases(wanted, found, parts);
  const bool exact = facts.weights_lowered;
  CompareGrids(wanted.output, found.output, "output", exact, parts);
  if (wanted.input_grids.size() == found.input_grids.size()) {
    for (std::size_t i = 0; i < wanted.input_grids.size(); ++i) {
      const std::string what = wanted.input_grids.size() == 1 ? "input" : absl::StrFormat("input %d", i);
      CompareGrids(wanted.input_grids[i], found.input_grids[i], what, exact, parts);
    }
  }
  if (parts.empty()) return;
  Finding finding = MakeFinding(kConversionDiffers, facts.info.name);
  finding.detail = absl::StrJoin(parts, "; ");
  finding.advice = "expected from another converter than PyTorch's; from convert() itself it means another checkpoint or "
                   "another qconfig. The effect is `conversion`";
  findings.push_back(std::move(finding));
}

void CheckStoredIntegers(const LayerFacts& facts, std::vector<Finding>& findings) {
  const graph::MacLayer& layer = facts.deployed;
  if (layer.stored_bias.empty() || facts.info.inputs.empty()) return;
  const double input_scale = facts.info.inputs.front().scale();
  Finding differs = MakeFinding(kStoredBiasDiffers, facts.info.name), scaled = MakeFinding(kStoredBiasScale, facts.info.name);
  double largest_codes = 0, largest_lsb = 0, largest_ratio = 0;
  for (std::size_t c = 0; c < layer.stored_bias.size(); ++c) {
    const double step = input_scale * layer.weight_params.scale(c);
    const auto stored = static_cast<double>(layer.stored_bias[c]);
    const double exact = (facts.qat.bias.empty() ? 0.0 : facts.qat.bias[c]) / step;
    // The bias and its step are binary32: a quotient is known to a few units in the 24th bit.
    if (!(std::abs(stored - exact) <= kHalf + std::abs(exact) * kScaleNoise)) {
      differs.channels.push_back(static_cast<std::int64_t>(c));
      const double codes = std::abs(stored - std::nearbyint(exact));
      largest_codes = std::max(largest_codes, codes);
      largest_lsb = std::max(largest_lsb, codes * step / layer.output.scale());
    }
    if (!SameScale(layer.stored_bias_scales[c], step)) {
      scaled.channels.push_back(static_cast<std::int64_t>(c));
      largest_ratio = std::max(largest_ratio, std::max(layer.stored_bias_scales[c] / step, step / layer.stored_bias_scales[c]));
    }
  }
  if (!differs.channels.empty()) {
    differs.detail = absl::StrFormat("in %d channel(s) the stored integer is not round(b / (s_x * s_w)), by up to %.6g steps, "
                                     "which is %.3g steps of the output",
                                     differs.channels.size(), largest_codes, largest_lsb);
    differs.advice = "look at how the converter quantizes biases, and whether both models come from one checkpoint";
    findings.push_back(std::move(differs));
  }
  if (!scaled.channels.empty()) {
    scaled.detail = absl::StrFormat("in %d channel(s) the stored bias has not the scale s_x * s_w, by a factor of up to %.6g: a "
                                    "runtime that adds it to the accumulator as it is adds that much more or less",
                                    scaled.channels.size(), largest_ratio);
    scaled.advice = "store biases at input scale times weight scale";
    findings.push_back(std::move(scaled));
  }
}

}  // namespace qatgap::findings
