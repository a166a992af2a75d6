#include "client/terminal/text.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "absl/strings/str_format.h"

namespace qatgap::terminal {
namespace {

struct Range {
  std::uint32_t first;
  std::uint32_t last;
};

// Characters a reader cannot see, or that reorder what he sees.
constexpr std::array<Range, 12> kUnprintable = {{{0x00, 0x1f},
                                                 {0x7f, 0x9f},
                                                 {0xad, 0xad},
                                                 {0x61c, 0x61c},
                                                 {0x180e, 0x180e},
                                                 {0x200b, 0x200f},
                                                 {0x2028, 0x202e},
                                                 {0x2060, 0x206f},
                                                 {0xfeff, 0xfeff},
                                                 {0xfff9, 0xfffb},
                                                 {0xe000, 0xf8ff},
                                                 {0xe0000, 0x10ffff}}};
constexpr std::array<Range, 7> kCombining = {{{0x300, 0x36f},
                                              {0x483, 0x489},
                                              {0x591, 0x5bd},
                                              {0x1ab0, 0x1aff},
                                              {0x1dc0, 0x1dff},
                                              {0x20d0, 0x20ff},
                                              {0xfe00, 0xfe0f}}};
constexpr std::array<Range, 10> kWide = {{{0x1100, 0x115f},
                                          {0x2e80, 0x303e},
                                          {0x3041, 0xa4cf},
                                          {0xac00, 0xd7a3},
                                          {0xf900, 0xfaff},
                                          {0xfe30, 0xfe6f},
                                          {0xff00, 0xff60},
                                          {0xffe0, 0xffe6},
                                          {0x1f300, 0x1faff},
                                          {0x20000, 0x3fffd}}};

template <std::size_t N>
bool In(const std::array<Range, N>& ranges, std::uint32_t character) {
  return std::any_of(ranges.begin(), ranges.end(), [character](const Range& range) {
    return character >= range.first && character <= range.last;
  });
}

struct Character {
  std::uint32_t value = 0;
  std::size_t bytes = 0;  // 0: not UTF-8
};

// The first character of non-empty text. Refuses overlong forms and surrogates.
Character Decode(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const std::uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return {};
  std::uint32_t value = lead & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    value = value << 6 | (byte(i) & 0x3fU);
  }
  constexpr std::array<std::uint32_t, 5> kSmallest = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kSmallest[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) {
    return {};
  }
  return {value, length};
}

std::size_t WidthOf(std::uint32_t character) {
  if (In(kCombining, character)) return 0;
  return In(kWide, character) ? 2 : 1;
}

// Splits sanitized text into characters.
std::vector<std::string_view> Characters(std::string_view text) {
  std::vector<std::string_view> characters;
  while (!text.empty()) {
    const std::size_t bytes = std::max<std::size_t>(Decode(text).bytes, 1);
    characters.push_back(text.substr(0, bytes));
    text.remove_prefix(bytes);
  }
  return characters;
}

std::string SanitizeKeeping(std::string_view text, char kept) {
  std::string safe;
  safe.reserve(text.size());
  while (!text.empty()) {
    const Character character = Decode(text);
    if (kept != '\0' && text.front() == kept) {
      safe += kept;
    } else if (character.bytes == 0 ||
               (character.value < 0x80 && In(kUnprintable, character.value))) {
      absl::StrAppendFormat(&safe, "\\x%02x", static_cast<unsigned char>(text.front()));
    } else if (In(kUnprintable, character.value)) {
      absl::StrAppendFormat(&safe, "\\u{%x}", character.value);
    } else {
      safe.append(text.substr(0, character.bytes));
    }
    text.remove_prefix(std::max<std::size_t>(character.bytes, 1));
  }
  return safe;
}

}  // namespace

std::string Sanitize(std::string_view text) { return SanitizeKeeping(text, '\0'); }

std::string SanitizeLines(std::string_view text) { return SanitizeKeeping(text, '\n'); }

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t bytes = Decode(text).bytes;
    if (bytes == 0) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

std::size_t DisplayWidth(std::string_view text) {
  std::size_t width = 0;
  for (const std::string_view character : Characters(text)) {
    width += WidthOf(Decode(character).value);
  }
  return width;
}

std::string Shorten(std::string_view text, std::size_t columns) {
  if (DisplayWidth(text) <= columns) return std::string(text);
  if (columns == 0) return "";
  const auto characters = Characters(text);
  const std::size_t tail_columns = (columns - 1) / 2;
  std::size_t first_of_tail = characters.size();
  std::size_t used = 0;
  while (first_of_tail > 0) {
    const std::size_t width = WidthOf(Decode(characters[first_of_tail - 1]).value);
    if (used + width > tail_columns) break;
    used += width;
    --first_of_tail;
  }
  // A combining character must not lose the one it stands on.
  while (first_of_tail < characters.size() &&
         WidthOf(Decode(characters[first_of_tail]).value) == 0) {
    ++first_of_tail;
  }
  std::string shortened;
  std::size_t head = 0;
  const std::size_t head_columns = columns - 1 - used;
  for (const std::string_view character : characters) {
    const std::size_t width = WidthOf(Decode(character).value);
    if (head + width > head_columns) break;
    head += width;
    shortened.append(character);
  }
  shortened += "…";
  for (std::size_t i = first_of_tail; i < characters.size(); ++i) shortened.append(characters[i]);
  return shortened;
}

std::vector<std::string> Wrap(std::string_view text, std::size_t columns) {
  std::vector<std::string> lines;
  std::string line;
  std::size_t width = 0;
  while (!text.empty()) {
    const std::size_t space = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, space);
    text.remove_prefix(std::min(space + 1, text.size()));
    if (word.empty()) continue;
    const std::size_t word_width = DisplayWidth(word);
    if (!line.empty() && width + 1 + word_width > columns) {
      lines.push_back(std::move(line));
      line.clear();
      width = 0;
    }
    if (!line.empty()) {
      line += ' ';
      ++width;
    }
    line.append(word);
    width += word_width;
  }
  if (!line.empty() || lines.empty()) lines.push_back(std::move(line));
  return lines;
}

}  // namespace qatgap::terminal
