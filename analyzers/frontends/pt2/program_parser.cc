#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/pt2/json_fields.h"
#include "analyzers/frontends/pt2/program.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends::pt2 {
namespace {

constexpr std::size_t kMaxNodes = 200'000;

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
        return absl::ResourceExhaustedError(
            "the exported program has more than 200000 nodes; export a part of the model");
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
      QATGAP_ASSIGN_OR_RETURN(std::string name,
                              StringField(tagged && tagged->tag == "as_tensor" ? *tagged->value : item, "name"));
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
