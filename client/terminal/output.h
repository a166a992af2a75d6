// One of the program's two output streams and what it can show.
#pragma once

#include <cstddef>
#include <ostream>
#include <string>
#include <string_view>

namespace qatgap::terminal {

struct Output {
  std::ostream* stream = nullptr;
  // Someone looks at it: bars that redraw themselves are welcome.
  bool is_terminal = false;
  bool colour = false;
  // Where sentences are wrapped, and tables are cut on a terminal.
  std::size_t columns = 100;
};

// What file descriptor `fd` can show. Colours need a terminal, a TERM other than "dumb", and
// NO_COLOR unset or empty (no-color.org).
Output DescribeOutput(std::ostream& stream, int fd);

enum class Style { kBold, kDim, kRed, kGreen, kYellow };
// `text` in that style where the output has colours, else `text`.
std::string Styled(const Output& output, Style style, std::string_view text);

}  // namespace qatgap::terminal
