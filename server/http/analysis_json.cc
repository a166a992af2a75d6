#include "server/http/analysis_json.h"

#include <algorithm>

#include "absl/time/time.h"
#include "server/own_targets.h"

namespace qatgap::server {
namespace {

using report::views::Json;

Json TimeOrNull(const std::optional<absl::Time>& time) {
  if (!time) return nullptr;
  return absl::FormatTime(absl::RFC3339_full, *time, absl::UTCTimeZone());
}

Json TargetNames(const Analysis& analysis) {
  Json names = analysis.spec.targets;
  if (names.is_null()) names = Json::array();
  for (const std::string& description : analysis.spec.target_descriptions) {
    const auto target = ParseOwnTarget(description, "target");
    if (target.ok()) names.push_back(target->name);
  }
  return names;
}

Json Rate(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return nullptr;
  return static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

std::string TrackOf(const AnalysisSpec& spec) { return spec.track; }

Json ToJson(const Analysis& analysis) {
  Json verdicts = Json::array();
  for (const report::TargetVerdict& verdict : analysis.verdicts) {
    verdicts.push_back({{"target", verdict.target}, {"headline", verdict.headline}});
  }
  return {{"id", analysis.id},
          {"title", analysis.spec.title},
          {"track", TrackOf(analysis.spec)},
          {"state", ToString(analysis.state)},
          {"create_time", TimeOrNull(analysis.create_time)},
          {"start_time", TimeOrNull(analysis.start_time)},
          {"end_time", TimeOrNull(analysis.end_time)},
          {"progress",
           {{"samples_done", analysis.progress.samples_done}, {"samples_total", analysis.progress.samples_total}}},
          {"error", analysis.state == AnalysisState::kFailed ? std::string(analysis.error.message()) : std::string()},
          {"qat_model", analysis.spec.qat_model.name},
          {"converted_model", analysis.spec.converted_model.name},
          {"targets", TargetNames(analysis)},
          {"verdicts", std::move(verdicts)},
          {"gate", nullptr}};
}

std::optional<Json> TrendPoint(const Analysis& analysis, const std::string& target) {
  const auto summary = std::find_if(analysis.summaries.begin(), analysis.summaries.end(), [&](const auto& candidate) {
    return target.empty() || candidate.target == target;
  });
  if (summary == analysis.summaries.end()) return std::nullopt;
  Json shares;
  for (std::size_t cause = 0; summary->shares.defined && cause < static_cast<std::size_t>(report::Cause::kTotal); ++cause) {
    shares[std::string(ToString(static_cast<report::Cause>(cause)))] = summary->shares.share[cause];
  }
  return Json{{"id", analysis.id},
              {"title", analysis.spec.title},
              {"create_time", TimeOrNull(analysis.create_time)},
              {"changed_rate", Rate(summary->changed, summary->count)},
              {"bias_changed_rate", Rate(summary->bias_changed, summary->count)},
              {"top1_changed_rate", summary->top1_changed ? Rate(*summary->top1_changed, summary->samples) : Json()},
              {"shares", std::move(shares)}};
}

}  // namespace qatgap::server
