#include "server/http/page_routes.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "analyzers/report/page/page_assets.h"
#include "analyzers/report/views/views.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"
#include "server/http/analysis_json.h"
#include "server/services/page_token.h"
#include "server/services/report_rendering.h"
#include "server/services/request_validation.h"
#include "spdlog/spdlog.h"

namespace qatgap::server {
namespace {

namespace views = report::views;
using views::Json;

constexpr std::string_view kData = "/api/v1/";
constexpr std::size_t kDefaultAnalyses = 50, kDefaultLayers = 200;
constexpr std::size_t kMaxPoints = 500;
// Rows of the store that one request reads: a track is no column of it.
constexpr std::size_t kMaxScanned = 10'000, kScannedAtOnce = 500;

std::string QueryOr(const HttpRequest& request, const std::string& name, const std::string& otherwise = "") {
  const auto it = request.query.find(name);
  return it == request.query.end() ? otherwise : it->second;
}

// INVALID_ARGUMENT unless `text` is a whole number that 63 bits hold.
absl::StatusOr<std::int64_t> ParseNumber(const std::string& text, std::string_view name) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return value;
  return absl::InvalidArgumentError(absl::StrCat(Text(name), ": must be a whole number, is '", text.substr(0, 40), "'"));
}

absl::StatusOr<std::size_t> PageSize(const HttpRequest& request, std::size_t default_size) {
  QATGAP_ASSIGN_OR_RETURN(const std::int64_t size, ParseNumber(QueryOr(request, "page_size", "0"), "page_size"));
  constexpr std::int64_t kMost = 1'000'000;  // ParsePageSize has the limit; this keeps the number an int32
  return ParsePageSize(static_cast<std::int32_t>(std::clamp(size, -kMost, kMost)), default_size);
}

absl::StatusOr<std::optional<AnalysisState>> StateOf(const HttpRequest& request) {
  const std::string name = QueryOr(request, "state");
  if (name.empty()) return std::nullopt;
  for (const AnalysisState state : kAnalysisStates) {
    if (ToString(state) == name) return state;
  }
  return absl::InvalidArgumentError(absl::StrCat("state: '", name.substr(0, 40), "' is none of queued, running, succeeded, "
                                                 "failed, cancelled"));
}

// Calls `take` for each analysis, the newest first, until it returns false; reads `query.limit` rows at a time.
template <typename Take>
absl::Status ForEach(const JobManager& jobs, ListQuery query, Take take) {
  for (std::size_t scanned = 0; scanned < kMaxScanned;) {
    QATGAP_ASSIGN_OR_RETURN(const std::vector<StoredAnalysis> rows, jobs.List(query));
    for (const StoredAnalysis& row : rows) {
      if (!take(row)) return absl::OkStatus();
    }
    scanned += rows.size();
    if (rows.size() < query.limit) return absl::OkStatus();
    query.before_sequence = rows.back().sequence;
  }
  return absl::OkStatus();
}

absl::Status NoSuchPath(const HttpRequest& request) {
  return absl::NotFoundError(absl::StrCat("'", request.path.substr(0, 200), "' is not a path of this server"));
}

HttpAnswer Asset(const report::PageAsset& asset, const HttpRequest& request) {
  const std::string etag = absl::StrCat("\"", Text(asset.sha256), "\"");
  // A list of tags, or "*".
  const bool unchanged = request.if_none_match == "*" || request.if_none_match.find(etag) != std::string::npos;
  return {.status = unchanged ? 304 : 200,
          .content_type = std::string(asset.content_type),
          .body = unchanged ? std::string() : std::string(asset.bytes),
          .etag = etag};
}

// Ids are ours, and have none of the characters that end a quoted string.
std::string FileName(const std::string& id, std::string_view extension) {
  std::string name = "qatgap-";
  for (const char c : id) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    name += plain ? c : '_';
  }
  return absl::StrCat(name, ".", Text(extension));
}

}  // namespace

HttpAnswer PageRoutes::Answer(const HttpRequest& request) {
  absl::StatusOr<HttpAnswer> answer = NoSuchPath(request);
  if (request.path.starts_with(kData)) {
    answer = Data(absl::StrSplit(request.path.substr(kData.size()), '/'), request);
  } else {
    const std::string path = request.path == "/" ? "index.html" : request.path.substr(std::min<std::size_t>(1, request.path.size()));
    for (const report::PageAsset& asset : report::PageAssets()) {
      if (asset.path == path) answer = Asset(asset, request);
    }
  }
  if (answer.ok()) return *std::move(answer);
  if (absl::IsInternal(answer.status())) spdlog::error("{}", answer.status().ToString());
  return ErrorAnswer(answer.status());
}

