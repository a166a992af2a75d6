// The files of cases/, and a run of a model on the samples beside it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/execution/graph_executor.h"
#include "analyzers/frontends/model.h"
#include "analyzers/graph/mac_layers.h"

namespace qatgap::frontends::onnx {

std::string FileBytes(std::string_view file);
frontends::Model ImportCase(std::string_view name);  // "qat_dynamo_21": throws with the status where that fails
graph::Tensor Array(std::string_view file);          // float32, or integers as int32

struct BatchResult {
  std::vector<execution::ModelOutput> outputs;
  std::vector<std::vector<std::int32_t>> layers;  // output codes of every MAC layer, channel-major
};
BatchResult RunFakeQuant(const graph::Graph& graph, const graph::Tensor& input);

}  // namespace qatgap::frontends::onnx
