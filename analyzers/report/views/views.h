// What the web page shows, as JSON: one function an endpoint (docs/web.md has every member). Pure: a report in, a value
// out. Texts of models stand in them as they are: who shows one escapes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "analyzers/report/indexed_report.h"
#include "nlohmann/json.hpp"

namespace qatgap::report::views {

using Json = nlohmann::json;  // keys sorted

// One line; bytes that are not UTF-8 become U+FFFD.
std::string Dump(const Json& json);

// The overview of a whole analysis: everything but layers and channels.
Json OverviewOf(const IndexedReport& report);

enum class LayerOrder { kExecution, kChanged, kBias };  // the latter two: the largest changed rate first
// INVALID_ARGUMENT. "order", "changed", "bias".
absl::StatusOr<LayerOrder> ParseLayerOrder(std::string_view name);

struct LayerPage {
  Json layers = Json::array();
  std::size_t next = 0;                // where the next page starts; 0: there is none
};
// At most `limit` layers from the `first` on. An empty target is the first one; NOT_FOUND for one that is not there.
absl::StatusOr<LayerPage> LayersOf(const IndexedReport& report, std::string_view target, LayerOrder order,
                                   std::size_t first, std::size_t limit);

// A layer under a target, for one reaching input. NOT_FOUND where there is no such result.
struct LayerAddress {
  std::string_view target;             // empty: the first one
  std::int64_t layer = 0;              // index into AnalysisResult::layers
  std::int64_t input = 0;
};
absl::StatusOr<Json> LayerOf(const IndexedReport& report, const LayerAddress& address);
// One array a figure, indexed by channel. Reals have six significant digits.
absl::StatusOr<Json> ChannelsOf(const IndexedReport& report, const LayerAddress& address);

// Nodes are null where the result has no network.
Json NetworkOf(const IndexedReport& report);

// What moved under a target that both have; an empty one is the first of `after`. NOT_FOUND where one has it not.
absl::StatusOr<Json> ComparisonOf(const IndexedReport& before, const IndexedReport& after, std::string_view target);

}  // namespace qatgap::report::views
