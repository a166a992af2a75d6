#include "tests/layering/include_rules.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

namespace qatgap::layering {
namespace {

// Between LibTorch's tensors and ours: for the two folders that include LibTorch.
constexpr std::string_view kTorchBridge = "analyzers/execution/torch_bridge.h";

struct Rule {
  std::string_view folder;
  std::vector<std::string_view> may_include;  // folders; every folder may include itself
};

// The longest folder that holds a file is its rule.
const std::vector<Rule>& Rules() {
  static const std::vector<Rule> rules = {
      {"analyzers/status", {}},
      {"analyzers/numerics", {"analyzers/status"}},
      {"analyzers/statistics", {"analyzers/status"}},
      {"analyzers/graph", {"analyzers/numerics", "analyzers/status"}},
      // Beyond the arrows of the design: the frontend shares the two torch headers it needs with execution, by name.
      {"analyzers/frontends/torchscript",
       {"analyzers/frontends/model.h", "analyzers/graph", "analyzers/numerics", "analyzers/status",
        "analyzers/execution/host.h", kTorchBridge}},
      {"analyzers/frontends",
       {"analyzers/execution/square_roots.h", "analyzers/frontends/onnx/onnx_frontend.h",
        "analyzers/frontends/pt2/pt2_frontend.h", "analyzers/frontends/tflite/tflite_frontend.h",
        "analyzers/frontends/torchscript/torchscript_frontend.h", "analyzers/graph", "analyzers/status"}},
      {"analyzers/frontends/pt2",
       {"analyzers/frontends/model.h", "analyzers/graph", "analyzers/numerics", "analyzers/status"}},
      {"analyzers/frontends/tflite",
       {"analyzers/frontends/model.h", "analyzers/graph", "analyzers/numerics", "analyzers/status"}},
      {"analyzers/frontends/onnx",
       {"analyzers/frontends/model.h", "analyzers/graph", "analyzers/numerics", "analyzers/status"}},
      {"analyzers/samples", {"analyzers/graph", "analyzers/status"}},
      {"analyzers/vectors", {"analyzers/graph", "analyzers/numerics", "analyzers/samples", "analyzers/status"}},
      {"analyzers/handoff", {"analyzers/graph", "analyzers/numerics", "analyzers/status", "analyzers/vectors"}},
      {"analyzers/execution", {"analyzers/graph", "analyzers/numerics", "analyzers/status"}},
      {"analyzers/report", {"analyzers/numerics", "analyzers/statistics", "analyzers/status"}},
      {"analyzers/findings", {"analyzers/graph", "analyzers/numerics", "analyzers/report", "analyzers/status"}},
      {"analyzers/attribution",
       {"analyzers/execution", "analyzers/findings", "analyzers/graph", "analyzers/numerics", "analyzers/report",
        "analyzers/statistics", "analyzers/status"}},
      {"server",
       {"analyzers/numerics", "analyzers/report", "analyzers/samples/normalization.h", "analyzers/statistics",
        "analyzers/status", "qatgap"}},
      {"server/runner",
       {"analyzers", "qatgap", "server/analysis_conversion.h", "server/own_targets.h",
        "server/result_conversion.h", "server/samples_conversion.h", "server/version.h"}},
      {"client", {"qatgap", "server/version.h"}},
  };
  return rules;
}

constexpr std::string_view kTorch[] = {"ATen", "c10", "torch", "fbgemm", "caffe2"};
constexpr std::string_view kTorchFolders[] = {"analyzers/execution", "analyzers/frontends/torchscript"};
// Headers of the two folders that others include, or could: these know no torch.
constexpr std::string_view kPublicTorchFreeHeaders[] = {
    "analyzers/execution/engine_check.h", "analyzers/execution/graph_executor.h", "analyzers/execution/host.h", "analyzers/execution/layer_kernel.h",
    "analyzers/execution/square_roots.h", "analyzers/frontends/torchscript/torchscript_frontend.h"};
constexpr std::string_view kServerOnly[] = {"google/protobuf", "grpc", "grpc++", "grpcpp", "prometheus", "sqlite3.h",
                                            "libpq-fe.h", "pqxx", "httplib.h", "civetweb.h", "CivetServer.h", "curl",
                                            "qatgap", "boost/beast", "microhttpd.h"};
constexpr std::string_view kGrpc[] = {"grpc", "grpc++", "grpcpp"};

// An ONNX file is a protobuf message: this folder alone reads it (docs/decisions/0010). Its header for others shows none.
constexpr std::string_view kOnnxFolder = "analyzers/frontends/onnx";
constexpr std::string_view kOnnxPublicHeader = "analyzers/frontends/onnx/onnx_frontend.h";
constexpr std::string_view kOnnxMessages[] = {"onnx/onnx_pb.h", "google/protobuf/unknown_field_set.h",
                                              "google/protobuf/io/coded_stream.h"};

// Whether `path` is `folder` or is below it.
bool Below(std::string_view path, std::string_view folder) {
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

bool BelowAny(std::string_view path, const auto& folders) {
  return std::any_of(std::begin(folders), std::end(folders),
                     [path](std::string_view folder) { return Below(path, folder); });
}

const Rule* RuleOf(std::string_view file) {
  const Rule* best = nullptr;
  for (const Rule& rule : Rules()) {
    if (Below(file, rule.folder) && (best == nullptr || rule.folder.size() > best->folder.size())) best = &rule;
  }
  return best;
}

// A protobuf or gRPC header by its ending, whatever its folder.
bool Generated(std::string_view header) { return header.ends_with(".pb.h"); }

}  // namespace

std::optional<std::string> Violation(const Include& include) {
  const std::string_view header = include.header;
  const auto forbidden = [&](std::string_view why) {
    return include.file + " includes " + include.header + ": " + std::string(why);
  };
  const Rule* rule = RuleOf(include.file);
  if (rule == nullptr) return forbidden("its folder has no rule in tests/layering/include_rules.cc");

  if (BelowAny(header, kTorch)) {
    if (!BelowAny(include.file, kTorchFolders)) return forbidden("only execution and the TorchScript frontend include LibTorch");
    if (BelowAny(include.file, kPublicTorchFreeHeaders)) return forbidden("a header for other folders knows no LibTorch");
  }
  const bool onnx_messages = std::find(std::begin(kOnnxMessages), std::end(kOnnxMessages), header) != std::end(kOnnxMessages);
  if (onnx_messages && Below(include.file, kOnnxFolder) && include.file != kOnnxPublicHeader) return std::nullopt;
  if (Below(header, "onnx")) return forbidden("only the ONNX frontend includes the messages of an ONNX file, and not in its header");
  if (Below(include.file, "analyzers") && (BelowAny(header, kServerOnly) || Generated(header))) {
    return forbidden("analyzers know no protobuf, gRPC, HTTP or database");
  }
  if (Below(include.file, "server/runner") && (BelowAny(header, kGrpc) || header.ends_with(".grpc.pb.h"))) {
    return forbidden("the runner knows no gRPC");
  }
  if (const Rule* owner = RuleOf(header); BelowAny(header, kTorchFolders) && !BelowAny(header, kPublicTorchFreeHeaders)) {
    if (BelowAny(include.file, kPublicTorchFreeHeaders)) return forbidden("a header for other folders includes none that is not");
    const bool bridge = header == kTorchBridge && Below(include.file, "analyzers/frontends/torchscript");
    if (owner != rule && !bridge) return forbidden("not a header for other folders");
  }
  constexpr std::string_view kOurs[] = {"analyzers", "server", "client", "tests"};
  if (!BelowAny(header, kOurs) && header.find("..") == std::string_view::npos) return std::nullopt;
  const Rule* of_header = RuleOf(header);
  if (of_header == rule || BelowAny(header, rule->may_include)) return std::nullopt;
  return forbidden("no arrow leads from " + std::string(rule->folder) + " to it");
}

std::vector<std::string> IncludesOf(std::string_view text) {
  std::vector<std::string> headers;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::size_t at = line.find_first_not_of(" \t");
    if (at == std::string::npos || line[at] != '#') continue;
    at = line.find_first_not_of(" \t", at + 1);
    if (at == std::string::npos || line.compare(at, 7, "include") != 0) continue;
    const std::size_t open = line.find_first_of("<\"", at);
    if (open == std::string::npos) continue;
    const std::size_t close = line.find(line[open] == '<' ? '>' : '"', open + 1);
    if (close != std::string::npos) headers.push_back(line.substr(open + 1, close - open - 1));
  }
  return headers;
}

std::vector<Include> IncludesOfTree(const std::string& checkout) {
  std::vector<Include> includes;
  for (const char* top : {"analyzers", "server", "client"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(std::filesystem::path(checkout) / top)) {
      const std::string extension = entry.path().extension().string();
      if (!entry.is_regular_file() || (extension != ".h" && extension != ".cc")) continue;
      std::ifstream in(entry.path(), std::ios::binary);
      const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
      const std::string file = std::filesystem::relative(entry.path(), checkout).generic_string();
      for (std::string& header : IncludesOf(text)) includes.push_back({file, std::move(header)});
    }
  }
  return includes;
}

}  // namespace qatgap::layering
