#include "analyzers/report/wording.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "analyzers/status/string_view.h"

namespace qatgap::report {
namespace {

constexpr std::size_t kLongestName = 80;
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

std::string Fixed(double value, int decimals) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*f", decimals, value);
  return buffer;
}

// Bytes of the valid UTF-8 sequence at the front of `text`, or 0.
std::size_t SequenceLength(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  std::size_t length = 0;
  unsigned long code = 0;
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
    code = lead & 0x1FU;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    code = lead & 0x0FU;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    code = lead & 0x07U;
  } else {
    return 0;
  }
  if (text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) return 0;
    code = code << 6 | (byte(i) & 0x3FU);
  }
  if ((length == 3 && code < 0x800) || (length == 4 && code < 0x10000)) return 0;
  if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return 0;
  // C1 controls, line and paragraph separators, and marks that reorder the text around them.
  const bool control = code < 0xA0 || (code >= 0x200E && code <= 0x200F) ||
                       (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
  return control ? 0 : length;
}

}  // namespace

std::string Grouped(std::uint64_t value) {
  std::string digits = absl::StrCat(value);
  for (std::size_t place = digits.size(); place > 3;) {
    place -= 3;
    digits.insert(place, 1, ',');
  }
  return digits;
}

std::string Counted(std::uint64_t count, std::string_view noun) {
  return absl::StrCat(Grouped(count), " ", Text(noun), count == 1 ? "" : "s");
}

std::string Percent(double fraction) {
  if (!std::isfinite(fraction)) return "-";
  if (fraction < 0) return absl::StrCat("-", Percent(-fraction));
  const double percent = 100.0 * fraction;
  if (percent == 0) return "0 %";
  if (percent < 0.0001) return "< 0.0001 %";
  if (percent == 100) return "100 %";
  int decimals = 1;
  if (percent < 1) {
    decimals = 1 - static_cast<int>(std::floor(std::log10(percent)));
  } else if (percent > 99 && percent < 100) {
    decimals = std::clamp(-static_cast<int>(std::floor(std::log10(100 - percent))), 1, 6);
    if (100 - percent < 1e-6) return "> 99.999999 %";
  }
  return absl::StrCat(Fixed(percent, decimals), " %");
}

std::string PercentOf(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return "-";
  return Percent(static_cast<double>(part) / static_cast<double>(whole));
}

std::string Significant(double value, int digits) {
  if (!std::isfinite(value)) return "-";
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*g", digits, value);
  return buffer;
}

std::string Words(Cause cause) {
  switch (cause) {
    case Cause::kFloatArithmetic:
      return "float arithmetic";
    case Cause::kConversion:
      return "conversion";
    case Cause::kBiasRounding:
      return "bias rounding";
    case Cause::kBiasSaturation:
      return "bias saturation";
    case Cause::kAccumulator:
      return "accumulator";
    case Cause::kRequantization:
      return "requantization";
    case Cause::kEngineResidual:
      return "engine residual";
    case Cause::kTotal:
      return "total";
  }
  return "unknown";
}

std::string Words(Path path) {
  switch (path) {
    case Path::kFakeQuant:
      return "fake-quant";
    case Path::kFloatBias:
      return "float bias";
    case Path::kQuantizedBias:
      return "quantized bias";
    case Path::kTarget:
      return "target";
    case Path::kEngine:
      return "engine";
  }
  return "unknown";
}

std::string DisplayText(std::string_view text) {
  std::string shown;
  shown.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = SequenceLength(text);
    const unsigned lead = static_cast<unsigned char>(text[0]);
    if (lead == '\n' || lead == '\t' || lead == '\r') {
      shown += ' ';
    } else if (length == 0 || lead < 0x20 || lead == 0x7F) {
      shown += kReplacement;
    } else {
      shown += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return shown;
}

std::size_t CharacterCount(std::string_view utf8) {
  return static_cast<std::size_t>(std::count_if(utf8.begin(), utf8.end(), [](char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U;
  }));
}

std::string DisplayName(std::string_view name) {
  const std::string shown = DisplayText(name);
  const std::size_t characters = CharacterCount(shown);
  if (characters <= kLongestName) return shown;
  const std::size_t head = (kLongestName - 3) / 2;
  const std::size_t tail_start = characters - (kLongestName - 3 - head);
  std::string cut;
  std::size_t character = 0;
  for (std::size_t i = 0; i < shown.size(); ++i) {
    if (i > 0 && (static_cast<unsigned char>(shown[i]) & 0xC0U) != 0x80U) {
      if (++character == head) cut += "...";
    }
    if (character < head || character >= tail_start) cut += shown[i];
  }
  return cut;
}

std::string JoinedNotes(std::string_view notes) {
  return absl::StrReplaceAll(Text(notes), {{"\n", "; "}});
}

}  // namespace qatgap::report
