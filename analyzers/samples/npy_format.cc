#include "analyzers/samples/npy_format.h"

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "analyzers/samples/byte_source.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::samples {
namespace {

constexpr std::size_t kMaxHeader = 1U << 16;
constexpr std::size_t kMaxAxes = 8;
constexpr std::size_t kMaxElementSize = 16;  // complex128

// The text behind `'key':` in the header's Python dict, up to the next comma outside parentheses.
std::optional<std::string> Field(const std::string& header, const std::string& key) {
  const std::size_t at = header.find(absl::StrCat("'", key, "':"));
  if (at == std::string::npos) return std::nullopt;
  std::size_t begin = header.find_first_not_of(' ', at + key.size() + 3);
  if (begin == std::string::npos) return std::nullopt;
  const std::size_t end = header[begin] == '(' ? header.find(')', begin) : header.find_first_of(",}", begin);
  if (end == std::string::npos) return std::nullopt;
  return header.substr(begin, end - begin + (header[begin] == '(' ? 1 : 0));
}

std::optional<graph::Shape> ParseShape(const std::string& text) {
  if (text.size() < 2 || text.front() != '(' || text.back() != ')') return std::nullopt;
  graph::Shape shape;
  for (absl::string_view part : absl::StrSplit(text.substr(1, text.size() - 2), ',', absl::SkipWhitespace())) {
    std::int64_t extent = 0;
    if (!absl::SimpleAtoi(part, &extent) || extent < 0 || extent > std::numeric_limits<std::int32_t>::max()) {
      return std::nullopt;
    }
    shape.push_back(extent);
  }
  if (shape.size() > kMaxAxes) return std::nullopt;
  return shape;
}

std::size_t LittleEndian(std::string_view bytes) {
  std::size_t value = 0;
  for (std::size_t i = bytes.size(); i > 0; --i) value = value << 8U | static_cast<std::uint8_t>(bytes[i - 1]);
  return value;
}

}  // namespace

absl::StatusOr<NpyHeader> ParseNpyHeader(const std::string& dict, const std::string& label) {
  const auto bad = [&](const std::string& what) { return absl::InvalidArgumentError(absl::StrCat(label, " ", what)); };
  const auto descriptor = Field(dict, "descr"), order = Field(dict, "fortran_order"), shape = Field(dict, "shape");
  if (!descriptor || !order || !shape) return bad("has a header without descr, fortran_order or shape");
  const auto parsed = ParseShape(*shape);
  if (!parsed) return bad(absl::StrCat("has shape ", *shape));
  const bool quoted = descriptor->size() > 2;
  return NpyHeader{.descriptor = quoted ? descriptor->substr(1, descriptor->size() - 2) : *descriptor,
                   .shape = *parsed,
                   .fortran_order = *order != "False"};
}

absl::StatusOr<NpyStart> ReadNpyStart(ByteSource& source, const std::string& label) {
  const auto bad = [&](const std::string& what) { return absl::InvalidArgumentError(absl::StrCat(label, " ", what)); };
  std::array<char, 12> start{};
  QATGAP_ASSIGN_OR_RETURN(const std::size_t got, source.Read(std::span<char>(start).first(10)));
  if (got < 10 || std::string_view(start.data(), 6) != "\x93NUMPY") {
    return bad("is not a NumPy array; save it with numpy.save");
  }
  const std::size_t preamble = start[6] >= 2 ? 12 : 10;
  if (preamble == 12) {
    QATGAP_ASSIGN_OR_RETURN(const std::size_t more, source.Read(std::span<char>(start).subspan(10, 2)));
    if (more < 2) return bad("ends inside its header");
  }
  const std::size_t size = LittleEndian(std::string_view(start.data(), preamble).substr(8));
  if (size > kMaxHeader) return bad(absl::StrCat("has a header of ", size, " bytes"));
  std::string dict(size, '\0');
  QATGAP_ASSIGN_OR_RETURN(const std::size_t dict_got, source.Read(dict));
  if (dict_got < size) return bad("ends inside its header");
  NpyStart result{.header = {}, .bytes = preamble + size};
  QATGAP_ASSIGN_OR_RETURN(result.header, ParseNpyHeader(dict, label));
  return result;
}

absl::StatusOr<NpyView> ViewNpy(std::string_view bytes, const std::string& label) {
  const auto bad = [&](const std::string& what) { return absl::InvalidArgumentError(absl::StrCat(label, " ", what)); };
  if (bytes.size() < 10 || bytes.substr(0, 6) != "\x93NUMPY")
    return bad("is not a NumPy array; save it with numpy.save");
  const std::size_t start = bytes[6] >= 2 ? 12 : 10;
  if (bytes.size() < start) return bad("ends inside its header");
  const std::size_t size = LittleEndian(bytes.substr(8, start - 8));
  if (size > bytes.size() - start) return bad("ends inside its header");
  NpyView view;
  QATGAP_ASSIGN_OR_RETURN(view.header, ParseNpyHeader(std::string(bytes.substr(start, size)), label));
  view.elements = bytes.substr(start + size);
  const std::string& descriptor = view.header.descriptor;
  if (descriptor.size() < 3 || !absl::SimpleAtoi(descriptor.substr(2), &view.element_size) || view.element_size == 0 ||
      view.element_size > kMaxElementSize) {
    return bad(absl::StrCat("has dtype ", descriptor, ", which is no number"));
  }
  // Eight extents of 31 bits leave 64 bits, not a double's range; a product this large is exact enough to be refused.
  double wanted = static_cast<double>(view.element_size);
  for (const std::int64_t extent : view.header.shape) wanted *= static_cast<double>(extent);
  if (wanted != static_cast<double>(view.elements.size())) {
    return bad(absl::StrCat("has ", view.elements.size(), " bytes of elements; shape ",
                            graph::ToString(view.header.shape), " of ", descriptor, " needs ", wanted,
                            ": the file is truncated or its header wrong"));
  }
  return view;
}

std::string NpyBytes(const std::string& descriptor, const graph::Shape& shape, std::string_view elements) {
  std::string dict = absl::StrCat("{'descr': '", descriptor, "', 'fortran_order': False, 'shape': (",
                                  absl::StrJoin(shape, ", "), shape.size() == 1 ? ",), }" : "), }");
  constexpr std::size_t kPreamble = 10;
  const std::size_t unpadded = kPreamble + dict.size() + 1;
  dict.append((64 - unpadded % 64) % 64, ' ');
  dict.push_back('\n');
  std::string bytes = "\x93NUMPY";
  bytes.append({'\x01', '\0', static_cast<char>(dict.size() & 0xFFU), static_cast<char>(dict.size() >> 8U)});
  return absl::StrCat(bytes, dict, Text(elements));
}

}  // namespace qatgap::samples
