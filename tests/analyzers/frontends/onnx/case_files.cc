#include "tests/analyzers/frontends/onnx/case_files.h"

#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "analyzers/execution/graph_executor.h"
#include "analyzers/execution/host.h"
#include "analyzers/execution/layer_kernel.h"
#include "analyzers/frontends/onnx/onnx_frontend.h"
#include "analyzers/samples/npy_format.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends::onnx {
namespace {

template <typename T>
T Value(absl::StatusOr<T> result) {
  if (!result.ok()) throw std::runtime_error(result.status().ToString());
  return *std::move(result);
}

}  // namespace

std::string FileBytes(std::string_view file) {
  std::ifstream stream(absl::StrCat(QATGAP_SOURCE_DIR, "/tests/analyzers/frontends/onnx/cases/", Text(file)),
                       std::ios::binary);
  std::ostringstream bytes;
  bytes << stream.rdbuf();
  if (bytes.str().empty()) throw std::runtime_error("cannot read " + std::string(file));
  return bytes.str();
}

frontends::Model ImportCase(std::string_view name) {
  return Value(Import(FileBytes(std::string(name) + ".onnx"), name));
}

graph::Tensor Array(std::string_view file) {
  const std::string bytes = FileBytes(file);
  const samples::NpyView view = Value(samples::ViewNpy(bytes, std::string(file)));
  const auto as = [&]<typename Stored, typename T>(Stored, T) {
    std::vector<Stored> stored(view.elements.size() / sizeof(Stored));
    std::memcpy(stored.data(), view.elements.data(), view.elements.size());
    return graph::Tensor::Of<T>(view.header.shape, std::vector<T>(stored.begin(), stored.end()));
  };
  if (view.header.descriptor == "<f4") return as(float{}, float{});
  return view.header.descriptor == "<i2" ? as(std::int16_t{}, std::int32_t{}) : as(std::int32_t{}, std::int32_t{});
}

BatchResult RunFakeQuant(const graph::Graph& graph, const graph::Tensor& input) {
  static const bool one_thread = [] {
    execution::UseOneThread();  // LibTorch takes this once
    return true;
  }();
  (void)one_thread;
  const graph::MacLayers found = Value(graph::FindMacLayers(graph));
  BatchResult run;
  auto executor = Value(execution::GraphExecutor::Create(graph, found.layers, execution::ExecutionMode::kFakeQuant));
  run.outputs = Value(executor.Run(std::vector{input}, [&](const execution::LayerOutput& output) {
    const graph::Tensor rows = execution::ToChannelMajor(found.layers[output.layer], output.codes);
    const auto codes = rows.data<std::int32_t>();
    run.layers.emplace_back(codes.begin(), codes.end());
    return absl::OkStatus();
  }));
  return run;
}

}  // namespace qatgap::frontends::onnx
