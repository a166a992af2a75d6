#include "analyzers/frontends/onnx/module_names.h"

#include <google/protobuf/unknown_field_set.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <array>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace qatgap::frontends::onnx {
namespace {

// NodeProto.metadata_props, newer than the installed onnx.proto: it arrives as an unknown field.
constexpr int kMetadataField = 9;

struct Metadata {
  std::string scopes, classes, stack_trace;
};

Metadata MetadataOf(const ::onnx::NodeProto& node) {
  Metadata metadata;
  const google::protobuf::UnknownFieldSet& fields = node.unknown_fields();
  for (int i = 0; i < fields.field_count(); ++i) {
    const google::protobuf::UnknownField& field = fields.field(i);
    if (field.number() != kMetadataField || field.type() != google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED)
      continue;
    ::onnx::StringStringEntryProto entry;
    if (!entry.ParseFromString(field.length_delimited())) continue;
    if (entry.key() == "pkg.torch.onnx.name_scopes") metadata.scopes = entry.value();
    if (entry.key() == "pkg.torch.onnx.class_hierarchy") metadata.classes = entry.value();
    if (entry.key() == "pkg.torch.onnx.stack_trace") metadata.stack_trace = entry.value();
  }
  return metadata;
}

// The strings of a Python list of strings: "['', 'layer1']".
std::vector<std::string> PythonStrings(std::string_view text) {
  std::vector<std::string> strings;
  for (std::size_t at = 0; at < text.size();) {
    const char quote = text[at];
    if (quote != '\'' && quote != '"') {
      ++at;
      continue;
    }
    const std::size_t end = text.find(quote, at + 1);
    if (end == std::string_view::npos) break;
    strings.emplace_back(text.substr(at + 1, end - at - 1));
    at = end + 1;
  }
  return strings;
}

std::string LastComponent(std::string_view dotted) {
  return std::string(dotted.substr(dotted.find_last_of('.') + 1));
}

// "Net > layer1: Sequential": scopes and classes are equally long, the operator last.
std::string StackOf(const std::vector<std::string>& scopes, const std::vector<std::string>& classes) {
  std::vector<std::string> frames;
  for (std::size_t i = 0; i + 1 < std::min(scopes.size(), classes.size()); ++i) {
    const std::string name = LastComponent(classes[i]);
    frames.push_back(scopes[i].empty() ? name : absl::StrCat(scopes[i], ": ", name));
  }
  return absl::StrJoin(frames, " > ");
}

}  // namespace

std::string ModuleOfNodeName(std::string_view node_name) {
  if (node_name.find('/') == std::string_view::npos) return "";
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= node_name.size();) {
    const std::size_t end = std::min(node_name.find('/', at), node_name.size());
    if (end > at) parts.emplace_back(node_name.substr(at, end - at));
    at = end + 1;
  }
  if (!parts.empty()) parts.pop_back();  // the operator
  std::string path;
  std::string_view before;
  for (const std::string& part : parts) {
    // torch.onnx names a child of a Sequential by both: "/stem/stem.0".
    if (!before.empty() && part.size() > before.size() && part.starts_with(before) && part[before.size()] == '.') {
      path.resize(path.size() - before.size());
      path += part;
    } else {
      absl::StrAppend(&path, path.empty() ? "" : ".", part);
    }
    before = part;
  }
  return path;
}

std::string SourceLineOf(std::string_view stack_trace) {
  // Frames are 'File "path", line N, in function', the innermost last.
  std::string line;
  for (std::size_t at = 0; (at = stack_trace.find("File \"", at)) != std::string_view::npos;) {
    at += 6;
    const std::size_t end = stack_trace.find('"', at);
    if (end == std::string_view::npos) break;
    const std::string_view path = stack_trace.substr(at, end - at);
    constexpr std::string_view kLine = "\", line ";
    const std::size_t number = end + kLine.size();
    if (stack_trace.substr(end, kLine.size()) != kLine) continue;
    const std::size_t stop = std::min(stack_trace.find_first_not_of("0123456789", number), stack_trace.size());
    const bool own = path.find("site-packages") == std::string_view::npos && path.find('<') == std::string_view::npos;
    if (own && stop > number) {
      line = absl::StrCat(std::string(path.substr(path.find_last_of("/\\") + 1)), ":",
                          std::string(stack_trace.substr(number, stop - number)));
    }
  }
  return line;
}

NodeOrigin OriginOf(const ::onnx::NodeProto& node) {
  NodeOrigin origin;
  const Metadata metadata = MetadataOf(node);
  const std::vector<std::string> scopes = PythonStrings(metadata.scopes);
  origin.source_line = SourceLineOf(metadata.stack_trace);
  if (scopes.size() > 1) {
    origin.module_path = scopes[scopes.size() - 2];
    origin.named = !origin.module_path.empty();
    const std::vector<std::string> classes = PythonStrings(metadata.classes);
    origin.module_stack = StackOf(scopes, classes);
    origin.of_batch_norm =
        classes.size() == scopes.size() && LastComponent(classes[classes.size() - 2]).starts_with("BatchNorm");
    if (origin.named) return origin;
  }
  origin.module_path = ModuleOfNodeName(node.name());
  origin.named = !origin.module_path.empty();
  return origin;
}

std::string WithoutToolSuffix(std::string_view name) {
  constexpr std::array<std::string_view, 4> kSuffixes = {"_quantized", "_quant", "_QuantizeLinear_Input",
                                                         "_DequantizeLinear_Output"};
  for (bool stripped = true; stripped;) {
    stripped = false;
    for (const std::string_view suffix : kSuffixes) {
      if (name.size() <= suffix.size() || !name.ends_with(suffix)) continue;
      name.remove_suffix(suffix.size());
      stripped = true;
    }
  }
  return std::string(name);
}

std::string ModuleOfWeight(std::string_view initializer) {
  std::string name = WithoutToolSuffix(initializer);
  if (name.find("::") != std::string::npos) return "";
  const std::size_t dot = name.find_last_of('.');
  if (dot == std::string::npos) return "";
  return name.substr(0, dot);
}

}  // namespace qatgap::frontends::onnx
