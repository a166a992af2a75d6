#include "tests/analyzers/frontends/tflite/model_files.h"

#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/tflite/tflite_frontend.h"
#include "analyzers/samples/npy_format.h"
#include "analyzers/status/string_view.h"

namespace qatgap::testing {
namespace {

template <typename T>
T Value(absl::StatusOr<T> result) {
  if (!result.ok()) throw std::runtime_error(result.status().ToString());
  return *std::move(result);
}

template <typename From>
graph::Tensor Widened(const samples::NpyView& view) {
  graph::Tensor tensor(graph::DType::kInt32, view.header.shape);
  const auto values = tensor.mutable_data<std::int32_t>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    From value;
    std::memcpy(&value, view.elements.data() + i * sizeof(From), sizeof(From));
    values[i] = value;
  }
  return tensor;
}

}  // namespace

std::string FileBytes(std::string_view path) {
  const std::string whole = absl::StrCat(QATGAP_SOURCE_DIR, "/tests/analyzers/frontends/tflite/models/", Text(path));
  std::ifstream stream(whole, std::ios::binary);
  std::ostringstream bytes;
  bytes << stream.rdbuf();
  if (bytes.str().empty()) throw std::runtime_error("cannot read " + whole);
  return bytes.str();
}

frontends::Model ImportTflite(std::string_view folder) {
  const std::string path = absl::StrCat(Text(folder), "/model.tflite");
  return Value(frontends::tflite::Import(FileBytes(path), path));
}

graph::Tensor Recorded(std::string_view folder, std::string_view name) {
  const std::string path = absl::StrCat(Text(folder), "/", Text(name), ".npy");
  const std::string bytes = FileBytes(path);
  const samples::NpyView view = Value(samples::ViewNpy(bytes, path));
  const std::string& type = view.header.descriptor;
  if (type == "<f4") {
    graph::Tensor tensor(graph::DType::kFloat32, view.header.shape);
    std::memcpy(tensor.mutable_data<float>().data(), view.elements.data(), view.elements.size());
    return tensor;
  }
  if (type == "|i1") return Widened<std::int8_t>(view);
  if (type == "|u1") return Widened<std::uint8_t>(view);
  if (type == "<i2") return Widened<std::int16_t>(view);
  if (type == "<i4") return Widened<std::int32_t>(view);
  throw std::runtime_error(path + " holds " + type);
}

const graph::ConstantAttributes* CodesBehind(const graph::Graph& graph, graph::ValueId value) {
  const graph::Node* dequantize = graph.producer(value);
  if (dequantize == nullptr || dequantize->kind != graph::OpKind::kDequantize) return nullptr;
  const graph::Node* codes = graph.producer(dequantize->inputs[0]);
  return codes == nullptr ? nullptr : std::get_if<graph::ConstantAttributes>(&codes->attributes);
}

std::vector<const graph::Node*> NodesOf(const graph::Graph& graph, graph::OpKind kind) {
  std::vector<const graph::Node*> nodes;
  for (const graph::NodeId id : graph.body.nodes) {
    const graph::Node& node = graph.nodes[static_cast<std::size_t>(id)];
    if (node.kind == kind) nodes.push_back(&node);
  }
  return nodes;
}

}  // namespace qatgap::testing