absl::StatusOr<HttpAnswer> PageRoutes::Data(const Parts& parts, const HttpRequest& request) {
  if (parts[0] == "analyses" && parts.size() > 1) return OfAnalysis(parts, request);
  absl::StatusOr<std::string> body = NoSuchPath(request);
  if (parts.size() == 1) {
    if (parts[0] == "analyses") body = Analyses(request);
    if (parts[0] == "compare") body = Compare(request);
    if (parts[0] == "tracks") body = Tracks();
  } else if (parts[0] == "tracks") {
    // A name may hold slashes.
    body = Track(absl::StrJoin(parts.begin() + 1, parts.end(), "/"), request);
  }
  QATGAP_RETURN_IF_ERROR(body.status());
  return HttpAnswer{.body = *std::move(body)};
}

absl::StatusOr<HttpAnswer> PageRoutes::OfAnalysis(const Parts& parts, const HttpRequest& request) {
  const std::string& id = parts[1];
  QATGAP_RETURN_IF_ERROR(ValidateId(id));
  const std::size_t size = parts.size();
  if (size == 2) {
    QATGAP_ASSIGN_OR_RETURN(std::string body, OneAnalysis(id));
    return HttpAnswer{.body = std::move(body)};
  }
  if (size == 3 && parts[2] == "report") return Download(id, request);
  const bool of_layer = parts[2] == "layers" && (size == 4 || (size == 5 && parts[4] == "channels"));
  if (!of_layer && !(size == 3 && (parts[2] == "layers" || parts[2] == "graph"))) return NoSuchPath(request);
  QATGAP_ASSIGN_OR_RETURN(const auto report, results_.ReadIndexed(id));
  if (parts[2] == "graph") return HttpAnswer{.body = views::Dump(views::NetworkOf(*report))};
  if (size == 3) {
    QATGAP_ASSIGN_OR_RETURN(std::string body, Layers(*report, id, request));
    return HttpAnswer{.body = std::move(body)};
  }
  const std::string target = QueryOr(request, "target");
  views::LayerAddress address{.target = target};
  QATGAP_ASSIGN_OR_RETURN(address.layer, ParseNumber(parts[3], "layer"));
  QATGAP_ASSIGN_OR_RETURN(address.input, ParseNumber(QueryOr(request, "input", "0"), "input"));
  QATGAP_ASSIGN_OR_RETURN(const Json json, size == 4 ? views::LayerOf(*report, address) : views::ChannelsOf(*report, address));
  return HttpAnswer{.body = views::Dump(json)};
}

absl::StatusOr<std::string> PageRoutes::Analyses(const HttpRequest& request) const {
  ListQuery query;
  QATGAP_ASSIGN_OR_RETURN(query.state, StateOf(request));
  const std::string track = QueryOr(request, "track");
  const std::string listing = absl::StrCat("page:analyses:", QueryOr(request, "state"), ":", track.substr(0, 200));
  QATGAP_ASSIGN_OR_RETURN(const std::size_t size, PageSize(request, kDefaultAnalyses));
  QATGAP_ASSIGN_OR_RETURN(query.before_sequence, ParsePageToken(QueryOr(request, "page_token"), listing));
  query.limit = track.empty() ? size + 1 : kScannedAtOnce;
  Json analyses = Json::array();
  std::string next;
  std::int64_t last = 0;
  QATGAP_RETURN_IF_ERROR(ForEach(jobs_, query, [&](const StoredAnalysis& row) {
    if (!track.empty() && TrackOf(row.analysis.spec) != track) return true;
    if (analyses.size() == size) {
      next = MakePageToken(listing, last);
      return false;
    }
    last = row.sequence;
    analyses.push_back(ToJson(row.analysis));
    return true;
  }));
  return views::Dump({{"analyses", std::move(analyses)}, {"next_page_token", next}});
}

absl::StatusOr<std::string> PageRoutes::OneAnalysis(const std::string& id) {
  QATGAP_ASSIGN_OR_RETURN(const Analysis analysis, jobs_.Get(id));
  Json json = ToJson(analysis);
  if (analysis.state == AnalysisState::kSucceeded) {
    QATGAP_ASSIGN_OR_RETURN(const auto report, results_.ReadIndexed(id));
    json["report"] = views::OverviewOf(*report);
  }
  return views::Dump(json);
}

