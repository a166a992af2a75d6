// The models and recordings that make_models.py wrote.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "analyzers/frontends/model.h"
#include "analyzers/graph/graph.h"
#include "analyzers/graph/tensor.h"

namespace qatgap::testing {

// Bytes of models/<path>; a file that cannot be read throws, which fails the test.
std::string FileBytes(std::string_view path);

// models/<folder>/model.tflite, imported; throws on failure.
frontends::Model ImportTflite(std::string_view folder);

// models/<folder>/<name>.npy: float32, or integers of any width as int32.
graph::Tensor Recorded(std::string_view folder, std::string_view name);

// The code constant behind a dequantize, nullptr where there is none.
const graph::ConstantAttributes* CodesBehind(const graph::Graph& graph, graph::ValueId value);

// Nodes of one kind in execution order.
std::vector<const graph::Node*> NodesOf(const graph::Graph& graph, graph::OpKind kind);

}  // namespace qatgap::testing
