#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/pt2/program.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"
#include "nlohmann/json.hpp"

namespace qatgap::frontends::pt2 {
namespace {

using Json = nlohmann::json;

// One level of torch.cond is 8 levels of JSON; the importer itself counts branches.
constexpr int kMaxDepth = 600;
constexpr std::size_t kMaxNodes = 200'000;
constexpr std::size_t kMaxRank = 64;

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

// Infinities and NaN are words.
std::optional<double> Double(const Json& value) {
  if (value.is_number()) return value.get<double>();
  if (value == "Infinity") return std::numeric_limits<double>::infinity();
  if (value == "-Infinity") return -std::numeric_limits<double>::infinity();
  if (value == "NaN") return std::numeric_limits<double>::quiet_NaN();
  return std::nullopt;
}

// The only member of {"as_int": 3}.
struct Tagged {
  std::string_view tag;
  const Json* value = nullptr;
};
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
    if (const auto number = tagged && tagged->tag == "as_int" ? Int(*tagged->value) : std::nullopt) meta.storage_offset = *number;
  }
  return meta;
}

class Parser {
 public:
  absl::StatusOr<ProgramGraph> ParseGraph(const Json& value) {
    ProgramGraph graph;
    QATGAP_ASSIGN_OR_RETURN(const Json* inputs, Field(value, "inputs", Json::value_t::array));
    QATGAP_ASSIGN_OR_RETURN(const Json* outputs, Field(value, "outputs", Json::value_t::array));
    QATGAP_ASSIGN_OR_RETURN(const Json* nodes, Field(value, "nodes", Json::value_t::array));
    QATGAP_ASSIGN_OR_RETURN(const Json* tensors, Field(value, "tensor_values", Json::value_t::object));
    QATGAP_ASSIGN_OR_RETURN(graph.inputs, ParseValues(*inputs));
    QATGAP_ASSIGN_OR_RETURN(graph.outputs, ParseValues(*outputs));
    for (const auto& [name, meta] : tensors->items()) {
      QATGAP_ASSIGN_OR_RETURN(graph.tensors[name], ParseMeta(meta));
    }
    if (const auto ints = value.find("sym_int_values"); ints != value.end() && ints->is_object()) {
      for (const auto& [name, extent] : ints->items()) {
        QATGAP_ASSIGN_OR_RETURN(graph.symbolic_ints[name], ParseExtent(extent));
      }
    }
    for (const Json& node : *nodes) {
      if (++nodes_ > kMaxNodes) {
        return absl::ResourceExhaustedError("the exported program has more than 200000 nodes; export a part of the model");
      }
      QATGAP_ASSIGN_OR_RETURN(ProgramNode parsed, ParseNode(node));
      graph.nodes.push_back(std::move(parsed));
    }
    return graph;
  }

  absl::StatusOr<ProgramValue> ParseValue(const Json& value) {
    const auto tagged = Tag(value);
    if (!tagged) return Bad("has an argument without exactly one", "as_...");
    const auto& [tag, content] = *tagged;
    if (tag == "as_none") return ProgramValue();
    if (tag == "as_tensor") {
      QATGAP_ASSIGN_OR_RETURN(std::string name, StringField(*content, "name"));
      return TensorName{std::move(name)};
    }
    if (tag == "as_tensors" || tag == "as_optional_tensors") return ParseTensors(*content);
    if (tag == "as_optional_tensor") return ParseValue(*content);
    if (tag == "as_bool" && content->is_boolean()) return content->get<bool>();
    if (tag == "as_string" && content->is_string()) return content->get<std::string>();
    if (tag == "as_int") {
      if (const auto number = Int(*content)) return *number;
    }
    if (tag == "as_float") {
      if (const auto number = Double(*content)) return *number;
    }
    if (tag == "as_ints") return ParseList<std::int64_t>(*content, tag, Int);
    if (tag == "as_floats") return ParseList<double>(*content, tag, Double);
    if (tag == "as_bools") {
      return ParseList<bool>(*content, tag, [](const Json& item) {
        return item.is_boolean() ? std::optional(item.get<bool>()) : std::nullopt;
      });
    }
    if (tag == "as_scalar_type" && content->is_number_unsigned()) {
      return static_cast<ScalarType>(content->get<std::uint64_t>() & 0xffU);
    }
    if (tag == "as_sym_int" || tag == "as_sym_bool" || tag == "as_sym_float") return ParseSymbol(*content, tag);
    if (tag == "as_sym_ints") return ParseSymbols(*content);
    if (tag == "as_graph") {
      QATGAP_ASSIGN_OR_RETURN(const Json* graph, Field(*content, "graph", Json::value_t::object));
      QATGAP_ASSIGN_OR_RETURN(ProgramGraph parsed, ParseGraph(*graph));
      return Subgraph{std::make_shared<const ProgramGraph>(std::move(parsed))};
    }
    if (tag == "as_device" || tag == "as_layout" || tag == "as_memory_format") return Ignored{std::string(tag)};
    constexpr std::array kNeverThese = {"as_bool", "as_string", "as_int", "as_float", "as_scalar_type"};
    if (std::find(kNeverThese.begin(), kNeverThese.end(), tag) != kNeverThese.end()) {
      return Bad("has a value that does not fit its kind", tag);
    }
    return Unread{std::string(tag)};
  }