absl::StatusOr<std::string> PageRoutes::Layers(const report::IndexedReport& report, const std::string& id,
                                               const HttpRequest& request) {
  const std::string target = QueryOr(request, "target"), sort = QueryOr(request, "sort", "order");
  QATGAP_ASSIGN_OR_RETURN(const views::LayerOrder order, views::ParseLayerOrder(sort));
  const std::string listing = absl::StrCat("page:layers:", id, ":", target.substr(0, 200), ":", sort);
  QATGAP_ASSIGN_OR_RETURN(const std::size_t size, PageSize(request, kDefaultLayers));
  QATGAP_ASSIGN_OR_RETURN(const std::int64_t first, ParsePageToken(QueryOr(request, "page_token"), listing));
  QATGAP_ASSIGN_OR_RETURN(views::LayerPage page,
                          views::LayersOf(report, target, order, static_cast<std::size_t>(first), size));
  const std::string next = page.next == 0 ? "" : MakePageToken(listing, static_cast<std::int64_t>(page.next));
  return views::Dump({{"layers", std::move(page.layers)}, {"next_page_token", next}});
}

absl::StatusOr<std::string> PageRoutes::Compare(const HttpRequest& request) {
  const std::string before = QueryOr(request, "before"), after = QueryOr(request, "after");
  QATGAP_RETURN_IF_ERROR(ValidateId(before));
  QATGAP_RETURN_IF_ERROR(ValidateId(after));
  QATGAP_ASSIGN_OR_RETURN(const auto old_report, results_.ReadIndexed(before));
  QATGAP_ASSIGN_OR_RETURN(const auto new_report, results_.ReadIndexed(after));
  QATGAP_ASSIGN_OR_RETURN(const Json json, views::ComparisonOf(*old_report, *new_report, QueryOr(request, "target")));
  return views::Dump(json);
}

absl::StatusOr<std::string> PageRoutes::Tracks() const {
  struct Entry {
    std::int64_t analyses = 0;
    std::string last;
  };
  std::map<std::string, Entry> entries;
  QATGAP_RETURN_IF_ERROR(ForEach(jobs_, {.limit = kScannedAtOnce, .before_sequence = 0, .state = {}}, [&](const StoredAnalysis& row) {
    const std::string track = TrackOf(row.analysis.spec);
    if (track.empty()) return true;
    Entry& entry = entries[track];
    if (entry.analyses++ == 0) entry.last = row.analysis.id;
    return true;
  }));
  Json tracks = Json::array();
  for (const auto& [name, entry] : entries) {
    tracks.push_back({{"name", name}, {"analyses", entry.analyses}, {"last", entry.last}});
  }
  return views::Dump({{"tracks", std::move(tracks)}});
}

absl::StatusOr<std::string> PageRoutes::Track(const std::string& name, const HttpRequest& request) const {
  const std::string target = QueryOr(request, "target");
  std::vector<Json> points;
  bool known = false;
  QATGAP_RETURN_IF_ERROR(ForEach(jobs_, {.limit = kScannedAtOnce, .before_sequence = 0, .state = {}}, [&](const StoredAnalysis& row) {
    if (name.empty() || TrackOf(row.analysis.spec) != name) return true;
    known = true;
    if (auto point = TrendPoint(row.analysis, target)) points.push_back(*std::move(point));
    return points.size() < kMaxPoints;
  }));
  if (!known) return absl::NotFoundError(absl::StrCat("no analysis has the track '", name.substr(0, 200), "'"));
  std::reverse(points.begin(), points.end());
  return views::Dump({{"points", points}});
}

absl::StatusOr<HttpAnswer> PageRoutes::Download(const std::string& id, const HttpRequest& request) {
  struct Format {
    std::string_view name;
    v1::ReportFormat format;
    std::string_view content_type, extension;
  };
  static constexpr Format kFormats[] = {{"json", v1::REPORT_FORMAT_JSON, "application/json", "json"},
                                        {"html", v1::REPORT_FORMAT_HTML, "text/html; charset=utf-8", "html"},
                                        {"markdown", v1::REPORT_FORMAT_MARKDOWN, "text/markdown; charset=utf-8", "md"},
                                        {"csv", v1::REPORT_FORMAT_CSV, "text/csv; charset=utf-8", "csv"}};
  const std::string name = QueryOr(request, "format", "html");
  const auto format = std::find_if(std::begin(kFormats), std::end(kFormats), [&](const Format& f) { return f.name == name; });
  if (format == std::end(kFormats)) {
    return absl::InvalidArgumentError(absl::StrCat("format: '", name.substr(0, 40), "' is none of json, html, markdown, csv"));
  }
  QATGAP_ASSIGN_OR_RETURN(const auto report, results_.ReadReport(id));
  const std::scoped_lock lock(rendering_);
  return HttpAnswer{.content_type = std::string(format->content_type),
                    .body = Render(*report, format->format),
                    .file_name = FileName(id, format->extension)};
}

}  // namespace qatgap::server
