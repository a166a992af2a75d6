// One folder of the model zoo (tests/models/zoo/README.md) as the conformance tool reads it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/graph/tensor.h"
#include "analyzers/numerics/target.h"

namespace qatgap::conformance {

struct Part {
  std::string file;              // "qat.pt"
  std::string kind;              // "qat", "converted"
  std::string error;             // why the exporter refused; then there is no file
  std::vector<graph::Tensor> recorded;  // outputs of the recording runtime, float32
  // Of an ONNX file: outputs of its operators, each run by PyTorch (tests/models/zoo/onnx_by_operators.py); may be empty.
  std::vector<graph::Tensor> by_operators;
};

// What convert() made of one layer, as PyTorch reads it.
struct LayerConstants {
  graph::Tensor weight;                     // int8
  std::vector<double> weight_scales;
  std::vector<std::int64_t> weight_zero_points;
  std::optional<std::vector<float>> bias;
  std::optional<double> output_scale;       // absent: the output is float
  std::optional<std::int64_t> output_zero_point;
};

struct ZooFolder {
  std::string path, model, flow, target;
  numerics::Engine engine = numerics::Engine::kNone;
  bool one_by_one = false;                  // one sample a run
  graph::Tensor samples;                    // float32, first axis samples
  std::vector<Part> parts;
  std::optional<std::map<std::string, LayerConstants>> constants;  // by layer
};

absl::StatusOr<ZooFolder> ReadZooFolder(const std::string& path);

absl::StatusOr<std::string> ReadFile(const std::string& path);

}  // namespace qatgap::conformance
