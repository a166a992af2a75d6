#include "server/services/layer_page.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "analyzers/status/status_macros.h"
#include "server/result_conversion.h"
#include "server/services/page_token.h"

namespace qatgap::server {
namespace {
constexpr std::size_t kDefaultLayers = 100;
}

absl::Status FillLayerPage(const v1::ListLayerResultsRequest& request,
                           const report::AnalysisResult& result,
                           v1::ListLayerResultsResponse& response) {
  const std::string listing = absl::StrCat("layers:", request.id(), ":", request.target());
  QATGAP_ASSIGN_OR_RETURN(const std::size_t size,
                          ParsePageSize(request.page_size(), kDefaultLayers));
  QATGAP_ASSIGN_OR_RETURN(const std::int64_t start, ParsePageToken(request.page_token(), listing));

  std::vector<std::pair<const report::TargetResult*, const report::LayerResult*>> rows;
  std::vector<std::string> names;
  bool found = request.target().empty();
  for (const report::TargetResult& target : result.targets) {
    names.push_back(target.name);
    if (!request.target().empty() && target.name != request.target()) continue;
    found = true;
    for (const report::LayerResult& layer : target.layers) rows.emplace_back(&target, &layer);
  }
  if (!found) {
    return absl::InvalidArgumentError(absl::StrCat("target: this analysis has no target '",
                                                   request.target(), "', only ",
                                                   absl::StrJoin(names, ", ")));
  }
  std::size_t bytes = 0;
  const auto first = static_cast<std::size_t>(start);
  for (std::size_t i = first; i < rows.size(); ++i) {
    v1::LayerSummary summary = MakeLayerSummary(result, *rows[i].first, *rows[i].second);
    bytes += summary.ByteSizeLong();
    if (i > first && (i - first == size || bytes > kMaxPageBytes)) {
      response.set_next_page_token(MakePageToken(listing, static_cast<std::int64_t>(i)));
      break;
    }
    *response.add_layers() = std::move(summary);
  }
  return absl::OkStatus();
}

}  // namespace qatgap::server
