// Text on its way to a terminal: made harmless, measured, cut and wrapped. All text is UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace qatgap::terminal {

// Makes text from elsewhere safe to print: control characters, escape sequences, invisible and
// direction-changing characters and bytes that are not UTF-8 become visible escapes, "\x1b",
// "\u{202e}". The result is valid UTF-8 on one line.
std::string Sanitize(std::string_view text);
// The same for text of several lines: keeps '\n'.
std::string SanitizeLines(std::string_view text);

bool IsUtf8(std::string_view text);

// Columns of sanitized text: 0 for combining characters, 2 for wide ones, else 1.
std::size_t DisplayWidth(std::string_view text);

// Sanitized text cut in the middle with "…" to at most `columns` (the two ends tell layers apart).
std::string Shorten(std::string_view text, std::size_t columns);

// Sanitized text broken at spaces into lines of at most `columns`; a longer word keeps a line to
// itself. At least one line.
std::vector<std::string> Wrap(std::string_view text, std::size_t columns);

}  // namespace qatgap::terminal
