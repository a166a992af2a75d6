// Shapes that several views share. Internal to views/.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "analyzers/report/indexed_report.h"
#include "analyzers/report/json_parts.h"
#include "analyzers/status/string_view.h"

namespace qatgap::report::views {

using Json = json_parts::Json;

inline std::string NameOf(std::size_t cause) { return std::string(ToString(static_cast<Cause>(cause))); }
// As docs/report.md has them, without the sums that only merging needs.
Json StatisticsOf(const statistics::DifferenceStatistics& s, std::optional<std::int64_t> zero_point);
Json Rate(std::uint64_t part, std::uint64_t whole);  // null where whole is 0
Json FindingOf(const IndexedReport& report, const Finding& finding);
// The engine's residual is not measured where no engine ran.
bool HasCause(const LayerView& layer, std::size_t cause);
// "fake_quant>target".
inline std::string KeyOf(const PathComparison& comparison) {
  return absl::StrCat(Text(ToString(comparison.reference)), ">", Text(ToString(comparison.path)));
}

template <typename Shares>
Json SharesJson(const Shares& shares) {
  if (!shares.defined) return nullptr;
  Json json = Json::object();
  for (std::size_t cause = 0; cause < static_cast<std::size_t>(Cause::kTotal); ++cause) {
    json[NameOf(cause)] = json_parts::Number(shares.share[cause]);
  }
  return json;
}

}  // namespace qatgap::report::views