 private:
  absl::StatusOr<std::vector<ProgramValue>> ParseValues(const Json& values) {
    std::vector<ProgramValue> parsed;
    for (const Json& value : values) {
      QATGAP_ASSIGN_OR_RETURN(ProgramValue one, ParseValue(value));
      parsed.push_back(std::move(one));
    }
    return parsed;
  }

  static absl::StatusOr<ProgramValue> ParseTensors(const Json& content) {
    TensorNames tensors;
    if (!content.is_array()) return Bad("has no list in", "as_tensors");
    for (const Json& item : content) {
      const auto tagged = Tag(item);
      if (tagged && tagged->tag == "as_none") {
        tensors.names.emplace_back(std::nullopt);
        continue;
      }
      QATGAP_ASSIGN_OR_RETURN(std::string name, StringField(tagged && tagged->tag == "as_tensor" ? *tagged->value : item, "name"));
      tensors.names.emplace_back(std::move(name));
    }
    return tensors;
  }

  template <typename T, typename Convert>
  static absl::StatusOr<ProgramValue> ParseList(const Json& content, std::string_view tag, const Convert& convert) {
    if (!content.is_array()) return Bad("has no list in", tag);
    std::vector<T> list;
    for (const Json& item : content) {
      const auto value = convert(item);
      if (!value) return Bad("has an item that does not fit in", tag);
      list.push_back(*value);
    }
    return list;
  }

  static absl::StatusOr<ProgramValue> ParseSymbol(const Json& content, std::string_view tag) {
    const auto tagged = Tag(content);
    if (!tagged) return Bad("has no value in", tag);
    if (tagged->tag == "as_name" && tagged->value->is_string()) return SymbolicName{tagged->value->get<std::string>()};
    if (tagged->value->is_boolean()) return tagged->value->get<bool>();
    if (const auto number = Int(*tagged->value)) return *number;
    if (const auto number = Double(*tagged->value)) return *number;
    return Bad("has no value in", tag);
  }

  static absl::StatusOr<ProgramValue> ParseSymbols(const Json& content) {
    SymbolicInts ints;
    if (!content.is_array()) return Bad("has no list in", "as_sym_ints");
    for (const Json& item : content) {
      QATGAP_ASSIGN_OR_RETURN(const ProgramValue value, ParseSymbol(item, "as_sym_ints"));
      if (const auto* number = std::get_if<std::int64_t>(&value)) {
        ints.items.emplace_back(*number);
      } else if (const auto* name = std::get_if<SymbolicName>(&value)) {
        ints.items.emplace_back(name->name);
      } else {
        return Bad("has an item that is no integer in", "as_sym_ints");
      }
    }
    return ints;
  }

  absl::StatusOr<ProgramNode> ParseNode(const Json& value) {
    ProgramNode node;
    QATGAP_ASSIGN_OR_RETURN(node.target, StringField(value, "target"));
    QATGAP_ASSIGN_OR_RETURN(const Json* inputs, Field(value, "inputs", Json::value_t::array));
    QATGAP_ASSIGN_OR_RETURN(const Json* outputs, Field(value, "outputs", Json::value_t::array));
    for (const Json& input : *inputs) {
      ProgramArgument argument;
      QATGAP_ASSIGN_OR_RETURN(argument.name, StringField(input, "name"));
      const auto kind = input.find("kind");
      argument.keyword = kind != input.end() && *kind == 2;
      const auto content = input.find("arg");
      if (content == input.end()) return Bad("lacks the field", "arg");
      QATGAP_ASSIGN_OR_RETURN(argument.value, ParseValue(*content));
      node.inputs.push_back(std::move(argument));
    }
    QATGAP_ASSIGN_OR_RETURN(node.outputs, ParseValues(*outputs));
    if (const auto metadata = value.find("metadata"); metadata != value.end() && metadata->is_object()) {
      node.module_stack = StringOr(*metadata, "nn_module_stack");
      node.stack_trace = StringOr(*metadata, "stack_trace");
    }
    return node;
  }

