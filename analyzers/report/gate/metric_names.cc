#include <algorithm>
#include <array>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "analyzers/report/analysis_result.h"
#include "analyzers/report/gate/measured_report.h"
#include "analyzers/report/gate/statistic_names.h"
#include "analyzers/status/string_view.h"

namespace qatgap::report::gate {
namespace {

std::string Of(std::string_view prefix, std::string_view name) { return absl::StrCat(Text(prefix), Text(name)); }

void AppendStatistics(std::vector<MetricName>& names, const std::string& prefix, bool of_layer, const std::string& what) {
  for (const Statistic& statistic : kStatistics) {
    names.push_back({.name = Of(prefix, statistic.name),
                     .of_layer = of_layer,
                     .larger_is_worse = statistic.larger_is_worse,
                     .meaning = absl::StrCat(Text(statistic.meaning), ", ", what)});
  }
}

std::vector<MetricName> MakeNames() {
  std::vector<MetricName> names;
  for (std::size_t cause = 0; cause < kCauseCount; ++cause) {
    const std::string name(ToString(static_cast<Cause>(cause)));
    AppendStatistics(names, absl::StrCat("injected.", name, "."), true,
                     name == "total" ? "last stage against fake_quant, same inputs" : absl::StrCat("caused by ", name));
  }
  for (const ComparisonName& comparison : kComparisons) {
    const std::string what = absl::StrCat("path ", Text(comparison.path), " against ", Text(comparison.reference));
    AppendStatistics(names, Of("accumulated.", Of(comparison.name, ".")), true, what);
  }
  for (const ComparisonName& comparison : kComparisons) {
    const std::string what = absl::StrCat("model outputs (the worst), ", Text(comparison.path), " against ",
                                          Text(comparison.reference));
    const std::string prefix = comparison.name == "target" ? "outputs." : Of("outputs.", Of(comparison.name, "."));
    AppendStatistics(names, prefix, false, what);
    names.push_back({.name = prefix + "top1_changed_rate", .of_layer = false, .larger_is_worse = true,
                     .meaning = absl::StrCat("samples whose answer moved, of all, ", Text(comparison.path), " against ",
                                             Text(comparison.reference))});
  }
  for (std::size_t path = 0; path < kPathCount; ++path) {
    const std::string name(ToString(static_cast<Path>(path)));
    names.push_back({.name = "accuracy." + name, .of_layer = false, .larger_is_worse = false,
                     .meaning = absl::StrCat("right answers of path ", name, ", of labelled samples")});
    if (static_cast<Path>(path) == Path::kFakeQuant) continue;
    names.push_back({.name = "accuracy_drop." + name, .of_layer = false, .larger_is_worse = true,
                     .meaning = absl::StrCat("accuracy of fake_quant less that of ", name)});
  }
  names.push_back({.name = "bias.max_residual_lsb", .of_layer = true, .larger_is_worse = true,
                   .meaning = "largest |stored bias - real bias| of a channel, in LSB"});
  names.push_back({.name = "bias.saturated_channels", .of_layer = true, .larger_is_worse = true,
                   .meaning = "channels whose bias does not fit the target's width"});
  names.push_back({.name = "coverage", .of_layer = false, .larger_is_worse = false,
                   .meaning = "MAC layers that were analysed, of all"});
  for (const char* severity : {"error", "warning", "info"}) {
    names.push_back({.name = absl::StrCat("findings.", severity), .of_layer = false, .larger_is_worse = true,
                     .meaning = absl::StrCat("findings of severity ", severity, " for the target")});
  }
  std::sort(names.begin(), names.end(), [](const MetricName& a, const MetricName& b) { return a.name < b.name; });
  return names;
}

std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

// "findings.QG001": the identifier of a finding is a metric too.
bool IsFindingCount(std::string_view name) {
  constexpr std::string_view kPrefix = "findings.QG";
  return name.size() == kPrefix.size() + 3 && name.starts_with(kPrefix) &&
         std::all_of(name.begin() + static_cast<std::ptrdiff_t>(kPrefix.size()), name.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

const std::vector<MetricName>& AllMetrics() {
  static const std::vector<MetricName> names = MakeNames();
  return names;
}

const MetricName* FindMetric(std::string_view name) {
  static const MetricName finding_count{.name = "findings.QG...", .of_layer = false, .larger_is_worse = true,
                                        .meaning = "findings of this identifier for the target"};
  if (IsFindingCount(name)) return &finding_count;
  const auto& names = AllMetrics();
  const auto it = std::lower_bound(names.begin(), names.end(), name,
                                   [](const MetricName& metric, std::string_view wanted) { return metric.name < wanted; });
  return it != names.end() && it->name == name ? &*it : nullptr;
}

std::string Nearest(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string_view cut = word.substr(0, 200);  // a client's word: the distance costs length squared
  std::string best;
  std::size_t distance = 0;
  for (const std::string& candidate : candidates) {
    const std::size_t d = EditDistance(cut, std::string_view(candidate).substr(0, 200));
    if (best.empty() || d < distance) {
      best = candidate;
      distance = d;
    }
  }
  return best;
}

std::string NearestMetric(std::string_view name) {
  std::vector<std::string> names;
  for (const MetricName& metric : AllMetrics()) names.push_back(metric.name);
  return Nearest(name, names);
}

}  // namespace qatgap::report::gate
