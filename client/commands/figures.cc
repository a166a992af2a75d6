#include "client/commands/figures.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace qatgap::cli {
namespace {

// Sums of squares of many codes, times squares of zero points, do not fit 64 bits.
__extension__ using Int128 = __int128;

constexpr std::size_t kTotal = 7;
// A second cause below this share of the difference is not worth a reader's time.
constexpr double kSmallestShare = 0.05;

}  // namespace

std::optional<double> SqnrDb(const v1::DifferenceStatistics& difference, std::int64_t zero_point) {
  if (difference.sum_squares() == 0) return std::nullopt;
  const Int128 zero = zero_point;
  const Int128 signal = static_cast<Int128>(difference.reference_sum_squares()) -
                        2 * zero * difference.reference_sum() +
                        zero * zero * static_cast<Int128>(difference.count());
  if (signal <= 0) return std::nullopt;
  return 10.0 *
         std::log10(static_cast<double>(signal) / static_cast<double>(difference.sum_squares()));
}

std::string SqnrText(const v1::DifferenceStatistics& difference, const v1::QuantParams& output) {
  if (difference.count() == 0) return "-";
  if (difference.changed() == 0) return "exact";
  // Output codes have one zero point; a service that sends several has no one ratio.
  if (output.zero_points_size() != 1) return "-";
  const auto sqnr = SqnrDb(difference, output.zero_points(0));
  return sqnr ? absl::StrFormat("%.1f", *sqnr) : "-";
}

std::string ChangedPercentText(const v1::DifferenceStatistics& difference) {
  const std::uint64_t changed = difference.changed();
  const std::uint64_t count = difference.count();
  if (count == 0) return "-";
  if (changed == 0) return "0";
  if (changed >= count) return "100";
  const double percent = 100.0 * static_cast<double>(changed) / static_cast<double>(count);
  if (percent < 0.01) return "<0.01";
  if (percent > 99.99) return ">99.99";
  return absl::StrFormat("%.2f", percent);
}

std::string_view CauseName(std::size_t index) {
  constexpr std::array<std::string_view, 8> kNames = {
      "float arithmetic", "conversion",     "bias rounding",   "bias saturation",
      "accumulator",      "requantization", "engine residual", "total"};
  return index < kNames.size() ? kNames[index] : "unknown";
}

std::string CausesText(const v1::LayerSummary& layer) {
  if (layer.causes_size() != static_cast<int>(kTotal) + 1) return "-";
  const auto& total = layer.causes(static_cast<int>(kTotal));
  if (total.sum_squares() == 0) {
    const bool parts_differ =
        std::any_of(layer.causes().begin(), layer.causes().end(),
                    [](const v1::DifferenceStatistics& cause) { return cause.changed() > 0; });
    return parts_differ ? "causes cancel out" : "-";
  }
  std::vector<std::pair<double, std::size_t>> shares;
  for (std::size_t i = 0; i < kTotal; ++i) {
    shares.emplace_back(static_cast<double>(layer.causes(static_cast<int>(i)).cross_total()) /
                            static_cast<double>(total.sum_squares()),
                        i);
  }
  std::stable_sort(shares.begin(), shares.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::string text;
  for (std::size_t i = 0; i < 2; ++i) {
    const auto& [share, cause] = shares[i];
    if (i > 0 && share < kSmallestShare) break;
    absl::StrAppend(&text, i > 0 ? ", " : "", std::string(CauseName(cause)),
                    absl::StrFormat(" %.0f %%", 100.0 * share));
  }
  return text;
}

}  // namespace qatgap::cli
