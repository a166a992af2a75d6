#include "client/terminal/output.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace qatgap::terminal {
namespace {

std::string_view Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

Output DescribeOutput(std::ostream& stream, int fd) {
  Output output;
  output.stream = &stream;
  output.is_terminal = ::isatty(fd) == 1;
  output.colour = output.is_terminal && Variable("NO_COLOR").empty() && Variable("TERM") != "dumb";
  winsize size{};
  if (output.is_terminal && ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    output.columns = std::max<std::size_t>(size.ws_col, 40);
  }
  return output;
}

std::string Styled(const Output& output, Style style, std::string_view text) {
  if (!output.colour) return std::string(text);
  const char* code = "";
  switch (style) {
    case Style::kBold:
      code = "\x1b[1m";
      break;
    case Style::kDim:
      code = "\x1b[2m";
      break;
    case Style::kRed:
      code = "\x1b[31m";
      break;
    case Style::kGreen:
      code = "\x1b[32m";
      break;
    case Style::kYellow:
      code = "\x1b[33m";
      break;
  }
  std::string styled = code;
  styled.append(text);
  return styled + "\x1b[0m";
}

}  // namespace qatgap::terminal
