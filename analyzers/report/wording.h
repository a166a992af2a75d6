// How reports write numbers and names: one place, so that every writer says the same.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "analyzers/report/analysis_result.h"
#include "analyzers/status/string_view.h"

namespace qatgap::report {

std::string Grouped(std::uint64_t value);  // "45,678,900"

// "1 sample", "1,234 samples": the plural adds an s.
std::string Counted(std::uint64_t count, std::string_view noun);

// "0.0027 %", "71.2 %". Two digits below 1 %, one decimal above. Only an exact 0 or 1 reads as 0 % or 100 %.
std::string Percent(double fraction);
std::string PercentOf(std::uint64_t part, std::uint64_t whole);  // "-" where whole is 0

std::string Significant(double value, int digits = 4);  // "%.4g"; "-" where not finite

std::string Words(Cause cause);  // "bias rounding"
std::string Words(Path path);    // "quantized bias"

// Text of a model or a client, fit to be shown: valid UTF-8, control characters and line breaks replaced, so that it can
// neither break a table nor drive a terminal. Not escaped for HTML or Markdown: that is the writer's.
std::string DisplayText(std::string_view text);
// The same, at most 80 characters; the middle of a longer name gives way to "...".
std::string DisplayName(std::string_view name);
std::size_t CharacterCount(std::string_view utf8);

// "channel 3", "channels 0, 1, 2 and 5 more": the first `limit`.
std::string ChannelList(const std::vector<std::int64_t>& channels, std::size_t limit = 8);

// Notes of several units, one a line, as one phrase.
std::string JoinedNotes(std::string_view notes);

}  // namespace qatgap::report
