#include "analyzers/samples/safetensors_format.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "analyzers/samples/element_type.h"
#include "analyzers/status/status_macros.h"
#include "nlohmann/json.hpp"

namespace qatgap::samples {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxAxes = 8;
constexpr std::size_t kMaxArrays = 4096;
// An array's object holds lists of numbers, nothing deeper.
constexpr int kMaxDepth = 3;

// Bytes an element; 0 for a type that is none of the format's.
std::uint64_t BytesOf(std::string_view dtype) {
  if (const auto type = FromSafetensors(dtype)) return SizeOf(*type);
  if (dtype == "U16" || dtype == "I16") return 2;
  if (dtype == "U32") return 4;
  if (dtype == "U64") return 8;
  return absl::StartsWith(absl::string_view(dtype.data(), dtype.size()), "F8_") ? 1 : 0;
}

std::optional<std::uint64_t> Unsigned(const Json& json) {
  if (!json.is_number_unsigned()) return std::nullopt;
  return json.get<std::uint64_t>();
}

// Why `json` is no shape, else empty.
std::string ReadShape(const Json& json, graph::Shape& shape) {
  if (!json.is_array() || json.size() > kMaxAxes) return absl::StrCat("has no shape of at most ", kMaxAxes, " axes");
  for (const Json& part : json) {
    const auto extent = Unsigned(part);
    if (!extent || *extent > static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max())) {
      return absl::StrCat("has shape ", json.dump());
    }
    shape.push_back(static_cast<std::int64_t>(*extent));
  }
  return "";
}

// Why `json` is no array of the format, else empty. `first` is counted from the begin of the data.
std::string ReadArray(const Json& json, SafetensorsArray& array) {
  if (!json.is_object() || !json.contains("dtype") || !json.contains("shape") || !json.contains("data_offsets")) {
    return "has no dtype, shape or data_offsets";
  }
  if (!json["dtype"].is_string()) return "has a dtype that is no text";
  array.dtype = json["dtype"].get<std::string>();
  const std::uint64_t element = BytesOf(array.dtype);
  if (element == 0) return absl::StrCat("has dtype '", array.dtype.substr(0, 32), "'");
  if (std::string why = ReadShape(json["shape"], array.shape); !why.empty()) return why;
  const Json& offsets = json["data_offsets"];
  const auto begin = offsets.is_array() && offsets.size() == 2 ? Unsigned(offsets[0]) : std::nullopt;
  const auto end = begin ? Unsigned(offsets[1]) : std::nullopt;
  if (!end || *end < *begin) return "has data_offsets that are no begin and end";
  array.first = *begin;
  array.size = *end - *begin;
  // Eight extents of 31 bits leave 64 bits, not a double's range; a product this large is exact enough to be refused.
  double wanted = static_cast<double>(element);
  for (const std::int64_t extent : array.shape) wanted *= static_cast<double>(extent);
  if (wanted != static_cast<double>(array.size)) {
    return absl::StrCat("has ", array.size, " bytes of elements; shape ", graph::ToString(array.shape), " of ",
                        array.dtype, " needs ", wanted);
  }
  return "";
}

// The header as JSON; discarded where it is none, or names something twice.
std::optional<Json> Parse(std::string_view header) {
  std::set<std::string> names;
  bool sound = true;
  const auto look = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kMaxDepth) sound = false;
    if (event == Json::parse_event_t::key && depth == 1) {
      sound = sound && names.size() < kMaxArrays && names.insert(parsed.get<std::string>()).second;
    }
    return sound;  // what is not kept needs no memory
  };
  Json json = Json::parse(header.begin(), header.end(), look, /*allow_exceptions=*/false);
  if (!sound || json.is_discarded() || !json.is_object()) return std::nullopt;
  return json;
}

}  // namespace

absl::StatusOr<std::vector<SafetensorsArray>> ParseSafetensorsHeader(std::string_view header, std::uint64_t data,
                                                                     const std::string& label) {
  const std::optional<Json> json = Parse(header);
  if (!json) {
    return absl::InvalidArgumentError(absl::StrCat(
        label, " has a header that is not the JSON of .safetensors; save it with safetensors.numpy.save_file"));
  }
  std::vector<SafetensorsArray> arrays;
  for (const auto& [name, value] : json->items()) {
    if (name == "__metadata__") continue;
    SafetensorsArray& array = arrays.emplace_back();
    array.name = name;
    if (const std::string why = ReadArray(value, array); !why.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(label, " (array ", name, ") ", why, "; save it again"));
    }
  }
  std::vector<SafetensorsArray*> in_order;
  for (SafetensorsArray& array : arrays) in_order.push_back(&array);
  std::sort(in_order.begin(), in_order.end(),
            [](const auto* a, const auto* b) { return std::pair(a->first, a->size) < std::pair(b->first, b->size); });
  std::uint64_t at = 0;
  for (SafetensorsArray* array : in_order) {
    const std::string where = absl::StrCat(label, " (array ", array->name, ")");
    if (array->first != at) {
      return absl::InvalidArgumentError(absl::StrCat(where, " begins at byte ", array->first,
                                                     " of the data, the one before it "
                                                     "ends at ",
                                                     at, ": the header is wrong; save it again"));
    }
    if (array->size > data - at) {
      return absl::InvalidArgumentError(absl::StrCat(where, " ends at byte ", at + array->size,
                                                     " of the data, the file has ", data,
                                                     ": the file is truncated; copy or save it again"));
    }
    at += array->size;
    array->first += sizeof(std::uint64_t) + header.size();
  }
  if (at != data) {
    return absl::InvalidArgumentError(absl::StrCat(label, " has ", data - at,
                                                   " bytes behind its last array: the header is "
                                                   "wrong; save it again"));
  }
  return arrays;
}

}  // namespace qatgap::samples