  std::size_t nodes_ = 0;
};

absl::StatusOr<InputSpec> ParseInputSpec(const Json& value) {
  InputSpec spec;
  const auto tagged = Tag(value);
  if (!tagged) return Bad("has an entry without a kind in", "input_specs");
  const auto& [kind, content] = *tagged;
  const auto named = [&](InputSpec::Kind which, const char* field) -> absl::Status {
    spec.kind = which;
    QATGAP_ASSIGN_OR_RETURN(const Json* argument, Field(*content, "arg", Json::value_t::object));
    QATGAP_ASSIGN_OR_RETURN(std::string name, StringField(*argument, "name"));
    QATGAP_ASSIGN_OR_RETURN(spec.fqn, StringField(*content, field));
    spec.value = TensorName{std::move(name)};
    return absl::OkStatus();
  };
  if (kind == "parameter") {
    QATGAP_RETURN_IF_ERROR(named(InputSpec::Kind::kParameter, "parameter_name"));
  } else if (kind == "buffer") {
    QATGAP_RETURN_IF_ERROR(named(InputSpec::Kind::kBuffer, "buffer_name"));
  } else if (kind == "tensor_constant") {
    QATGAP_RETURN_IF_ERROR(named(InputSpec::Kind::kConstant, "tensor_constant_name"));
  } else if (kind == "user_input") {
    spec.kind = InputSpec::Kind::kUserInput;
    QATGAP_ASSIGN_OR_RETURN(const Json* argument, Field(*content, "arg", Json::value_t::object));
    QATGAP_ASSIGN_OR_RETURN(spec.value, Parser().ParseValue(*argument));
  } else {
    spec.other = std::string(kind);  // "constant_input": an argument fixed while exporting; "token", "custom_obj"
  }
  return spec;
}

absl::StatusOr<OutputSpec> ParseOutputSpec(const Json& value) {
  OutputSpec spec;
  const auto tagged = Tag(value);
  if (!tagged) return Bad("has an entry without a kind in", "output_specs");
  spec.user_output = tagged->tag == "user_output";
  if (!spec.user_output) return spec;
  QATGAP_ASSIGN_OR_RETURN(const Json* argument, Field(*tagged->value, "arg", Json::value_t::object));
  QATGAP_ASSIGN_OR_RETURN(spec.value, Parser().ParseValue(*argument));
  return spec;
}

// nullopt: not JSON, or nested too deeply. The parser does not recurse, so depth costs memory only until it is refused.
absl::StatusOr<Json> ParseJson(const std::string& text) {
  bool too_deep = false;
  const auto keep = [&](int depth, Json::parse_event_t event, Json& parsed) {
    too_deep = too_deep || depth > kMaxDepth;
    // Half of the text is where each node came from, which nothing here reads.
    return !too_deep && !(event == Json::parse_event_t::key && parsed == "from_node");
  };
  Json json = Json::parse(text, keep, /*allow_exceptions=*/false);
  if (too_deep) {
    return absl::ResourceExhaustedError("the exported program nests branches more than 50 deep; export a flatter model");
  }
  if (json.is_discarded()) return absl::InvalidArgumentError("the exported program is not JSON; save it again with torch.export.save");
  return json;
}

// Names below a node of a pytree. False where the tree is not as torch writes it.
bool AppendLeaves(const Json& spec, const std::string& path, int depth, std::vector<std::string>& names) {
  if (depth > 50 || !spec.is_object()) return false;
  const auto type = spec.find("type");
  const auto children = spec.find("children_spec");
  if (type == spec.end() || children == spec.end() || !children->is_array()) return false;
  if (type->is_null()) {
    names.push_back(path.empty() ? "output" : path);
    return true;
  }
  Json keys;
  if (type->is_string() && type->get_ref<const std::string&>().ends_with("ict")) {  // dict, OrderedDict, defaultdict
    keys = Json::parse(StringOr(spec, "context"), nullptr, /*allow_exceptions=*/false);
  }
  for (std::size_t i = 0; i < children->size(); ++i) {
    const bool keyed = keys.is_array() && i < keys.size() && keys[i].is_string();
    const std::string key = keyed ? keys[i].get<std::string>() : absl::StrCat(i);
    std::string below = path.empty() ? (keyed ? key : absl::StrCat("output.", key)) : absl::StrCat(path, ".", key);
    if (!AppendLeaves((*children)[i], below, depth + 1, names)) return false;
  }
  return true;
}

}  // namespace

