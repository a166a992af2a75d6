// What every frontend makes of a model file.
#pragma once

#include <string>
#include <string_view>

#include "analyzers/graph/graph.h"

namespace qatgap::frontends {

enum class ModelKind {
  kQat,        // has fake-quants on real weights
  kConverted,  // has integer weights
  kFloat,      // neither
};
constexpr std::string_view ToString(ModelKind kind) {
  return kind == ModelKind::kQat ? "QAT" : kind == ModelKind::kConverted ? "converted" : "float";
}

struct Model {
  graph::Graph graph;
  ModelKind kind = ModelKind::kQat;
  bool scripted = false;   // TorchScript: a method that was reached has a branch or a loop; tracing leaves none
  std::string format;      // "TorchScript, traced"; "torch.export archive"; "ONNX, QDQ"; "TFLite"
};

}  // namespace qatgap::frontends
