#include "analyzers/frontends/pt2/json_fields.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends::pt2 {
namespace {

// One level of torch.cond is 8 levels of JSON; the importer itself counts branches.
constexpr int kMaxDepth = 600;
constexpr std::size_t kMaxRank = 64;

}  // namespace

absl::Status Bad(std::string_view what, std::string_view field) {
  return absl::InvalidArgumentError(
      absl::StrCat("the exported program ", Text(what), " '", Text(field), "'; save it again with torch.export.save"));
}

absl::StatusOr<const Json*> Field(const Json& object, const char* name, Json::value_t type) {
  if (!object.is_object()) return Bad("has no object around its field", name);
  const auto it = object.find(name);
  if (it == object.end()) return Bad("lacks the field", name);
  if (it->type() != type) return Bad("has another type of value than expected in its field", name);
  return &*it;
}

absl::StatusOr<std::string> StringField(const Json& object, const char* name) {
  QATGAP_ASSIGN_OR_RETURN(const Json* value, Field(object, name, Json::value_t::string));
  return value->get_ref<const std::string&>();
}

std::string StringOr(const Json& object, const char* name) {
  const auto it = object.find(name);
  return it != object.end() && it->is_string() ? it->get_ref<const std::string&>() : std::string();
}

std::optional<std::int64_t> Int(const Json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<std::uint64_t>();
    return number <= std::uint64_t{std::numeric_limits<std::int64_t>::max()}
               ? std::optional(static_cast<std::int64_t>(number))
               : std::nullopt;
  }
  return value.is_number_integer() ? std::optional(value.get<std::int64_t>()) : std::nullopt;
}

std::optional<double> Double(const Json& value) {
  if (value.is_number()) return value.get<double>();
  if (value == "Infinity") return std::numeric_limits<double>::infinity();
  if (value == "-Infinity") return -std::numeric_limits<double>::infinity();
  if (value == "NaN") return std::numeric_limits<double>::quiet_NaN();
  return std::nullopt;
}

std::optional<Tagged> Tag(const Json& object) {
  if (!object.is_object() || object.size() != 1) return std::nullopt;
  return Tagged{object.begin().key(), &object.begin().value()};
}

absl::StatusOr<Extent> ParseExtent(const Json& value) {
  const auto tagged = Tag(value);
  if (tagged && tagged->tag == "as_int") {
    if (const auto number = Int(*tagged->value)) return Extent{*number, ""};
  }
  if (tagged && tagged->tag == "as_expr") {
    QATGAP_ASSIGN_OR_RETURN(std::string text, StringField(*tagged->value, "expr_str"));
    if (!text.empty()) return Extent{0, std::move(text)};
  }
  return Bad("has an extent that is neither a number nor an expression in", "sizes");
}

absl::StatusOr<TensorMeta> ParseMeta(const Json& value) {
  TensorMeta meta;
  QATGAP_ASSIGN_OR_RETURN(const Json* dtype, Field(value, "dtype", Json::value_t::number_unsigned));
  meta.dtype = static_cast<ScalarType>(dtype->get<std::uint64_t>() & 0xffU);
  QATGAP_ASSIGN_OR_RETURN(const Json* sizes, Field(value, "sizes", Json::value_t::array));
  if (sizes->size() > kMaxRank) return Bad("has more than 64 axes in", "sizes");
  for (const Json& size : *sizes) {
    QATGAP_ASSIGN_OR_RETURN(Extent extent, ParseExtent(size));
    meta.sizes.push_back(std::move(extent));
  }
  if (const auto strides = value.find("strides"); strides != value.end() && strides->is_array()) {
    for (const Json& stride : *strides) {
      const auto tagged = Tag(stride);
      const auto number = tagged && tagged->tag == "as_int" ? Int(*tagged->value) : std::nullopt;
      if (!number) {
        meta.strides.clear();
        break;
      }
      meta.strides.push_back(*number);
    }
  }
  if (const auto offset = value.find("storage_offset"); offset != value.end()) {
    const auto tagged = Tag(*offset);
    if (const auto number = tagged && tagged->tag == "as_int" ? Int(*tagged->value) : std::nullopt)
      meta.storage_offset = *number;
  }
  return meta;
}

// The parser does not recurse, so depth costs memory only until it is refused.
absl::StatusOr<Json> ParseJson(const std::string& text) {
  bool too_deep = false;
  const auto keep = [&](int depth, Json::parse_event_t event, Json& parsed) {
    too_deep = too_deep || depth > kMaxDepth;
    // Half of the text is where each node came from, which nothing here reads.
    return !too_deep && !(event == Json::parse_event_t::key && parsed == "from_node");
  };
  Json json = Json::parse(text, keep, /*allow_exceptions=*/false);
  if (too_deep) {
    return absl::ResourceExhaustedError(
        "the exported program nests branches more than 50 deep; export a flatter model");
  }
  if (json.is_discarded())
    return absl::InvalidArgumentError("the exported program is not JSON; save it again with torch.export.save");
  return json;
}

}  // namespace qatgap::frontends::pt2