std::string ToString(ScalarType type) {
  switch (type) {
    case ScalarType::kUint8:
      return "uint8";
    case ScalarType::kInt8:
      return "int8";
    case ScalarType::kInt16:
      return "int16";
    case ScalarType::kInt32:
      return "int32";
    case ScalarType::kInt64:
      return "int64";
    case ScalarType::kFloat16:
      return "float16";
    case ScalarType::kFloat32:
      return "float32";
    case ScalarType::kFloat64:
      return "float64";
    case ScalarType::kBool:
      return "bool";
    case ScalarType::kBfloat16:
      return "bfloat16";
  }
  return absl::StrCat("type ", static_cast<int>(type));
}

std::optional<std::int64_t> DispatcherNumber(ScalarType type) {
  switch (type) {
    case ScalarType::kUint8:
      return 0;
    case ScalarType::kInt8:
      return 1;
    case ScalarType::kInt16:
      return 2;
    case ScalarType::kInt32:
      return 3;
    case ScalarType::kInt64:
      return 4;
    case ScalarType::kFloat16:
      return 5;
    case ScalarType::kFloat32:
      return 6;
    case ScalarType::kFloat64:
      return 7;
    case ScalarType::kBool:
      return 11;
    case ScalarType::kBfloat16:
      return 15;
  }
  return std::nullopt;
}

absl::StatusOr<Program> ParseProgram(const std::string& text) {
  QATGAP_ASSIGN_OR_RETURN(const Json json, ParseJson(text));
  QATGAP_ASSIGN_OR_RETURN(const Json* module, Field(json, "graph_module", Json::value_t::object));
  QATGAP_ASSIGN_OR_RETURN(const Json* graph, Field(*module, "graph", Json::value_t::object));
  QATGAP_ASSIGN_OR_RETURN(const Json* signature, Field(*module, "signature", Json::value_t::object));
  QATGAP_ASSIGN_OR_RETURN(const Json* inputs, Field(*signature, "input_specs", Json::value_t::array));
  QATGAP_ASSIGN_OR_RETURN(const Json* outputs, Field(*signature, "output_specs", Json::value_t::array));
  Program program;
  QATGAP_ASSIGN_OR_RETURN(program.graph, Parser().ParseGraph(*graph));
  for (const Json& input : *inputs) {
    QATGAP_ASSIGN_OR_RETURN(InputSpec spec, ParseInputSpec(input));
    program.inputs.push_back(std::move(spec));
  }
  for (const Json& output : *outputs) {
    QATGAP_ASSIGN_OR_RETURN(OutputSpec spec, ParseOutputSpec(output));
    program.outputs.push_back(std::move(spec));
  }
  const auto calls = module->find("module_call_graph");
  if (calls != module->end() && calls->is_array() && !calls->empty() && calls->front().is_object()) {
    const auto root = calls->front().find("signature");
    if (root != calls->front().end() && root->is_object()) program.output_spec = StringOr(*root, "out_spec");
  }
  return program;
}

absl::StatusOr<std::map<std::string, StoredTensor>> ParseTensorIndex(const std::string& text) {
  QATGAP_ASSIGN_OR_RETURN(const Json json, ParseJson(text));
  QATGAP_ASSIGN_OR_RETURN(const Json* config, Field(json, "config", Json::value_t::object));
  std::map<std::string, StoredTensor> index;
  for (const auto& [name, entry] : config->items()) {
    StoredTensor tensor;
    QATGAP_ASSIGN_OR_RETURN(tensor.payload, StringField(entry, "path_name"));
    const auto pickled = entry.find("use_pickle");
    tensor.pickled = pickled != entry.end() && *pickled == true;
    const auto meta = entry.find("tensor_meta");
    if (meta != entry.end() && meta->is_object()) {
      QATGAP_ASSIGN_OR_RETURN(tensor.meta, ParseMeta(*meta));
    } else if (!tensor.pickled) {
      return Bad("lacks the field", "tensor_meta");
    }
    index.emplace(name, std::move(tensor));
  }
  return index;
}

std::vector<std::string> OutputNames(const std::string& spec) {
  const Json json = Json::parse(spec, nullptr, /*allow_exceptions=*/false);
  std::vector<std::string> names;
  if (!json.is_array() || json.size() != 2 || !AppendLeaves(json[1], "", 0, names)) return {};
  return names;
}

}  // namespace qatgap::frontends::pt2
