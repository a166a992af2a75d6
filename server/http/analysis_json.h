// Analyses as the web page lists them; docs/web.md has every member.
#pragma once

#include <optional>
#include <string>

#include "analyzers/report/views/views.h"
#include "server/store/analysis.h"

namespace qatgap::server {

// The name under which an analysis is followed over time; empty: it is not.
std::string TrackOf(const AnalysisSpec& spec);

report::views::Json ToJson(const Analysis& analysis);

// One point of a trend, from the analysis's summary of that target; nullopt when it has none. An empty target is the first.
std::optional<report::views::Json> TrendPoint(const Analysis& analysis, const std::string& target);

}  // namespace qatgap::server
