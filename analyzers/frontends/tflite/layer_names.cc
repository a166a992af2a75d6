#include "analyzers/frontends/tflite/layer_names.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "analyzers/frontends/tflite/model_file.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends::tflite {
namespace {

using schema::BuiltinOperator;

bool IsMac(BuiltinOperator code) {
  return code == BuiltinOperator::CONV_2D || code == BuiltinOperator::DEPTHWISE_CONV_2D ||
         code == BuiltinOperator::FULLY_CONNECTED || code == BuiltinOperator::TRANSPOSE_CONV ||
         code == BuiltinOperator::BATCH_MATMUL;
}

// TensorFlow's names of operations at the end of a scope: those of products, and others.
constexpr std::array<std::string_view, 8> kProducts = {
    "Conv2D",      "MatMul",           "depthwise",        "DepthwiseConv2dNative",
    "convolution", "separable_conv2d", "conv2d_transpose", "Tensordot"};
constexpr std::array<std::string_view, 14> kOperations = {
    "BiasAdd", "Relu",    "Relu6", "FusedBatchNormV3", "AddV2",   "Add", "ReadVariableOp",
    "Sum",     "Softmax", "Mean",  "Reshape",          "Sigmoid", "add", "mul"};

template <std::size_t kCount>
bool Among(const std::array<std::string_view, kCount>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// "torch.nn.modules.conv.Conv2d_0" -> Conv2d, 0. The class is nothing where the part is none.
struct Instance {
  std::string type, name;
};
Instance InstanceOf(std::string_view part) {
  const std::size_t dot = part.rfind('.');
  if (dot == std::string_view::npos) return {};
  const std::string_view last = part.substr(dot + 1);
  const std::size_t underscore = last.find('_');
  if (underscore == std::string_view::npos) return {std::string(last), ""};
  return {std::string(last.substr(0, underscore)), std::string(last.substr(underscore + 1))};
}

NamedPath InstancesIn(const std::vector<std::string>& parts) {
  NamedPath path;
  std::string type;
  for (const std::string& part : parts) {
    Instance instance = InstanceOf(part);
    if (instance.name.empty()) continue;  // the model itself
    path.parts.push_back(std::move(instance.name));
    type = absl::AsciiStrToLower(instance.type);
  }
  if (path.parts.empty()) return path;
  path.certainty = absl::StrContains(type, "conv") || absl::StrContains(type, "linear") ? 3 : 1;
  return path;
}

NamedPath ScopesIn(std::vector<std::string> parts) {
  NamedPath path{.parts = {}, .certainty = 1, .scopes = true};
  std::erase_if(parts, [](const std::string& part) {
    return part.empty() || absl::StartsWith(part, "StatefulPartitionedCall") ||
           absl::StartsWith(part, "PartitionedCall");
  });
  while (parts.size() > 1) {
    const bool product = Among(kProducts, parts.back());
    if (!product && !Among(kOperations, parts.back())) break;
    // A layer may be called as its operation: model/separable_conv2d/separable_conv2d.
    if (product) path.certainty = 3;
    if (parts.back() == "BiasAdd") path.certainty = std::max(path.certainty, 2);
    parts.pop_back();
    if (product) break;
  }
  path.parts = std::move(parts);
  if (path.parts.empty()) path.certainty = 0;
  return path;
}

NamedPath Best(const std::vector<std::string>& names) {
  NamedPath best;
  for (const std::string& name : names) {
    for (const absl::string_view piece : absl::StrSplit(name, ';')) {
      NamedPath path = PathIn({piece.data(), piece.size()});
      if (path.certainty > best.certainty) best = std::move(path);
    }
  }
  return best;
}

}  // namespace

NamedPath PathIn(std::string_view name) {
  if (name.empty() || std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; })) return {};
  const std::vector<std::string> parts = absl::StrSplit(Text(name), '/');
  // Only PyTorch's classes have dots; TensorFlow's names of functions end in ":0".
  const bool classes =
      std::all_of(parts.begin(), parts.end(), [](const std::string& part) { return absl::StrContains(part, "."); });
  for (const absl::string_view made_up : {"serving_default", "arith.constant", "tfl."}) {
    if (absl::StartsWith(Text(name), made_up)) return {};
  }
  return classes ? InstancesIn(parts) : ScopesIn(parts);
}

std::vector<std::string> LayerPaths(const ModelFile& file) {
  std::vector<NamedPath> found;
  std::set<std::string> first_scopes;
  for (const OperatorRecord& op : file.operators()) {
    std::vector<std::string> names;
    if (!op.outputs.empty()) names.push_back(file.tensor(op.outputs[0]).name);
    if (IsMac(op.code)) {
      const bool transposed = op.code == BuiltinOperator::TRANSPOSE_CONV;
      for (const int tensor : {op.input(transposed ? 3 : 2), op.input(1)}) {
        if (tensor >= 0) names.push_back(file.tensor(tensor).name);
      }
    }
    found.push_back(Best(names));
    if (IsMac(op.code)) {
      const bool scoped = found.back().scopes && found.back().parts.size() > 1;
      first_scopes.insert(scoped ? found.back().parts[0] : "");
    }
  }
  const bool shared = first_scopes.size() == 1 && !first_scopes.begin()->empty();
  std::vector<std::string> paths;
  std::map<std::string, int> taken;  // by layers: the tensor of the weights
  for (std::size_t i = 0; i < found.size(); ++i) {
    const OperatorRecord& op = file.operators()[i];
    std::vector<std::string>& parts = found[i].parts;
    if (shared && found[i].scopes && parts.size() > 1 && parts[0] == *first_scopes.begin()) parts.erase(parts.begin());
    const std::string kind = absl::AsciiStrToLower(op.name);
    std::string path = parts.empty() ? absl::StrCat(kind, "_", op.index) : absl::StrJoin(parts, ".");
    if (IsMac(op.code)) {
      // One layer that is called twice keeps its name.
      const auto is_another = [&](const std::string& name) {
        const auto [it, added] = taken.emplace(name, op.input(1));
        return !added && it->second != op.input(1);
      };
      if (is_another(path)) {
        const std::string by_kind = absl::StrCat(path, ".", kind);
        path = is_another(by_kind) ? absl::StrCat(by_kind, "_", op.index) : by_kind;
      }
    }
    paths.push_back(std::move(path));
  }
  return paths;
}

}  // namespace qatgap::frontends::tflite
